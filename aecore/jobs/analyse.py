"""The job 'analyse': codes and errors of every split (of the training images those that were trained on), metrics on the test split,
and what simple methods reach."""

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, Literal

import numpy as np

import aecore
from aecore import data
from aecore.analysis import anomalies, baselines, latent, quality, quality_words, reconstruction
from aecore.analysis.columns import MODEL, Columns, columns, fit
from aecore.analysis.disentanglement import Known, disentanglement
from aecore.analysis.evaluation import evaluate
from aecore.analysis.projection import PCA
from aecore.analysis.trained import Trained
from aecore.jobs.work import Stopped, Work
from aecore.training.codes import ACTIVE

SPLITS: tuple[Literal["train", "val", "test"], ...] = ("train", "val", "test")
STEPS = 14
"""Looks at whether to stop, beside those at the training images: about so many."""
CHUNK = 2048
"""Images at once, so that reconstructions of a whole split never lie in memory."""
OF_TEST = ("mse", "psnr", "ssim", "n", "psnr_seen", "gain")
"""What `evaluate` says of a model: the same figures, of the analysed images."""
CODES = 256 * 2**20
"""Bytes of codes that are kept of one split; of larger ones a fixed choice of images is taken."""


def analyse(work: Work) -> None:
    """Analyse the newest checkpoint of a run and put the result into its folder, all at once.

    Raises:
        DataError: where the images are gone, or there are none to test with.
    """

    steps = count(1)

    def step() -> None:
        work.beat(step=min(next(steps), total), total_steps=total)
        if work.stop.asked:
            raise Stopped

    trained = aecore.load(work.folder)
    config, total = trained.config, STEPS + trained.facts.n_train // CHUNK
    splits: dict[str, dict[str, np.ndarray]] = {}
    for split in SPLITS:
        if split != "val" or data.watch_split(config.data) == "val":
            loaded = data.load(config.data, split, work.lab.data_roots)
            places = (data.chosen if split == "train" else data.places_of_classes)(loaded, config.training)
            indices = some_of(places, max(1, CODES // (4 * int(np.prod(trained.model.code_shape)))))
            taken = loaded.take(indices)
            data.some(taken, split, config)
            splits[split] = _measured(trained, taken, step) | {"labels": taken.labels, "indices": indices}
            splits[split] |= {f"factor.{name}": values for name, values in taken.factors.items()}
    found, beside = _test_images(trained, work, step)
    judged = code_quality(trained, splits, work.lab.data_roots)
    found |= {"code": judged.figures, "code_pictures": judged.pictures}
    step()
    found |= factors_found(splits)
    arrays = splits | {"measures": beside.measures, "shown-test": beside.test, "shown-watched": beside.watched}
    work.folder.write_analysis(arrays, found | {"columns": beside.figures, "checkpoint": trained.checkpoint.name})
    work.end("completed", "Analysed.")


def figures(trained: Trained, roots: data.Roots) -> dict[str, Any]:
    """Metrics on the run's test images: {'test': mse, psnr, ssim, n}, and of two methods that need no network.

    Where the run has a task, 'test' has 'psnr_seen' and 'gain' too; where classes were left out of its training, there is
    'anomalies': their names, and how well the error of a test image tells that it is of one of them.

    Raises:
        DataError: where the images are gone, or there are none to test with.
    """
    config = trained.config
    train = data.choose(data.load(config.data, "train", roots), config.training).images
    test = data.of_classes(data.load(config.data, "test", roots), config.training)
    data.some(test, "test", config)
    train, targets = trained.wanted(train), trained.wanted(test.images)
    found = evaluate(trained.model, targets, trained.facts, trained.see(test.images), test.labels)
    compared = _compared(train, targets, fit(train, trained.code_bytes))
    return {"test": found, "baselines": compared} | _anomalies(trained, roots)


def _test_images(trained: Trained, work: Work, step: Callable[[], None]) -> tuple[dict[str, Any], Columns]:
    """`figures`, and what the Compare page shows beside simple methods."""
    config, roots, inputs = trained.config, work.lab.data_roots, work.folder.inputs()
    train = trained.wanted(data.choose(data.load(config.data, "train", roots), config.training).images)
    whole = data.load(config.data, "test", roots)
    indices = data.places_of_classes(whole, config.training)
    test, watched = whole.take(indices), None if inputs is None else inputs.images
    fitted = fit(train, trained.code_bytes)
    step()
    made = columns(trained, train, test, indices, fitted, watched, step)
    of_model = {name: value for name, value in made.figures[MODEL].items() if name in OF_TEST}
    return {"test": of_model, "baselines": _compared(train, trained.wanted(test.images), fitted)} | _anomalies(
        trained, roots
    ), made


def code_quality(trained: Trained, splits: dict[str, dict[str, np.ndarray]], roots: data.Roots) -> quality.Judged:
    """`quality.judged` of the codes of an analysis; for a model with a prior also 'prior_distance' of the test images, and for
    one with a posterior 'active_units', with 'kl_units' (nats each) among the pictures."""
    train, test = (quality.Labelled(splits[name]["codes"], splits[name]["labels"]) for name in ("train", "test"))
    figures, pictures = quality.judged(train, test)
    if not figures or not latent.has_prior(trained.model):
        return quality.Judged(figures, pictures)
    indices = some_of(splits["test"]["indices"], quality_words.ASKED)
    images = data.load(trained.config.data, "test", roots).images[indices]
    seen = trained.see(images)
    figures["prior_distance"] = quality.prior_distance(*latent.drawn_and_prior(trained.model, seen, trained.facts))
    if (units := latent.kl_of_units(trained.model, seen, trained.facts)) is not None:
        figures["active_units"] = float((units[1] > ACTIVE).sum())
        pictures["kl_units"] = units[0][: quality.LARGEST_COVARIANCE].tolist()
    return quality.Judged(figures, pictures)


def factors_found(splits: dict[str, dict[str, np.ndarray]]) -> dict[str, Any]:
    """{'disentanglement': ...} of the test codes of an analysis, {} where no factors of the images are known."""
    train, test = (
        Known(splits[name]["codes"], {k.removeprefix("factor."): v for k, v in splits[name].items() if "factor." in k})
        for name in ("train", "test")
    )
    found = disentanglement(train, test)
    return {"disentanglement": found} if found else {}


def _anomalies(trained: Trained, roots: data.Roots) -> dict[str, Any]:
    """{'anomalies': ...} of the whole test split, {} where the run was trained on all classes, or the decoder is told the label: what
    it does with one that it never met is chance."""
    split, known = data.load(trained.config.data, "test", roots), trained.config.training.classes
    left_out = [name for name in split.class_names if known and name not in known]
    strange = np.isin(split.labels, [split.class_names.index(name) for name in left_out])
    if trained.model.decoder.labels or strange.all() or not strange.any():
        return {}
    errors = _measured(trained, split, lambda: None)["errors"]
    return {"anomalies": {"left_out": left_out, **anomalies.detection(errors, strange)}}


def some_of(indices: np.ndarray, most: int) -> np.ndarray:
    """At most so many of them, always the same ones, in order; not the first ones: a folder of classes is sorted by them."""
    if len(indices) <= most:
        return indices
    return np.sort(np.random.default_rng(0).choice(indices, most, replace=False))


def _compared(train: np.ndarray, test: np.ndarray, fitted: PCA) -> dict[str, Any]:
    """What two methods that need no network reach on the test images, with as many numbers as a code has bytes."""
    mean = baselines.mean_of(train)
    return {
        "mean_image": baselines.reached(lambda images: np.broadcast_to(mean, images.shape), test),
        "pca": {
            **baselines.reached(partial(baselines.pca_of, fitted), test),
            "components": len(fitted.components),
        },
    }


def _measured(trained: Trained, split: data.Split, step: Callable[[], None]) -> dict[str, np.ndarray]:
    codes, errors, seen, targets = [], [], trained.see(split.images), trained.wanted(split.images)
    for begin in range(0, len(seen), CHUNK):
        part = slice(begin, begin + CHUNK)
        codes.append(trained.encode(seen[part]))
        errors.append(reconstruction.mse(targets[part], trained.decode(codes[-1], split.labels[part])))
        step()
    return {"codes": np.concatenate(codes), "errors": np.concatenate(errors).astype(np.float32)}
