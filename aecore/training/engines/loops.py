"""The compiled loops of `loops.c`, where a C compiler was there when this was installed; each is bound to
contiguous tensors of 32-bit floats and keeps them."""

import ctypes
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

Call = Callable[[], object]
VERSION = 5
"""Of `loops.c` and the other sources: counted up there and here when an argument changes."""
NAME = "aecore.training.engines.compiled"
P, N, KIND, NUMBER, EXACT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_float, ctypes.c_double
ARGUMENTS = {
    "gather": (P, P, NUMBER, NUMBER, P, N, N),
    "forward": (KIND, NUMBER, P, P, N, N),
    "backward": (KIND, NUMBER, P, P, P, P, N, N),
    "end": (KIND, NUMBER, KIND, P, P, P, P, NUMBER, P, N, N),
    "adam": (P, P, P, P, P, N, EXACT, EXACT, EXACT, EXACT, EXACT, KIND),
    "forward_to": (KIND, NUMBER, P, P, N),
    "backward_to": (KIND, NUMBER, P, P, P, N),
    "correlate": (P, P, P, P, N, N, N, N, N, N, N, KIND),
    "correlate_weights": (P, P, P, N, N, N, N, N, N, N),
    "unfold": (P, P, N, N, N, N, N, N, N, N, N, KIND),
    "pool": (P, P, N, N, N),
    "pool_back": (P, P, P, P, N, N, N),
    "upsample": (P, P, N, N, N),
    "upsample_back": (P, P, N, N, N),
    "draw": (P, P, P, N, N),
    "draw_back": (P, P, P, NUMBER, N, N),
    "losses": (KIND, P, P, P, P, N, N),
    "turn": (P, P, N, N, N),
    "winograd": (P,),
    "patch_weights": (P, P, P, P, P, N, N, N),
    "winograd_runs": (),
}
RETURNS = {
    "end": EXACT,
    "draw": EXACT,
    "correlate": KIND,
    "correlate_weights": KIND,
    "winograd": KIND,
    "patch_weights": KIND,
    "winograd_runs": KIND,
}
ACTIVATIONS = (type(None), nn.ReLU, nn.LeakyReLU, nn.ELU, nn.Sigmoid, nn.Tanh)
LOSSES = ("mse", "l1", "bce")
"""Both in the order of their numbers in `loops.c`."""


@cache
def library() -> Any:
    """The library; None where it was not built, is not for this machine, or was built from other sources."""
    built = find_spec(NAME)
    if not built or not built.origin:
        return None
    try:
        loaded = ctypes.CDLL(built.origin)
        if ctypes.c_int32.in_dll(loaded, "VERSION").value != VERSION:
            return None
    except (OSError, ValueError):
        return None
    for name, arguments in ARGUMENTS.items():
        if hasattr(loaded, name):  # some are for x86 alone
            getattr(loaded, name).argtypes = arguments
            getattr(loaded, name).restype = RETURNS.get(name)
    return loaded


def done(failed: int) -> None:
    """Raises MemoryError where a function says so."""
    if failed:
        raise MemoryError("There is no memory left for the lines and tiles of a convolution.")


def known(activation: nn.Module | None) -> bool:
    """Whether the loops have this activation; None is none."""
    return type(activation) in ACTIVATIONS


def gather(images: Tensor, value_range: tuple[float, float], out: Tensor) -> Callable[[Tensor], None]:
    """What fills `out` (B, ...) with the chosen ones, (B,) int64, of `images` (N, ...), bytes, as numbers of the value range."""
    function, first = library().gather, images.data_ptr()
    after = (*value_range, out.data_ptr(), len(out), out[0].numel())

    def fill(chosen: Tensor) -> None:
        assert chosen.dtype == torch.int64
        assert chosen.is_contiguous()
        assert len(chosen) == len(out)
        function(first, chosen.data_ptr(), *after)

    return _keeping(fill, images, out)  # type: ignore[no-any-return]


def forward(activation: nn.Module | None, bias: Tensor, out: Tensor) -> Call:
    """The bias (n,) and the activation in place, (B, n)."""
    places = (bias.data_ptr(), out.data_ptr())
    return _keeping(partial(library().forward, *kind(activation), *places, *out.shape), bias, out)


def backward(activation: nn.Module | None, gradient: Tensor, out: Tensor, bias: Tensor) -> Call:
    """Takes the gradient (B, n) of an activation's output `out` to that of its input, in place, and fills `bias` (n,) with its
    sum over the batch."""
    places = (gradient.data_ptr(), out.data_ptr(), gradient.data_ptr(), bias.data_ptr())
    return _keeping(partial(library().backward, *kind(activation), *places, *out.shape), gradient, out, bias)


def turn(numbers: Tensor, out: Tensor, n: int, rows: int, columns: int) -> Call:
    """Transposes each of n matrices of so many rows and columns."""
    return _keeping(partial(library().turn, numbers.data_ptr(), out.data_ptr(), n, rows, columns), numbers, out)


def end(
    activation: nn.Module | None,
    loss: str,
    bias: Tensor,
    out: Tensor,
    gradient: Tensor,
    share: float,
    bias_gradient: Tensor,
) -> Callable[[Tensor], float]:
    """The last bias (n,) and activation in place, `out` (B, n). Fills `gradient` (B, n) with that of what the activation was given,
    and `bias_gradient` (n,) with its sum over the batch.

    Returns: what gives the loss against a target (B, n): the sum over all numbers, each counting `share`.
    """
    function, before = library().end, (*kind(activation), LOSSES.index(loss), bias.data_ptr(), out.data_ptr())
    after = (gradient.data_ptr(), share, bias_gradient.data_ptr(), *out.shape)
    call = lambda target: function(*before, target.data_ptr(), *after)
    return _keeping(call, bias, out, gradient, bias_gradient)  # type: ignore[no-any-return]


def adam(
    values: Tensor, moments: tuple[Tensor, Tensor], steps: Tensor, betas: tuple[float, float], epsilon: float
) -> Callable[[float, float, bool], None]:
    """What takes a step of Adam from `values.grad`, all (n,), given learning rate, weight decay and whether that is decoupled;
    `steps` () is counted on."""
    assert values.grad is not None
    function, places = library().adam, tuple(part.data_ptr() for part in (values, values.grad, *moments, steps))
    before = (*places, len(values), *betas, epsilon)
    return _keeping(lambda *rest: function(*before, *rest), values, values.grad, *moments, steps)


def _keeping(call: Any, *tensors: Tensor) -> Any:
    """The call, and with it the memory that it writes to."""
    call.kept = tensors
    return call


def kind(activation: nn.Module | None) -> tuple[int, float]:
    """Its number, and the slope or scale that it has on the negative side."""
    slope = getattr(activation, "negative_slope", getattr(activation, "alpha", 1.0))
    number = next(number for number, known in enumerate(ACTIVATIONS) if isinstance(activation, known))
    return number, float(slope)
