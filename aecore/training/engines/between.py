"""What lies between convolutions, and after the last one, by compiled loops: PyTorch's layers with another forward pass."""

import torch
from torch import Tensor, nn

from aecore.models.jacobian import TWICE
from aecore.models.losses import PixelLoss
from aecore.training.engines.convolutions import Activate, Flatten, Means, Pool, Unflatten, Upsample
from aecore.training.engines.loops import LOSSES


def taken(layer: nn.Module, x: Tensor) -> bool:
    """Whether this is what the compiled operations are for: 32 bits that are differentiated once or not at all."""
    once = layer.training and not TWICE.get()
    wide = x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    return (once or not torch.is_grad_enabled()) and wide and x.device.type == "cpu"


class Pooled(nn.MaxPool2d):
    def forward(self, x: Tensor) -> Tensor:
        return Pool.apply(x) if taken(self, x) else super().forward(x)  # type: ignore[no-any-return]


class Upsampled(nn.Upsample):
    def forward(self, x: Tensor) -> Tensor:
        twice = taken(self, x) and tuple(self.size) == (2 * x.shape[2], 2 * x.shape[3])  # type: ignore[arg-type]
        return Upsample.apply(x) if twice else super().forward(x)  # type: ignore[no-any-return]


class Flattened(nn.Flatten):
    """Of images whose channels lie last."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() != 4 or x.is_contiguous() or not taken(self, x):
            return super().forward(x)
        return Flatten.apply(x)  # type: ignore[no-any-return]


class Unflattened(nn.Unflatten):
    """To images whose channels lie last."""

    def forward(self, x: Tensor) -> Tensor:
        if len(self.unflattened_size) != 3 or not taken(self, x):
            return super().forward(x)
        return Unflatten.apply(x, self.unflattened_size)  # type: ignore[no-any-return]


class MeanLoss(PixelLoss):
    """In one pass; a mean for each image instead of a number for each pixel."""

    def forward(self, x_hat: Tensor, logits: Tensor, target: Tensor) -> Tensor:
        if self.loss not in LOSSES or not taken(self, logits):
            return super().forward(x_hat, logits, target)
        return Means.apply(logits if self.loss == "bce" else x_hat, target, self.loss)  # type: ignore[no-any-return]


class Smooth(nn.Module):
    """An activation that takes powers of e."""

    def forward(self, x: Tensor) -> Tensor:
        return Activate.apply(x, self) if taken(self, x) else super().forward(x)  # type: ignore[no-any-return,misc]


class Elu(Smooth, nn.ELU):
    pass


class Tanh(Smooth, nn.Tanh):
    pass


class Sigmoid(Smooth, nn.Sigmoid):
    pass
