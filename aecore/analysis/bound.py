"""The evidence lower bound of a variational model, and its parts, of each image."""

from typing import NamedTuple

import numpy as np
import torch

from aecore.analysis.passes import of_part, parts
from aecore.config import Facts
from aecore.models import Autoencoder
from aecore.models.divergences import kl_to_standard_normal
from aecore.models.losses import per_image

LIKELIHOODS = {"bce": "Bernoulli", "gaussian": "Gaussian"}
"""Losses that are a negative log-likelihood, in nats; of others only the KL is known."""


class Bound(NamedTuple):
    """Of each image, in nats. ELBO = -(reconstruction + kl), whatever weight the KL has in the objective."""

    kl: np.ndarray
    """(N,) float32: of the posterior from N(0, I)."""
    reconstruction: np.ndarray | None
    """(N,) float32: -log p(x | z), for one z drawn from the posterior; None where the loss is no likelihood."""
    likelihood: str
    """'Bernoulli', 'Gaussian' (a density in the model's own value range), or ''."""


def bound(
    model: Autoencoder,
    images: np.ndarray,
    facts: Facts,
    seen: np.ndarray,
    labels: np.ndarray | None = None,
    seed: int = 0,
) -> Bound | None:
    """The bound on images (N, C, H, W) uint8 that the decoder should give, where the encoder sees `seen`, and with `labels` (N,); None for a model
    without a posterior, or whose prior is another.

    Kingma & Welling 2014, equation 3, with one drawn code an image; the draws are the same again.
    """
    likelihood = LIKELIHOODS.get(model.objective.losses.loss, "")
    generator = torch.Generator(model.device).manual_seed(seed)
    kls, losses, done = [], [], 0
    if not model.objective.standard_prior:
        return None
    with model.evaluating():
        for x, target in zip(parts(model, seen, facts), parts(model, images, facts), strict=True):
            code = model.encoder.code(x)
            if code.mu is None or code.log_var is None:
                return None
            kls.append(kl_to_standard_normal(code.mu, code.log_var).float().cpu().numpy())
            if likelihood:
                noise = torch.randn(code.mu.shape, generator=generator, device=model.device)
                label = of_part(model, labels, done, len(x))
                logits = model.decoder.logits(code.mu + (0.5 * code.log_var).exp() * noise, label).float()
                pixels = model.objective.losses(model.decoder.output(logits), logits, target)
                losses.append(per_image(pixels, target).cpu().numpy())
            done += len(x)
    if not kls:
        return None
    return Bound(np.concatenate(kls), np.concatenate(losses) if losses else None, likelihood)
