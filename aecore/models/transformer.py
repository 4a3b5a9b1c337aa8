"""The patch transformer, as in masked autoencoders: He et al. 2022.

A patch that is mid-grey all over, to the nearest value of an 8-bit pixel, is one that a task has hidden. Hidden patches are not attended to, so what the others become is the same as without them, and a learnt
token takes their places in the feature map: the decoder knows where it has to paint.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aecore.config import Facts
from aecore.config.backbones import TransformerBackbone
from aecore.models.layers import ACTIVATIONS, Layers
from aecore.models.noise import Dropout


def transformer_layers(config: TransformerBackbone, facts: Facts) -> Layers:
    """The backbone for images of `facts.shape` (C, H, W), of any size. The features are a map of tokens (width, rows, columns).

    Raises:
        ConfigError: where one patch would be all of the image.
    """
    features = config.feature_shape(facts.shape)
    tokens = features[1] * features[2]
    return Layers(
        PatchEncoder(config, facts),
        PatchDecoder(config, facts),
        features,
        "none",
        widest=max(tokens * config.width * max(3, config.expansion), 2 * config.heads * tokens**2),
    )


class PatchEncoder(nn.Module):
    """(B, C, H, W) -> (B, width, rows, columns)."""

    def __init__(self, config: TransformerBackbone, facts: Facts):
        super().__init__()
        self.patch, self.grid = config.patch, config.grid(facts.shape)
        low, high = facts.value_range
        self.grey, self.near = (
            (low + high) / 2,
            0.6 * (high - low) / 255,
        )  # also where it was rounded to 8 bits on the way
        self.margin = _margin(config, facts)
        self.embed = Embedding(config, facts)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.unknown = Unknown(config.width)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, self.margin, value=self.grey)
        tokens, hidden = self.embed(x), None if x.is_meta else self.hidden(x)
        for block in self.blocks:
            tokens = block(tokens, hidden)
        tokens = self.unknown(self.norm(tokens), hidden)
        return tokens.transpose(1, 2).unflatten(2, self.grid)

    def hidden(self, x: Tensor) -> Tensor:
        """(B, N) bool: the patches that are mid-grey in all channels; none of an image that is nothing else."""
        coloured = ((x - self.grey).abs() > self.near).any(1, keepdim=True).to(x.dtype)  # (B, 1, H, W)
        hidden = F.max_pool2d(coloured, self.patch).flatten(1) == 0
        return hidden & ~hidden.all(1, keepdim=True)


class PatchDecoder(nn.Module):
    """(B, width, rows, columns) -> (B, C, H, W)."""

    def __init__(self, config: TransformerBackbone, facts: Facts):
        super().__init__()
        self.embed = nn.Linear(config.width, config.width)
        self.register_buffer("places", _places(config, facts), persistent=False)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.pixels = nn.Linear(config.width, facts.shape[0] * config.patch**2)
        self.together = PutTogether(config, facts)

    places: Tensor

    def forward(self, features: Tensor) -> Tensor:
        tokens = _added(self.embed(features.flatten(2).transpose(1, 2)), self.places)  # (B, N, width)
        for block in self.blocks:
            tokens = block(tokens)
        x_hat: Tensor = self.together(self.pixels(self.norm(tokens)))
        return x_hat


class Embedding(nn.Module):
    """(B, C, H, W), whole patches -> tokens (B, N, width) that know their place."""

    places: Tensor

    def __init__(self, config: TransformerBackbone, facts: Facts):
        super().__init__()
        self.title = f"Patches {config.patch}x{config.patch} and their places"
        self.pixels = nn.Conv2d(facts.shape[0], config.width, config.patch, config.patch)
        self.register_buffer("places", _places(config, facts), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return _added(self.pixels(x).flatten(2).transpose(1, 2), self.places)


class Unknown(nn.Module):
    """Tokens (B, N, width), a learnt one in the places that are hidden (B, N)."""

    title = "Token of hidden patches"

    def __init__(self, width: int):
        super().__init__()
        self.token = nn.Parameter(torch.empty(width).uniform_(-0.02, 0.02))

    def forward(self, tokens: Tensor, hidden: Tensor | None = None) -> Tensor:
        return tokens if hidden is None else torch.where(hidden[:, :, None], self.token.to(tokens.dtype), tokens)


class PutTogether(nn.Module):
    """Patches (B, N, C patch patch) -> (B, C, H, W); what stands over the edge is cut off."""

    title = "Patches put together"

    def __init__(self, config: TransformerBackbone, facts: Facts):
        super().__init__()
        self.shape, self.grid, self.square = (
            facts.shape,
            config.grid(facts.shape),
            (facts.shape[0], *[config.patch] * 2),
        )

    def forward(self, patches: Tensor) -> Tensor:
        x_hat = patches.unflatten(2, self.square).unflatten(1, self.grid)  # (B, rows, columns, C, patch, patch)
        x_hat = x_hat.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
        return x_hat[:, :, : self.shape[1], : self.shape[2]]


class Block(nn.Module):
    """Tokens (B, N, width) plus what each gathers from the others, plus two dense layers. Vaswani et al. 2017, norms first."""

    def __init__(self, config: TransformerBackbone):
        super().__init__()
        width, inner = config.width, config.width * config.expansion
        self.title = f"Transformer block, {config.heads} heads"
        self.norm = nn.LayerNorm(width)
        self.gather = nn.Linear(width, 3 * width)
        self.attend = Attention(config.heads)
        self.mix = nn.Linear(width, width)
        self.dense = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, inner),
            ACTIVATIONS[config.activation](),
            nn.Linear(inner, width),
        )
        self.dropout = Dropout(config.dropout) if config.dropout else nn.Identity()

    def forward(self, tokens: Tensor, hidden: Tensor | None = None) -> Tensor:
        gathered = self.mix(self.attend(self.gather(self.norm(tokens)), hidden))
        tokens = _added(tokens, self.dropout(gathered))
        return _added(tokens, self.dropout(self.dense(tokens)))


class Attention(nn.Module):
    """Queries, keys and values (B, N, 3 width) -> (B, N, width): softmax(q k^T / sqrt(width of a head)) v, head by head.

    Written out, for it must be differentiable twice (for a penalty on a Jacobian) and the same on every run; PyTorch's fused
    kernels promise neither.
    """

    def __init__(self, heads: int):
        super().__init__()
        self.heads = heads

    def forward(self, qkv: Tensor, hidden: Tensor | None = None) -> Tensor:
        """`hidden` (B, N) bool: tokens that no other one may look at."""
        n, tokens, width = qkv.shape[0], qkv.shape[1], qkv.shape[2] // 3
        if qkv.is_meta:  # a shape is all that is asked for, and PyTorch would import torch._dynamo for it
            return torch.empty(n, tokens, width, device=qkv.device)
        q, k, v = qkv.view(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (B, heads, N, width / heads) each
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)  # (B, heads, N, N)
        if hidden is not None:
            scores = scores.masked_fill(hidden[:, None, None], float("-inf"))
        return (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)

    def kept(self, inputs: tuple[int, ...]) -> int:
        """Numbers that it leaves for the backward pass, of one image with `inputs` (N, 3 width)."""
        tokens, width = inputs
        return tokens * width + 2 * self.heads * tokens**2

    def scratch(self, inputs: tuple[int, ...]) -> int:
        """Numbers that it needs for a moment."""
        return 2 * self.heads * inputs[0] ** 2


def _added(tokens: Tensor, change: Tensor) -> Tensor:
    return tokens if tokens.is_meta else tokens + change


def _margin(config: TransformerBackbone, facts: Facts) -> tuple[int, int, int, int]:
    """Columns and rows that the patches at the right and lower edge stand over: left, right, above, below."""
    (down, across), (_, height, width) = config.grid(facts.shape), facts.shape
    return 0, across * config.patch - width, 0, down * config.patch - height


def _places(config: TransformerBackbone, facts: Facts) -> Tensor:
    """(N, width): half of the numbers tell the row by sines and cosines, half the column. Vaswani et al. 2017, section 3.5."""
    rates = 10000.0 ** -(np.arange(config.width // 4) / (config.width // 4))
    down, across = (np.arange(count)[:, None] * rates for count in config.grid(facts.shape))
    row, column = (np.concatenate([np.sin(angles), np.cos(angles)], axis=1) for angles in (down, across))
    grid = [np.repeat(row, len(column), axis=0), np.tile(column, (len(row), 1))]
    return torch.from_numpy(np.concatenate(grid, axis=1).astype(np.float32))
