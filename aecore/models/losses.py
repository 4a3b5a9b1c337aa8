"""Reconstruction losses: pure, over tensors, each with its formula, and the one that learns its own noise level."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aecore.config import Facts
from aecore.config.losses import Loss
from aecore.models.similarity import ms_ssim, ssim_map

LOWEST_LOG_SIGMA = -6.0
"""A noise level of 0.0025: without an end, pixels that are always 0 would draw it to nothing, and the loss to minus infinity."""


class PixelLoss(nn.Module):
    """A loss by its name, for images of `facts`; 'gaussian' has one parameter, the logarithm of its noise level."""

    def __init__(self, loss: Loss, facts: Facts):
        super().__init__()
        self.loss, self.value_range = loss, facts.value_range
        if loss == "gaussian":
            self.log_sigma = nn.Parameter(torch.zeros(()))

    def forward(self, x_hat: Tensor, logits: Tensor, target: Tensor) -> Tensor:
        """Losses of x_hat against target, (B, C, H, W) each: one for each pixel, or fewer, (B, ...), whose mean is that of the pixels'."""
        if self.loss == "gaussian":
            return gaussian_loss(x_hat, target, self.log_sigma)
        if self.loss in ("ssim", "ms_ssim"):
            low, high = self.value_range
            a, b = ((images.float() - low) / (high - low) for images in (x_hat, target))
            return 1 - (ssim_map(a, b) if self.loss == "ssim" else ms_ssim(a, b)[:, :, None, None])
        return pixel_losses(self.loss, x_hat, logits, target)


def pixel_losses(loss: Loss, x_hat: Tensor, logits: Tensor, target: Tensor) -> Tensor:
    """The loss of each pixel, of the shape of `target`.

    'mse' (x_hat - target)^2; 'l1' |x_hat - target|; 'huber' with e = |x_hat - target|: e^2 / 2 up to e = 1, else e - 1/2;
    'bce' -target log x_hat - (1 - target) log(1 - x_hat), in nats, computed from `logits` (x_hat is their sigmoid): from a
    saturated x_hat the gradient would be 0 where it is needed most.
    """
    if loss == "mse":
        return F.mse_loss(x_hat, target, reduction="none")
    if loss == "l1":
        return F.l1_loss(x_hat, target, reduction="none")
    if loss == "huber":
        return F.huber_loss(x_hat, target, reduction="none")
    assert loss == "bce"
    return F.binary_cross_entropy_with_logits(logits, target, reduction="none")


def gaussian_loss(x_hat: Tensor, target: Tensor, log_sigma: Tensor) -> Tensor:
    """-log N(target; x_hat, sigma^2) of each pixel, in nats: (x_hat - target)^2 / (2 sigma^2) + log sigma + log(2 pi) / 2.

    One sigma for all pixels, softly held above exp(-6). Rybkin et al. 2021 (sigma-VAE), equations 5 and 6.
    """
    log_sigma = LOWEST_LOG_SIGMA + F.softplus(log_sigma - LOWEST_LOG_SIGMA)
    return 0.5 * ((x_hat - target) / log_sigma.exp()).square() + log_sigma + 0.5 * math.log(2 * math.pi)


def per_image(losses: Tensor, target: Tensor) -> Tensor:
    """(B,) losses (B, C, H', W') summed over the pixels of each image of `target`; windows count as their mean, for each pixel."""
    return losses.flatten(1).sum(1) * (target.numel() / losses.numel())


def summed(losses: Tensor, target: Tensor) -> Tensor:
    """The mean over the batch of `per_image`."""
    return losses.sum() / len(losses) * (target.numel() / losses.numel())
