"""One seed, many independent streams of random numbers."""

import numpy as np
import torch

from aecore.models.noise import Noise

STREAMS = {"weights": 0, "noise": 1, "order": 2, "watch": 3}


def seeded(seed: int, stream: str, number: int = 0, device: str | torch.device = "cpu") -> Noise:
    """A generator for a stream of `seed`: 'weights', 'noise', 'order' (a number an epoch), 'watch'."""
    noise = Noise(device)
    noise.manual_seed(state_of(seed, stream, number))
    return noise


def state_of(seed: int, stream: str, number: int = 0) -> int:
    """64 bits from the seed and the stream's name. numpy promises that a SeedSequence never changes."""
    return int(np.random.SeedSequence((seed, STREAMS[stream], number)).generate_state(1, np.uint64)[0])
