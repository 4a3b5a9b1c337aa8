"""What the codes of the watched split tell: units in use, and what each costs."""

import math

import numpy as np
import pytest
import torch

from aecore.config import Facts, parse
from aecore.models import Output
from aecore.training import Data, start, train
from aecore.training.codes import MOST_UNITS, Codes

FACTS = Facts((1, 4, 4), (0, 1), 20, ("a",))


def output(mu: torch.Tensor, log_var: torch.Tensor) -> Output:
    empty = torch.zeros(len(mu), 1, 4, 4)
    return Output(empty, mu, empty, mu, log_var)


def test_a_unit_is_active_where_its_means_vary_and_its_kl_is_the_mean_over_all_batches():
    codes = Codes()
    for _ in range(4):
        codes.add(output(torch.tensor([[1.0, 5.0], [-1.0, 5.1]]), torch.zeros(2, 2)))
        codes.add(output(torch.tensor([[1.0, 5.0]]), torch.full((1, 2), math.log(2))))
    kl_of_variance_two = 0.5 * (2 - 1 - math.log(2))
    assert codes.figures() == pytest.approx(
        {  # the variance of 5, 5.1 and 5 is 0.0022
            "active_units": 1,
            "kl_dim_1": 0.5 + kl_of_variance_two / 3,
            "kl_dim_2": (25 / 2 + 5.1**2 / 2 + 25 / 2 + kl_of_variance_two) / 3,
        },
        rel=1e-5,
    )


def test_of_a_long_code_only_the_number_of_active_units_is_told():
    codes = Codes()
    codes.add(output(torch.arange(10.0)[:, None].expand(10, MOST_UNITS + 1), torch.zeros(10, MOST_UNITS + 1)))
    assert codes.figures() == {"active_units": MOST_UNITS + 1}


def test_too_few_images_tell_nothing_of_units_and_of_codes_that_are_not_used():
    codes = Codes()
    codes.add(output(torch.ones(1, 2), torch.zeros(1, 2)))
    assert set(codes.figures()) == {"kl_dim_1", "kl_dim_2"}
    for places, names in ((3, {"perplexity"}), (4, {"perplexity", "code_use"})):
        codes, empty = Codes(), torch.zeros(1, 1, 4, 4)
        codes.add(Output(empty, empty, empty, usage=torch.tensor([places, 0, 0, 0])))
        assert set(codes.figures()) == names


def test_a_gaussian_run_tells_them_of_the_watched_split_and_minimises_none():
    config = parse(
        {
            "model": {
                "backbone": {"kind": "dense", "widths": [5]},
                "bottleneck": {"kind": "gaussian", "latent_dim": 2},
                "objective": {"kind": "elbo", "beta": 0.5},
            },
            "training": {"epochs": 1, "device": "cpu"},
        }
    )
    images, labels = torch.randint(0, 256, (20, 1, 4, 4), dtype=torch.uint8), torch.zeros(20, dtype=torch.int64)
    data = Data(images, labels, images, labels, np.arange(20), "val", FACTS)
    rows = [row for row in train(start(config, FACTS, 1), data, config) if row is not None]
    last = {row.name: row.value for row in rows if row.split == "val"}
    assert 0.5 * (last["kl_dim_1"] + last["kl_dim_2"]) == pytest.approx(last["kl"], rel=1e-5)
    assert last["active_units"] in (0, 1, 2)
    assert last["loss"] == pytest.approx(last["reconstruction"] + last["kl"], rel=1e-5)
    assert {row.name for row in rows if row.split == "train"} == {"loss", "reconstruction", "kl", "learning_rate"}
