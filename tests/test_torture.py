"""The measures of docs/RELIABILITY.md with a few rounds each: `make torture` runs the full ones."""

import importlib
import json
from pathlib import Path

import pytest

from torture import __main__ as command
from torture import table
from torture.result import Result, Skipped

ROUNDS = {"kills": 3, "syscalls": 12, "power": 2, "servers": 1, "claims": 100, "damage": 2, "leave": 2}
"""Of the short versions: seconds each."""


@pytest.mark.parametrize("name", table.MEASURES)
def test_what_is_promised_holds(name: str) -> None:
    try:
        result = importlib.import_module(f"torture.{name}").measure(ROUNDS[name], seed=1)
    except Skipped as reason:
        pytest.skip(str(reason))
    assert result.held, result.sentence


def test_the_table_holds_what_was_measured_and_says_what_was_not(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    table.record(path, "kills", 200, 7, Result({"kills": 200, "lost": 1}, 61.5, "200 kills: 1 lost.", False))
    table.write(path)
    text = path.with_suffix(".md").read_text()
    assert "| 200 kills, seed 7 | 200 kills, 1 lost | **no** | 62 |" in text
    assert "`python -m torture kills --rounds 200 --seed 7`" in text
    assert text.count("not measured") == len(table.MEASURES) - 1


def test_what_does_not_hold_is_an_exit_code_and_what_cannot_be_measured_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def take(rounds: int, seed: int) -> Result:
        if rounds == 1:
            raise Skipped("there is no hammer")
        return Result({"rounds": rounds}, 0.1, "It broke.", held=rounds == 3)

    monkeypatch.setattr("torture.claims.measure", take)
    path = tmp_path / "figures.json"
    codes = [command.main(["claims", "--rounds", str(n), "--record", str(path)]) for n in (1, 2, 3)]
    assert codes == [0, 1, 0]
    said = capsys.readouterr().out
    assert "claims: not measured: there is no hammer" in said
    assert "claims: DID NOT HOLD" in said
    assert list(json.loads(path.read_text())) == ["claims"]
