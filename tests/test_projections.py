"""Maps of codes: neighbours, t-SNE and UMAP, how much they keep, and the job that makes them."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from aecore.analysis import layouts
from aecore.analysis.neighbours import Nearest, agreement, among, nearest, nearest_one, placed, smallest
from aecore.analysis.strata import stratified
from aecore.analysis.trust import trust
from aecore.analysis.trust import trustworthiness as ours
from aecore.config import ConfigError
from aecore.config.projection import (
    SurroundingsConfig,
    TsneConfig,
    UmapConfig,
    key_of,
    parse_projection,
)
from aecore.jobs import project, queue, states, trainer
from aecore.jobs.work import Stop
from aecore.runs import projections
from tests.conftest import TrainedRun


def clouds(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three clouds of n codes of 5 numbers, far apart, and which is whose."""
    labels = np.repeat(np.arange(3), n)
    codes = np.random.default_rng(seed).standard_normal((3 * n, 5)) + 30 * np.eye(5)[labels]
    return codes.astype(np.float32), labels


def make(copy: TrainedRun, *configs: projections.AnyProjection, stop: Stop | None = None) -> queue.Job:
    """Ask for maps and do the job that makes them, in this process."""
    for config in configs:
        projections.ask(copy.folder, config)
    job = queue.submit_job(copy.lab, copy.id, "project", "ada", engine="foreground")
    states.move(copy.lab, job, "starting", by="ada")
    trainer.work_on(copy.lab, job, stop or Stop(), 1)
    return queue.job(copy.lab, job)


def test_the_nearest_are_those_of_scikit_learn_and_nobody_is_its_own() -> None:
    codes = np.random.default_rng(0).standard_normal((400, 7)).astype(np.float32) + 1000
    distances, indices = NearestNeighbors(n_neighbors=6, algorithm="brute").fit(codes.astype(float)).kneighbors()
    found = nearest(codes, codes, 6, same=True)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-3)
    assert nearest(codes, codes, 400).indices.shape == (400, 400)
    few, many = nearest(codes, codes[:3], 5), nearest(codes, codes[:20], 5)
    np.testing.assert_array_equal(few.indices, many.indices[:3])
    np.testing.assert_allclose(few.distances, many.distances[:3], rtol=1e-4)
    with pytest.raises(ValueError, match="only 399 other codes"):
        nearest(codes, codes, 400, same=True)


def test_the_nearest_of_one_code_are_exact_among_very_many_that_lie_close_together() -> None:
    random = np.random.default_rng(0)
    codes = np.concatenate([random.normal(50, 1e-3, (600, 4)), random.normal(0, 100, (200, 4))]).astype(np.float32)
    known = among(np.concatenate([codes, codes[:300]]))
    away = np.linalg.norm(codes.astype(float) - codes[7], axis=1)
    own, others = nearest_one(known, codes[7], 2), nearest_one(known, codes[7], 40).distances[0, 2:]
    assert sorted(own.indices[0]) == [7, 807]
    np.testing.assert_array_equal(own.distances, 0)
    np.testing.assert_allclose(others, np.sort(np.concatenate([away, away[:300]]))[2:40], atol=3e-5)
    everyone = nearest_one(known, codes[7], len(known.codes))
    assert sorted(everyone.indices[0]) == list(range(1100))


def test_a_code_that_was_fitted_lands_on_its_own_place_and_a_new_one_beside_its_nearest() -> None:
    places = np.array([[0, 0], [10, 0], [0, 10]], np.float32)
    found = Nearest(np.array([[1, 0], [0, 2]]), np.array([[0.0, 3.0], [1.0, 1.0]], np.float32))
    np.testing.assert_allclose(placed(places, found), [[10, 0], [0, 5]])


def test_agreement_is_the_share_of_neighbours_with_the_same_label() -> None:
    found = Nearest(np.array([[0, 1], [1, 2]]), np.zeros((2, 2), np.float32))
    np.testing.assert_array_equal(agreement(np.array([5, 7]), np.array([5, 5, 7]), found), [1, 0.5])


@pytest.mark.parametrize("config", [TsneConfig(iterations=100), UmapConfig(epochs=100), UmapConfig(epochs=60, dims=3)])
def test_a_map_keeps_groups_apart_and_neighbours_together(config: TsneConfig | UmapConfig) -> None:
    codes, labels = clouds(60)
    around, told = nearest(codes, codes, config.neighbours, same=True), []
    places = layouts.lay_out(config, codes, around, told.append)
    assert places.shape == (180, config.dims)
    near = nearest(places, places, 10, same=True)
    assert agreement(labels, labels, near).mean() > 0.98
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1, abs=0.02)
    again = layouts.lay_out(config, codes, around, lambda share: None)
    np.testing.assert_array_equal(places, again, "the same seed gives the same map")


def test_umap_keeps_the_neighbours_of_digits() -> None:
    codes = load_digits().data[:900].astype(np.float32)
    around = nearest(codes, codes, UmapConfig().neighbours, same=True)
    found = trust(codes, layouts.lay_out(UmapConfig(epochs=150), codes, around, lambda share: None))
    assert found is not None
    assert found.trustworthiness > 0.97
    assert found.kept > 0.45


def test_the_memberships_of_a_point_sum_to_log2_of_its_neighbours() -> None:
    distances = np.sort(np.random.default_rng(0).random((50, 14)).astype(np.float32), axis=1)
    weights = layouts.memberships(Nearest(np.zeros((50, 14), np.int32), distances))
    np.testing.assert_allclose(weights.sum(1), np.log2(15), rtol=1e-6)
    np.testing.assert_array_equal(weights[:, 0], 1)


def test_the_curve_of_umaps_defaults_is_the_papers() -> None:
    assert layouts.curve(0.1) == pytest.approx((1.577, 0.895), abs=1e-3)


def test_trustworthiness_is_scikit_learns() -> None:
    random = np.random.default_rng(0)
    codes, places = random.standard_normal((200, 6)), random.standard_normal((200, 2))
    assert ours(codes, places, 7) == pytest.approx(trustworthiness(codes, places, n_neighbors=7), abs=1e-6)


def test_the_smallest_of_long_rows_are_found_whatever_is_equal() -> None:
    rows = np.random.default_rng(0).standard_normal((5, 3000)).astype(np.float32)
    rows[3], rows[4, ::2] = 1.0, 7.0
    for k in (1, 10, 40, 3000):
        found = smallest(rows, k)
        assert found.shape == (5, k)
        assert all(len(set(row)) == k for row in found.tolist())
        np.testing.assert_array_equal(np.sort(np.take_along_axis(rows, found, 1), 1), np.sort(rows, 1)[:, :k])


def test_a_map_that_is_the_code_itself_is_trusted_wholly_and_a_random_one_not() -> None:
    codes = np.random.default_rng(0).standard_normal((300, 2)).astype(np.float32)
    found, other = trust(codes, codes), trust(codes, codes[::-1].copy())
    assert found == (1.0, 1.0, 15, 300)
    assert other is not None
    assert other.kept == pytest.approx(15 / 300, abs=0.03)
    assert other.trustworthiness == pytest.approx(0.5, abs=0.05)
    assert trust(codes[:2], codes[:2]) is None


@pytest.mark.parametrize("config", [TsneConfig(iterations=50), UmapConfig(epochs=20)])
@pytest.mark.parametrize("codes", [np.ones((40, 6)), np.random.default_rng(0).random((3, 8)), np.arange(30.0)[:, None]])
def test_strange_codes_have_a_map_too(config: TsneConfig | UmapConfig, codes: np.ndarray) -> None:
    around = nearest(codes, codes, min(config.neighbours, len(codes) - 1), same=True)
    places = layouts.lay_out(config, codes, around, lambda share: None)
    assert places.shape == (len(codes), 2)
    assert np.isfinite(places).all()


def test_every_beginning_of_a_stratified_order_has_the_labels_in_their_shares() -> None:
    labels = np.repeat([0, 1, 2], [800, 150, 50])
    order = stratified(labels, np.arange(1000))
    assert sorted(order.tolist()) == list(range(1000))
    assert np.bincount(labels[order[:100]]).tolist() == pytest.approx([80, 15, 5], abs=1)


def test_a_config_that_makes_no_sense_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match="perplexity is 1, but must be at least 2"):
        parse_projection({"kind": "tsne", "perplexity": 1})
    assert key_of(TsneConfig()) == key_of(TsneConfig(perplexity=30.0)) != key_of(TsneConfig(seed=1))


def test_the_job_makes_all_maps_that_wait_and_says_how_far_to_trust_them(copy: TrainedRun) -> None:
    config, around = UmapConfig(epochs=15, n_neighbors=8), SurroundingsConfig()
    job = make(copy, config, around)
    assert (job.state, job.reason) == ("completed", "Projected.")
    assert job.step == job.total_steps == project.PARTS
    first, second = projections.projections(copy.folder)
    assert not first.waits
    assert first.said["split"] == "train"
    assert first.said["fitted"] == 1350
    assert 0.5 < first.said["trust"]["trustworthiness"] <= 1
    made = projections.arrays(copy.folder, first.key) or {}
    assert {name: array.shape for name, array in made.items()} == {
        "train.places": (1350, 2), "val.places": (150, 2), "test.places": (297, 2)
    }  # fmt: skip
    found = projections.arrays(copy.folder, second.key) or {}
    assert {name.partition(".")[2] for name in found} == {"density", "agreement", "cluster"}
    train, test = copy.folder.analysis("train") or {}, copy.folder.analysis("test") or {}
    mine = nearest(train["codes"], test["codes"], 15)
    np.testing.assert_allclose(found["test.density"], mine.distances.mean(1), rtol=1e-4)
    assert found["train.cluster"].max() == 9
    assert (np.diff(np.bincount(found["train.cluster"])) <= 0).all()


def test_more_codes_than_are_fitted_are_placed_into_the_map(copy: TrainedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "most_fitted", lambda config: 300)
    make(copy, UmapConfig(epochs=10))
    (known,) = projections.projections(copy.folder)
    places = (projections.arrays(copy.folder, known.key) or {})["train.places"]
    assert known.said["fitted"] == 300
    assert places.shape == (1350, 2)
    assert np.isfinite(places).all()


def test_a_map_that_cannot_be_made_is_refused_with_a_sentence_and_can_be_asked_for_again(copy: TrainedRun) -> None:
    kept = copy.folder.analysis("test") or {}
    copy.folder.write_analysis({"train": kept | {"codes": np.full_like(kept["codes"], np.nan)}}, {})
    job = make(copy, TsneConfig())
    assert job.state == "failed"
    (known,) = projections.projections(copy.folder)
    assert known.said["problem"] == job.reason == "Only 0 of the codes are finite numbers: a map needs at least 3."
    projections.ask(copy.folder, TsneConfig())
    assert projections.projections(copy.folder)[0].waits


def test_a_map_of_other_codes_than_todays_is_gone(copy: TrainedRun) -> None:
    make(copy, UmapConfig(epochs=10))
    kept = {split: copy.folder.analysis(split) or {} for split in ("train", "test")}
    copy.folder.write_analysis(kept, {})
    assert len(projections.projections(copy.folder)) == 1, "the same codes, analysed again"
    copy.folder.write_analysis({"train": kept["train"] | {"codes": kept["train"]["codes"] + 1}}, {})
    assert projections.projections(copy.folder) == []


def test_a_job_that_is_stopped_leaves_its_request(copy: TrainedRun) -> None:
    stop = Stop()
    stop.asked = True
    assert make(copy, TsneConfig(), stop=stop).state == "cancelled"
    (known,) = projections.projections(copy.folder)
    assert known.waits
    projections.forget(copy.folder, known.key)
    assert projections.projections(copy.folder) == []


def test_one_side_job_is_stopped_alone(copy: TrainedRun) -> None:
    jobs = [queue.submit_job(copy.lab, copy.id, kind, "ada", engine="foreground") for kind in ("project", "analyse")]
    queue.stop_job(copy.lab, jobs[0], "bea")
    assert [queue.job(copy.lab, job).state for job in jobs] == ["cancelled", "queued"]
    queue.stop_job(copy.lab, jobs[0], "bea")
    assert queue.job(copy.lab, jobs[0]).reason == "Cancelled by bea before it started."
