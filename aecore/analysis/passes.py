"""Passes of images through a model: normalised on the way in, turned back into pictures once on the way out."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from aecore.config import Facts
from aecore.data import normalise, to_image
from aecore.models import Autoencoder


def parts(model: Autoencoder, images: np.ndarray, facts: Facts, batch: int | None = None) -> Iterator[Tensor]:
    """Images (N, C, H, W) uint8 as batches (B, C, H, W) in model space on the model's device.

    Raises:
        ValueError: where the images have another shape than those that the model was trained on.
    """
    if images.shape[1:] != facts.shape:
        raise ValueError(
            f"These images are {_by(images.shape[1:])}, but the model was trained on {_by(facts.shape)}: "
            "convert their size or colour first."
        )
    size = batch or model.evaluation_batch
    for first in range(0, len(images), size):
        part = torch.from_numpy(np.ascontiguousarray(images[first : first + size]))
        yield normalise(part.to(model.device), facts.value_range)


def of_part(model: Autoencoder, labels: np.ndarray | None, first: int, n: int) -> Tensor | None:
    """The labels (n,) of the images from number `first` on, on the model's device; None where its decoder asks for none."""
    if labels is None or not model.labels:
        return None
    return torch.from_numpy(labels[first : first + n].astype(np.int64)).to(model.device)


def pictures(x_hat: Tensor, facts: Facts) -> np.ndarray:
    """Model space (B, C, H, W) to uint8 images."""
    image: Tensor = to_image(x_hat, facts.value_range)
    return image.cpu().numpy()


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
