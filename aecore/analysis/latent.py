"""Codes of images, and images of codes."""

from math import prod

import numpy as np
import torch

from aecore.analysis.passes import of_part, parts, pictures
from aecore.config import Facts
from aecore.models import Autoencoder
from aecore.models.divergences import kl_per_unit


def encode(model: Autoencoder, images: np.ndarray, facts: Facts, batch: int | None = None) -> np.ndarray:
    """Images (N, C, H, W) uint8 as codes (N, numbers of one code) float32; the posterior's mean for Gaussian bottlenecks.

    Raises:
        ValueError: where the images have another shape than those that the model was trained on.
    """
    codes = [np.empty((0, prod(model.code_shape)), np.float32)]
    with model.evaluating():
        codes += [model.encode(x).flatten(1).float().cpu().numpy() for x in parts(model, images, facts, batch)]
    return np.concatenate(codes)


def decode(model: Autoencoder, codes: np.ndarray, facts: Facts, labels: np.ndarray | None = None) -> np.ndarray:
    """Codes (N, numbers of one code) as images (N, C, H, W) uint8; of these labels (N,), where the decoder asks for them.

    Raises:
        ValueError: for codes of another size, or where labels are missing.
    """
    size = prod(model.code_shape)
    if codes.ndim != 2 or codes.shape[1] != size:
        raise ValueError(f"A code of this model is {size} numbers, but these are {' x '.join(map(str, codes.shape))}.")
    z = torch.from_numpy(np.ascontiguousarray(codes, np.float32)).reshape(-1, *model.code_shape)
    images, size = [np.empty((0, *facts.shape), np.uint8)], model.evaluation_batch
    with model.evaluating():
        for first in range(0, len(z), size):
            part = z[first : first + size].to(model.device)
            images.append(pictures(model.decode(part, of_part(model, labels, first, len(part))), facts))
    return np.concatenate(images)


def has_prior(model: Autoencoder) -> bool:
    """Whether new images can be made from codes of a prior."""
    return model.has_prior


def prior(model: Autoencoder, n: int, seed: int) -> np.ndarray:
    """n codes (n, numbers of one code) float32 of the model's prior."""
    like = torch.empty(n, *model.code_shape, device=model.device)
    generator = torch.Generator(model.device).manual_seed(seed)
    with model.evaluating():
        return model.prior(like, generator).flatten(1).float().cpu().numpy()


def kl_of_units(model: Autoencoder, images: np.ndarray, facts: Facts) -> tuple[np.ndarray, np.ndarray] | None:
    """Of each unit the KL to N(0, I), a mean over images (N, C, H, W) as the encoder sees them, in nats, and the variance of
    the posterior's mean: (latent_dim,) each. None for a model without a posterior, or whose prior is another.

    A unit is active where that variance is above 0.01: Burda et al. 2016, section 5.2.
    """
    if not model.objective.standard_prior:
        return None
    divergences, means = [], []
    with model.evaluating():
        for x in parts(model, images, facts):
            code = model.encoder.code(x)
            if code.mu is None or code.log_var is None:
                return None
            divergences.append(kl_per_unit(code.mu, code.log_var).double().cpu().numpy())
            means.append(code.mu.double().cpu().numpy())
    return np.concatenate(divergences).mean(0), np.concatenate(means).var(0)


def drawn_and_prior(
    model: Autoencoder, images: np.ndarray, facts: Facts, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """One code drawn from the posterior of each image (N, C, H, W), and as many of the prior, both (N, numbers of one code).

    Where codes are not drawn, they are the images' codes themselves.
    """
    generator, drawn = torch.Generator(model.device).manual_seed(seed), []
    with model.evaluating():
        for x in parts(model, images, facts):
            code = model.encoder.code(x)
            z = code.z
            if code.mu is not None and code.log_var is not None:
                noise = torch.randn(code.mu.shape, generator=generator, device=model.device)
                z = code.mu + (0.5 * code.log_var).exp() * noise
            drawn.append(z.flatten(1).float().cpu().numpy())
    return np.concatenate(drawn), prior(model, len(images), seed + 1)
