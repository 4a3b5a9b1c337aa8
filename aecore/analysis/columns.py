"""What the Compare page shows of one run: the same test images through its model and through simple methods, measured."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from aecore.analysis.baselines import fit_images
from aecore.analysis.bound import bound
from aecore.analysis.evaluation import gain
from aecore.analysis.measures import means, measures
from aecore.analysis.operations import operations
from aecore.analysis.projection import PCA
from aecore.analysis.simple import Made, Simple, simple_methods
from aecore.analysis.trained import Trained
from aecore.data import Split

MEASURED, SHOWN = 2000, 500
"""Test images that simple methods are measured on, and that are kept as pictures, at most."""
PIXELS = 1 << 22
"""Numbers in the pictures that are kept of one column: of large images fewer are."""
MODEL = "model"

Arrays = dict[str, np.ndarray]


class Columns(NamedTuple):
    """Arrays by 'column.measure'; a shorter one is of the first so many images."""

    measures: Arrays
    """'indices' and 'labels' (N,) of the test images in the one order that all of it has; 'model.mse', 'pca.ssim', ..."""
    test: Arrays
    """The first of them as pictures: 'images', which the decoder should give, 'seen' where the encoder sees others, 'model',
    'pca', ... (K, C, H, W) uint8, 'jpeg.bytes' (K,)."""
    watched: Arrays
    """The same methods on the images that the run was watched on, without 'model'."""
    figures: dict[str, Any]
    """{column: {'label', 'mse', 'psnr', 'ssim', 'ms_ssim', 'n', ...}} as means, for `metrics.json`."""


def columns(
    trained: Trained,
    train: np.ndarray,
    test: Split,
    indices: np.ndarray,
    fitted: PCA,
    watched: np.ndarray | None,
    step: Callable[[], None],
) -> Columns:
    """Everything about one run that does not depend on what it is compared with.

    Args:
        train: what it should give for the images that it learnt from, (n, C, H, W) uint8.
        test: the images that it is measured on.
        indices: (N,) place of each of `test` in its split.
        fitted: `fit_images(train, ...)`.
        watched: what it should give for the images that its training was watched on, or None.
        step: called now and then; may raise.
    """
    order = np.random.default_rng(0).permutation(len(indices))
    targets, whole = trained.wanted(test.images), trained.see(test.images)
    images, seen = targets[order], whole[order]
    shown = min(SHOWN, max(16, PIXELS // images[0].size), len(images))
    kept: Arrays = {"indices": indices[order], "labels": test.labels[order]}
    pictures: Arrays = {"images": images[:shown], "labels": kept["labels"][:shown], "indices": kept["indices"][:shown]}
    if whole is not targets and not np.array_equal(seen[:shown], images[:shown]):
        pictures["seen"] = seen[:shown]
    x_hat = trained.reconstruct(seen, kept["labels"])
    step()
    figures = {MODEL: _keep(kept, pictures, MODEL, images, Made(x_hat), shown) | _bound(trained, images, seen, kept)}
    figures[MODEL] |= {} if whole is targets else gain(images, seen, x_hat)
    step()
    beside: Arrays = {}
    for method in simple_methods(train, trained.code_bytes, fitted):
        figures[method.name] = _beside(method, images[:MEASURED], kept, pictures, shown)
        if watched is not None:
            _show(beside, method.name, method.apply(watched), len(watched))
        step()
    figures[MODEL]["operations"] = operations(trained.model, trained.facts)
    return Columns(kept, pictures, beside, figures)


def _beside(method: Simple, images: np.ndarray, kept: Arrays, pictures: Arrays, shown: int) -> dict[str, Any]:
    made = method.apply(images)
    found: dict[str, Any] = {"label": method.label} | _keep(kept, pictures, method.name, images, made, shown)
    if made.size is not None:
        found |= {"bytes": float(made.size.mean())}
    return found


def _keep(kept: Arrays, pictures: Arrays, name: str, images: np.ndarray, made: Made, shown: int) -> dict[str, Any]:
    found = measures(images, made.x_hat)
    kept |= {f"{name}.{measure}": values for measure, values in found.items()}
    _show(pictures, name, made, shown)
    return dict(means(found))


def _show(pictures: Arrays, name: str, made: Made, shown: int) -> None:
    pictures[name] = made.x_hat[:shown]
    if made.size is not None:
        pictures[f"{name}.bytes"] = made.size[:shown]


def _bound(trained: Trained, images: np.ndarray, seen: np.ndarray, kept: Arrays) -> dict[str, Any]:
    found = bound(trained.model, images, trained.facts, seen, kept["labels"])
    if found is None:
        return {}
    kept[f"{MODEL}.kl"] = found.kl
    figures: dict[str, Any] = {"kl": float(found.kl.mean(dtype=np.float64))}
    if found.reconstruction is not None:
        kept[f"{MODEL}.elbo"] = -(found.reconstruction + found.kl)
        figures["log_likelihood"] = -float(found.reconstruction.mean(dtype=np.float64))
        figures |= {"elbo": figures["log_likelihood"] - figures["kl"], "likelihood": found.likelihood}
    return figures


def fit(train: np.ndarray, code_size: int) -> PCA:
    """Principal components of the training images: as many as the code has numbers, where there are so many."""
    return fit_images(train, min(code_size, int(np.prod(train.shape[1:])), len(train) - 1))
