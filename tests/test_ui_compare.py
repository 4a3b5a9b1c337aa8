"""The Compare page: the same images, the errors under them, and what is not compared."""

from html import unescape
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from aecore.jobs.foreground import train_here
from aecore.runs import Inputs, Lab, runs
from tests.conftest import TrainedRun, TwoRuns, tiny
from ui import comparison, scores
from ui.wall import _layout, thousandths, wall

ROOT = Path(__file__).parents[1]


def open_page(lab: Lab, monkeypatch: pytest.MonkeyPatch, **query: str) -> AppTest:
    monkeypatch.setenv("AELAB_HOME", str(lab.path))
    at = AppTest.from_file(str(ROOT / "ui/main.py"), default_timeout=120)
    for name, value in query.items():
        at.query_params[name] = value
    at.switch_page(str(ROOT / "pages/compare.py"))
    return at.run()


def text(at: AppTest) -> str:
    return unescape(" ".join(block.proto.body for block in at.get("html") if "<style>" not in block.proto.body))


def test_an_empty_lab_says_what_to_do(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_page(lab, monkeypatch)
    assert not at.exception
    assert any("nothing to compare yet" in block.value for block in at.markdown)


def test_two_runs_stand_side_by_side_with_figures_and_differences(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = open_page(two_runs.lab, monkeypatch, runs=",".join(two_runs.ids))
    assert not at.exception
    said = text(at)
    assert said.count("<figure") == 3 * 12, "twelve originals and two reconstructions of each"
    assert said.count('class="best"') == 12
    for words in ("tiny, 2", "tiny, 4", "PCA, 2 numbers", "PCA, 4 numbers", "Mean image", "PSNR, dB", "Code size"):
        assert words in said
    assert "model.bottleneck.latent_dim" in said
    assert "training.epochs" not in said, "only what differs"


def test_what_a_denoiser_saw_is_a_column_and_its_gain_a_figure(
    denoiser: TrainedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = open_page(denoiser.lab, monkeypatch, runs=denoiser.id)
    assert not at.exception
    said = text(at)
    assert said.count("<figure") == 3 * 12, "original, input and reconstruction"
    assert "<b>Input</b>" in said
    metrics = denoiser.folder.analysis_metrics() or {}
    for words in ("Gain, dB", f"{metrics['test']['gain']:+.2f}", "AUROC", f"{metrics['anomalies']['auroc']:.3f}"):
        assert words in said
    inputs, (found, _) = denoiser.folder.inputs(), comparison.gather(denoiser.lab, runs(denoiser.lab))
    made = comparison.held_out(found, 5, None)
    assert made is not None
    assert inputs is not None
    assert inputs.seen is not None
    assert [column.is_input for column in made.columns] == [True, False]
    np.testing.assert_array_equal(made.columns[0].images, inputs.seen[:5])
    at.selectbox("wall-images").set_value("shapes").run()
    assert not at.exception
    assert text(at).count("<figure") == 3 * 12


def test_the_worst_of_all_classes_can_be_looked_at(denoiser: TrainedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_page(denoiser.lab, monkeypatch, runs=denoiser.id)
    assert at.selectbox("wall-images").options[1] == "Test images of all classes"
    at.selectbox("wall-images").set_value("digits").run()
    at.segmented_control("wall-order").set_value("Worst first").run()
    assert not at.exception
    assert text(at).count("<figure") == 3 * 12
    found, _ = comparison.gather(denoiser.lab, runs(denoiser.lab))
    made = comparison.elsewhere(found, "digits", 100)
    shown = comparison.worst(made, 5)
    assert shown.columns[1].errors.tolist() == sorted(made.columns[1].errors, reverse=True)[:5]
    assert {"0", "7"} & set(comparison.elsewhere(found, "digits", 100).names), "classes that were left out"
    np.testing.assert_allclose(comparison.errors(shown.originals, shown.columns[1].images), shown.columns[1].errors)


def test_the_latest_two_runs_are_there_without_a_choice(two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_page(two_runs.lab, monkeypatch)
    rows = [row for row in runs(two_runs.lab) if row.state == "completed"]
    assert at.multiselect("pick-runs").value == [row.id for row in rows[:2]][::-1]


def test_the_untrained_models_can_be_looked_at(two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_page(two_runs.lab, monkeypatch, runs=",".join(two_runs.ids))
    end = text(at)
    at.select_slider("wall-epoch").set_value(0).run()
    assert not at.exception
    assert "untrained" in text(at)
    assert text(at) != end


def test_images_of_another_data_set_go_through_the_models(two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_page(two_runs.lab, monkeypatch, runs=",".join(two_runs.ids))
    at.selectbox("wall-images").set_value("shapes").run()
    assert not at.exception
    assert text(at).count("<figure") == 3 * 12
    assert "newest model" in text(at)


def test_the_error_under_an_image_is_that_of_the_image(two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AELAB_HOME", str(two_runs.lab.path))
    found, _ = comparison.gather(two_runs.lab, runs(two_runs.lab, two_runs.ids))
    made = comparison.held_out(found, 5, None)
    assert made is not None
    for column in made.columns:
        expected = ((made.originals / 255.0 - column.images / 255.0) ** 2).mean(axis=(1, 2, 3))
        np.testing.assert_allclose(column.errors, expected, rtol=1e-5)
    assert thousandths(float(made.columns[0].errors[0])) in wall(made)


def test_other_data_is_refused_with_a_sentence(two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    other = train_here(two_runs.lab, tiny(data__size=10, training__epochs=1), "ada")
    at = open_page(two_runs.lab, monkeypatch, runs=f"{two_runs.ids[0]},{other}")
    assert not at.exception
    assert "learnt digits at 1×10×10" in at.warning[0].value
    assert "Runs on the same data can be compared." in at.warning[0].value


def test_runs_that_held_out_other_images_are_run_on_the_first_ones(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = train_here(two_runs.lab, tiny(data__seed=7, training__epochs=1), "ada")
    at = open_page(two_runs.lab, monkeypatch, runs=f"{two_runs.ids[0]},{other}")
    assert not at.exception
    assert any("other images" in note.value or "held out different images" in note.value for note in at.info)


def test_places_are_found_by_the_pixels() -> None:
    images = np.arange(4 * 4, dtype=np.uint8).reshape(4, 1, 2, 2)
    labels = np.zeros(4, np.int64)
    first, other = (Inputs(i, labels, labels, labels, labels, "val") for i in (images, images[[2, 0]]))
    assert comparison._places(first, other) == {0: 1, 2: 0}


def test_the_wall_makes_images_as_large_as_a_screen_allows() -> None:
    assert _layout(12, 3, 28) == (3, 112)
    assert _layout(20, 11, 28) == (1, 84)
    assert _layout(12, 3, 256)[1] <= 112


def test_the_smallest_error_wins_and_a_line_to_beat_wins_nothing() -> None:
    lines = [
        scores.Score("a", "#111111", "10 test", 0.02, 17.0, 0.5, 100, 2, 3.0),
        scores.Score("b", "#222222", "10 test", 0.03, 15.0, 0.4, 100, 4, 3.0),
        scores.Score("PCA, 2 numbers", scores.BASELINE, "10 test", 0.01, code_size=2),
    ]
    assert scores.table(lines).count(" best") == 3
    assert '<td class="n best">20.0</td>' in scores.table(lines)
