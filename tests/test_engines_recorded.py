"""Recorded steps: what a recording reads and writes, without the GPU that CUDA graphs need, which no test machine has."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from aecore.config import ConfigError, RunConfig, with_values
from aecore.models import build
from aecore.models.variational import ramp
from aecore.training import Row, TrainState, engines, start, train
from aecore.training.device import PRODUCTS, set_products
from aecore.training.engines.recorded import WARM, Call
from tests.test_training import AAE, CONV, FACTOR, FACTS, PLAIN, SWAP, VAE, VAMP, VQ, WAE, images, run, tiny


class Again:
    """Plays a call by doing it again: Python's part of it, too."""

    def __init__(self) -> None:
        self.recorded = self.played = 0

    def warm(self, call: Call) -> None:
        call()

    def record(self, call: Call, *generators: torch.Generator) -> Call:
        self.recorded += 1

        def play() -> None:
            self.played += 1
            call()

        return play


class Tape(TorchDispatchMode):
    """The operations that are done inside, with the tensors that they are done on."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []
        self.before: list[tuple[torch.Tensor, torch.Tensor]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        assert func not in WAITS, f"{func} makes the host wait, which cannot be recorded"
        given = {argument.name: value for argument, value in zip(func._schema.arguments, args, strict=False)}
        given |= kwargs or {}
        written = [
            given.get(each.name) for each in func._schema.arguments if each.alias_info and each.alias_info.is_write
        ]
        self.before += [(tensor, tensor.clone()) for tensor in tree_leaves(written) if isinstance(tensor, torch.Tensor)]
        made = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, made))
        return made

    def undo(self) -> None:
        """What was written is again what it was: a recording of CUDA graphs does nothing yet."""
        with torch.no_grad():
            for tensor, value in reversed(self.before):
                tensor.copy_(value)

    def play(self) -> None:
        """Do them again, each on the same tensors and into the same memory: whatever Python knew then stays for good."""
        with torch.inference_mode():
            for func, args, kwargs, made in self.operations:
                for old, new in zip(tree_leaves(made), tree_leaves(func(*args, **kwargs)), strict=True):
                    if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                        old.copy_(new)


WAITS = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default)


class Taped(Again):
    """Plays what a tape holds, as a CUDA graph does."""

    def __init__(self, state: TrainState):
        super().__init__()
        self.state = state

    def record(self, call: Call, *generators: torch.Generator) -> Call:
        self.recorded += 1
        before, tape = [(each, each.get_state()) for each in generators], Tape()
        # PyTorch does not say of batch norm that it writes its running means
        tape.before = [(tensor, tensor.clone()) for tensor in self.state.model.buffers()]
        with tape:
            call()
        tape.undo()
        for generator, known in before:
            generator.set_state(known)
        return tape.play


def recorded(config: RunConfig, monkeypatch: pytest.MonkeyPatch, make: Callable[..., Again]) -> tuple[list[Row], Again]:
    """The rows of a whole run, and what recorded it."""
    state = start(with_values(config, {"training.engine": "eager"}), FACTS, 1)
    state.engine["engine"] = "graphs"
    recorder = make(state)
    monkeypatch.setattr(engines, "CudaGraphs", lambda: recorder)
    return [row for row in train(state, images(), config) if row is not None], recorder


def same(config: RunConfig, monkeypatch: pytest.MonkeyPatch, make: Callable[..., Again]) -> Again:
    rows, recorder = recorded(config, monkeypatch, make)
    expected = [row for row in run(with_values(config, {"training.engine": "eager"})) if row is not None]
    assert [row[:4] for row in rows] == [row[:4] for row in expected]
    assert [row.value for row in rows] == pytest.approx([row.value for row in expected], rel=1e-6)
    return recorder


EVERY = {
    "plain": PLAIN,
    "with a weight that rises": VAE | {"model": VAE["model"] | {"objective": {"kind": "elbo", "kl_warmup": 20}}},
    "conv": CONV,
    "vector quantised": VQ,
    "wasserstein": WAE,
    "aae": AAE,
    "factor": FACTOR,
    "vamp": VAMP,
    "contractive": {"model": {"objective": {"kind": "contractive"}}},
    "conditional": {"model": VAE["model"] | {"labels": "conditional"}},
    "denoise": {"batch_size": 7},
}


def of(name: str) -> RunConfig:
    config = tiny(epochs=8, **EVERY[name])
    return with_values(config, {"task.kind": "denoise"}) if name == "denoise" else config


@pytest.mark.parametrize("name", EVERY)
def test_a_recorded_run_has_the_rows_of_an_eager_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    same(of(name), monkeypatch, Taped)


def test_each_size_of_batch_is_recorded_once_and_played_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = same(of("plain"), monkeypatch, lambda state: Again())
    assert recorder.recorded == 2 + 1, "and a look at the watched images"
    assert recorder.played == 8 * 4 - 2 * WARM + 8, "all but the first look"


def test_what_cannot_be_recorded_is_refused_in_a_sentence() -> None:
    with pytest.raises(
        ConfigError, match=r"^training.engine is 'graphs', but the run goes to the CPU, .* Use 'auto'\.$"
    ):
        start(tiny(engine="graphs"), FACTS, 1)
    gpu = torch.device("cuda")
    choose = lambda config: engines.choose(config, build(config.model, FACTS), gpu)
    with pytest.raises(ConfigError, match=r"^training.engine is 'graphs', but training.processes is 2: "):
        choose(tiny(engine="graphs", processes=2))
    with pytest.raises(
        ConfigError, match=r"^training.engine is 'graphs', but this model's decoder makes the processor wait"
    ):
        choose(tiny(engine="graphs", **SWAP))
    assert [choose(tiny()), choose(tiny(processes=2)), choose(tiny(**SWAP))] == ["graphs", "eager", "eager"]
    assert choose(tiny(engine="eager")) == "eager"


def test_a_weight_that_rises_does_so_on_the_device_as_it_does_on_the_host() -> None:
    for step in (0, 3, 20, 21):
        on_device = ramp(torch.tensor(float(step)), 20)
        assert isinstance(on_device, torch.Tensor)
        assert on_device.item() == pytest.approx(ramp(step, 20))
    assert ramp(torch.tensor(3.0), 0) == 1.0


def test_products_of_a_gpu_are_exact_unless_tf32_is_asked_for() -> None:
    before = [part.fp32_precision for part in PRODUCTS]
    for kind in ("tf32", "ieee"):
        set_products(kind)  # type: ignore[arg-type]
        assert [part.fp32_precision for part in PRODUCTS] == [kind] * 3
    for part, kind in zip(PRODUCTS, before, strict=True):
        part.fp32_precision = kind
    assert run(tiny(precision="tf32")) == run(tiny()), "a CPU has no such products"
