"""How good codes are, on codes of which one knows it."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from aecore import load
from aecore.analysis import quality
from aecore.analysis.latent import drawn_and_prior
from aecore.analysis.quality import Labelled
from aecore.jobs.analyse import code_quality, some_of
from aecore.jobs.foreground import train_here
from aecore.runs import Lab
from tests.conftest import TrainedRun, tiny


def clouds(n: int, apart: float, seed: int = 0) -> Labelled:
    """Three clouds of n standard normal codes of 4 numbers, `apart` from each other along the axes."""
    labels = np.repeat(np.arange(3), n)
    codes = np.random.default_rng(seed).standard_normal((3 * n, 4)) + apart * np.eye(4)[labels]
    return Labelled(codes.astype(np.float32), labels)


def test_clouds_far_apart_are_told_by_every_measure() -> None:
    found = quality.judged(clouds(60, 50.0), clouds(40, 50.0, seed=1)).figures
    assert [found[name] for name in ("probe_accuracy", "knn_accuracy", "nmi", "ari")] == [1, 1, 1, 1]
    assert found["majority"] == pytest.approx(1 / 3)
    assert found["silhouette"] > 0.9
    assert found["n"] == 120


def test_what_is_taken_for_what_is_counted_by_label() -> None:
    found = quality.judged(clouds(60, 50.0), clouds(40, 50.0, seed=1)).pictures
    assert found["labels"] == [0, 1, 2]
    assert found["probe"] == found["knn"] == np.diag([40, 40, 40]).tolist()
    assert sorted(max(row) for row in found["clusters"]) == [40, 40, 40]
    assert min(found["silhouettes"]) > 0.9
    assert quality.judged(clouds(60, 0.0), Labelled(np.zeros((3, 4)), np.full(3, -1))).pictures == {}


def test_some_of_many_images_are_of_all_of_them_and_not_the_first_ones() -> None:
    indices = np.arange(6300)
    chosen = some_of(indices, quality.ASKED)
    assert len(np.unique(chosen)) == quality.ASKED
    assert (np.diff(chosen) > 0).all()
    assert np.bincount(chosen // 2100).min() > 600, "of each of three classes that follow each other"
    np.testing.assert_array_equal(chosen, some_of(indices, quality.ASKED))
    assert some_of(indices, 6300) is indices


def test_codes_that_know_nothing_of_the_labels_are_no_better_than_guessing() -> None:
    found = quality.judged(clouds(400, 0.0), clouds(400, 0.0, seed=1)).figures
    assert found["probe_accuracy"] == pytest.approx(1 / 3, abs=0.06)
    assert found["knn_accuracy"] == pytest.approx(1 / 3, abs=0.06)
    assert found["nmi"] == pytest.approx(0, abs=0.02)
    assert found["ari"] == pytest.approx(0, abs=0.02)
    assert found["silhouette"] == pytest.approx(0, abs=0.02)


def test_codes_of_more_numbers_than_images_are_told_in_the_space_that_they_span() -> None:
    train, test = np.random.default_rng(0).standard_normal((2, 40, 300))
    train, test = 5 + train @ np.diag(np.arange(300)), 5 + test @ np.diag(np.arange(300))
    few, asked = quality.in_span(train, test)
    assert few.shape == asked.shape == (40, 40)
    np.testing.assert_allclose(few @ few.T, train @ train.T, rtol=1e-9)
    np.testing.assert_allclose(asked @ few.T, test @ train.T, rtol=1e-7, atol=1e-3)
    away = [((a[:, None] - b[None]) ** 2).sum(2) for a, b in ((test, train), (asked, few))]
    lost = away[0] - away[1]  # what of a code lies outside is equally far from all
    np.testing.assert_allclose(lost, np.broadcast_to(lost[:, :1], lost.shape), rtol=1e-6)
    labels = np.arange(40) % 2
    told = [
        LogisticRegression(tol=1e-10, max_iter=5000).fit(a, labels).decision_function(b)
        for a, b in ((train, test), (few, asked))
    ]
    np.testing.assert_allclose(*told, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(quality.in_span(train[:, :9], test[:, :9])[1], test[:, :9])
    np.testing.assert_array_equal(quality.in_span(train * 0, test)[1], test)


def test_a_flipped_square_has_two_dimensions_and_a_line_one() -> None:
    square = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]], np.float32)
    assert quality.of_dimensions(square) == {"used_dimensions": 2, "effective_dimension": 2, "correlation": 0}
    line = np.array([[1, 2, 0], [2, 4, 0], [3, 6, 0]], np.float32)
    found = quality.of_dimensions(line)
    assert found["used_dimensions"] == 2
    assert found["effective_dimension"] == pytest.approx(1)
    assert found["correlation"] == pytest.approx(1)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_which_units_are_used_does_not_depend_on_the_scale_of_the_code(scale: float) -> None:
    codes = np.random.default_rng(0).normal(size=(200, 6)) * [1, 0.1, 0.01, 1e-4, 0, 1]
    codes[:, 4] = 0.7
    assert quality.of_dimensions((scale * codes).astype(np.float32))["used_dimensions"] == 4


def test_codes_that_are_all_equal_use_no_unit() -> None:
    assert quality.of_dimensions(np.full((99, 3), 0.1, np.float32))["used_dimensions"] == 0


def test_eigenvalues_3_and_1_are_one_and_six_tenths_dimensions() -> None:
    codes = np.array([[3, 0], [-3, 0], [0, 1], [0, -1]]) * np.sqrt([1 / 3, 1])
    assert quality.of_dimensions(codes)["effective_dimension"] == pytest.approx(16 / 10)


def test_the_distance_from_the_prior_is_0_for_equal_codes_and_1_for_codes_that_do_not_overlap() -> None:
    codes = np.random.default_rng(0).standard_normal((50, 3))
    assert quality.prior_distance(codes, codes) == 0
    assert quality.prior_distance(codes, codes + 100) == 1
    assert quality.prior_distance(codes, codes + np.array([0, 0, 100])) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("codes", "labels", "names"),
    [
        (np.zeros((30, 2)), np.arange(30) % 3, {"used_dimensions", "n", "knn_accuracy", "ari"}),
        (np.full((30, 2), np.nan), np.arange(30) % 3, set()),
        (np.random.default_rng(0).random((30, 1)), np.full(30, -1), {"used_dimensions", "effective_dimension", "n"}),
        (np.random.default_rng(0).random((30, 2)), np.full(30, 4), {"used_dimensions", "effective_dimension", "n"}),
        (np.random.default_rng(0).random((200, 1)), np.arange(200), {"silhouette", "n", "nmi"}),
    ],
    ids=["all equal", "diverged", "no labels", "one label", "a label each"],
)
@pytest.mark.filterwarnings("ignore")  # scikit-learn is right to wonder
def test_strange_codes_have_the_figures_that_make_sense(codes: np.ndarray, labels: np.ndarray, names: set[str]) -> None:
    found = quality.judged(Labelled(codes, labels), Labelled(codes, labels)).figures
    assert names <= set(found)
    assert bool(found) == bool(names)
    assert ("knn_accuracy" in found) == (len(np.unique(labels)) > 1 and bool(names))
    assert all(np.isfinite(value) for value in found.values())


def test_every_analysed_run_has_them(trained_run: TrainedRun) -> None:
    found = (trained_run.folder.analysis_metrics() or {})["code"]
    train, test = (trained_run.folder.analysis(split) or {} for split in ("train", "test"))
    again = quality.judged(*(Labelled(part["codes"], part["labels"]) for part in (train, test))).figures
    assert found == again
    assert found["knn_accuracy"] > 2 * found["majority"]
    assert "prior_distance" not in found


def test_a_model_with_a_prior_is_held_against_it(lab: Lab) -> None:
    run = train_here(
        lab, tiny(model__bottleneck__kind="gaussian", model__objective__kind="elbo", training__epochs=1), "ada"
    )
    folder = lab.run(run)
    found = (folder.analysis_metrics() or {})["code"]
    assert 0 < found["prior_distance"] < 0.5
    trained, analysed = load(folder), {split: folder.analysis(split) or {} for split in ("train", "test")}
    again = code_quality(trained, analysed, lab.data_roots)
    assert again.figures == found, "the same each time"
    assert len(again.pictures["kl_units"]) == 2
    assert found["active_units"] == sum(np.var((analysed["test"]["codes"])[:2000], axis=0) > 0.01)
    images = np.zeros((5, 1, 8, 8), np.uint8)
    drawn, prior = drawn_and_prior(trained.model, images, trained.facts)
    assert drawn.shape == prior.shape == (5, 2)
    assert not np.array_equal(drawn[0], drawn[1]), "drawn, not the mean"
