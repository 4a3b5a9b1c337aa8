"""What models are said to do, measured on real trainings, with a picture each in docs/pictures.

    python -m benchmarks.behaviour samples --seed 1     new digits of a variational autoencoder with 16 code units
    python -m benchmarks.behaviour factors     a beta-TC-VAE and a plain autoencoder on shapes: does a unit stand for a factor?
    python -m benchmarks.behaviour swap        twos decoded as sevens and back: what is exchanged, what is kept
    python -m benchmarks.behaviour denoise     digits out of Gaussian noise of sigma 0.5: the gain in dB
    python -m benchmarks.behaviour codes       how many of 512 codes VQ and FSQ use
    python -m benchmarks.behaviour waves       an LSTM on sequences, in both orders of writing, against PCA

Trained on the CPU, on one thread, for minutes. MNIST is found through AELAB_DATA.
"""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression, Ridge

from aecore import training
from aecore.analysis.baselines import fit_images, pca_of, reached
from aecore.analysis.codebook import use
from aecore.analysis.disentanglement import Known, disentanglement
from aecore.analysis.evaluation import evaluate
from aecore.analysis.generation import agreement
from aecore.analysis.latent import decode, encode
from aecore.analysis.seen import seen
from aecore.config import Facts, RunConfig, override, preset
from aecore.data import Split, choose, load, of_classes, to_image
from aecore.models import Autoencoder
from aecore.runs import Lab

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
SMALL = ["data.size=16", "model.backbone.channels=16,32", "model.backbone.hidden=128", "training.learning_rate=0.003"]
SAMPLES = [
    "model.bottleneck.latent_dim=16",
    "model.objective.beta=3",
    "training.epochs=20",
    "training.learning_rate=0.002",
    "training.schedule=cosine",
]
TC = [*SMALL, "training.epochs=12", "training.batch_size=128", "model.objective.beta=3"]
PLAIN = [*TC[:-1], "model.bottleneck.kind=vector", "model.objective.kind=reconstruction", "model.objective.loss=bce"]
CODES = ["training.epochs=1"]
POSE = ("rotation", "slant", "thickness", "scale", "x", "y")
"""Factors of a glyph that a swap should keep."""


def configured(name: str, changes: list[str]) -> RunConfig:
    return override(preset(name).config, [*changes, "training.device=cpu"])


def trained(config: RunConfig) -> Autoencoder:
    """A trained model, on the CPU whatever it was trained on."""
    data = training.prepare(config, Lab.open().data_roots, training.device.choose(config.training.device))
    state = training.start(config, data.facts, 1)
    for _ in training.train(state, data, config):
        pass
    return state.model.cpu().eval()


def facts_of(config: RunConfig) -> Facts:
    from aecore.data import facts

    return facts(config.data, Lab.open().data_roots)


def samples(model: Autoencoder, config: RunConfig) -> None:
    """How many of 500 new images, and of 1,000 real ones, have 4 of 5 nearest training images of one label."""
    roots, facts = Lab.open().data_roots, facts_of(config)
    train, test = load(config.data, "train", roots), load(config.data, "test", roots)
    with model.evaluating():
        chance = torch.Generator().manual_seed(config.training.seed)
        new = to_image(model.sample(500, chance), facts.value_range).numpy()
    shares = [agreement(images, train.images, train.labels).mean() for images in (new, test.images[:1000])]
    print(
        f"4 of the 5 nearest training images agree: {shares[0]:.1%} of new images, {shares[1]:.1%} of real test images"
    )
    if config.training.seed == 0:  # the picture in the docs
        keep(new[:80].reshape(5, 16, *facts.shape), "prior-samples", 2)


def factors(model: Autoencoder, config: RunConfig, name: str) -> None:
    """The scores, and a traversal: a row a unit, from -2 to 2, the others as they are for one image."""
    roots, facts = Lab.open().data_roots, facts_of(config)
    train, test = (load(config.data, split, roots) for split in ("train", "test"))  # type: ignore[arg-type]
    known = [Known(encode(model, part.images, facts), {**part.factors, "shape": part.labels}) for part in (train, test)]
    found = disentanglement(*known)
    print(name, {key: round(value, 3) for key, value in found.items() if key not in ("factors", "n")})
    print(name, {key: (round(one["mig"], 3), one["unit"]) for key, one in found["factors"].items()})
    codes = known[1].codes
    steps = np.linspace(-2, 2, 9)[:, None] * codes.std(0) + codes.mean(0)  # (9, D)
    rows = np.repeat(codes[0][None, None], len(steps), 1).repeat(codes.shape[1], 0)  # (D, 9, D)
    for unit in range(codes.shape[1]):
        rows[unit, :, unit] = steps[:, unit]
    pictures = decode(model, rows.reshape(-1, codes.shape[1]), facts).reshape(*rows.shape[:2], *facts.shape)
    keep(pictures, f"traversal-{name}", 3)


def swap(model: Autoencoder, config: RunConfig) -> None:
    """Codes of one digit decoded as the other: which of the two is it now, and is its pose that of the image it came from?

    The digit is told by a logistic regression on the pixels, each factor of the pose by a ridge regression for each digit, all
    fitted to real training images. What they say of real test images and of reconstructions stands beside.
    """
    roots, facts = Lab.open().data_roots, facts_of(config)
    train = choose(load(config.data, "train", roots), config.training)
    test = of_classes(load(config.data, "test", roots), config.training)
    first, second = np.unique(test.labels)
    other = np.where(test.labels == first, second, first)
    codes = encode(model, test.images, facts)
    own, exchanged = (decode(model, codes, facts, labels) for labels in (test.labels, other))
    judge = LogisticRegression(C=0.1, max_iter=300).fit(pixels(train.images), train.labels)
    for name, images, labels in (
        ("real images", test.images, test.labels),
        ("reconstructions", own, test.labels),
        ("exchanged", exchanged, other),
    ):
        print(f"{name}: {np.mean(judge.predict(pixels(images)) == labels):.1%} are the digit that they should be")
        for factor in POSE:
            print(f"    {factor}: correlation {agrees(train, factor, images, labels, test.factors[factor]):.2f}")
    rows = [images[test.labels == which][:16] for which in (first, second) for images in (test.images, exchanged)]
    keep(np.stack(rows), "swap", 2)


def denoise(model: Autoencoder, config: RunConfig) -> None:
    """By how much the test images come out above what the encoder sees of them."""
    facts, test = facts_of(config), load(config.data, "test", Lab.open().data_roots)
    found = evaluate(model, test.images, facts, seen(config, test.images, facts))
    print({name: round(value, 4) for name, value in found.items()})


def book(model: Autoencoder, config: RunConfig, name: str) -> None:
    """How many of the codes the test images take, and the error that is left."""
    facts, images = facts_of(config), load(config.data, "test", Lab.open().data_roots).images
    found = use(model, encode(model, images, facts))
    share, error = found.used / len(found.counts), evaluate(model, images, facts)["mse"]
    print(
        f"{name}: {found.used} of {len(found.counts)} codes ({share:.1%}), perplexity {found.perplexity:.0f}, test MSE {error:.5f}"
    )


def waves(model: Autoencoder, config: RunConfig) -> None:
    """The error of the test sequences beside that of principal components as many as the code has numbers."""
    facts, roots = facts_of(config), Lab.open().data_roots
    train, test = load(config.data, "train", roots).images, load(config.data, "test", roots).images
    fitted = fit_images(train, model.code_shape[0])
    pca = reached(partial(pca_of, fitted), test)["mse"]
    print(f"test MSE {evaluate(model, test, facts)['mse']:.5f}, PCA {pca:.5f}")


def agrees(train: Split, factor: str, images: np.ndarray, labels: np.ndarray, known: np.ndarray) -> float:
    """Correlation of a factor as it is read from images of these labels with what it is known to be, mean over the labels."""
    found = []
    for label in np.unique(labels):
        mine, learnt = labels == label, train.labels == label
        reader = Ridge(10.0).fit(pixels(train.images[learnt]), train.factors[factor][learnt])
        found.append(np.corrcoef(reader.predict(pixels(images[mine])), known[mine])[0, 1])
    return float(np.mean(found))


def pixels(images: np.ndarray) -> np.ndarray:
    """(N, C, H, W) uint8 -> (N, C H W) in [0,1]."""
    flat: np.ndarray = images.reshape(len(images), -1) / 255
    return flat


def keep(pictures: np.ndarray, name: str, scale: int) -> None:
    """Rows of pictures (rows, columns, C, H, W), enlarged without smoothing."""
    rows, columns, channels, height, width = pictures.shape
    wall = pictures.transpose(0, 3, 1, 4, 2).reshape(rows * height, columns * width, channels)
    image = Image.fromarray(wall[:, :, 0] if channels == 1 else wall)
    image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST).save(PICTURES / f"{name}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["samples", "factors", "swap", "denoise", "codes", "waves"])
    parser.add_argument("--seed", type=int, default=0)
    torch.set_num_threads(1)
    asked = parser.parse_args()
    cases: dict[str, list[tuple[str, list[str], Any]]] = {
        "samples": [("vae-2", SAMPLES, samples)],
        "factors": [
            ("beta-tc-vae", TC, lambda model, config: factors(model, config, "beta-tc-vae")),
            ("beta-tc-vae", PLAIN, lambda model, config: factors(model, config, "plain")),
        ],
        "swap": [("swap", [], swap)],
        "waves": [("lstm-waves", [f"model.backbone.reverse={one}"], waves) for one in ("true", "false")],
        "denoise": [("denoise-mnist", ["training.epochs=6"], denoise)],
        "codes": [
            ("vq-vae", CODES, lambda model, config: book(model, config, "VQ")),
            ("fsq", CODES, lambda model, config: book(model, config, "FSQ")),
        ],
    }
    for name, changes, measure in cases[asked.what]:
        changes = [*changes, f"training.seed={asked.seed}"]
        config = configured(name, changes)
        print("python -m aecore train --preset", name, *(f"--set {change}" for change in changes), file=sys.stderr)
        measure(trained(config), config)


if __name__ == "__main__":
    main()
