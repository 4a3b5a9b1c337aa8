"""The code of a Gaussian bottleneck in a step by hand: z = mu + exp(log_var / 2) noise, its KL, and the way back."""

import torch
from torch import Tensor

from aecore.models.divergences import kl_to_standard_normal
from aecore.models.noise import normal
from aecore.training.engines.loops import library


class Code:
    """By PyTorch's kernels, on any device."""

    weight: float | Tensor = 1.0
    """Of the KL, in the loss."""

    def __init__(self, both: Tensor, z: Tensor, of_z: Tensor):
        """Where means and log-variances lie, (B, 2 latent_dim); where the code goes, and where its gradient will be, (B, latent_dim)."""
        self.both, self.z, self.of_z = both, z, of_z

    def draw(self, generator: torch.Generator) -> None:
        """Fills z."""
        self.mu, self.log_var = self.both.chunk(2, 1)
        self.deviation, self.noise = (0.5 * self.log_var).exp(), normal(self.z, generator)
        torch.addcmul(self.mu, self.deviation, self.noise, out=self.z)

    def kl(self) -> Tensor:
        """(): from the standard normal distribution, the mean over the batch."""
        return kl_to_standard_normal(self.mu, self.log_var).mean()

    def back(self) -> None:
        """The gradients of mu and log_var, from that of z and of the weighted KL, take their places."""
        share = self.weight / len(self.z)
        of_mu = self.of_z + share * self.mu
        of_log_var = 0.5 * (self.of_z * self.noise * self.deviation + share * (self.log_var.exp() - 1))
        torch.cat([of_mu, of_log_var], 1, out=self.both)


class CompiledCode(Code):
    """In one pass each."""

    def draw(self, generator: torch.Generator) -> None:
        self.noise = normal(self.z, generator)
        places = (self.both.data_ptr(), self.noise.data_ptr(), self.z.data_ptr())
        self.total = library().draw(*places, *self.z.shape)

    def kl(self) -> Tensor:
        return torch.tensor(self.total / len(self.z))

    def back(self) -> None:
        places = (self.of_z.data_ptr(), self.noise.data_ptr(), self.both.data_ptr())
        library().draw_back(*places, float(self.weight) / len(self.z), *self.z.shape)
