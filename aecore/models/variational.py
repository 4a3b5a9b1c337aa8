"""Objectives of variational autoencoders: sums over the pixels of an image, and nats."""

import math

import torch
from torch import Tensor, nn

from aecore.config import Facts
from aecore.config import variational as configs
from aecore.models.batch import Batch, Output, Progress
from aecore.models.divergences import (
    Decomposed,
    covariance,
    decomposed_kl,
    distance_from_identity,
    kl_per_unit,
    kl_to_standard_normal,
    log_normal,
    mmd,
)
from aecore.models.losses import per_image
from aecore.models.noise import normal
from aecore.models.objectives import Objective, Parts


def ramp(step: int | Tensor, steps: int) -> float | Tensor:
    """0 to 1 along the first `steps` steps."""
    if not steps:
        return 1.0
    return (step / steps).clamp(max=1.0) if isinstance(step, Tensor) else min(1.0, step / steps)


class Posterior(Objective):
    """What all of them share: a posterior, and a weight of its KL that may rise."""

    def __init__(self, config: configs.Variational, facts: Facts):
        super().__init__(config, facts)
        self.beta, self.kl_warmup, self.free_bits = config.beta, config.kl_warmup, config.free_bits

    def weight(self, progress: Progress) -> float | Tensor:
        return self.beta * ramp(progress.step, self.kl_warmup)

    def free(self, mu: Tensor) -> float:
        """Nats that a whole code may use at no cost: free bits with all its units, those of mu (B, latent_dim), as one group."""
        return self.free_bits * mu.shape[1]

    def drawn(self, output: Output, parts: Parts | None) -> Tensor:
        """(B, latent_dim): the codes that were drawn; drawn here in evaluation, where the mean was decoded."""
        mu, log_var = posterior(output)
        if self.training:
            return output.z
        return mu + (0.5 * log_var).exp() * normal(mu, parts and parts.generator)


def posterior(output: Output) -> tuple[Tensor, Tensor]:
    assert output.mu is not None
    assert output.log_var is not None
    return output.mu, output.log_var


class Elbo(Posterior):
    """{'reconstruction', 'kl'}: sum over the pixels, and beta KL to N(0, I) in nats; both are means over the batch.

    Kingma & Welling 2014; beta: Higgins et al. 2017; capacity, beta |KL - C|: Burgess et al. 2018, equation 8; free bits,
    beta sum_j max(free, mean over the batch of KL_j): Kingma et al. 2016, equation 15.
    """

    def __init__(self, config: configs.Elbo, facts: Facts):
        super().__init__(config, facts)
        self.capacity, self.capacity_steps = config.capacity, config.capacity_steps

    def forward(
        self, batch: Batch, output: Output, progress: Progress, parts: Parts | None = None
    ) -> dict[str, Tensor]:
        return {"reconstruction": self.reconstruction(batch, output), "kl": self.kl(output, progress)}

    def kl(self, output: Output, progress: Progress) -> Tensor:
        mu, log_var = posterior(output)
        if self.free_bits:
            return self.weight(progress) * kl_per_unit(mu, log_var).mean(0).clamp(min=self.free_bits).sum()
        kl = kl_to_standard_normal(mu, log_var)  # (B,)
        if self.capacity:
            kl = (kl - self.capacity * ramp(progress.step, self.capacity_steps)).abs()
        return self.weight(progress) * kl.mean()


class Dip(Elbo):
    """ELBO and {'covariance'}: its distance from the identity. Kumar et al. 2018, equations 6 (I) and 7 (II)."""

    def __init__(self, config: configs.DipObjective, facts: Facts):
        super().__init__(config, facts)
        self.config = config

    def forward(
        self, batch: Batch, output: Output, progress: Progress, parts: Parts | None = None
    ) -> dict[str, Tensor]:
        mu, log_var = posterior(output)
        matrix = covariance(mu)
        if self.config.variant == "II":
            matrix = matrix + log_var.exp().mean(0).diag()
        distance = distance_from_identity(matrix, self.config.off_diagonal, self.config.diagonal)
        return super().forward(batch, output, progress) | {"covariance": distance}


class Info(Elbo):
    """ELBO and {'mmd'}: weighted discrepancy of the drawn codes from the prior. Zhao et al. 2019, equation 6."""

    samples_prior = True

    def __init__(self, config: configs.InfoObjective, facts: Facts):
        super().__init__(config, facts)
        self.config = config

    def forward(
        self, batch: Batch, output: Output, progress: Progress, parts: Parts | None = None
    ) -> dict[str, Tensor]:
        z = self.drawn(output, parts)
        prior = normal(z, parts and parts.generator)
        distance = mmd(z, prior, self.config.kernel, self.config.bandwidth)
        return super().forward(batch, output, progress) | {"mmd": self.config.mmd * distance}


class TotalCorrelation(Posterior):
    """{'reconstruction', 'mutual_information', 'total_correlation', 'dimension_kl'}. Chen et al. 2018, equation 4."""

    def __init__(self, config: configs.TcObjective, facts: Facts):
        super().__init__(config, facts)
        self.config, self.n_train = config, facts.n_train

    def forward(
        self, batch: Batch, output: Output, progress: Progress, parts: Parts | None = None
    ) -> dict[str, Tensor]:
        mu, log_var = posterior(output)
        kl = decomposed_kl(self.drawn(output, parts), mu, log_var, self.n_train)
        kl = Decomposed(*(part.mean() for part in kl))
        if self.free_bits:  # the sum is the KL: while that is below what is free, no part draws
            free = torch.stack(kl).sum() < self.free(mu)
            kl = Decomposed(*(torch.where(free, part.detach(), part) for part in kl))
        rise = ramp(progress.step, self.kl_warmup)
        return {
            "reconstruction": self.reconstruction(batch, output),
            "mutual_information": rise * self.config.alpha * kl.mutual_information,
            "total_correlation": rise * self.config.beta * kl.total_correlation,
            "dimension_kl": rise * self.config.gamma * kl.dimension_kl,
        }


class ImportanceWeighted(Posterior):
    """{'reconstruction', 'importance'}, whose sum is -log 1/k sum_i exp(-loss(z_i)) p(z_i)^beta / q(z_i|x)^beta, the mean over
    the batch; 'reconstruction' is the mean loss over the k codes. Burda et al. 2016, equation 8.
    """

    def __init__(self, config: configs.IwaeObjective, facts: Facts):
        super().__init__(config, facts)
        self.draws = config.samples

    def forward(
        self, batch: Batch, output: Output, progress: Progress, parts: Parts | None = None
    ) -> dict[str, Tensor]:
        assert parts is not None or self.draws == 1
        mu, log_var = posterior(output)
        first = self.drawn(output, parts)
        z = [
            first,
            *(mu + (0.5 * log_var).exp() * normal(mu, parts and parts.generator) for _ in range(self.draws - 1)),
        ]
        losses = torch.stack([self._loss(batch, output, one, parts, n) for n, one in enumerate(z)])  # (k, B)
        codes = torch.stack(z)  # (k, B, latent_dim)
        kl = log_normal(codes, mu, log_var).sum(2) - log_normal(codes, codes * 0, codes * 0).sum(2)
        weights = -losses - self.weight(progress) * kl
        bound = (math.log(self.draws) - weights.logsumexp(0)).mean()
        reconstruction = losses.mean()
        importance = bound - reconstruction  # of one code, its KL
        if self.free_bits:
            importance = torch.maximum(importance, self.weight(progress) * self.free(mu) * torch.ones_like(importance))
        return {"reconstruction": reconstruction, "importance": importance}

    def _loss(self, batch: Batch, output: Output, z: Tensor, parts: Parts | None, number: int) -> Tensor:
        """(B,) reconstruction loss of each image from z; the first code of training is decoded already."""
        x_hat, logits = output.x_hat, output.logits
        if parts is not None and (number or not self.training):
            logits = parts.decoder.logits(z, batch.label).float()  # type: ignore[operator]
            x_hat = parts.decoder.output(logits)  # type: ignore[operator]
        return per_image(self.losses(x_hat, logits, batch.target), batch.target)


class VampPrior(Posterior):
    """{'reconstruction', 'kl'}: the KL of one drawn code of each image, log q(z|x) - log 1/K sum_k q(z|u_k), with K learnt images u_k.

    Tomczak & Welling 2018, equation 9. The pixels of u_k stay in the value range.
    """

    standard_prior = False

    def __init__(self, config: configs.VampObjective, facts: Facts):
        super().__init__(config, facts)
        self.low, self.high = facts.value_range
        self.pseudo_inputs = nn.Parameter(torch.empty(config.components, *facts.shape))
        nn.init.uniform_(self.pseudo_inputs, -2, 0)  # a normal draw would import torch._dynamo on the meta device

    def forward(
        self, batch: Batch, output: Output, progress: Progress, parts: Parts | None = None
    ) -> dict[str, Tensor]:
        assert parts is not None
        z = self.drawn(output, parts)
        kl = (log_normal(z, *posterior(output)).sum(1) - self.log_prior(z, parts)).mean()
        if self.free_bits:
            kl = kl.clamp(min=self.free(z))
        return {"reconstruction": self.reconstruction(batch, output), "kl": self.weight(progress) * kl}

    def log_prior(self, z: Tensor, parts: Parts) -> Tensor:
        """(B,) log density of codes z (B, latent_dim) in nats."""
        mu, log_var = self.components(parts)
        each = log_normal(z[:, None], mu[None], log_var[None]).sum(2)  # (B, K)
        return each.logsumexp(1) - math.log(len(mu))

    def components(self, parts: Parts) -> tuple[Tensor, Tensor]:
        """mu and log_var (K, latent_dim) of the pseudo-inputs."""
        assert parts.posterior is not None
        return parts.posterior(self.low + (self.high - self.low) * self.pseudo_inputs.sigmoid())

    def prior(self, like: Tensor, parts: Parts) -> Tensor:
        mu, log_var = self.components(parts)
        chosen = torch.randint(len(mu), (len(like),), generator=parts.generator, device=like.device)
        return mu[chosen] + (0.5 * log_var[chosen]).exp() * normal(like, parts.generator)
