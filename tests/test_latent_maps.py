"""The Latent page's maps and colours, selections that survive them, neighbours, and what leaves the dashboard."""

import csv
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from aecore.analysis import walks
from aecore.analysis.trust import Trust, trust
from aecore.config.projection import SurroundingsConfig, UmapConfig
from aecore.jobs import queue
from aecore.runs import projections
from tests.conftest import TrainedRun
from tests.test_api_latent import unpack
from tests.test_projections import make
from tests.test_ui_latent import Open, box, latent, text
from ui import (
    latent_colours,
    latent_map,
    latent_maps,
    latent_out,
    latent_places,
    latent_points,
    latent_selection,
    latent_walk,
)
from ui.api.latent import ROUTES
from ui.latent_points import View
from ui.palette import STEPS

__all__ = ["latent"]


@pytest.fixture
def here(copy: TrainedRun, monkeypatch: pytest.MonkeyPatch) -> TrainedRun:
    """A run of the test's own, in the dashboard's lab."""
    monkeypatch.setenv("AELAB_HOME", str(copy.lab.path))
    return copy


@pytest.fixture
def mapped(here: TrainedRun) -> tuple[TrainedRun, str]:
    """The same with a map by UMAP and what the neighbours tell."""
    make(here, UmapConfig(epochs=15), SurroundingsConfig())
    return here, next(iter(latent_maps.maps(here.folder)))


def widen(run: TrainedRun) -> None:
    """Codes of five numbers instead of two."""
    for split in ("train", "val", "test"):
        kept = run.folder.analysis(split) or {}
        more = np.random.default_rng(0).standard_normal((len(kept["codes"]), 3)).astype(np.float32)
        np.savez(run.folder.path / "analysis" / f"{split}.npz", **(kept | {"codes": np.hstack([kept["codes"], more])}))


def test_a_map_of_a_job_is_a_choice_and_says_how_far_to_trust_it(latent: Open, here: TrainedRun) -> None:
    widen(here)
    make(here, UmapConfig(epochs=15))
    (key,) = latent_maps.maps(here.folder)
    test = latent(here.lab, run=here.id, split="test", map=key)
    assert test.selectbox(key="latent-map").options == ["PCA", "Its numbers", "UMAP (epochs 15)", "t-SNE …", "UMAP …"]
    assert "UMAP 1, UMAP 2 of a code of 5 numbers." in text(test)
    assert "It was fitted to 1,350 train codes; these were placed beside their nearest." in text(test)
    view = View(here.id, "test", map=key)
    placed = trust(latent_points.codes(view), latent_points.cloud(view).places)
    train = projections.projections(here.folder)[0].said["trust"]
    for split, found in (("test", placed), ("train", Trust(**train))):
        said = text(latent(here.lab, run=here.id, split=split, map=key))
        assert found is not None
        assert f"Trustworthiness of the map: {found.trustworthiness:.2f}" in said
        assert f"keeps {found.kept:.0%}".replace("%", " %") in said


def test_a_map_that_is_not_there_is_computed_by_a_button_as_a_job(latent: Open, here: TrainedRun) -> None:
    widen(here)
    test = latent(here.lab, run=here.id, map="tsne")
    assert "t-SNE is computed once and kept with the run." in text(test)
    assert test.get("bidi_component"), "the map that is there is shown meanwhile"
    test.number_input(key="latent-tsne-perplexity").set_value(12.0).run()
    test.button(key=f"latent-compute-{here.id}").click().run()
    assert not test.exception
    (known,) = projections.projections(here.folder)
    assert (known.config.kind, known.config.perplexity, known.waits) == ("tsne", 12.0, True)
    (job,) = [job for job in queue.jobs(here.lab, here.id) if job.kind == "project"]
    assert job.pool == "side"
    for _ in range(3):
        if test.button(key=f"latent-making-stop-{here.id}"):
            test.button(key=f"latent-making-stop-{here.id}").click().run()
            break
    assert queue.job(here.lab, job.id).want == "cancel"
    assert projections.projections(here.folder) == []


def test_the_points_of_a_map_are_its_places(mapped: tuple[TrainedRun, str]) -> None:
    run, key = mapped
    client = TestClient(Starlette(routes=ROUTES))
    found = unpack(client.get(f"/api/points/{run.id}?split=val&map={key}").content)
    places = (projections.arrays(run.folder, key) or {})["val.places"]
    np.testing.assert_array_equal(np.stack([found["x"], found["y"]], 1), places[found["index"]])
    assert client.get(f"/api/points/{run.id}?split=val&map=nothing").status_code == 404
    assert client.get(f"/api/points/{run.id}?split=val&map=dims-0-7").json()["problem"].startswith("The map 'dims-0-7'")
    swapped = unpack(client.get(f"/api/points/{run.id}?split=val&map=dims-1-0").content)
    plain = unpack(client.get(f"/api/points/{run.id}?split=val").content)
    np.testing.assert_array_equal(swapped["x"], plain["y"])


def test_every_colour_gives_each_point_one_group(mapped: tuple[TrainedRun, str]) -> None:
    run, _ = mapped
    view = View(run.id, "test")
    assert list(latent_colours.colours(view)) == ["label", "error", "cluster", "density", "agreement"]
    for colour in latent_colours.colours(view):
        found = latent_colours.groups(view._replace(colour=colour))
        assert len(found.member) == 297
        assert len(found.names) == len(found.colours)
        assert found.member.min() >= 0
        assert found.member.max() < len(found.names)
    errors = latent_points.points(view).errors
    member = latent_colours.groups(view._replace(colour="error")).member
    assert np.bincount(member).tolist() == pytest.approx([297 / 8] * 8, abs=1)
    assert errors[member == 0].max() <= errors[member == 7].min()
    with pytest.raises(ValueError, match="cannot be coloured by 'charm'"):
        latent_colours.groups(view._replace(colour="charm"))


def test_numbers_of_few_values_are_groups_of_their_own_and_what_is_not_known_is_none() -> None:
    found = latent_colours.bins(np.array([3.0, 1.0, 3.0, np.nan]))
    assert found.member.tolist() == [1, 0, 1, -1]
    assert (found.names, found.colours) == (("1", "3"), (STEPS[0], STEPS[4]))


def test_the_densest_codes_have_the_last_colour_and_numbers_have_the_digits_that_tell_them_apart() -> None:
    away = np.array([2.0, 1.0, 4.0, np.nan, 2.0])
    np.testing.assert_array_equal(latent_colours.dense(away), [1, 2, 0.5, np.nan, 1])
    found = latent_colours.bins(latent_colours.dense(np.linspace(1, 2, 101)))
    assert found.member[0] == len(found.names) - 1, "whose neighbours are nearest"
    assert found.member[-1] == 0
    assert latent_colours.written(np.array([-0.19, -0.0931, 2.7e-05, 0.19])) == ["−0.19", "−0.09", "0.00", "0.19"]
    assert latent_colours.written(np.array([0.02, 47.3, 360])) == ["0", "47", "360"]


def test_a_factor_that_is_known_colours_the_points(here: TrainedRun) -> None:
    kept = here.folder.analysis("test") or {}
    np.savez(here.folder.path / "analysis" / "test.npz", **(kept | {"factor.tilt": np.arange(297) % 3}))
    view = View(here.id, "test", colour="factor.tilt")
    assert latent_colours.colours(view)["factor.tilt"] == "Tilt"
    rows = latent_points.cloud(view).rows
    assert latent_colours.groups(view).member.tolist() == (rows % 3).tolist()


def test_a_selection_survives_another_map_and_colour_by_its_hash_in_the_address(
    latent: Open, mapped: tuple[TrainedRun, str]
) -> None:
    run, key = mapped
    shown = latent_points.points(View(run.id, "test"))
    corner = shown.places[shown.places[:, 0] > np.median(shown.places[:, 0])]
    drawn = {"kind": "polygon", "polygon": box(corner), "hidden": [], "view": {"split": "test"}, "drawn": 1}
    test = latent(run.lab, {f"latent-map-{run.id}-test": {"selection": drawn}}, run=run.id, split="test")
    name = (
        test.query_params["selection"][0]
        if isinstance(test.query_params["selection"], list)
        else test.query_params["selection"]
    )
    count = f"{len(latent_selection.kept(run.id, 'test', name)):,} of 297 selected"
    assert count in text(test)
    for query in ({}, {"colour": "error"}, {"colour": "density"}, {"map": key}):
        assert count in text(latent(run.lab, run=run.id, split="test", selection=name, **query))
    assert "selected" not in text(latent(run.lab, run=run.id, split="train", selection=name)), "of the other split"
    assert "selected" not in text(latent(run.lab, run=run.id, split="test", selection="../../etc")), "unknown"


def test_what_was_drawn_among_hidden_groups_is_left_out(here: TrainedRun) -> None:
    view = View(here.id, "test", colour="error")
    shown, member = latent_points.points(view), latent_colours.groups(view).member
    drawn = {
        "kind": "polygon",
        "polygon": box(shown.places),
        "hidden": [0, 1],
        "view": {"split": "test", "colour": "error"},
    }
    assert latent_map.meant(view, drawn).tolist() == sorted(shown.indices[member > 1].tolist())


def test_selecting_nothing_keeps_nothing_and_everything_keeps_all(here: TrainedRun) -> None:
    assert latent_selection.keep(here.id, "test", np.empty(0, int)) == ""
    everything = np.arange(297)
    name = latent_selection.keep(here.id, "test", everything[::-1])
    assert name == latent_selection.keep(here.id, "test", everything)
    np.testing.assert_array_equal(latent_selection.kept(here.id, "test", name), everything)
    assert len(latent_points.points(View(here.id, "test", only=name)).indices) == 297


def test_what_is_shown_alone_can_always_be_left_again(latent: Open, here: TrainedRun) -> None:
    name = latent_selection.keep(here.id, "test", np.array([3, 5, 9, 20]))
    fewer = latent_selection.keep(here.id, "test", np.array([3, 9]))
    for selection, buttons in (
        ("", ["Show all"]),
        (name, ["Show all"]),
        (fewer, ["Only these", "Show all"]),
    ):
        test = latent(here.lab, run=here.id, split="test", only=name, selection=selection)
        assert [one.label for one in test.button if one.label in ("Only these", "Show all")] == buttons
    test = test.button(key="latent-all").click().run()
    assert "only" not in test.query_params
    unknown = latent(here.lab, run=here.id, split="test", only="0" * 16)
    assert "Show all" not in [one.label for one in unknown.button]
    assert len(latent_points.points(View(here.id, "test", only=name)).indices) == 4


def test_a_number_or_a_label_is_found_and_one_image_shows_its_nearest_in_the_code(
    latent: Open, here: TrainedRun
) -> None:
    test = latent(here.lab, run=here.id, split="test")
    field = f"latent-find-{here.id}-test"
    test.text_input(key=field).set_value("#17").run()
    codes = (here.folder.analysis("test") or {})["codes"]
    away = np.linalg.norm(codes - codes[17], axis=1)
    first = np.argsort(away)[1]
    said = text(test)
    assert "1 of 297 selected" in said
    nearest = (
        said.split("Nearest in the full code")[-1]
        if "Nearest" in said.split("<figure>")[0]
        else said.split('<div class="latent-pins">')[1]
    )
    assert f"/test/{first}.png" in nearest.split("</figure>")[0]
    assert f"· {away[first]:.3g}" in nearest.split("</figure>")[0]
    test.text_input(key=field).set_value("3").run()
    labels = (here.folder.analysis("test") or {})["labels"]
    assert f"{(labels == 3).sum()} of 297 selected" in text(test), "a label goes before a number"
    test.text_input(key=field).set_value("<b>7").run()
    assert "No label and no test image is <b>7." in [element.value for element in test.get("text")]


def test_a_selection_leaves_as_a_table_and_as_a_picture(here: TrainedRun) -> None:
    view, chosen = View(here.id, "test"), np.array([3, 4, 200])
    rows = list(csv.DictReader(io.StringIO(latent_out.table(view, chosen))))
    kept = here.folder.analysis("test") or {}
    assert sorted(int(row["index"]) for row in rows) == [3, 4, 200]
    for row in rows:
        code = kept["codes"][int(row["index"])]
        assert [float(row["x"]), float(row["z2"])] == pytest.approx(code.tolist(), rel=1e-5)
        assert int(row["label"]) == kept["labels"][int(row["index"])]
    assert Image.open(io.BytesIO(latent_out.picture(view, chosen))).size == (2 * 9 * 7 - 7, 2 * 9 * 7 - 7)
    widen(here)
    deep = view._replace(dims=3)
    (row,) = csv.DictReader(io.StringIO(latent_out.table(deep, np.array([200]))))
    (place,) = latent_points.cloud(deep).places[latent_points.cloud(deep).indices == 200]
    assert [float(row[axis]) for axis in "xyz"] == pytest.approx(place.tolist(), rel=1e-5)


def test_a_place_becomes_a_code_by_each_map_and_a_code_lands_on_its_own_place(mapped: tuple[TrainedRun, str]) -> None:
    run, key = mapped
    for map_ in ("", "dims-1-0", key):
        view = View(run.id, "train", map=map_)
        found, codes = latent_points.cloud(view), latent_points.codes(view)
        np.testing.assert_allclose(latent_places.lift(view, *found.places[7].tolist())[0], codes[7], atol=1e-4)
        np.testing.assert_allclose(latent_places.place(view, codes[7:8])[0], found.places[7], atol=1e-4)
    assert latent_places.lifted(view) == "a mixture of the nearest points' codes"


def test_how_far_a_place_is_from_real_data_is_told_with_its_picture(here: TrainedRun) -> None:
    client, view = TestClient(Starlette(routes=ROUTES)), View(here.id, "train")
    x, y = latent_points.cloud(view).places[0].tolist()
    on, off = (client.get(f"/api/decode/{here.id}?split=train&x={a}&y={y}").headers["X-Away"] for a in (x, x + 1000))
    assert float(on) == 0
    assert float(off) > 100
    codes = latent_points.codes(view)
    assert latent_places.away(view, codes[3] + 0) == 0


def test_a_line_across_the_map_is_a_film(latent: Open, here: TrainedRun) -> None:
    view = View(here.id, "test")
    frames, away = latent_walk.along(view, [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)])
    assert frames.shape == (24, 1, 8, 8)
    assert away.shape == (24,)
    film = Image.open(io.BytesIO(latent_walk.gif(frames)))
    assert film.n_frames <= 46
    state: dict[str, Any] = {f"latent-map-{here.id}-test": {"path": [[0, 0], [1, 1]]}}
    test = latent(here.lab, state, run=here.id, split="test")
    assert "Along the line" in text(test)
    assert text(test).count('<i style="--near:') == 24


def test_a_walk_is_straight_on_the_sphere_or_along_the_data() -> None:
    a, b = np.array([1.0, 0.0]), np.array([0.0, 2.0])
    np.testing.assert_allclose(walks.straight(a, b, 3)[1], [0.5, 1.0])
    np.testing.assert_allclose(walks.spherical(a, b, 3)[1], 1.5 * np.sqrt([0.5, 0.5]))
    np.testing.assert_allclose(walks.evenly(np.array([[0, 0], [1, 0], [1, 3]]), 5)[1:3], [[1, 0], [1, 1]])
    turn = np.linspace(0, np.pi, 200)
    circle = np.stack([np.cos(turn), np.sin(turn)], 1)
    way = walks.along_data(circle[0], circle[-1], circle[1:-1], 9)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), 1, atol=0.01)
    np.testing.assert_allclose(way[4], [0, 1], atol=0.05)
    far = walks.along_data(np.zeros(2), np.full(2, 900.0), np.random.default_rng(0).standard_normal((50, 2)), 3)
    assert far.shape == (3, 2)
