"""The job 'analyse': codes and errors of every split, metrics on the test split, and what simple methods reach."""

from typing import Any, Literal

import numpy as np

import aecore
from aecore import data
from aecore.analysis import baselines, evaluation, latent, reconstruction
from aecore.config import RunConfig
from aecore.jobs.work import Stopped, Work

SPLITS: tuple[Literal["train", "val", "test"], ...] = ("train", "val", "test")
CHUNK = 2048
"""Images at once, so that reconstructions of a whole split never lie in memory."""
CODES = 256 * 2**20
"""Bytes of codes that are kept of one split; of larger ones a fixed choice of images is taken."""


def analyse(work: Work) -> None:
    """Analyse the newest checkpoint of a run and put the result into its folder, all at once.

    Raises:
        DataError: where the images are gone.
    """
    config, folder = work.folder.config(), work.folder
    trained = aecore.load(folder.path)
    code_size = int(np.prod(trained.model.code_shape))
    splits: dict[str, dict[str, np.ndarray]] = {}
    images: dict[str, np.ndarray] = {}
    for split in SPLITS:
        if split == "val" and data.watch_split(config.data) != "val":
            continue
        loaded = data.load(config.data, split, work.lab.data_roots)
        indices = chosen(loaded, config, code_size)
        taken = loaded.take(indices)
        splits[split] = _measured(work, trained, taken) | {"labels": taken.labels, "indices": indices}
        images[split] = taken.images
    figures = evaluation.evaluate(trained.model, images["test"], trained.facts)
    folder.write_analysis(splits, {"test": figures, "baselines": compared(images["train"], images["test"], code_size)})
    work.end("completed", "Analysed.")


def chosen(split: data.Split, config: RunConfig, code_size: int) -> np.ndarray:
    """Places in the split of the images that are analysed: those of the run's classes, in order.

    Returns: (n,) int64.
    """
    classes = config.training.classes
    wanted = [split.class_names.index(name) for name in classes] if classes else range(len(split.class_names))
    indices = np.flatnonzero(np.isin(split.labels, list(wanted)))
    most = max(1, CODES // (4 * code_size))
    if len(indices) > most:
        indices = np.sort(np.random.default_rng(0).choice(indices, most, replace=False))
    return indices


def compared(train: np.ndarray, test: np.ndarray, code_size: int) -> dict[str, Any]:
    """Mean squared error per pixel on the test images of two methods that need no network, at the same code size."""
    components = min(code_size, int(np.prod(train.shape[1:])), len(train) - 1)
    return {
        "mean_image": {"mse": baselines.mean_image_mse(train, test)},
        "pca": {"mse": baselines.pca_mse(train, test, components), "components": components},
    }


def _measured(work: Work, trained: Any, split: data.Split) -> dict[str, np.ndarray]:
    codes, errors = [], []
    for begin in range(0, len(split.labels), CHUNK):
        images = split.images[begin : begin + CHUNK]
        codes.append(latent.encode(trained.model, images, trained.facts))
        errors.append(reconstruction.mse(images, reconstruction.reconstruct(trained.model, images, trained.facts)))
        work.beat()
        if work.stop.asked:
            raise Stopped
    return {"codes": np.concatenate(codes), "errors": np.concatenate(errors).astype(np.float32)}
