"""What a run will take of a GPU, told without one."""

from math import prod

import pytest
import torch

from aecore.config import preset, with_values
from aecore.data import facts
from aecore.training import device as devices
from aecore.training import memory


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "choose", lambda name: torch.device("cuda"))


def test_a_gpu_evaluates_many_images_at_once_and_never_more_than_are_watched(gpu: None) -> None:
    config = with_values(preset("linear-pca").config, {"training.subset": 100})  # of which 1,000 are watched
    told = memory.estimate(config, facts(config.data, []))
    assert told.activations == 4 * 1000 * (784 + 784 + 4 * 784)
    assert told.parameters == 2 * told.gradients, "dense weights lie there twice"


def test_on_a_gpu_the_largest_convolution_works_in_copies_of_what_goes_in_and_comes_out(
    gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = preset("colourise").config
    there = memory.estimate(config, facts(config.data, []))
    monkeypatch.setattr(memory, "COPIES", 0)
    without = memory.estimate(config, facts(config.data, []))
    largest = prod((3, 32, 32)) + prod((64, 32, 32))
    assert there.activations - without.activations == 4 * 128 * 3 * largest
    assert there.total - without.total == there.activations - without.activations
