"""What is minimised: named, already weighted terms whose sum is the loss."""

from torch import Tensor, nn

from aecore.config.objectives import ElboObjective, ReconstructionObjective
from aecore.models.batch import Batch, Output, Progress
from aecore.models.losses import kl_to_standard_normal, pixel_losses


class Objective(nn.Module):
    """A module, so that an objective may have parameters of its own."""

    def forward(self, batch: Batch, output: Output, progress: Progress) -> dict[str, Tensor]:
        """{name of the term: its scalar}, in training and evaluation alike."""
        raise NotImplementedError


class Reconstruction(Objective):
    """{'reconstruction'}: mean over the pixels of an image, then over the batch."""

    def __init__(self, config: ReconstructionObjective):
        super().__init__()
        self.loss = config.loss

    def forward(self, batch: Batch, output: Output, progress: Progress) -> dict[str, Tensor]:
        losses = pixel_losses(self.loss, output.x_hat, output.logits, batch.target)  # (B, C, H, W)
        return {"reconstruction": losses.mean()}


class Elbo(Objective):
    """{'reconstruction', 'kl'}: sum over the pixels, and beta KL to N(0, I) in nats; both are means over the batch.

    Kingma & Welling 2014; beta: Higgins et al. 2017.
    """

    def __init__(self, config: ElboObjective):
        super().__init__()
        self.loss, self.beta = config.loss, config.beta

    def forward(self, batch: Batch, output: Output, progress: Progress) -> dict[str, Tensor]:
        assert output.mu is not None
        assert output.log_var is not None
        losses = pixel_losses(self.loss, output.x_hat, output.logits, batch.target)  # (B, C, H, W)
        kl = kl_to_standard_normal(output.mu, output.log_var)  # (B,)
        return {"reconstruction": losses.sum() / len(losses), "kl": self.beta * kl.mean()}
