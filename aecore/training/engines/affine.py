"""Products with a bias and the activation that follows, by one compiled pass after PyTorch's product: dense layers, and those of patches."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from aecore.training.engines.loops import ACTIVATIONS, done, kind, library
from aecore.training.engines.winograd import MULTIPLE, place

RELU = ACTIVATIONS.index(nn.ReLU)


class Affine(torch.autograd.Function):
    """activation(x (B, in) weight (out, in)^T + bias (out,)), (B, out); of the loops' activations, by their `kind`. 32 bits, on the CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, kind: tuple[int, float]) -> Tensor:
        out, bias = torch.mm(x, weight.t()), bias.contiguous()
        library().forward(*kind, place(bias), place(out), *out.shape)
        ctx.kind = kind
        ctx.save_for_backward(x, weight, out)
        return out

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (x, weight, out), gradient = ctx.saved_tensors, gradient.contiguous()
        of_bias = out.new_empty(out.shape[1])
        if not ctx.needs_input_grad[0] and ctx.kind[0] == RELU and fits(weight):
            return None, _of_weight(x, gradient, out, of_bias), of_bias, None
        slopes = torch.empty_like(out)
        places = (place(part) for part in (gradient, out, slopes, of_bias))
        library().backward(*ctx.kind, *places, *out.shape)
        of_x, of_weight = ctx.needs_input_grad[:2]
        return (slopes @ weight if of_x else None), (slopes.t() @ x if of_weight else None), of_bias, None


def fits(weight: Tensor) -> bool:
    """Whether the gradient of a weight (out, in) before a ReLU can be had in one pass."""
    return weight.shape[1] % MULTIPLE == weight.shape[0] % 2 == 0 and bool(library().winograd_runs())


def _of_weight(x: Tensor, gradient: Tensor, out: Tensor, of_bias: Tensor) -> Tensor:
    x, of_weight = x.contiguous(), out.new_empty(out.shape[1], x.shape[1])
    places = (place(part) for part in (x, gradient, out, of_weight, of_bias))
    done(library().patch_weights(*places, len(x), *of_weight.shape))
    return of_weight


class Taken(nn.Module):
    """An activation that the layer before it takes."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class TakenReLU(Taken, nn.ReLU):
    pass


class TakenLeakyReLU(Taken, nn.LeakyReLU):
    pass


class TakenELU(Taken, nn.ELU):
    pass


class TakenSigmoid(Taken, nn.Sigmoid):
    pass


class TakenTanh(Taken, nn.Tanh):
    pass


TAKEN: dict[type[nn.Module], type[nn.Module]] = {
    nn.ReLU: TakenReLU,
    nn.LeakyReLU: TakenLeakyReLU,
    nn.ELU: TakenELU,
    nn.Sigmoid: TakenSigmoid,
    nn.Tanh: TakenTanh,
}


def can_be_taken(activation: nn.Module) -> bool:
    """Whether a layer may have it as its own: the way back tells its sides by the sign of what it gave."""
    hooked = activation._forward_hooks or activation._forward_pre_hooks
    return type(activation) in TAKEN and kind(activation)[1] >= 0 and not hooked


def take(layer: nn.Module, activation: nn.Module) -> None:
    """Make it the layer's own, `layer.ending`, and let it do nothing."""
    layer.__dict__["ending"] = type(activation)(**_settings(activation))  # not a child: names stay as they are
    activation.__class__ = TAKEN[type(activation)]


def _settings(activation: nn.Module) -> dict[str, float]:
    return {name: getattr(activation, name) for name in ("negative_slope", "alpha") if hasattr(activation, name)}
