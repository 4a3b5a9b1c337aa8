"""What only a GPU can show: recorded steps against eager ones, checkpoints of them, memory that was announced, the queue."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from aecore.config import RunConfig, preset, presets, with_values
from aecore.data import facts
from aecore.jobs import devices
from aecore.manifest import Mark
from aecore.training import Row, TrainState, commit, engines, restore, start, train
from aecore.training.data import Data
from aecore.training.engines.recorded import Recorded
from benchmarks.memory import random_data

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no GPU of NVIDIA's")
HEAVY = ("stl10-conv-100", "stl10-conv-100-tanh")
"""Four gigabytes each: one of them is enough."""
STEPS = 21


def on_gpu(name: str, **values: object) -> tuple[RunConfig, Data]:
    """A preset for 21 steps on random images, of which the last batch of an epoch is smaller."""
    base = preset(name).config
    size = min(base.training.batch_size, 32)
    config = with_values(
        base,
        {
            "training.device": "cuda",
            "training.batch_size": size,
            "training.subset": None,
            "training.epochs": 9,
            "training.max_steps": STEPS,
        }
        | {key.replace("__", "."): value for key, value in values.items()},
    )
    known = facts(config.data, [])._replace(n_train=5 * size - size // 2)
    data = random_data(config, known, "cuda")
    few = {part: getattr(data, part)[:64] for part in ("watch_images", "watch_labels", "watch_indices")}
    return config, dataclasses.replace(data, **few)


def rows_of(config: RunConfig, data: Data, state: TrainState | None = None) -> list[Row]:
    state = state or start(config, data.facts, 1)
    return [row for row in train(state, data, config) if row is not None]


def by_name(rows: list[Row]) -> dict[tuple[int, str, str], float]:
    return {(row.step, row.split, row.name): row.value for row in rows}


@pytest.mark.parametrize("name", [name for name in presets() if name not in HEAVY[1:]])
def test_recorded_steps_are_those_of_eager(name: str) -> None:
    config, data = on_gpu(name)
    state = start(with_values(config, {"training.engine": "graphs"}), data.facts, 1)
    found, expected = by_name(rows_of(config, data, state)), by_name(rows_of(eager(config), data))
    assert state.engine["engine"] == "graphs"
    assert found.keys() == expected.keys()
    first = {key: value for key, value in found.items() if key[0] <= 6 and "active" not in key[2]}
    assert first == pytest.approx({key: expected[key] for key in first}, rel=2e-4, abs=1e-6)


def eager(config: RunConfig) -> RunConfig:
    return with_values(config, {"training.engine": "eager"})


@pytest.mark.parametrize("name", ["compress-32", "vae-2", "conv-16", "demo"])
def test_a_recorded_run_goes_on_from_a_checkpoint(name: str, tmp_path: Path) -> None:
    config, data = on_gpu(name, training__engine="graphs")
    whole = rows_of(config, data)
    state = start(config, data.facts, 1)
    head = []
    for row in train(state, data, config):
        if row is not None:
            head.append(row)
        if state.step == 12:
            break
    again = restore(commit(tmp_path, state, Mark(), 1, data.facts), config)
    rest = rows_of(config, data, again)
    found = by_name(head) | by_name(rest)
    assert found == pytest.approx(by_name(whole), rel=1e-4, abs=1e-6)
    print(name, "identical:", found == by_name(whole))


def test_a_loss_that_is_not_finite_changes_no_weight() -> None:
    config, data = on_gpu("compress-32", training__engine="graphs")
    state = start(config, data.facts, 1)
    step = engines.of(state, data, config)
    from aecore.models import Progress

    chosen = torch.arange(32, device="cuda")
    for number in range(6):
        step.gradients(chosen, Progress(number, 9))
        step.update(1e-3)
    before = [p.detach().clone() for p in state.model.parameters()]
    with torch.no_grad():
        next(state.model.decoder.parameters()).fill_(float("nan"))
        spoilt = [p.detach().clone() for p in state.model.parameters()]
    step.gradients(chosen, Progress(6, 9))
    step.update(1e-3)
    for p, was, spoiled in zip(state.model.parameters(), before, spoilt, strict=True):
        assert torch.equal(p.nan_to_num(7.0), spoiled.nan_to_num(7.0))
        assert was.shape == p.shape


def test_what_cannot_be_recorded_goes_on_eagerly_or_is_refused() -> None:
    config, data = on_gpu("conv-16", training__engine="graphs")
    state = start(config, data.facts, 1)
    step = engines.of(state, data, config)
    assert isinstance(step, Recorded)
    inner = step.inner.gradients
    step.inner.gradients = lambda chosen, progress: (
        inner(chosen, progress) * float(inner(chosen, progress)[0].item() > -1)
    )  # type: ignore[method-assign]
    from aecore.config import ConfigError
    from aecore.models import Progress

    chosen = torch.arange(32, device="cuda")
    with pytest.raises(ConfigError, match="cannot be recorded"):
        for number in range(6):
            step.gradients(chosen, Progress(number, 9))
            step.update(1e-3)
    assert torch.ones(3, device="cuda").sum().item() == 3, "the device answers afterwards"
    print(rows_of(eager(config), data)[-1])


def test_pinned_memory_is_gathered_from_where_it_lies() -> None:
    class Pinned:
        def __init__(self, tensor: torch.Tensor):
            self.tensor = tensor
            self.__cuda_array_interface__ = {
                "shape": tuple(tensor.shape),
                "typestr": "|u1",
                "data": (tensor.data_ptr(), False),
                "version": 3,
                "strides": None,
            }

    host = torch.randint(0, 256, (200_000, 3, 32, 32), dtype=torch.uint8).pin_memory()
    seen = torch.as_tensor(Pinned(host), device="cuda")
    assert seen.is_cuda and seen.data_ptr() == host.data_ptr()
    resident = host.cuda()
    chosen = torch.randint(0, 200_000, (128,), device="cuda")
    assert torch.equal(seen.index_select(0, chosen), resident.index_select(0, chosen))
    for what, images in (("pinned", seen), ("resident", resident)):
        for size in (128, 4096):
            chosen = torch.randint(0, 200_000, (size,), device="cuda")
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            images.index_select(0, chosen)
            begin.record()
            for _ in range(50):
                images.index_select(0, chosen)
            end.record()
            torch.cuda.synchronize()
            print(what, size, f"{1e3 * begin.elapsed_time(end) / 50:.1f} us")


def test_a_run_in_the_queue_takes_the_gpu(tmp_path: Path) -> None:
    assert [card.kind for card in devices.gpus()] == ["cuda"]
    assert devices.gpus()[0].memory_total > 1e9
    lab = tmp_path / "lab"
    command = [sys.executable, "-m", "aecore", "--lab", str(lab)]
    done = subprocess.run(
        [*command, "train", "--preset", "demo", "--set", "training.epochs=2"],
        capture_output=True, text=True, env=os.environ | {"CUDA_MODULE_LOADING": "LAZY"}, check=False, timeout=120,
    )  # fmt: skip
    print(done.stdout[-1500:], done.stderr[-1500:])
    assert done.returncode == 0
