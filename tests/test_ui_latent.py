"""The Latent page: which codes it shows, what a selection brings, and what it says where something is missing."""

import shutil
import time
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from aecore.jobs import queue
from aecore.runs import Lab
from tests.conftest import TrainedRun, TwoRuns
from ui import late, latent_exchange, latent_map, latent_points, latent_view
from ui.latent_points import View
from ui.palette import label_colour
from ui.words import plain

ROOT = Path(__file__).parents[1]
Open = Callable[..., AppTest]


@pytest.fixture
def latent(monkeypatch: pytest.MonkeyPatch) -> Open:
    """The Latent page of a lab, with these query parameters and this state of the map."""

    def at(lab: Lab, state: dict[str, Any] | None = None, **query: str) -> AppTest:
        monkeypatch.setenv("AELAB_HOME", str(lab.path))
        test = AppTest.from_file(str(ROOT / "ui/main.py"), default_timeout=120)
        test.query_params.update(query)
        for key, value in ({latent_view.OPENED: True} | (state or {})).items():
            test.session_state[key] = value
        test.switch_page(str(ROOT / "pages/latent.py")).run()
        assert not test.exception
        return test

    return at


def text(test: AppTest) -> str:
    html = [block.proto.body for block in test.get("html") if "<style>" not in block.proto.body]
    said = [element.value for kind in (test.markdown, test.caption, test.error) for element in kind]
    return unescape("\n".join([*html, *said]))


def box(places: np.ndarray) -> list[list[float]]:
    (left, low), (right, high) = places.min(0).astype(float) - 1, places.max(0).astype(float) + 1
    return [[left, low], [right, low], [right, high], [left, high]]


def test_an_empty_lab_says_what_to_do(latent: Open, lab: Lab) -> None:
    test = latent(lab)
    assert "No model was trained here yet" in text(test)
    assert [link.label for link in test.get("page_link")][-1] == "Set up the first run"


def test_a_run_opens_with_all_images_of_the_split_that_was_watched(latent: Open, trained_run: TrainedRun) -> None:
    test = latent(trained_run.lab, run=trained_run.id)
    assert test.segmented_control(key="latent-split").value == "val"
    assert test.get("bidi_component")
    assert test.selectbox(key="latent-n").value == "all"
    assert "The two axes are the code itself, a code unit each." in text(test)
    assert "Shift and drag" in text(test), "what can be done in the map"


def test_a_new_visitor_gets_the_map_of_the_address_and_then_the_rest(latent: Open, trained_run: TrainedRun) -> None:
    key, new = f"latent-map-{trained_run.id}-train", {latent_view.OPENED: False}
    test = latent(trained_run.lab, new, run=trained_run.id, split="train", n="512", colour="error")
    drawn = test.get("bidi_component")[-1].proto
    assert "split=train&n=512" in drawn.json
    assert "colour=error" in drawn.json
    assert not test.selectbox
    assert not test.segmented_control
    assert not test.text_input
    test.session_state[key] = {"ready": True}
    test.run()
    assert test.segmented_control(key="latent-below").value == "traverse"
    assert test.segmented_control(key="latent-split").value == "train"
    assert test.selectbox(key="latent-colour").value == "error"
    assert drawn.id in [part.proto.id for part in test.get("bidi_component")], "the same map, which stays"


def test_the_rest_comes_though_the_map_never_says_that_it_stands(latent: Open, trained_run: TrainedRun) -> None:
    waits_long = {latent_view.OPENED: False, "latent-since": time.monotonic() - 2 * late.PATIENCE}
    test = latent(trained_run.lab, waits_long, run=trained_run.id, split="train", n="512")
    assert test.segmented_control(key="latent-split").value == "train"


def test_the_map_is_told_addresses_names_and_colours_and_no_point(trained_run: TrainedRun, monkeypatch: Any) -> None:
    monkeypatch.setenv("AELAB_HOME", str(trained_run.lab.path))
    told = latent_map.describe(View(trained_run.id, "test", None, 512))
    assert told["axes"] == ["Latent feature 1", "Latent feature 2"]
    assert not told["alike"], "code units have scales of their own"
    assert told["names"] == [str(digit) for digit in range(10)]
    assert told["colours"] == [label_colour(label) for label in range(10)]
    assert told["points"].startswith(f"api/points/{trained_run.id}?split=test&n=512&v=")
    assert told["decode"].startswith(f"api/decode/{trained_run.id}?split=test&v=")
    assert told["lifted"] == ""


def test_512_training_points_are_a_choice_as_in_the_tutorial(latent: Open, trained_run: TrainedRun) -> None:
    test = latent(trained_run.lab, run=trained_run.id, split="train", n="512")
    choice = test.selectbox(key="latent-n")
    assert choice.value == "512"
    total = len(trained_run.folder.analysis("train")["labels"])
    assert f"512 of {total:,} points are drawn: a sample that has each label in its share." in text(test)
    assert choice.options == ["512 (tutorial)", f"all {total:,}"]


def test_a_lasso_brings_the_images_and_counts_by_label(latent: Open, trained_run: TrainedRun, monkeypatch: Any) -> None:
    monkeypatch.setenv("AELAB_HOME", str(trained_run.lab.path))
    shown = latent_points.points(View(trained_run.id, "test"))
    corner = shown.places[shown.places[:, 0] > np.median(shown.places[:, 0])]
    view = {"split": "test", "step": None, "n": None}
    selection = {"kind": "polygon", "polygon": box(corner), "hidden": [], "view": view}
    inside = np.isin(shown.indices, latent_exchange.members(View(trained_run.id, "test"), selection))
    state = {f"latent-map-{trained_run.id}-test": {"selection": selection}}
    said = text(latent(trained_run.lab, state, run=trained_run.id, split="test"))
    assert f"{inside.sum():,} of {len(inside):,} selected" in said
    for label in np.unique(shown.labels[inside]):
        many, all_ = (inside & (shown.labels == label)).sum(), (shown.labels == label).sum()
        assert f"<b>{label}</b> {many} of {all_}" in said
    assert said.count("<img src=") == min(60, inside.sum())
    assert f"api/thumb/{trained_run.id}/test/{shown.indices[inside][0]}.png?v=" in said


def test_the_worst_of_a_selection_come_first_where_one_asks_for_them(latent: Open, trained_run: TrainedRun) -> None:
    kept = trained_run.folder.analysis("test")
    selection = {
        "kind": "polygon",
        "polygon": box(kept["codes"]),
        "hidden": [],
        "view": {"split": "test", "step": None, "n": None},
    }
    state = {f"latent-map-{trained_run.id}-test": {"selection": selection}}
    test = latent(trained_run.lab, state, run=trained_run.id, split="test")
    test.segmented_control(key="latent-order").set_value("worst first").run()
    first = text(test).split('<div class="latent-tiles">')[1].split("?")[0]
    assert first.endswith(f"/test/{kept['indices'][kept['errors'].argmax()]}.png")


@pytest.mark.parametrize(
    "selection", [{"kind": "polygon"}, {"view": {}}, {"kind": "index", "view": {"split": "test"}}, 7]
)
def test_a_selection_that_makes_no_sense_selects_nothing(latent: Open, trained_run: TrainedRun, selection: Any) -> None:
    state = {f"latent-map-{trained_run.id}-test": {"selection": selection}}
    test = latent(trained_run.lab, state, run=trained_run.id, split="test")
    assert "selected" not in text(test)


def test_pinned_places_stand_beside_the_map(latent: Open, trained_run: TrainedRun) -> None:
    state = {f"latent-map-{trained_run.id}-test": {"pins": [[0.5, -1.25]]}}
    said = text(latent(trained_run.lab, state, run=trained_run.id, split="test"))
    assert "Pinned places" in said
    assert f"api/decode/{trained_run.id}?split=test&v=" in said
    assert "&x=0.5&y=-1.25" in said


def test_more_dimensions_are_projected_and_the_caption_says_how_much_they_explain(
    latent: Open, two_runs: TwoRuns
) -> None:
    said = text(latent(two_runs.lab, run=two_runs.ids[1]))
    explained = latent_points.cloud(View(two_runs.ids[1], "test")).pca.explained
    shares = [f"{share:.0%}".replace("%", " %") for share in explained]
    assert f"Of the variance, principal component 1 has {shares[0]}, 2 has {shares[1]}." in said


def test_three_dimensions_are_the_same_map_seen_from_any_side(
    latent: Open, two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELAB_HOME", str(two_runs.lab.path))
    assert latent(two_runs.lab, run=two_runs.ids[1], dims="3").get("bidi_component")
    view = View(two_runs.ids[1], "test", dims=3)
    told = latent_map.describe(view)
    assert told["axes"] == ["Principal component 1", "Principal component 2", "Principal component 3"]
    numbers = latent_map.describe(view._replace(map="dims-2-0-3"))
    assert numbers["axes"] == ["Latent feature 3", "Latent feature 1", "Latent feature 4"], "the code units themselves"
    assert told["alike"], "lengths along principal components can be compared"
    assert told["decode"] == "", "a place on the screen is a line of codes"
    assert "dims=3" in told["points"]
    places = latent_points.points(view).places
    turn = [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    drawn = {"kind": "polygon", "polygon": box(places[:40, [2, 1]]), "turn": turn}
    inside = latent_exchange.members(view, drawn)
    low, high = places[:40].min(0) - 1, places[:40].max(0) + 1
    within = ((places > low) & (places < high))[:, 1:].all(1)
    assert inside.tolist() == sorted(latent_points.points(view).indices[within].tolist())


def test_points_of_the_other_splits_stand_behind_in_the_same_map(trained_run: TrainedRun, monkeypatch: Any) -> None:
    monkeypatch.setenv("AELAB_HOME", str(trained_run.lab.path))
    view = View(trained_run.id, "test")
    told = latent_map.describe(view)["behind"]
    assert told["name"] == "train and val"
    kept = [trained_run.folder.analysis(split)["codes"] for split in ("train", "val")]
    found = latent_points.behind(view)
    assert len(found) == sum(map(len, kept))
    np.testing.assert_allclose(np.sort(found[:, 0]), np.sort(np.concatenate(kept)[:, 0]))
    assert latent_points.behind(view._replace(step=1)).shape == (0, 2), "a film has no other splits"


def test_two_numbers_offer_no_third_dimension(latent: Open, trained_run: TrainedRun) -> None:
    test = latent(trained_run.lab, run=trained_run.id, dims="3")
    assert "latent-dims" not in test.session_state
    assert test.get("bidi_component")


def test_the_training_can_be_walked_through(latent: Open, trained_run: TrainedRun) -> None:
    test = latent(trained_run.lab, run=trained_run.id, split="film")
    slider, steps = test.select_slider[0], trained_run.folder.sample_steps()
    assert slider.value == steps[-1]
    slider.set_value(steps[0]).run()
    assert not test.exception
    assert "Only the newest model is kept" in text(test)


def test_an_unknown_run_in_the_address_shows_the_newest(latent: Open, trained_run: TrainedRun) -> None:
    test = latent(trained_run.lab, run="nobody")
    assert any("nobody cannot be shown" in info.value for info in test.info)
    assert test.get("bidi_component")


def test_before_the_analysis_there_are_the_samples_and_a_button(latent: Open, copy: TrainedRun) -> None:
    shutil.rmtree(copy.folder.path / "analysis")
    test = latent(copy.lab, run=copy.id)
    assert test.get("bidi_component")
    for _ in range(3):
        if test.button(key="analyse"):
            test.button(key="analyse").click().run()
            break
    assert [job.kind for job in queue.jobs(copy.lab, copy.id)].count("analyse") >= 1
    assert "the codes of all images …" in text(test)


def test_what_was_selected_among_the_samples_stays_selected_when_the_analysis_is_there(
    latent: Open, copy: TrainedRun, monkeypatch: Any
) -> None:
    monkeypatch.setenv("AELAB_HOME", str(copy.lab.path))
    inputs, step = copy.folder.inputs(), copy.folder.sample_steps()[-1]
    assert inputs
    codes = latent_points.cloud(View(copy.id, inputs.split, step)).places
    drawn = {"split": inputs.split, "step": step, "n": None}
    selection = {"kind": "polygon", "polygon": box(codes), "hidden": [], "view": drawn}
    state = {f"latent-map-{copy.id}-{inputs.split}": {"selection": selection}}
    assert f"{len(codes):,} of" in text(latent(copy.lab, state, run=copy.id))


def test_an_ended_run_without_a_sample_has_a_sentence(latent: Open, copy: TrainedRun) -> None:
    shutil.rmtree(copy.folder.path / "samples")
    shutil.rmtree(copy.folder.path / "analysis")
    assert "it ended before its first sample" in text(latent(copy.lab, run=copy.id)), "and asks for no rerun for ever"


def test_a_run_without_weights_shows_its_codes_and_says_what_is_missing(latent: Open, copy: TrainedRun) -> None:
    shutil.rmtree(copy.folder.checkpoints)
    test = latent(copy.lab, run=copy.id)
    assert test.get("bidi_component")
    assert "Its weights are not there" in text(test)


def test_a_pile_of_most_points_is_a_sentence(latent: Open, copy: TrainedRun, monkeypatch: Any) -> None:
    monkeypatch.setenv("AELAB_HOME", str(copy.lab.path))
    kept, random = copy.folder.analysis("test"), np.random.default_rng(0)
    n = len(kept["codes"])
    rounded = np.ones((n, 6)) + random.uniform(-1e-7, 1e-7, (n, 6))
    rounded[:9] += random.standard_normal((9, 6))
    copy.folder.write_analysis({"test": kept | {"codes": rounded.astype(np.float32)}}, {})
    said = text(latent(copy.lab, run=copy.id, split="test"))
    assert f"{n - 9} of {n} images have the same code: this model tells them apart no more." in said
    sparse = random.random((n, 6), np.float32)
    sparse[20:, :2] = 0
    copy.folder.write_analysis({"test": kept | {"codes": sparse}}, {})
    view = View(copy.id, "test")
    assert latent_map.piled(view) == ""
    said = latent_map.piled(view._replace(map="dims-0-1"))
    assert said == f" {n - 20} of {n} images have the same place here, though their codes differ."


def test_codes_of_a_diverged_run_are_a_sentence(latent: Open, copy: TrainedRun) -> None:
    kept = copy.folder.analysis("test")
    copy.folder.write_analysis({"test": kept | {"codes": np.full_like(kept["codes"], np.nan)}}, {})
    said = plain("No code of the test images is a finite number: the training diverged.")
    test = latent(copy.lab, {latent_view.OPENED: False}, run=copy.id)
    assert said in text(test)
    assert test.selectbox(key="pick-run").value, "where there is no map the rest does not wait for it"
