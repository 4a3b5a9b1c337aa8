"""What the codes of a whole split tell, beside the losses: rows of the watched split, never minimised."""

import torch
from torch import Tensor

from aecore.models import Output, use_of_codes
from aecore.models.divergences import kl_per_unit

ACTIVE = 0.01
"""Variance of a unit's posterior means above which the unit counts as active. Burda et al. 2016, section 5.2."""
FEWEST = 10
"""Images of which the variance of a unit says something."""
MOST_UNITS = 64
"""Units whose KL is told one by one."""


class Codes:
    """Takes what a model makes of batch after batch.

    Gaussian codes: 'active_units', how many units have posterior means whose variance over the images, FEWEST at least, is above
    0.01, and 'kl_dim_1' to 'kl_dim_64', the mean KL of each unit to the prior in nats, for codes of up to 64 units (a mean below
    free bits or a capacity is told as it is). Quantised codes: 'perplexity', and 'code_use' where the images have as many places as
    there are codes. Others: nothing.
    """

    def __init__(self, standard_prior: bool = True) -> None:
        self.standard_prior = standard_prior
        self.usage: list[Tensor] = []  # (codes,) each
        self.sums: list[Tensor] = []  # (3, latent_dim) each: of mu, of its square, of the KL
        self.n = 0

    def add(self, output: Output) -> None:
        self.n += len(output.z)
        if output.usage is not None:
            self.usage.append(output.usage)
        if output.mu is not None and output.log_var is not None:
            mu, kl = output.mu.float(), kl_per_unit(output.mu, output.log_var)
            self.sums.append(torch.stack([mu.sum(0), mu.square().sum(0), kl.sum(0)]))

    def figures(self) -> dict[str, float]:
        """{name of a row: its value}, over all images."""
        return self._use() | self._units()

    def _use(self) -> dict[str, float]:
        """Without the share that is used where the images have fewer places than there are codes: they cannot use all."""
        if not self.usage:
            return {}
        usage = torch.stack(self.usage).sum(0)
        found = use_of_codes(usage)
        return found if usage.sum() >= len(usage) else {"perplexity": found["perplexity"]}

    def _units(self) -> dict[str, float]:
        if not self.sums:
            return {}
        mean, square, kl = torch.stack(self.sums).cpu().double().sum(0) / self.n  # (latent_dim,) each
        active = {"active_units": float((square - mean.square() > ACTIVE).sum())} if self.n >= FEWEST else {}
        shown = kl.tolist() if self.standard_prior and len(kl) <= MOST_UNITS else []
        return active | {f"kl_dim_{unit}": value for unit, value in enumerate(shown, start=1)}
