"""Sweeps: what is queued, that it belongs together, and how many of it run at once."""

import contextlib
import json
import time
from pathlib import Path

import pytest

from aecore.__main__ import main
from aecore.config import ConfigError, RunConfig
from aecore.jobs import local, locks, queue, states, supervisor, sweep, turns
from aecore.jobs.forecast import forecast
from aecore.runs import Lab, run, runs
from tests.conftest import tiny


def sizes(configs: list[RunConfig]) -> list[int]:
    return [config.model.code_size((1, 8, 8)) for config in configs]


def test_a_grid_has_every_combination_and_names_what_it_varies() -> None:
    found = sweep.plan(tiny(), {"code_size": "2, 4,8", "training.learning_rate": "0.01; 0.001"}, seeds=2)
    assert len(found) == 3 * 2 * 2
    assert sizes(found[:5]) == [2, 2, 2, 2, 4]
    assert [(c.name, c.training.seed) for c in found[:3]] == [
        ("tiny, code 2, learning rate 0.01, seed 0", 0),
        ("tiny, code 2, learning rate 0.01, seed 1", 1),
        ("tiny, code 2, learning rate 0.001, seed 0", 0),
    ]
    for before in ("learning_rate 0.5", "learning rate 0.5"):
        (one, _) = sweep.plan(tiny(name=f"mine, {before}"), {"training.learning_rate": "0.1,0.2"})
        assert one.name == "mine, learning rate 0.1", "once"
    for name in ("mine", "mine-2", "mine, code 2", "mine, code 2, seed 7"):
        found = sweep.plan(tiny(name=name), {"code_size": "4,8"}, seeds=2)
        assert [c.name for c in found[::2]] == ["mine, code 4, seed 0", "mine, code 8, seed 0"], name
    kept = [c.name for c in sweep.plan(tiny(name="mine-2, 3rd try"), {"training.epochs": "1,2"})]
    assert kept == ["mine-2, 3rd try, epochs 1", "mine-2, 3rd try, epochs 2"], "what is not varied stays"
    long = tiny(name="a" * 80)
    assert [c.name for c in sweep.plan(long, {"code_size": "2,4"})] == [f"{'a' * 72}, code {size}" for size in (2, 4)]
    both = {"model.backbone.activation": "relu,elu", "model.bottleneck.activation": "none,relu"}
    assert [c.name for c in sweep.plan(tiny(), both)][1:3] == [
        "tiny, backbone activation relu, bottleneck activation relu",
        "tiny, backbone activation elu, bottleneck activation none",
    ]
    assert [c.name for c in sweep.plan(tiny(), {"task.kind": "denoise,grey"})] == [
        "tiny, task denoise",
        "tiny, task grey",
    ]


def test_a_sample_is_drawn_from_the_grid_or_from_a_range_and_is_the_same_again() -> None:
    few = sweep.plan(tiny(), {"code_size": "1,2,3,4,5,6,7,8,9,10"}, sample=3)
    assert sizes(few) == sorted(set(sizes(few)))
    assert len(few) == 3
    fields = {"code_size": "2 .. 64", "training.learning_rate": "1e-4 .. 1e-2"}
    drawn = sweep.plan(tiny(), fields, sample=30)
    assert drawn == sweep.plan(tiny(), fields, sample=30)
    assert all(2 <= size <= 64 for size in sizes(drawn))
    rates = [config.training.learning_rate for config in drawn]
    assert min(rates) >= 1e-4
    assert max(rates) <= 1e-2
    assert sum(rate < 1e-3 for rate in rates) in range(8, 23), "evenly on a logarithmic scale"


@pytest.mark.parametrize(
    ("fields", "options", "sentence"),
    [
        ({}, {}, "one or two fields, not 0"),
        ({"training.epoch": "1,2"}, {}, "did you mean training.epochs"),
        ({"code_size": " , "}, {}, "has no values"),
        ({"code_size": "2..8"}, {}, "a range needs a random sample"),
        ({"code_size": "8..2"}, {"sample": 2}, "the smaller one first"),
        ({"code_size": "0,2"}, {}, "latent_dim is 0, but must be at least 1"),
        ({"code_size": ",".join(map(str, range(1, 202)))}, {}, "201 runs, but at most 200"),
        ({"code_size": "2,4"}, {"seeds": 0}, "at least one seed"),
        ({"code_size": "2,4", "model.bottleneck.latent_dim": "8"}, {}, "are the same field"),
        ({"training.seed": "1,2"}, {"seeds": 2}, "varies training.seed, and asks for 2 seeds of each as well"),
    ],
)
def test_what_cannot_be_swept_is_said(fields: dict[str, str], options: dict[str, int], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        sweep.plan(tiny(), fields, **options)


def test_the_runs_of_a_sweep_belong_together_also_after_the_database_is_lost(lab: Lab) -> None:
    name, ids = sweep.submit(lab, sweep.plan(tiny(), {"code_size": "2,4"}), "ada", at_once=1, nonce="form")
    assert sweep.submit(lab, sweep.plan(tiny(), {"code_size": "2,4"}), "ada", at_once=1, nonce="form") == (name, ids)
    queue.submit(lab, tiny(), "ada")
    assert [row.sweep for row in runs(lab)] == [None, name, name]
    lab.engine.dispose()
    for path in lab.path.glob("lab.sqlite*"):
        path.unlink()
    back = Lab.open(lab.path)
    assert [row.sweep for row in runs(back)] == [None, name, name]
    assert [queue.jobs(back, run_id)[0].at_once for run_id in ids] == [1, 1]


def test_nothing_is_queued_where_one_of_the_runs_does_not_fit(lab: Lab) -> None:
    with pytest.raises(ConfigError):
        sweep.submit(lab, sweep.plan(tiny(), {"data.name": "digits; nothing"}), "ada")
    assert runs(lab) == []


def test_a_sweep_leaves_places_to_others_and_goes_on_when_one_of_its_runs_ends(lab: Lab) -> None:
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 3}))
    lab = Lab.open(lab.path)
    _, ids = sweep.submit(lab, sweep.plan(tiny(), {"code_size": "2,4,8"}), "ada", at_once=1)
    other = queue.submit(lab, tiny(), "bea")

    def line() -> turns.Line:
        hand = queue.at_hand(lab)
        return turns.line(hand.live, hand.waiting, hand.used, time.time(), None)

    def may() -> list[str]:
        return [job.run_id for job in line().may]

    assert may() == [ids[0], other]
    first = queue.jobs(lab, ids[0])[0]
    states.move(lab, first.id, "starting", by="supervisor")
    assert may() == [other]
    assert [why for _, why in line().held] == ["its sweep trains 1 at once"] * 2
    here = supervisor.Supervisor(lab, local.LocalExecutor(lab))
    with contextlib.ExitStack() as taken:
        for n in range(3):
            held = locks.acquire(lab.path / f"locks/cpu-{n}.lock")
            assert held is not None
            taken.callback(locks.release, held)
        here._start(queue.at_hand(lab), [])
    assert run(lab, ids[1]).reason == "Waits: its sweep trains 1 at once."
    states.move(lab, first.id, "cancelled", by="ada")
    assert may() == [ids[1], other]


def test_what_is_foretold_knows_that_a_sweep_runs_one_after_the_other(lab: Lab) -> None:
    (lab.path / "settings.json").write_text(json.dumps({"cpu_slots": 2}))
    lab = Lab.open(lab.path)
    before = queue.submit(lab, tiny(training__seed=9), "ada")
    job = queue.jobs(lab, before)[0]
    states.move(lab, job.id, "starting", by="supervisor")
    states.claim(lab, job.id, "here")
    states.beat(lab, job.id, 1, steps_per_second=11.0, total_steps=66)
    states.move(lab, job.id, "completed", by="trainer")
    _, ids = sweep.submit(lab, sweep.plan(tiny(), {"training.seed": "1,2,3"}), "ada", at_once=1)
    expected = forecast(lab, 1000.0)
    assert [expected[run_id].starts for run_id in ids] == [1000.0, 1006.0, 1012.0]


def test_a_sweep_from_the_command_line(
    lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "ensure_supervisor", lambda lab: False)
    base = tmp_path / "base.json"
    base.write_text(tiny().model_dump_json())
    arguments = ["sweep", "--config", str(base), "--lab", str(lab.path), "--json"]
    assert main([*arguments, "--over", "code_size"]) == 3
    assert "write a field's path" in capsys.readouterr().err
    assert main([*arguments, "--over", "code_size=2,4", "--seeds", "2", "--at-once", "3"]) == 0
    answer = json.loads(capsys.readouterr().out)
    rows = runs(lab)
    assert [row.id for row in rows][::-1] == answer["runs"]
    assert {row.sweep for row in rows} == {answer["sweep"]}
    assert [row.code_size for row in rows] == [4, 4, 2, 2]
