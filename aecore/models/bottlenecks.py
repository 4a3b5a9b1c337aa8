"""Codes: how features become a code, and a code becomes features again."""

from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from aecore.config.bottlenecks import (
    FeatureMapBottleneck,
    GaussianBottleneck,
    SphereBottleneck,
    TopKBottleneck,
    VectorBottleneck,
)
from aecore.models.layers import ACTIVATIONS
from aecore.models.noise import normal


class Code(NamedTuple):
    """What a bottleneck makes of features (B, *feature_shape)."""

    z: Tensor
    """(B, *code_shape): what the decoder gets."""
    mu: Tensor | None = None
    """(B, latent_dim): mean of the posterior, for Gaussian bottlenecks."""
    log_var: Tensor | None = None
    """(B, latent_dim): logarithm of the posterior's variance, for Gaussian bottlenecks."""
    commitment: Tensor | None = None
    """(B,): weighted distance of what was quantised from what it was quantised to."""
    usage: Tensor | None = None
    """(codes,) int64: how often each code of a finite set was taken."""


class Bottleneck(NamedTuple):
    """The two halves of a bottleneck."""

    enter: "Enter"
    leave: nn.Module
    """Codes (B, *code_shape) to features (B, *feature_shape)."""


class Ends(NamedTuple):
    """What stands at the two ends of a bottleneck."""

    encoder: tuple[int, ...]
    """Shape of the features of one image that the encoder hands over; (C, H, W) where they are a map."""
    decoder: tuple[int, ...]
    """Shape of the features that the decoder begins with; the same where it mirrors the encoder."""
    activation: str
    """Name of the non-linearity on features that are made from a code."""


class Enter(nn.Module):
    """Features to codes. `forward` is deterministic; `code` may draw, in training mode only."""

    def code(self, features: Tensor, generator: torch.Generator | None) -> Code:
        return Code(self(features))

    scratch = 0
    """Numbers that one image needs for a moment, beside what its layers hand on."""
    has_prior = False
    """Whether the bottleneck itself makes codes that are distributed like the prior, or nearly."""

    def prior(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        """Codes of the prior, as many as `like` (B, *code_shape): standard normal, if nothing else is said."""
        return normal(like, generator)


class EnterMap(Enter):
    """The features are the code."""

    def forward(self, features: Tensor) -> Tensor:
        return features


class EnterVector(Enter):
    """(B, *feature_shape) -> (B, latent_dim)."""

    def __init__(self, features: int, config: VectorBottleneck):
        super().__init__()
        self.flatten = nn.Flatten()
        self.dense = nn.Linear(features, config.latent_dim)
        self.activation = ACTIVATIONS[config.activation]()

    def forward(self, features: Tensor) -> Tensor:
        z: Tensor = self.activation(self.dense(self.flatten(features)))
        return z


class EnterGaussian(Enter):
    """(B, *feature_shape) -> mean and log-variance (B, latent_dim) each. Kingma & Welling 2014, section 2.3."""

    has_prior = True

    def __init__(self, features: int, config: GaussianBottleneck):
        super().__init__()
        self.flatten = nn.Flatten()
        self.mu = nn.Linear(features, config.latent_dim)
        self.log_var = nn.Linear(features, config.latent_dim)

    def forward(self, features: Tensor) -> Tensor:
        mu: Tensor = self.mu(self.flatten(features))
        return mu

    def posterior(self, features: Tensor) -> tuple[Tensor, Tensor]:
        flat = self.flatten(features)
        return self.mu(flat).float(), self.log_var(flat).float()  # also under autocast: exp overflows early in 16 bits

    def code(self, features: Tensor, generator: torch.Generator | None) -> Code:
        mu, log_var = self.posterior(features)
        if not self.training:
            return Code(mu, mu, log_var)
        noise = normal(mu, generator)
        return Code(mu + (0.5 * log_var).exp() * noise, mu, log_var)


class EnterSphere(Enter):
    """(B, *feature_shape) -> (B, latent_dim) of length 1. Its prior is uniform on the sphere: Davidson et al. 2018."""

    def __init__(self, features: int, config: SphereBottleneck):
        super().__init__()
        self.flatten = nn.Flatten()
        self.dense = nn.Linear(features, config.latent_dim)

    def forward(self, features: Tensor) -> Tensor:
        return of_length_one(self.dense(self.flatten(features)).float())

    def prior(self, like: Tensor, generator: torch.Generator | None) -> Tensor:
        return of_length_one(normal(like, generator))


def of_length_one(z: Tensor) -> Tensor:
    """z (B, latent_dim) divided by its length."""
    if z.is_meta:  # a shape is all that is asked for, and PyTorch would import torch._dynamo for it
        return z
    return z * (z.square().sum(1, keepdim=True) + 1e-12).rsqrt()


class EnterTopK(Enter):
    """(B, *feature_shape) -> (B, latent_dim), all but the k largest units 0. Makhzani & Frey 2014, algorithm 1."""

    def __init__(self, features: int, config: TopKBottleneck):
        super().__init__()
        self.k = config.k
        self.flatten = nn.Flatten()
        self.dense = nn.Linear(features, config.latent_dim)

    def forward(self, features: Tensor) -> Tensor:
        z: Tensor = self.dense(self.flatten(features))
        if z.is_meta:  # as above
            return z
        largest = z.topk(self.k, dim=1).indices
        return z * torch.zeros_like(z).scatter(1, largest, 1.0)


def feature_map(config: FeatureMapBottleneck, ends: Ends) -> Bottleneck:
    return Bottleneck(EnterMap(), nn.Identity() if ends.decoder == ends.encoder else leave(ends.encoder, ends))


def vector(config: VectorBottleneck, ends: Ends) -> Bottleneck:
    return Bottleneck(EnterVector(prod(ends.encoder), config), _leave_vector(config.latent_dim, ends))


def gaussian(config: GaussianBottleneck, ends: Ends) -> Bottleneck:
    return Bottleneck(EnterGaussian(prod(ends.encoder), config), _leave_vector(config.latent_dim, ends))


def sphere(config: SphereBottleneck, ends: Ends) -> Bottleneck:
    return Bottleneck(EnterSphere(prod(ends.encoder), config), _leave_vector(config.latent_dim, ends))


def top_k(config: TopKBottleneck, ends: Ends) -> Bottleneck:
    return Bottleneck(EnterTopK(prod(ends.encoder), config), _leave_vector(config.latent_dim, ends))


def _leave_vector(latent_dim: int, ends: Ends) -> nn.Module:
    """(B, latent_dim) -> (B, *features of the decoder)."""
    dense = nn.Linear(latent_dim, prod(ends.decoder))
    return nn.Sequential(dense, ACTIVATIONS[ends.activation](), nn.Unflatten(1, ends.decoder))


def leave(code_shape: tuple[int, ...], ends: Ends) -> nn.Module:
    """(B, *code_shape) -> (B, *features of the decoder): place by place where both have the same places, else all from all."""
    if len(code_shape) == len(ends.decoder) == 3 and code_shape[1:] == ends.decoder[1:]:
        return nn.Sequential(nn.Conv2d(code_shape[0], ends.decoder[0], 1), ACTIVATIONS[ends.activation]())
    return nn.Sequential(nn.Flatten(), *_leave_vector(prod(code_shape), ends).children())
