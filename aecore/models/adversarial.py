"""Autoencoders with an opponent: a discriminator that is trained against them, by an optimiser of its own."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aecore.config import Facts
from aecore.config.adversarial import AaeObjective, FactorObjective
from aecore.config.adversarial import Opposed as Settings
from aecore.models.autoencoder import Autoencoder
from aecore.models.batch import Batch, Output, Progress, Sums
from aecore.models.noise import even
from aecore.models.objectives import Objective, Opponent, Parts
from aecore.models.variational import Elbo

SLOPE = 0.2


class Discriminator(Opponent):
    """Codes (B, ...) to log odds (B,). Kim & Mnih 2018, appendix A: dense layers with leaky ReLU."""

    def __init__(self, code_size: int, config: Settings):
        super().__init__()
        sizes = (code_size, *config.discriminator, 1)
        self.layers = nn.Sequential(*(nn.Linear(inputs, outputs) for inputs, outputs in pairwise(sizes)))
        self.rate = config.discriminator_rate

    def forward(self, z: Tensor, held: bool = False) -> Tensor:
        """With `held` the gradient passes through to the codes and leaves the weights alone."""
        x = z.flatten(1)
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, nn.Linear)
            x = F.leaky_relu(x, SLOPE) if number else x
            x = F.linear(x, layer.weight.detach(), layer.bias.detach()) if held else layer(x)
        return x.squeeze(1).float()


def cross_entropy(true: Tensor, false: Tensor) -> Tensor:
    """Mean of -log D(true) and -log(1 - D(false)), from log odds (B,) each; log 2 where the discriminator cannot tell."""
    return 0.5 * (F.softplus(-true).mean() + F.softplus(false).mean())


class AdversarialAutoencoder(Autoencoder):
    """Autoencoder and opponent take their steps at once, from the same batch: neither's terms have a gradient for the other."""

    def training_step(self, batch: Batch, progress: Progress, generator: torch.Generator | None = None) -> Sums:
        output = self(batch, generator)
        terms = self.loss_terms(batch, output, progress, generator)
        return terms, self.objective.opposing(output, self.parts(generator))


class Opposed(Objective):
    """An objective whose opponent is a discriminator of the code."""

    def __init__(self, config: Any, facts: Facts):
        super().__init__(config, facts)
        self.settings: Settings = config

    def meet(self, code_size: int) -> None:
        self.opponent = Discriminator(code_size, self.settings)


class Adversarial(Opposed):
    """{'reconstruction', 'adversarial'} against {'discriminator'}: sum over the pixels, and -log D(z), weighted.

    Makhzani et al. 2016, section 2, with the prior's codes as the true ones; -log D instead of log(1 - D) as in Goodfellow et
    al. 2014, section 3.
    """

    samples_prior = True

    def __init__(self, config: AaeObjective, facts: Facts):
        super().__init__(config, facts)
        self.weight = config.weight

    def forward(
        self, batch: Batch, output: Output, progress: Progress, parts: Parts | None = None
    ) -> dict[str, Tensor]:
        assert self.opponent is not None
        surprise = F.softplus(-self.opponent(output.z, held=True)).mean()
        return {"reconstruction": self.reconstruction(batch, output), "adversarial": self.weight * surprise}

    def opposing(self, output: Output, parts: Parts) -> dict[str, Tensor]:
        assert self.opponent is not None
        true = self.opponent(parts.prior(output.z.detach(), parts.generator))
        return {"discriminator": cross_entropy(true, self.opponent(output.z.detach()))}


class Factor(Opposed, Elbo):
    """ELBO and {'total_correlation'} against {'discriminator'}: gamma times the mean log odds that a code is whole, not put
    together of units of different images. Kim & Mnih 2018, equation 3 and algorithm 2, with one batch for both.
    """

    def __init__(self, config: FactorObjective, facts: Facts):
        super().__init__(config, facts)
        self.gamma = config.gamma

    def forward(
        self, batch: Batch, output: Output, progress: Progress, parts: Parts | None = None
    ) -> dict[str, Tensor]:
        assert self.opponent is not None
        odds = self.opponent(self.drawn(output, parts), held=True).mean()
        return super().forward(batch, output, progress) | {"total_correlation": self.gamma * odds}

    def opposing(self, output: Output, parts: Parts) -> dict[str, Tensor]:
        assert self.opponent is not None
        whole = output.z.detach()
        return {"discriminator": cross_entropy(self.opponent(whole), self.opponent(exchanged(whole, parts.generator)))}


def exchanged(z: Tensor, generator: torch.Generator | None) -> Tensor:
    """Codes z (B, latent_dim) with each unit permuted among them on its own. Kim & Mnih 2018, algorithm 1."""
    return z.gather(0, even(z, generator).argsort(0))
