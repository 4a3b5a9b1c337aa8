"""Waves that pass a row of sensors: sequences of several numbers a step, whose factors are known.

A sequence of T steps of F numbers is kept as an image (1, F, T): time runs from left to right, a row is a sensor. So every
page shows it as a strip, and a recurrent backbone reads it by columns. 8 bits are enough: their error (a standard deviation
of 0.0023 on [-1,1]) is far below the noise.
"""

from typing import Literal

import numpy as np

from aecore.config import ConfigError, DataConfig
from aecore.data.base import Dataset, Described, Roots, Split
from aecore.data.cache import cached, generated

VERSION = 1  # of the drawing: a change of it is a new cache
N_TRAIN, N_TEST = 20_000, 4_000
SENSORS, STEPS, FEWEST = 16, 48, 16
KINDS = ("sine", "square", "sawtooth", "chirp")


def draw(steps: int, n: int, seed: int, part: int) -> Split:
    """`n` sequences (n, 1, SENSORS, steps), as many of each kind; the same for the same arguments.

    Frequency in cycles of the whole sequence (of a chirp it rises from 0.4 to 1.6 times that), phase in degrees, delay in
    degrees from one sensor to the next, amplitude and standard deviation of the noise on a scale from -1 (black) to 1 (white).
    """
    random = np.random.default_rng([VERSION, seed, part])
    labels = random.permutation(np.arange(n) % len(KINDS))
    factors = {
        "frequency": random.uniform(1, 4, n),
        "phase": random.uniform(0, 360, n),
        "delay": random.uniform(-30, 30, n),
        "amplitude": random.uniform(0.25, 0.85, n),
        "noise": random.uniform(0, 0.1, n),
    }
    values = clean(labels, factors, steps)
    values += factors["noise"].astype(np.float32)[:, None, None] * random.standard_normal(values.shape, np.float32)
    images = np.rint(127.5 + 127.5 * values.clip(-1, 1)).astype(np.uint8)
    return Split(images[:, None], labels, KINDS, factors)


def clean(labels: np.ndarray, factors: dict[str, np.ndarray], steps: int) -> np.ndarray:
    """(n, SENSORS, steps) float32 in [-1, 1]: the waves without their noise."""
    parts = {name: values.astype(np.float32)[:, None, None] for name, values in factors.items()}
    time, sensor = np.arange(steps, dtype=np.float32) / steps, np.arange(SENSORS, dtype=np.float32)[:, None]
    passed = np.where((labels == KINDS.index("chirp"))[:, None, None], (0.4 + 0.6 * time) * time, time)
    turns = parts["frequency"] * passed + (parts["phase"] + sensor * parts["delay"]) / 360
    wave = np.sin(2 * np.pi * turns)
    square, sawtooth = labels == KINDS.index("square"), labels == KINDS.index("sawtooth")
    wave[square] = np.sign(wave[square])
    wave[sawtooth] = 2 * (turns[sawtooth] % 1) - 1
    return np.asarray(parts["amplitude"] * wave, np.float32)


def describe(config: DataConfig, roots: Roots) -> Described:
    """`data.size` is the number of steps. Raises ConfigError where there are too few, or for colour."""
    steps = config.size or STEPS
    if steps < FEWEST:
        sentence = f"data.size is {steps}, but of the data set 'waves' it is the number of steps: at least {FEWEST}."
        raise ConfigError({"data.size": sentence})
    if config.colour == "rgb":
        sentence = "data.colour is 'rgb', but the data set 'waves' holds sequences, which have no colour: use 'own'."
        raise ConfigError({"data.colour": sentence})
    return Described((1, SENSORS, steps), N_TRAIN, N_TEST, KINDS)


def read(config: DataConfig, roots: Roots, split: Literal["train", "test"]) -> Split:
    steps = describe(config, roots).shape[2]
    n, part = (N_TRAIN, 0) if split == "train" else (N_TEST, 1)
    folder = generated(roots, f"waves-{steps}-seed{config.seed}-{split}-v{VERSION}")
    return cached(folder, lambda: draw(steps, n, config.seed, part))


WAVES = Dataset(
    name="waves",
    title="Waves",
    help="24,000 sequences of 48 steps: sines, squares, sawteeth and chirps that pass sixteen sensors; all of that is known. No download.",
    kind="generated",
    read=read,
    describe=describe,
    shape=(1, SENSORS, STEPS),
    n_train=N_TRAIN,
    n_test=N_TEST,
    class_names=KINDS,
    sequence=True,
)
