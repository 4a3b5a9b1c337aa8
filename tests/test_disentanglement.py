"""Disentanglement scores: 1 for a code that is the factors, chance for one that knows nothing, and by hand in between."""

import math

import numpy as np
import pytest

from aecore.analysis.disentanglement import (
    Known,
    binned,
    concentration,
    disentanglement,
    entropy,
    gap,
    mutual_information,
    separability,
)
from aecore.jobs.analyse import factors_found

SCORES = ("mig", "sap", "dci_disentanglement", "dci_completeness", "dci_informativeness", "factor_vae_score")


def factors(n: int, seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {"x": random.uniform(-1, 1, n), "y": random.uniform(0, 5, n), "class": random.integers(3, size=n)}


def known(codes: np.ndarray, of: dict[str, np.ndarray]) -> Known:
    return Known(codes.astype(np.float32), of)


def as_code(of: dict[str, np.ndarray]) -> np.ndarray:
    """The factors themselves, in another order and scale."""
    return np.stack([3 * of["y"], of["class"], -of["x"]], 1)


def test_a_code_that_is_the_factors_scores_one():
    train, test = factors(3000, 0), factors(3000, 1)
    found = disentanglement(known(as_code(train), train), known(as_code(test), test))
    assert found["mig"] == pytest.approx(1, abs=0.04)  # of so many images a second unit seems to know a little
    assert found["sap"] > 0.6  # one line cannot tell the class in the middle
    for score in SCORES[2:]:
        assert found[score] == pytest.approx(1, abs=0.06), score  # a forest uses other units a little, too
    assert [found["factors"][name]["unit"] for name in ("x", "y", "class")] == [3, 1, 2]


def test_a_code_that_knows_nothing_scores_zero_or_chance():
    train, test = factors(3000, 0), factors(3000, 1)
    codes = np.random.default_rng(2).normal(size=(2, 3000, 3))
    found = disentanglement(known(codes[0], train), known(codes[1], test))
    assert found["mig"] < 0.01
    assert found["sap"] < 0.03
    assert found["dci_disentanglement"] < 0.05
    assert found["dci_completeness"] < 0.05
    assert found["dci_informativeness"] < 0.15  # a third of the classes is right by chance
    assert found["factor_vae_score"] == pytest.approx(1 / 3, abs=0.1)


def test_a_rotated_code_keeps_its_information_and_loses_its_axes():
    train, test = factors(3000, 0), factors(3000, 1)
    for of in (train, test):
        del of["class"]
    turn = np.array([[1, 1], [-1, 1]]) / math.sqrt(2)
    codes = [np.stack([of["x"], of["y"] / 2.5 - 1], 1) @ turn for of in (train, test)]
    found = disentanglement(known(codes[0], train), known(codes[1], test))
    assert found["dci_informativeness"] > 0.95
    assert found["mig"] < 0.05
    assert found["dci_disentanglement"] < 0.1


def test_information_is_that_of_a_table_by_hand():
    code = np.array([0.0, 0, 1, 1])
    of = {"same": np.array([0, 0, 1, 1]), "half": np.array([0, 1, 1, 1])}
    shared = mutual_information(Known(np.stack([code, code * 0], 1), of))
    half = entropy(of["half"]) - 0.5 * math.log(2)
    assert shared == pytest.approx(np.array([[math.log(2), 0], [half, 0]]))
    assert gap(shared) == pytest.approx([math.log(2), half])


def test_separability_of_a_number_is_its_squared_correlation():
    x = np.array([0.0, 1, 2, 3])
    units = np.stack([-2 * x, np.array([0.0, 1, 0, 1])], 1)
    correlation = np.corrcoef(x, units[:, 1])[0, 1]
    assert separability(Known(units, {"x": x})) == pytest.approx(np.array([[1, correlation**2]]))


def test_concentration_is_one_less_the_entropy_of_the_shares():
    shared = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    found = concentration(shared)
    assert found["dci_disentanglement"] == pytest.approx((1 + 1 + 2 * 0) / 4)
    assert found["dci_completeness"] == pytest.approx(1 - math.log(2) / math.log(3))


def test_numbers_are_cut_into_equally_filled_steps_and_categories_stay():
    assert np.bincount(binned(np.random.default_rng(0).normal(size=1000))).tolist() == [50] * 20
    assert binned(np.arange(100)).tolist() == list(range(100))


def test_there_is_nothing_to_tell_of_one_unit_or_without_factors():
    of = factors(200, 0)
    assert disentanglement(known(of["x"][:, None], of), known(of["x"][:, None], of)) == {}
    assert disentanglement(known(as_code(of), {}), known(as_code(of), {})) == {}


def test_an_analysis_scores_the_factors_that_it_kept_and_says_nothing_where_there_are_none():
    train, test = factors(500, 0), factors(500, 1)
    kept = {
        name: {"codes": as_code(of), "labels": of["class"]} | {f"factor.{k}": v for k, v in of.items()}
        for name, of in (("train", train), ("test", test))
    }
    assert factors_found(kept)["disentanglement"]["mig"] > 0.8
    assert factors_found({name: {"codes": part["codes"]} for name, part in kept.items()}) == {}


def test_a_code_that_is_the_same_for_every_image_scores_zero_or_chance():
    train, test, code = factors(3000, 0), factors(3000, 1), np.full((3000, 16), 0.25)
    found = disentanglement(known(code, train), known(code, test))
    for score in ("mig", "sap", "dci_disentanglement", "dci_completeness"):
        assert found[score] == pytest.approx(0, abs=1e-9), score
    assert found["dci_informativeness"] < 0.15
    assert found["factor_vae_score"] == pytest.approx(1 / 3, abs=0.1)
