"""Structural similarity as a loss: the numbers of `aecore.analysis`, with a gradient."""

import torch
from torch import Tensor
from torch.nn import functional as F

SIGMA, RADIUS = 1.5, 5
C1, C2 = 0.01**2, 0.03**2
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Weights of the scales of MS-SSIM, the finest first."""
SMALLEST_CONTRAST = 1e-6
"""What a negative contrast counts as: a root of it does not exist."""


def ssim_map(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity (N, C, H', W') at each place of images (N, C, H, W) in [0,1]. Wang et al. 2004.

    Gaussian window of min(11, the largest odd number up to the side) pixels, sigma 1.5, biased covariance: the setting of
    `aecore.analysis.reconstruction.ssim`, whose number is this map's mean.
    """
    luminance, contrast = _compare(a, b)
    return luminance * contrast


def ms_ssim(a: Tensor, b: Tensor) -> Tensor:
    """(N, C) similarity at several scales, each half the size of the one before. Wang, Simoncelli & Bovik 2003.

    As many of the five scales as leave a side of 11 pixels, at least one; their weights are scaled to the sum 1.
    """
    return ssim_and_ms_ssim(a, b)[1]


def ssim_and_ms_ssim(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of `ssim_map`, and `ms_ssim`, (N, C) each: the finest scale is looked at once."""
    scales = number_of_scales(*a.shape[2:])
    single, several = a.new_empty(0), a.new_ones(a.shape[:2])
    for scale in range(scales):
        luminance, contrast = _compare(a, b)
        single = (luminance * contrast).mean((2, 3)) if scale == 0 else single
        part = contrast if scale < scales - 1 else luminance * contrast
        weight = SCALES[scale] / sum(SCALES[:scales])
        several = several * part.mean((2, 3)).clamp(min=SMALLEST_CONTRAST) ** weight
        a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
    return single, several


def window_side(height: int, width: int) -> int:
    """Side of SSIM's window for images of this size."""
    side = min(height, width)
    return min(2 * RADIUS + 1, side - 1 + side % 2)


def number_of_scales(height: int, width: int) -> int:
    """Scales of MS-SSIM for images of this size."""
    side = min(height, width)
    return max(1, sum(side >> scale >= 2 * RADIUS + 1 for scale in range(len(SCALES))))


def _compare(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Luminance, and contrast with structure, (N, C, H', W') each."""
    margin = RADIUS - window_side(*a.shape[2:]) // 2
    a, b = _mirrored(a, margin), _mirrored(b, margin)
    mean_a, mean_b, square_a, square_b, product = _filtered(torch.stack([a, b, a * a, b * b, a * b]))
    variances = square_a - mean_a**2 + square_b - mean_b**2
    covariance = product - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    return luminance, (2 * covariance + C2) / (variances + C2)


def _mirrored(images: Tensor, margin: int) -> Tensor:
    """Images with a margin that mirrors them, the edge's own pixels included, on all four sides."""
    for axis in (2, 3):
        left = margin
        while left:  # a mirror shows no more than there is
            step = min(left, images.shape[axis])
            first = images.narrow(axis, 0, step).flip(axis)
            last = images.narrow(axis, images.shape[axis] - step, step).flip(axis)
            images, left = torch.cat([first, images, last], axis), left - step
    return images


def _filtered(images: Tensor) -> Tensor:
    """(..., H, W) filtered by the Gaussian along both sides, where the whole window lies inside.

    As two products with banded matrices: many times faster than convolving one channel on the CPU.
    """
    rows, columns = (_band(side, images) for side in images.shape[-2:])
    return rows @ (images @ columns.T)


def _band(side: int, like: Tensor) -> Tensor:
    """(side - 10, side): the Gaussian's 11 weights, one place further in each row."""
    offsets = torch.arange(-RADIUS, RADIUS + 1, device=like.device, dtype=like.dtype)
    weights = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    places = torch.arange(side, device=like.device)[None] - torch.arange(side - 2 * RADIUS, device=like.device)[:, None]
    inside = (places >= 0) & (places <= 2 * RADIUS)
    return (weights / weights.sum())[places.clamp(0, 2 * RADIUS)] * inside
