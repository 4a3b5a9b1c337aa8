"""The README is true: its commands run, its script runs, its targets exist, and it names what there is."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aecore.__main__ import main
from aecore.config import presets
from aecore.data import DATASETS
from aecore.runs import Lab, runs
from tests.conftest import TrainedRun

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


COMMANDS = [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) >= 10


PROGRAM = "python -m aecore "


def test_every_console_block_runs(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (lab.path / "settings.json").write_text('{"warm": 0}')  # nothing prepares itself beside the commands
    monkeypatch.setenv("AELAB_HOME", str(lab.path))
    run = ""
    for command in COMMANDS:
        assert command.startswith(PROGRAM)
        command = command.replace("FILE.tar", f"{lab.path}.tar").replace("DIR", f"{lab.path}-2")
        # as the program's own process would: starting one takes a second, each time
        code = main(shlex.split(re.sub(r"\bRUN\b", run, command.removeprefix(PROGRAM))))
        assert code == 0, f"{command}: {capsys.readouterr().err}"
        if " train " in command:
            [run] = [row.id for row in runs(lab)]


def test_the_command_line_is_a_program(lab: Lab) -> None:
    environment = {**os.environ, "AELAB_HOME": str(lab.path)}
    done = subprocess.run([sys.executable, *COMMANDS[0].split()[1:]], cwd=ROOT, env=environment, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "demo" in done.stdout


def test_the_script_runs_on_a_trained_run(trained_run: TrainedRun) -> None:
    [script] = blocks("python")
    space: dict[str, Any] = {}
    exec(script.replace('"RUN"', repr(str(trained_run.folder.path))), space)
    facts = space["trained"].facts
    assert space["z"].shape == (8, trained_run.folder.config().model.code_size(facts.shape))
    assert space["x_hat"].shape == (8, *facts.shape)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"make ([a-z]+)", README))))
def test_every_make_target_exists(target: str) -> None:
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_names_every_preset_data_set_page_and_folder() -> None:
    pages = [path.stem for path in (ROOT / "pages").glob("*.py")]
    folders = [f"aecore/{path.parent.name}/" for path in (ROOT / "aecore").glob("*/__init__.py")]
    missing = [name for name in [*presets(), *DATASETS] if f"`{name}`" not in README]
    missing += [name for name in [*pages, *folders] if name not in README]
    assert not missing


def test_every_picture_is_there() -> None:
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", README)
    assert [path for path in pictures if not (ROOT / path).exists()] == []


def test_every_dependency_is_pinned_and_has_its_reason() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    names = [re.split(r"[\[=]", line)[0].lower() for line in lines if line != "-e ."]
    assert all("==" in line for line in lines if line != "-e .")
    table = README.split("## What it stands on")[1].lower()
    assert [name for name in names if name not in table] == []
