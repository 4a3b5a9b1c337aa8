"""A model's layers in words and numbers."""

from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from aecore.config import Facts
from aecore.models.autoencoder import Autoencoder
from aecore.models.batch import Batch
from aecore.models.dense import Transposed
from aecore.models.quantised import CodeBook


class Layer(NamedTuple):
    """One layer with what follows it, as a person would list it."""

    part: str
    """'encoder', 'bottleneck' or 'decoder'."""
    name: str
    """'Convolution 4x4, stride 2, ReLU'."""
    shape: tuple[int, ...]
    """Shape of its output, without the batch."""
    parameters: int


class Summary(NamedTuple):
    """What a model is, without building it in memory."""

    layers: list[Layer]
    parameters: int
    """Numbers that are learnt: those of the layers, and those beside them."""
    code_shape: tuple[int, ...]
    code_size: int
    """Numbers in one code."""
    compression: float
    """Numbers in one image over numbers in its code: below 1 nothing is compressed."""
    beside: dict[str, int]
    """Numbers that are learnt and that no image passes, by what they belong to, in words."""


def summarise(model: Autoencoder, facts: Facts) -> Summary:
    """The summary of a model that was built for `facts`; it runs once on one empty image, on the model's device."""
    code_size = prod(model.code_shape)
    layers = _layers(model, facts)
    beside = _beside(model, sum(layer.parameters for layer in layers))
    parameters = sum(layer.parameters for layer in layers) + sum(beside.values())
    return Summary(layers, parameters, model.code_shape, code_size, prod(facts.shape) / code_size, beside)


def _beside(model: Autoencoder, in_layers: int) -> dict[str, int]:
    of_objective = sum(parameter.numel() for parameter in model.objective.parameters())
    found = {
        "Code book": sum(module.vectors.numel() for module in model.modules() if isinstance(module, CodeBook)),
        "Learnt by the objective": of_objective,
        "Decoders of the other labels": sum(p.numel() for p in model.parameters()) - in_layers - of_objective,
    }
    return {name: count for name, count in found.items() if count}


class Traced(NamedTuple):
    """A module without children, as an image met it on its way through a model."""

    path: str
    module: nn.Module
    inputs: tuple[int, ...]
    """Shape of what went in, without the batch."""
    output: tuple[int, ...]


def trace(model: Autoencoder, facts: Facts, whole: bool = False) -> list[Traced]:
    """Every module without children in the order in which one empty image meets it, on the model's device; with `whole` a
    module that has a `title`, as a residual block has, stands for all that is in it."""
    found: list[Traced] = []

    def hook_for(path: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            found.append(Traced(path, module, tuple(inputs[0].shape[1:]), tuple(output.shape[1:])))

        return hook

    met = {module: path for path, module in reversed([*_met(model, "", whole)])}  # one of two paths to the same module
    hooks = [module.register_forward_hook(hook_for(path)) for module, path in met.items()]
    x, label = torch.zeros(1, *facts.shape, device=model.device), torch.zeros(1, dtype=torch.int64, device=model.device)
    with model.evaluating(), KnownShapes():
        model(Batch(x, x, label))
    for hook in hooks:
        hook.remove()
    return found


def _met(module: nn.Module, path: str, whole: bool) -> Iterator[tuple[str, nn.Module]]:
    children = [] if whole and hasattr(module, "title") else list(module.named_children())
    if not children:
        yield path, module
    for name, child in children:
        yield from _met(child, f"{path}.{name}".lstrip("."), whole)


SAME_SHAPE = (
    *(F.relu, F.leaky_relu, F.elu, F.gelu, F.silu, torch.tanh, torch.sigmoid),
    *(F.batch_norm, F.group_norm, F.layer_norm),
)

BROADCAST = (Tensor.add, Tensor.sub, Tensor.mul)


class KnownShapes(TorchFunctionMode):
    """Gives the shapes of common layers on the meta device without asking PyTorch, which would import torch._dynamo for
    them: more than a second, for the first model that a process looks at. What is not known here PyTorch works out."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.linear and args[0].is_meta:
            return torch.empty(*args[0].shape[:-1], len(args[1]), device="meta")
        if func is F.conv2d and args[0].is_meta:
            return torch.empty(_convolved(*args[:5]), device="meta")
        if func is F.conv_transpose2d and args[0].is_meta:
            return torch.empty(_transposed(*args[:6]), device="meta")
        if func in SAME_SHAPE and args[0].is_meta:
            return torch.empty(args[0].shape, device="meta")
        if func in BROADCAST and isinstance(args[0], Tensor) and args[0].is_meta:
            shapes = [value.shape for value in args if isinstance(value, Tensor)]
            return torch.empty(torch.broadcast_shapes(*shapes), device="meta")
        return func(*args, **(kwargs or {}))


def _convolved(x: Tensor, weight: Tensor, bias: Tensor, stride: tuple[int, ...], padding: tuple[int, ...]) -> list[int]:
    sides = zip(x.shape[2:], weight.shape[2:], stride, padding, strict=True)
    return [len(x), len(weight), *((side + 2 * pad - kernel) // step + 1 for side, kernel, step, pad in sides)]


def _transposed(
    x: Tensor, weight: Tensor, bias: Tensor, stride: tuple[int, ...], padding: tuple[int, ...], extra: tuple[int, ...]
) -> list[int]:
    sides = zip(x.shape[2:], weight.shape[2:], stride, padding, extra, strict=True)
    return [
        len(x),
        weight.shape[1],
        *((side - 1) * step - 2 * pad + kernel + more for side, kernel, step, pad, more in sides),
    ]


def _layers(model: Autoencoder, facts: Facts) -> list[Layer]:
    """What a person would list as layers, in order."""
    found: list[Layer] = []
    for step in trace(model, facts, whole=True):
        if _name(step.module, step.path):
            _append(found, step.path, step.module, step.output)
    return found


def _append(found: list[Layer], path: str, module: nn.Module, shape: tuple[int, ...]) -> None:
    """A layer of its own for what has parameters or changes the shape; an activation joins the layer before it."""
    half, _, rest = path.partition(".")
    part = "bottleneck" if rest.startswith("bottleneck") else half
    name, parameters = _name(module, path), sum(parameter.numel() for parameter in module.parameters())
    if isinstance(module, Transposed):
        parameters = module.bias.numel()  # the weights are counted where they are the encoder's
    if isinstance(module, tuple(ACTIVATION_NAMES)) and found:
        found[-1] = found[-1]._replace(name=f"{found[-1].name}, {name}")
    else:
        found.append(Layer(part, name, shape, parameters))


ACTIVATION_NAMES: dict[type[nn.Module], str] = {
    nn.ReLU: "ReLU",
    nn.LeakyReLU: "leaky ReLU",
    nn.ELU: "ELU",
    nn.GELU: "GELU",
    nn.SiLU: "SiLU",
    nn.Tanh: "tanh",
    nn.Sigmoid: "sigmoid",
}


DENSE = {"mu": "Dense (mean)", "log_var": "Dense (log-variance)", "told": "Dense (label)"}


def _name(module: nn.Module, path: str) -> str:
    """The layer in words; '' for what is no layer to a person: flattening, and what does nothing."""
    match module:
        case nn.Module(title=str(title)):
            return title
        case nn.Linear():
            return DENSE.get(path.rpartition(".")[2], "Dense")
        case nn.ConvTranspose2d():
            return f"Transposed convolution {_by(module.kernel_size)}, stride {module.stride[0]}"
        case nn.Conv2d():
            return f"Convolution {_by(module.kernel_size)}, stride {module.stride[0]}"
        case nn.MaxPool2d():
            return f"Max pooling {module.kernel_size}x{module.kernel_size}"
        case nn.Upsample():
            return f"Upsampling to {_by(module.size)}"
        case Transposed():
            return "Dense, weights of the encoder"
        case nn.RNNBase():
            return f"{module.mode}, both directions" if module.bidirectional else module.mode
        case nn.BatchNorm2d():
            return "Batch norm"
        case nn.GroupNorm():
            return "Layer norm" if module.num_groups == 1 else f"Group norm, {module.num_groups} groups"
        case nn.LayerNorm():
            return "Layer norm"
        case _:
            return next((name for kind, name in ACTIVATION_NAMES.items() if isinstance(module, kind)), "")


def _by(sides: Any) -> str:
    return "x".join(map(str, sides))
