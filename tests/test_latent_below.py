"""What stands below the latent map: traversals, ways between images, new images, how good the code is, and another model."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

import aecore
from aecore.analysis import generation
from aecore.analysis.alignment import laid_over
from aecore.analysis.neighbours import kept_neighbours
from aecore.analysis.quality_words import FIGURES
from aecore.data import DataError
from aecore.runs import RunFolder
from tests.conftest import TrainedRun, TwoRuns
from tests.test_api_latent import unpack
from tests.test_latent_maps import here
from tests.test_ui_latent import Open, box, latent, text
from ui import (
    latent_below,
    latent_beside,
    latent_exchange,
    latent_pair,
    latent_points,
    latent_quality,
    latent_samples,
    latent_selection,
)
from ui.api.latent import ROUTES
from ui.lab import latest_stamp, split
from ui.latent_points import View

__all__ = ["here", "latent"]


@pytest.fixture
def pair_lab(two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch) -> TwoRuns:
    """Two runs on the same images, in the dashboard's lab."""
    monkeypatch.setenv("AELAB_HOME", str(two_runs.lab.path))
    return two_runs


def test_a_traversal_changes_one_number_and_the_rows_that_change_most_come_first(here: TrainedRun) -> None:
    view = View(here.id, "test")
    order, values, frames, change = latent_below._traversals(
        view, latent_points.stamp(view), latest_stamp(here.id), 12, 2
    )
    assert sorted(order.tolist()) == [0, 1]
    assert (np.diff(values, axis=0) >= 0).all()
    assert change[0] >= change[1]
    code = (here.folder.analysis("test") or {})["codes"][12].copy()
    code[order[1]] = values[3, 1]
    np.testing.assert_array_equal(frames[1, 3], aecore.load(here.folder).decode(code[None])[0])


def test_each_section_shows_itself(latent: Open, here: TrainedRun) -> None:
    said = text(latent(here.lab, run=here.id, split="test"))
    assert "What each number" not in said
    assert said.count('<img class="latent-row"') == 2, "two numbers"
    assert "from the mean of all codes" in said
    chosen = latent_selection.keep(here.id, "test", np.array([5]))
    assert "from test image 5." in text(latent(here.lab, run=here.id, split="test", selection=chosen))
    between = text(latent(here.lab, run=here.id, split="test", below="between"))
    assert between.count('<i style="--near:') == 12 + 9
    assert "+2 ×" in between
    samples = text(latent(here.lab, run=here.id, split="test", below="samples"))
    assert samples.count("train image") == latent_samples.COUNT
    assert "Without a prior" in samples
    quality = latent(here.lab, run=here.id, split="test", below="quality")
    assert "Linear probe" in text(quality)
    assert len(quality.get("plotly_chart")) == 7, "no prior, no posterior, no factors"
    assert text(quality).count('<div class="latent-figures">') == 6, "no room for figures where a row has none"


def test_the_pictures_of_a_code_are_of_the_images_that_its_figures_are_of(latent: Open, here: TrainedRun) -> None:
    drawn = []
    for split_ in ("test", "val", "train"):
        page = latent(here.lab, run=here.id, split=split_, below="quality")
        assert "These figures and pictures are of the test images" in text(page)
        drawn.append([chart.proto.spec for chart in page.get("plotly_chart")])
    assert len(drawn[0]) == 7
    assert drawn[0] == drawn[1] == drawn[2], "the map alone shows other images"


def test_near_one_image_alone_its_nearest_are_taken_with_it(latent: Open, here: TrainedRun) -> None:
    view, codes = View(here.id, "test"), (here.folder.analysis("test") or {})["codes"]
    one, two = (latent_selection.keep(here.id, "test", np.array(indices)) for indices in ([5], [5, 9]))
    nearest = np.argsort(np.linalg.norm(codes - codes[5], axis=1), kind="stable")[: latent_samples.ALONE + 1]
    np.testing.assert_array_equal(latent_samples._selected(view, one), codes[nearest])
    np.testing.assert_array_equal(np.sort(latent_samples._selected(view, two), 0), np.sort(codes[[5, 9]], 0))
    for name, said in ((one, "the one and its 8 nearest"), (two, "Between the images that are selected.")):
        shown = text(latent(here.lab, run=here.id, split="test", below="samples", samples="near", selection=name))
        assert said in shown
        assert "Without a prior" not in shown


def test_a_slider_for_each_number_draws_its_code(latent: Open, here: TrainedRun) -> None:
    test = latent(here.lab, {latent_below.HAND: True}, run=here.id, split="test")
    assert [slider.label for slider in test.slider] == ["Code unit 1", "Code unit 2"]
    before = text(test)
    test.slider[0].set_value(test.slider[0].max).run()
    assert text(test) != before


def test_an_image_without_a_code_is_a_sentence(latent: Open, here: TrainedRun) -> None:
    with pytest.raises(ValueError, match="There is no code of test image 9,999"):
        latent_below.code_of(View(here.id, "test"), 9999)
    kept = here.folder.analysis("test") or {}
    only = {name: array[:1] for name, array in kept.items()}
    here.folder.write_analysis({"test": only}, {})
    assert "A way needs two images" in text(latent(here.lab, run=here.id, split="test", below="between"))
    assert "older than this measure" in text(latent(here.lab, run=here.id, split="test", below="quality"))


def test_the_mean_of_a_label_minus_another_is_a_direction(here: TrainedRun) -> None:
    found = latent_below.means(View(here.id, "test"))
    kept = here.folder.analysis("test") or {}
    np.testing.assert_allclose(found["3"], kept["codes"][kept["labels"] == 3].mean(0), rtol=1e-4, atol=1e-5)
    assert list(found)[:2] == ["all images", "0"]


def test_a_copy_of_a_training_image_is_seen() -> None:
    known = np.random.default_rng(0).integers(0, 256, (50, 1, 6, 6), dtype=np.uint8)
    asked = np.stack([known[31], 255 - known[31]])
    where, away = generation.nearest_images(known, asked)
    assert where[0] == 31
    assert away[0] == pytest.approx(0, abs=1e-3)
    plain = np.sqrt(np.square((known[where[1]].astype(float) - asked[1]) / 255).mean())
    assert away[1] == pytest.approx(plain, abs=1e-4)


def test_codes_of_a_mixture_are_spread_like_the_codes() -> None:
    random = np.random.default_rng(0)
    codes = (random.standard_normal((600, 3)) + 20 * np.eye(3)[random.integers(0, 3, 600)]).astype(np.float32)
    drawn = generation.sample(generation.fit_mixture(codes), 900, 1)
    np.testing.assert_allclose(drawn.mean(0), codes.mean(0), atol=1.5)
    assert np.abs(drawn[:, None] - codes[None, :300]).max(2).min(1).max() < 5, "every one near real ones"
    near = generation.near(codes[:4], 30, 0)
    assert (near >= codes[:4].min(0) - 1e-4).all()
    assert (near <= codes[:4].max(0) + 1e-4).all()


def test_every_figure_of_a_code_is_explained(trained_run: TrainedRun) -> None:
    figures = (trained_run.folder.analysis_metrics() or {})["code"]
    assert set(figures) - set(FIGURES) == {"majority", "n", "codes"}
    cards = latent_quality.cards(figures)
    assert f"<strong>{figures['knn_accuracy']:.3f}</strong>" in cards
    assert f"left:{100 * figures['majority']:.1f}%" in cards
    assert "<strong>0.000</strong>" in latent_quality.cards({"ari": -0.0002}), "no zero below zero"


def test_a_turned_scaled_and_moved_map_is_laid_over_exactly_and_keeps_all_neighbours() -> None:
    places = np.random.default_rng(0).standard_normal((40, 2))
    turn = np.array([[0.6, -0.8], [-0.8, -0.6]])  # turned and mirrored
    np.testing.assert_allclose(laid_over(3 * places @ turn + 5, places), places, atol=1e-5)
    np.testing.assert_array_equal(kept_neighbours(places, 3 * places @ turn + 5, 6), 1)
    assert kept_neighbours(places, np.random.default_rng(1).standard_normal((40, 2)), 6).mean() < 0.4


def test_two_models_show_the_same_images_coloured_by_what_they_keep(pair_lab: TwoRuns) -> None:
    first, second = pair_lab.ids
    view = View(first, "test")
    assert second in latent_pair.others(view)
    two = latent_pair.of_runs(view, second)
    found = latent_pair.pair(two)
    client = TestClient(Starlette(routes=ROUTES))
    sides = [unpack(client.get(f"/api/pair/{first}?other={second}&split=test&side={side}").content) for side in (0, 1)]
    np.testing.assert_array_equal(sides[0]["index"], sides[1]["index"])
    np.testing.assert_array_equal(sides[0]["group"], latent_pair.members(found.kept))
    kept = [(folder.analysis("test") or {})["codes"] for folder in pair_lab.folders]
    order = sides[0]["index"]
    np.testing.assert_allclose(found.kept, kept_neighbours(kept[0][order], kept[1][order], 15), atol=1e-6)
    assert client.get(f"/api/pair/{first}?other=nobody&split=test&side=0").status_code in (400, 404)
    movers = latent_beside.movers(two, found)
    assert movers.count("<figure>") == latent_beside.SHOWN
    assert f"/{order[np.lexsort((-found.moved, found.kept))[0]]}.png" in movers.split("</figure>")[0]


def test_both_maps_share_a_frame_that_no_straggler_widens_much(pair_lab: TwoRuns) -> None:
    found = latent_pair.pair(latent_pair.of_runs(View(pair_lab.ids[0], "test"), pair_lab.ids[1]))
    (left, right), (low, high) = latent_pair.frame(found)
    for side in found.sides:
        assert ((side.places >= (left, low)) & (side.places <= (right, high))).all(1).mean() > 0.97
    bulk = np.random.default_rng(0).random((300, 2), np.float32)
    far = found.sides[0]._replace(places=np.where(np.arange(300)[:, None] == 7, 1e6, bulk))
    (left, right), _ = latent_pair.frame(found._replace(sides=(far, far._replace(places=bulk))))
    assert -0.1 < left < 0.1
    assert 1 < right < 2
    same = far._replace(places=np.ones((300, 2), np.float32))
    assert latent_pair.frame(found._replace(sides=(same, same))) == [[0, 2], [0, 2]]


def test_a_lasso_in_either_map_selects_in_both(latent: Open, pair_lab: TwoRuns) -> None:
    first, second = pair_lab.ids
    found = latent_pair.pair(latent_pair.of_runs(View(first, "test"), second))
    places = found.sides[1].places
    corner = places[places[:, 0] > np.median(places[:, 0])]
    drawn = {"kind": "polygon", "polygon": box(corner), "hidden": [], "view": {"split": "test"}, "drawn": 3}
    state: dict[str, Any] = {f"latent-pair-1-{first}-{second}-test": {"selection": drawn}}
    test = latent(pair_lab.lab, state, run=first, split="test", below="pair", beside=second)
    inside = latent_exchange.meant(found.sides[1], drawn)
    assert f"{len(inside):,} of 297 selected" in text(test), "in the map above, too"


def test_no_other_model_is_a_sentence(latent: Open, here: TrainedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latent_pair, "others", lambda view: {})
    monkeypatch.setattr(RunFolder, "sample_steps", lambda self: [])
    assert "There is no other analysed run on the same test images" in text(
        latent(here.lab, run=here.id, split="test", below="pair")
    )


def test_ones_own_image_lands_in_the_map_beside_its_nearest(latent: Open, here: TrainedRun) -> None:
    image = split(here.folder.config().data.model_dump_json(), "test").images[30, 0]
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    test = latent(here.lab, run=here.id, split="test")
    test.file_uploader(key="latent-own").upload("mine.png", content.getvalue()).run()
    assert not test.exception
    said = text(test)
    assert "Your image" in said
    assert "/test/30.png" in said.split("<figure>")[1], "it is its own nearest"
    test.file_uploader(key="latent-own").upload("mine.png", b"no image").run()
    assert "mine.png cannot be read as an image." in text(test)
    assert test.get("bidi_component")


def test_the_plane_of_a_code_of_two_numbers_is_drawn_all_over(latent: Open, here: TrainedRun) -> None:
    assert '<img class="latent-grid"' in text(latent(here.lab, run=here.id, split="test"))


def test_a_run_whose_images_are_gone_still_shows_its_map(
    latent: Open, here: TrainedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise DataError("The data set is not there any more.")

    latent_samples._made.cache_clear()  # what an earlier test drew from the run of this name
    monkeypatch.setattr("ui.latent_samples.split", gone)
    test = latent(here.lab, run=here.id, split="test", below="samples")
    assert test.get("bidi_component")
    assert "The data set is not there any more." in text(test)


def test_no_labels_equal_codes_and_very_long_ones_have_a_map(latent: Open, here: TrainedRun) -> None:
    kept = here.folder.analysis("test") or {}
    strange = (
        {"labels": np.full(297, -1)},
        {"codes": np.ones_like(kept["codes"])},
        {"codes": np.random.default_rng(0).random((297, 2048), np.float32)},
    )
    for change in strange:
        here.folder.write_analysis({"test": kept | change}, {})
        test = latent(here.lab, run=here.id, split="test", below="quality")
        assert test.get("bidi_component")
        assert not test.error
        assert ("All 297 codes are the same" in text(test)) == ("codes" in change and change["codes"].max() == 1)
