"""Loss functions: pure, over tensors, each with its formula."""

from torch import Tensor
from torch.nn import functional as F

from aecore.config.objectives import Loss


def pixel_losses(loss: Loss, x_hat: Tensor, logits: Tensor, target: Tensor) -> Tensor:
    """The loss of each pixel, of the shape of `target`.

    'mse' (x_hat - target)^2; 'l1' |x_hat - target|; 'bce' -target log x_hat - (1 - target) log(1 - x_hat), in nats,
    computed from `logits` (x_hat is their sigmoid): from a saturated x_hat the gradient would be 0 where it is needed most.
    """
    if loss == "mse":
        return F.mse_loss(x_hat, target, reduction="none")
    if loss == "l1":
        return F.l1_loss(x_hat, target, reduction="none")
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


def kl_to_standard_normal(mu: Tensor, log_var: Tensor) -> Tensor:
    """(B,) KL(N(mu, exp log_var) || N(0, I)) in nats. Kingma & Welling 2014, appendix B.

    -1/2 sum_j (1 + log_var_j - mu_j^2 - exp log_var_j), for mu and log_var (B, latent_dim).
    """
    return -0.5 * (1 + log_var - mu.square() - log_var.exp()).sum(1)
