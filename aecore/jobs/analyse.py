"""The job 'analyse': codes and errors of every split, metrics on the test split, and what simple methods reach."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

import aecore
from aecore import data
from aecore.analysis import anomalies, baselines, evaluation, reconstruction
from aecore.analysis.trained import Trained
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

    def step() -> None:
        work.beat()
        if work.stop.asked:
            raise Stopped

    trained = aecore.load(work.folder)
    config = trained.config
    splits: dict[str, dict[str, np.ndarray]] = {}
    for split in SPLITS:
        if split != "val" or data.watch_split(config.data) == "val":
            loaded = data.load(config.data, split, work.lab.data_roots)
            indices = chosen(loaded, config, int(np.prod(trained.model.code_shape)))
            taken = loaded.take(indices)
            splits[split] = _measured(trained, taken, step) | {"labels": taken.labels, "indices": indices}
    work.folder.write_analysis(splits, figures(trained, work.lab.data_roots))
    work.end("completed", "Analysed.")


def figures(trained: Trained, roots: data.Roots) -> dict[str, Any]:
    """Metrics on the run's test images: {'test': mse, psnr, ssim, n}, and of two methods that need no network.

    Where the run has a task, 'test' has 'psnr_seen' and 'gain' too; where classes were left out of its training, there is
    'anomalies': their names, and how well the error of a test image tells that it is of one of them.

    Raises:
        DataError: where the images are gone.
    """
    config = trained.config
    train = data.choose(data.load(config.data, "train", roots), config.training).images
    test = data.of_classes(data.load(config.data, "test", roots), config.training)
    found = evaluation.evaluate(trained.model, test.images, trained.facts, trained.see(test.images), test.labels)
    compared = _compared(train, test.images, int(np.prod(trained.model.code_shape)))
    return {"test": found, "baselines": compared} | _anomalies(trained, roots)


def _anomalies(trained: Trained, roots: data.Roots) -> dict[str, Any]:
    """{'anomalies': ...} of the whole test split, {} where the run was trained on all classes."""
    split, known = data.load(trained.config.data, "test", roots), trained.config.training.classes
    left_out = [name for name in split.class_names if known and name not in known]
    strange = np.isin(split.labels, [split.class_names.index(name) for name in left_out])
    if strange.all() or not strange.any():
        return {}
    errors = _measured(trained, split, lambda: None)["errors"]
    return {"anomalies": {"left_out": left_out, **anomalies.detection(errors, strange)}}


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


def _compared(train: np.ndarray, test: np.ndarray, code_size: int) -> dict[str, Any]:
    """Mean squared error per pixel on the test images of two methods that need no network, at the same code size."""
    components = min(code_size, int(np.prod(train.shape[1:])), len(train) - 1)
    return {
        "mean_image": {"mse": baselines.mean_image_mse(train, test)},
        "pca": {"mse": baselines.pca_mse(train, test, components), "components": components},
    }


def _measured(trained: Trained, split: data.Split, step: Callable[[], None]) -> dict[str, np.ndarray]:
    codes, errors, seen = [], [], trained.see(split.images)
    for begin in range(0, len(seen), CHUNK):
        part = slice(begin, begin + CHUNK)
        codes.append(trained.encode(seen[part]))
        errors.append(reconstruction.mse(split.images[part], trained.decode(codes[-1], split.labels[part])))
        step()
    return {"codes": np.concatenate(codes), "errors": np.concatenate(errors).astype(np.float32)}
