"""What is minimised: named, already weighted terms whose sum is the loss."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from aecore.config import Facts
from aecore.config.losses import Objective as ObjectiveConfig
from aecore.config.objectives import (
    ContractiveObjective,
    RaeObjective,
    ReconstructionObjective,
    SparseObjective,
    WaeObjective,
)
from aecore.models.batch import Batch, Output, Progress
from aecore.models.divergences import kl_of_activities, mmd
from aecore.models.jacobian import squared_jacobian
from aecore.models.losses import PixelLoss, summed


class Parts(NamedTuple):
    """What an objective may use of a model, beside the batch and what was made of it."""

    encode: Callable[[Tensor], Tensor]
    """Images (B, C, H, W) to codes (B, *code_shape), deterministic."""
    decoder: nn.Module
    """Codes, and labels where it asks for them, to images; `decoder.logits` and `decoder.output` apart."""
    prior: Callable[[Tensor, torch.Generator | None], Tensor]
    """Codes of the bottleneck's prior, as many as, and of the shape of, those given."""
    generator: torch.Generator | None = None
    """What noise is drawn from."""
    posterior: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None
    """Images to mu and log_var (B, latent_dim), for Gaussian bottlenecks."""


class Opponent(nn.Module):
    """A network that is trained against the autoencoder, by an optimiser of its own."""

    rate: float
    """Its learning rate, as a multiple of the autoencoder's."""


class Objective(nn.Module):
    """A module, so that an objective may have parameters of its own."""

    draws = 1
    """Codes that are decoded for each image."""
    standard_prior = True
    """Whether a Gaussian code's prior is the standard normal distribution."""
    samples_prior = False
    """Whether codes are made to be distributed like the bottleneck's prior, so that new images can be drawn from it."""

    def __init__(self, config: ObjectiveConfig, facts: Facts):
        super().__init__()
        self.losses = PixelLoss(config.loss, facts)
        self.summed = config.summed
        self.opponent: Opponent | None = None

    def meet(self, code_size: int) -> None:
        """Told once how many numbers a code has, before anything is trained: for what has layers on the code."""

    def prior(self, like: Tensor, parts: Parts) -> Tensor:
        """Codes to make new images of, as many as, and of the shape of, `like`: the bottleneck's prior, if nothing else is said."""
        return parts.prior(like, parts.generator)

    def opposing(self, output: Output, parts: Parts) -> dict[str, Tensor]:
        """What the opponent minimises, where there is one."""
        raise NotImplementedError

    def forward(
        self, batch: Batch, output: Output, progress: Progress, parts: Parts | None = None
    ) -> dict[str, Tensor]:
        """{name of the term: its scalar}, in training and evaluation alike."""
        raise NotImplementedError

    def reconstruction(self, batch: Batch, output: Output) -> Tensor:
        """Mean over the batch of the loss of an image: the sum over its pixels or their mean, as the objective has it."""
        losses = self.losses(output.x_hat, output.logits, batch.target)  # (B, C, H, W), or fewer
        return summed(losses, batch.target) if self.summed else losses.mean()


class Reconstruction(Objective):
    """{'reconstruction'}: mean over the pixels of an image, then over the batch."""

    def __init__(self, config: ReconstructionObjective, facts: Facts):
        super().__init__(config, facts)

    def forward(
        self, batch: Batch, output: Output, progress: Progress, parts: Parts | None = None
    ) -> dict[str, Tensor]:
        return {"reconstruction": self.reconstruction(batch, output)}


class Wasserstein(Objective):
    """{'reconstruction', 'mmd'}: sum over the pixels, and weighted discrepancy of the codes from the prior.

    Tolstikhin et al. 2018, algorithm 2.
    """

    samples_prior = True

    def __init__(self, config: WaeObjective, facts: Facts):
        super().__init__(config, facts)
        self.config = config

    def forward(
        self, batch: Batch, output: Output, progress: Progress, parts: Parts | None = None
    ) -> dict[str, Tensor]:
        assert parts is not None
        prior = parts.prior(output.z, parts.generator)
        distance = mmd(output.z.flatten(1).float(), prior.flatten(1).float(), self.config.kernel, self.config.bandwidth)
        return {"reconstruction": self.reconstruction(batch, output), "mmd": self.config.weight * distance}


class Sparse(Objective):
    """{'reconstruction', 'sparsity'}: mean over the pixels, and L1 of the code or KL of its activities. Ng 2011."""

    def __init__(self, config: SparseObjective, facts: Facts):
        super().__init__(config, facts)
        self.config = config

    def forward(
        self, batch: Batch, output: Output, progress: Progress, parts: Parts | None = None
    ) -> dict[str, Tensor]:
        z = output.z.flatten(1).float()
        penalty = kl_of_activities(z, self.config.activity) if self.config.penalty == "kl" else z.abs().sum(1).mean()
        return {"reconstruction": self.reconstruction(batch, output), "sparsity": self.config.weight * penalty}


class Contractive(Objective):
    """{'reconstruction', 'contraction'}: mean over the pixels, and the squared norm of dz/dx. Rifai et al. 2011, equation 2."""

    def __init__(self, config: ContractiveObjective, facts: Facts):
        super().__init__(config, facts)
        self.config = config

    def forward(
        self, batch: Batch, output: Output, progress: Progress, parts: Parts | None = None
    ) -> dict[str, Tensor]:
        assert parts is not None
        norm = squared_jacobian(parts.encode, batch.x, self.config.probes, parts.generator)  # (B,)
        return {"reconstruction": self.reconstruction(batch, output), "contraction": self.config.weight * norm.mean()}


class Regularised(Objective):
    """{'reconstruction', 'code', 'decoder'}: sum over the pixels, |z|^2 / 2, and the decoder's weights or Jacobian.

    Ghosh et al. 2020, equations 7 to 9.
    """

    def __init__(self, config: RaeObjective, facts: Facts):
        super().__init__(config, facts)
        self.config = config

    def forward(
        self, batch: Batch, output: Output, progress: Progress, parts: Parts | None = None
    ) -> dict[str, Tensor]:
        assert parts is not None
        decoder = parts.decoder
        code = 0.5 * output.z.flatten(1).float().square().sum(1).mean()
        terms = {"reconstruction": self.reconstruction(batch, output), "code": self.config.code * code}
        if self.config.smooth == "l2":
            weights = torch.stack([parameter.square().sum() for parameter in decoder.parameters()]).sum()
            terms["decoder"] = self.config.decoder * weights
        elif self.config.smooth == "gradient":
            norm = squared_jacobian(lambda z: decoder(z, batch.label), output.z, 1, parts.generator)
            terms["decoder"] = self.config.decoder * norm.mean()
        return terms
