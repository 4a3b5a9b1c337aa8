"""The Compare page: the same images, the errors under them, the lines to beat, and what is said where something is missing."""

import json
import os
import re
import shutil
from dataclasses import replace
from html import unescape
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import streamlit as st
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from aecore.analysis.bootstrap import Interval
from aecore.config import Facts, RunConfig, with_values
from aecore.jobs import queue, sweep, trash
from aecore.jobs.foreground import train_here
from aecore.runs import Inputs, Lab, RunFolder, run, runs
from tests.conftest import TrainedRun, TwoRuns, tiny
from ui import (
    charts,
    columns,
    compare_view,
    comparison,
    differing,
    figures,
    latent_selection,
    noise,
    ordering,
    parallel,
    pick,
    plots,
    report,
    scores,
    selected,
    spreadsheet,
    sweeps,
    take,
    trials,
)
from ui.api import live
from ui.api import moments as pictured
from ui.wall import WAITS, payload, thousandths, told_apart
from ui.words import plain, sized

ROOT = Path(__file__).parents[1]
SIMPLE = tuple(columns.SIMPLE)


def open_page(lab: Lab, monkeypatch: pytest.MonkeyPatch, **query: str | list[str]) -> AppTest:
    if os.environ.get("AELAB_HOME") != str(lab.path):
        st.cache_resource.clear()  # a dashboard shows one lab, and run ids are its keys
    monkeypatch.setenv("AELAB_HOME", str(lab.path))
    at = AppTest.from_file(str(ROOT / "ui/main.py"), default_timeout=120)
    for name, value in query.items():
        at.query_params[name] = value
    at.switch_page(str(ROOT / "pages/compare.py"))
    return at.run()


def text(at: AppTest) -> str:
    return unescape(" ".join(block.proto.body for block in at.get("html") if "<style>" not in block.proto.body))


def walls(at: AppTest) -> list[dict[str, Any]]:
    """What the walls on the page show."""
    found = [json.loads(block.proto.json) for block in at.get("bidi_component") if "strip" in block.proto.json]
    return [one for one in found if "columns" in one]


def labels(at: AppTest) -> list[str]:
    return [column["label"] for column in walls(at)[0]["columns"]]


def gathered(lab: Lab, ids: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> list[comparison.Compared]:
    monkeypatch.setenv("AELAB_HOME", str(lab.path))
    rows = {row.id: row for row in runs(lab, ids)}
    return comparison.gather(lab, [rows[run_id] for run_id in ids])[0]


def below(at: AppTest, title: str) -> str:
    """The words below the title of a section."""
    (found,) = [heading.value for heading in at.subheader if heading.value.startswith(title)]
    return found.removeprefix(f"{title}&ensp;:gray[:small[").removesuffix("]]")


def test_an_empty_lab_says_what_to_do(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_page(lab, monkeypatch)
    assert not at.exception
    assert any("nothing to compare yet" in block.value for block in at.markdown)


def test_two_runs_stand_beside_the_lines_to_beat_with_figures_and_differences(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = open_page(two_runs.lab, monkeypatch, runs=",".join(two_runs.ids))
    assert not at.exception
    said, (shown,) = text(at), walls(at)
    assert labels(at)[:6] == ["Original", "tiny, 2", "tiny, 4", "Mean image", "PCA, 2", "PCA, 4"]
    assert [label for label in labels(at)[6:] if not label.startswith("Bicubic")] == [
        next(label for label in labels(at) if label.startswith(kind)) for kind in ("JPEG", "WebP")
    ], "a file is the same for both codes, and shown once"
    assert re.search(r"JPEG, \d+ B", " ".join(labels(at)))
    assert len(shown["rows"]) == 12
    assert all(sum(column["best"][row] for column in shown["columns"]) == 1 for row in range(12))
    for words in ("PCA, 2 numbers", "Mean image", "MS-SSIM", "kNN", "Probe", "Operations", "297 test"):
        assert words in said
    assert "model.bottleneck.latent_dim" in said
    assert "training.epochs" not in said, "only what differs"
    assert below(at, "Figures") == "means over the test images; grey lines need no network"
    assert re.search(r"The MSE of tiny, 2 is larger than that of tiny, 4 by .* on 297 test images", said)


def test_what_a_denoiser_saw_is_a_column_and_its_gain_a_figure(
    denoiser: TrainedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = open_page(denoiser.lab, monkeypatch, runs=denoiser.id)
    assert not at.exception
    assert labels(at)[:3] == ["Original", "Input", "denoiser"]
    words = "given are the images that the models should make, not what the models see"
    assert words in below(at, "Figures")
    assert [words in column["title"] for column in walls(at)[0]["columns"][:4]] == [False, False, False, True]
    metrics = denoiser.folder.analysis_metrics() or {}
    for words in ("Gain, dB", f"{metrics['test']['gain']:+.2f}", "AUROC", f"{metrics['anomalies']['auroc']:.3f}"):
        assert words in text(at)
    assert "Classes left out" in [heading.value.split("&")[0] for heading in at.subheader]
    inputs, found = denoiser.folder.inputs(), gathered(denoiser.lab, (denoiser.id,), monkeypatch)
    drawn = charts.left_out(found)
    assert list(drawn) == ["left-out-roc", "left-out-pr"]
    for name, area in (("roc", "auroc"), ("pr", "average_precision")):
        assert f": {metrics['anomalies'][area]:.3f}<" in drawn[f"left-out-{name}"]
    choice = compare_view.Choice("test", None, "pictures", 12, ordering.ORDERS[0], None, (), "", None, None)
    assert all(svg in take.whole([], choice, [found], []) for svg in drawn.values()), "the file has them, too"
    made = columns.held_out(found, None)
    assert made is not None
    assert inputs is not None
    assert [column.kind for column in made.columns] == ["input", "model"]
    np.testing.assert_array_equal(made.columns[0].images, inputs.seen)
    at.selectbox("images").set_value("shapes").run()
    assert not at.exception
    assert labels(at)[:3] == ["Original", "Input", "denoiser"]


def test_errors_are_against_what_the_decoder_should_give_and_the_page_says_so(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = train_here(lab, tiny(name="shrinker", task__kind="down_sample", model__bottleneck__latent_dim=4), "ada")
    folder = lab.run(run_id)
    at = open_page(lab, monkeypatch, runs=run_id)
    assert not at.exception
    (shown,) = walls(at)
    assert labels(at)[:3] == ["Target", "Input", "shrinker"]
    assert shown["columns"][0]["note"] == "the image made 2 times smaller"
    assert "target: the image made 2 times smaller, 297 test images" in text(at)

    kept, found = folder.analysis("shown-test"), gathered(lab, (run_id,), monkeypatch)
    assert kept is not None
    small = kept["images"]
    assert (small[:, :, ::2, ::2] == small[:, :, 1::2, 1::2]).all()
    assert not (kept["seen"][:, :, ::2] == kept["seen"][:, :, 1::2]).all(), "the encoder sees all of it"
    first = columns.test_images(found, SIMPLE)
    held = columns.held_out(found, None)
    assert first is not None
    assert held is not None
    for wall in (first, held, selected.elsewhere(found, "shapes")):
        assert (wall.originals[:, :, ::2] == wall.originals[:, :, 1::2]).all()
        assert wall.target == "the image made 2 times smaller"
        for column in wall.columns:
            np.testing.assert_allclose(column.errors, columns.errors(wall.originals, column.images), rtol=1e-5)
    figures = folder.analysis_metrics() or {}
    mean = np.mean(folder.analysis("measures")["model.mse"])  # type: ignore[index]
    assert figures["test"]["mse"] == pytest.approx(mean)
    assert len(small) == 297
    assert columns.errors(small, kept["model"]).mean() == pytest.approx(mean, rel=1e-5)
    for name in ("pca", "mean", "bicubic"):
        assert columns.errors(small, kept[name]).mean() == pytest.approx(figures["columns"][name]["mse"], rel=1e-5)
    assert figures["columns"]["pca"]["mse"] == pytest.approx(figures["baselines"]["pca"]["mse"], rel=1e-5)
    coded = folder.analysis("test")
    assert coded is not None
    assert coded["errors"].mean() == pytest.approx(mean, rel=1e-5)

    client = TestClient(Starlette(routes=[*live.ROUTES, *pictured.ROUTES]))
    assert client.get(f"/api/samples?run={run_id}").json()["target"] == "the image made 2 times smaller"
    last = folder.sample_steps()[-1]
    strip = np.asarray(Image.open(BytesIO(client.get(f"/api/extremes/{run_id}/{last}.png").content)))
    assert (strip[:8:2] == strip[1:8:2]).all(), "the best and worst stand below what should have come"

    other = found[0]._replace(config=tiny(), label="plain")
    assert [[run.label for run in group] for group in comparison.groups([*found, other])] == [["shrinker"], ["plain"]]


def test_the_worst_of_all_classes_can_be_looked_at(denoiser: TrainedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_page(denoiser.lab, monkeypatch, runs=denoiser.id)
    assert "Test images of all classes" in at.selectbox("images").options
    at.selectbox("images").set_value("digits").run()
    at.selectbox("order").set_value(ordering.WORST).run()
    assert not at.exception
    made = selected.elsewhere(gathered(denoiser.lab, (denoiser.id,), monkeypatch), "digits")
    worst = np.sort(made.models[0].errors)[::-1][:12]
    assert walls(at)[0]["columns"][2]["captions"] == [thousandths(error) for error in worst.tolist()]
    assert {"0", "7"} & {made.name(row) for row in range(len(made.labels))}, "classes that were left out"


def test_the_latest_two_runs_are_there_without_a_choice(two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_page(two_runs.lab, monkeypatch)
    rows = [row for row in runs(two_runs.lab) if row.state == "completed"]
    assert at.multiselect("pick-runs").value == [row.id for row in rows[:2]][::-1]


def test_the_untrained_models_can_be_looked_at(two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_page(two_runs.lab, monkeypatch, runs=",".join(two_runs.ids))
    at.selectbox("images").set_value("validation").run()
    end = walls(at)[0]["columns"]
    at.select_slider("epoch").set_value("untrained").run()
    assert not at.exception
    begin = walls(at)[0]["columns"]
    assert "untrained" in begin[1]["title"]
    assert begin[1]["strip"] != end[1]["strip"]
    assert [column["strip"] for column in begin[3:]] == [column["strip"] for column in end[3:]], (
        "the lines to beat stay"
    )


def test_the_error_under_an_image_is_that_of_the_image(two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    found = gathered(two_runs.lab, two_runs.ids, monkeypatch)
    for made in (columns.test_images(found, SIMPLE), columns.held_out(found, None, SIMPLE)):
        assert made is not None
        assert len(made.columns) > 6
        for column in made.columns:
            expected = ((made.originals / 255.0 - column.images / 255.0) ** 2).mean(axis=(1, 2, 3))
            np.testing.assert_allclose(column.errors, expected, rtol=1e-5)
        shown = payload(made, "pictures")
        assert shown["columns"][1]["captions"][0] == thousandths(float(made.columns[0].errors[0]))


def test_heads_that_begin_alike_show_what_tells_them_apart() -> None:
    names = ["convolutional autoencoder, small", "convolutional autoencoder, large", "convolutional, 4", "PCA, 16"]
    assert told_apart(names) == ["convolut… small", "convolut… large", "convolutional, 4", "PCA, 16"]
    same = ["one and the same long name, 4", "one and the same long name, 16"]
    assert told_apart(same) == ["one and … 4", "one and … 16"]
    assert told_apart([same[0], same[0]]) == [same[0]] * 2, "what is the same needs no end"


def test_images_are_ordered_by_what_two_models_are_apart_or_by_what_they_look_like(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = columns.test_images(gathered(two_runs.lab, two_runs.ids, monkeypatch), ())
    assert made is not None
    a, b = (column.errors for column in made.models)
    rows = ordering.ordered(made, ordering.GAP, two_runs.ids)
    assert np.abs(a - b)[rows].tolist() == sorted(np.abs(a - b), reverse=True)
    assert made.labels[ordering.ordered(made, ordering.CLASS)].tolist() == sorted(made.labels)
    assert len(set(made.labels[:10])) == 10, "one class after another"
    stream = BytesIO()
    Image.fromarray(made.originals[17, 0]).resize((80, 80), Image.Resampling.NEAREST).save(stream, "PNG")
    wanted = ordering.uploaded(stream.getvalue(), made.originals.shape[1:])
    assert ordering.like(made, wanted, np.arange(len(made.labels)))[0] == 17
    with pytest.raises(ValueError, match="not an image that can be read"):
        ordering.uploaded(b"text", (1, 8, 8))


def test_an_upload_that_is_no_image_is_said_and_the_wall_stays(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    choice = compare_view.Choice("test", None, "pictures", 12, ordering.ORDERS[0], None, (), "", None, b"text")
    made, notes = compare_view.build(gathered(two_runs.lab, two_runs.ids, monkeypatch), choice)
    assert notes == ["This is not an image that can be read: use a PNG, JPEG or WebP."]
    assert made is not None
    assert len(made.labels) == 12


def test_what_the_wall_is_sorted_by_is_said_and_an_upload_goes_before_a_number(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = gathered(two_runs.lab, two_runs.ids, monkeypatch)
    whole = columns.test_images(found, ())
    assert whole is not None
    choice = compare_view.Choice("test", None, "pictures", 12, ordering.ORDERS[0], None, (), "", 3, None)
    first, said = "The images most like the uploaded one come first.", []
    for pixels in (whole.originals[17, 0], 255 - whole.originals[17, 0]):
        Image.fromarray(pixels).save(stream := BytesIO(), "PNG")
        made, notes = compare_view.build(found, choice._replace(upload=stream.getvalue()))
        assert made is not None
        said.append((made.indices[0] == whole.indices[17], notes))
    aside = f"{first} The image number is left aside."
    turned = " It looks inverted: its border is bright, that of these images is dark."
    assert said == [(True, [aside]), (False, [aside + turned])]
    made, notes = compare_view.build(found, choice)
    assert made is not None
    assert (made.indices[0], notes) == (3, ["The images most like image 3 come first."])
    _, notes = compare_view.build(found, choice._replace(source="validation", number=10_000))
    assert notes == ["Image 10000 is not among the 64 that are kept of the validation split."]


def test_one_image_is_found_by_its_number(two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_page(two_runs.lab, monkeypatch, runs=",".join(two_runs.ids))
    at.number_input("image").set_value(33).run()
    assert "image 33 of the test split" in walls(at)[0]["rows"][0]["title"]
    at.number_input("image").set_value(10_000).run()
    assert "Image 10000 is not among the 297 that are kept of the test split." in at.info[0].value


def test_other_data_stands_below_at_its_own_size_and_that_is_said(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = train_here(two_runs.lab, tiny(data__size=10, training__epochs=1), "ada")
    at = open_page(two_runs.lab, monkeypatch, runs=f"{two_runs.ids[0]},{other}")
    assert not at.exception
    assert [one["shape"] for one in walls(at)] == [[1, 8, 8], [1, 10, 10]]
    assert any("learnt to give different images" in note.value for note in at.info)
    assert "digits at 1×10×10, 297 test" in text(at)


def test_runs_that_held_out_other_images_are_run_on_the_first_ones(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They have the same name, code size, owner and minute: the box tells them apart by their ids."""
    other = train_here(two_runs.lab, tiny(data__seed=7, training__epochs=1), "ada")
    at = open_page(
        two_runs.lab, monkeypatch, runs=f"{two_runs.ids[0]},{other}", images="Validation images, epoch by epoch"
    )
    at.selectbox("images").set_value("validation").run()
    assert not at.exception
    assert at.multiselect("pick-runs").value == [two_runs.ids[0], other]
    assert any("other images" in note.value or "held out different images" in note.value for note in at.info)


def test_images_of_the_test_split_are_called_so_and_are_nobodys_training_images(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = train_here(two_runs.lab, tiny(name="all of it", data__validation=0, training__epochs=1), "ada")
    words = "Test images, epoch by epoch"
    at = open_page(two_runs.lab, monkeypatch, runs=f"{other},{two_runs.ids[0]}", images=words)
    assert not at.exception
    assert words in at.selectbox("images").options
    assert VALIDATION not in at.selectbox("images").options
    assert walls(at)[0]["columns"][0]["note"] == "test images"
    said = [note.value.replace("\\", "") for note in at.info]
    assert said == ["tiny watched other images: its newest model was run on these just now."]
    turned = open_page(two_runs.lab, monkeypatch, runs=f"{two_runs.ids[0]},{other}", images=VALIDATION)
    (said,) = [note.value for note in turned.info]
    assert "may include these among its training images" in said


def test_a_run_that_is_gone_or_waits_is_said_and_the_others_are_shown(
    two_runs: TwoRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(two_runs.lab.runs_folder, tmp_path / "lab" / "runs")
    lab = Lab.open(tmp_path / "lab")
    first, gone = two_runs.ids
    trash.delete(lab, gone, "ada")
    waiting = queue.submit(lab, tiny(name="<b>waiting</b>"), "ada")
    at = open_page(lab, monkeypatch, runs=f"{first},{gone},never-2-aaaa,{waiting}")
    assert not at.exception
    said = " ".join(note.value for note in at.warning).replace("\\", "")
    assert "`" not in said, "typed text is no markdown here: a sign of it would be seen as it is"
    for words in (f"Run '{gone}' was deleted", "There is no run 'never-2-aaaa'", f"{waiting} has not started yet"):
        assert words in said
    assert labels(at)[1] == "tiny"


def test_a_damaged_analysis_of_one_run_leaves_the_others_compared(
    two_runs: TwoRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = Lab.open(tmp_path / "lab")
    shutil.copytree(two_runs.lab.runs_folder, lab.runs_folder, dirs_exist_ok=True)
    for path in lab.path.glob("lab.sqlite*"):
        path.unlink()
    lab = Lab.open(lab.path)
    for path in (lab.runs_folder / two_runs.ids[1] / "analysis").glob("*.npz"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    at = open_page(lab, monkeypatch, runs=",".join(two_runs.ids))
    assert not at.exception
    assert not at.error
    assert labels(at)[1:3] == ["tiny, 2", "tiny, 4"]
    assert "The MSE of" not in text(at)
    assert "Analyse 1 run" in [button.label for button in at.button]


VALIDATION = "Validation images, epoch by epoch"


def test_a_run_without_that_epoch_shows_its_last_one_and_says_so(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = train_here(two_runs.lab, tiny(name="<i>short</i>", training__epochs=1), "ada")
    at = open_page(two_runs.lab, monkeypatch, runs=f"{two_runs.ids[0]},{short}", images=VALIDATION, epoch="epoch 2")
    assert not at.exception
    assert at.select_slider("epoch").value == "epoch 2"
    said = [note.value.replace("\\", "") for note in at.info]
    assert "<i>short</i> has no epoch 2: it is at epoch 1, which is shown." in said
    titles = [column["title"] for column in walls(at)[0]["columns"][1:3]]
    assert ["epoch 3" in titles[0], "epoch 1" in titles[1]] == [False, True]


def test_an_epoch_that_no_run_has_is_said_and_the_last_one_is_shown(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = open_page(two_runs.lab, monkeypatch, runs=",".join(two_runs.ids), images=VALIDATION, epoch="epoch 70")
    assert not at.exception
    assert at.select_slider("epoch").value == "the end"
    assert any("There is no epoch 70 yet: these are the models after epoch 3." in one.value for one in at.markdown)


def test_an_epoch_of_a_link_can_still_be_chosen_when_there_are_too_many_for_a_slider(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "epochs", lambda runs: [0, 2])
    at = open_page(two_runs.lab, monkeypatch, runs=",".join(two_runs.ids), images=VALIDATION, epoch="epoch 1")
    assert at.select_slider("epoch").value == "epoch 1"
    at.select_slider("epoch").set_value("epoch 2").run()
    assert not at.exception
    assert at.select_slider("epoch").value == "epoch 2"


def test_where_no_pictures_near_an_epoch_were_kept_it_is_said(
    two_runs: TwoRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(two_runs.lab.runs_folder, tmp_path / "lab" / "runs")
    lab = Lab.open(tmp_path / "lab")
    for run_id in two_runs.ids:
        for step in lab.run(run_id).sample_steps()[1:-1]:
            lab.run(run_id).drop_sample(step)
    at = open_page(lab, monkeypatch, runs=",".join(two_runs.ids), images=VALIDATION, epoch="epoch 2")
    sentence = "Of tiny, 2 and tiny, 4 no pictures near epoch 2 were kept: those of the untrained model are shown."
    assert [note.value.replace("\\", "") for note in at.info] == [sentence]
    assert "untrained" in walls(at)[0]["columns"][1]["title"]


@pytest.mark.parametrize(
    "query",
    [
        {"order": "<b>x</b>", "a": "nobody", "b": "nobody", "rows": "x"},
        {"order": "Where two disagree", "a": "nobody", "b": "nobody"},
        {"images": VALIDATION, "epoch": "epoch -1"},
        {
            "images": "nothing",
            "class": "<i>",
            "image": "-3",
            "beside": "x",
            "show": "x",
            "zoom": "x",
            "swipe": "9,9,9,9",
        },
    ],
)
def test_an_address_with_words_that_mean_nothing_shows_the_models_all_the_same(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch, query: dict[str, str]
) -> None:
    at = open_page(two_runs.lab, monkeypatch, runs=",".join(two_runs.ids), **query)
    assert not at.exception
    assert labels(at)[1:3] == ["tiny, 2", "tiny, 4"]


def test_a_sweep_begins_with_the_first_of_the_compared_models(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = open_page(two_runs.lab, monkeypatch, runs=",".join(two_runs.ids))
    link = next(link for link in at.get("page_link") if link.label.startswith("Sweep it"))
    assert link.proto.query_string == f"clone={two_runs.ids[0]}&sweep=open"
    train = AppTest.from_file(str(ROOT / "ui/main.py"), default_timeout=60)
    train.query_params.update({"clone": two_runs.ids[0], "sweep": "open"})
    train.switch_page(str(ROOT / "pages/train.py"))
    train.run()
    assert not train.exception
    assert train.session_state["sweep-box"] is True
    assert "sweep" not in train.query_params
    assert train.button("sweep-queue").label == "Queue 5 runs"


def test_a_run_without_an_analysis_is_offered_one_and_a_damaged_checkpoint_stops_nobody(
    two_runs: TwoRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(two_runs.lab.runs_folder, tmp_path / "lab" / "runs")
    lab = Lab.open(tmp_path / "lab")
    first, other = two_runs.ids
    shutil.rmtree(lab.run(other).path / "analysis")
    for file in lab.run(other).checkpoints.rglob("*.safetensors"):
        file.write_bytes(b"damaged")
    at = open_page(lab, monkeypatch, runs=f"{first},{other}")
    assert not at.exception
    assert labels(at)[1:3] == ["tiny, 2", "tiny, 4"], "the validation images need no weights"
    at.button("analyse").click().run()
    assert not at.exception
    job = queue.jobs(lab, other)[-1]
    assert (job.kind, job.state) == ("analyse", "queued")
    at.selectbox("images").set_value("shapes").run()
    assert not at.exception
    assert labels(at)[:3] == ["Original", "tiny, 2", "Mean image"], "without tiny, 4"
    assert any(f"The checkpoints of run {other} are damaged" in one.value.replace("\\", "") for one in at.info)
    queue.stop(lab, other, "ada")


def test_two_hundred_models_are_told_in_figures_and_the_first_in_pictures(
    two_runs: TwoRuns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = two_runs.ids[0]
    ids = [f"many-2-{number:04d}" for number in range(200)]
    for run_id in ids:
        shutil.copytree(
            two_runs.lab.run(first).path,
            tmp_path / "lab" / "runs" / run_id,
            ignore=shutil.ignore_patterns("checkpoints"),
        )
        (tmp_path / "lab" / "runs" / run_id / "run.json").unlink()
        (tmp_path / "lab" / "runs" / run_id / "checkpoints").mkdir()
    at = open_page(Lab.open(tmp_path / "lab"), monkeypatch, runs=",".join(ids))
    assert not at.exception
    assert any(f"The first {comparison.MOST} of 200 models" in note.value for note in at.info)
    assert sum(column["kind"] == "model" for column in walls(at)[0]["columns"]) == comparison.MOST
    assert "Figures" not in [heading.value.split("&")[0] for heading in at.subheader], "what lies below awaits the wall"
    assert not at.multiselect, "and what it is chosen by"
    at.session_state[WAITS] = False  # as when the browser has drawn it
    at.run()
    assert text(at).count("many-2-") >= 200
    assert len(at.multiselect("pick-runs").value) == 200
    assert at.multiselect("pick-runs").proto.wrap, "beside another box, too, they stand below each other"


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"rows": "20 images", "show": "Differences", "beside": ["PCA", "Mean image"]},
        {"order": ordering.GAP, "a": "tiny, 4", "b": "tiny, 2"},
        {"order": ordering.GAP},
        {"order": ordering.WORST, "class": "3"},
        {"images": "Validation images, epoch by epoch", "epoch": "epoch 1"},
        {"images": "Validation images, epoch by epoch", "epoch": "untrained", "rows": "48 images"},
        {"image": "17", "beside": "JPEG"},
        {"beside": ""},
        {
            "order": "upside down",
            "rows": "1e9",
            "epoch": "epoch 1",
            "class": "<b>",
            "image": "-1",
            "a": "x",
            "show": "",
        },
    ],
    ids=str,
)
def test_the_first_wall_comes_without_its_controls_and_shows_what_they_will_say(
    query: dict[str, Any], two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELAB_HOME", str(two_runs.lab.path))
    monkeypatch.setattr("ui.wall.LARGE", 1)
    at = open_page(two_runs.lab, monkeypatch, runs=",".join(two_runs.ids), **query)
    assert not at.exception
    assert not at.multiselect
    assert not at.selectbox
    (before,) = walls(at)
    assert before["awaited"]
    at.session_state[WAITS] = False  # as when the browser has drawn it
    at.run()
    assert not at.exception
    assert at.selectbox("order").value in ordering.ORDERS
    (after,) = walls(at)
    assert before == after, "the browser has nothing to draw again"


def test_seeds_of_one_configuration_are_called_by_their_seeds(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = gathered(two_runs.lab, two_runs.ids[:1], monkeypatch)[0]
    of = [
        first._replace(
            label=name,
            row=replace(first.row, id=name),
            config=with_values(first.config, {"training.seed": s}),
        )
        for name, s in (("tiny-2-aaaa", 0), ("tiny-2-bbbb", 1), ("tiny-2-cccc", 1), ("tiny-2-dddd", 7))
    ]
    assert [run.label for run in comparison.by_seed(of)] == [
        "tiny, seed 0",
        "tiny-2-bbbb",
        "tiny-2-cccc",
        "tiny, seed 7",
    ]
    taken = [*of, first._replace(label="tiny, seed 7")]
    assert comparison.by_seed(taken)[3].label == "tiny-2-dddd"


def test_names_are_never_markup() -> None:
    name = "<script>alert(1)</script> *a*"
    facts = Facts((1, 4, 4), (0.0, 1.0), 10, ("<i>x</i>",))
    images = np.zeros((2, 1, 4, 4), np.uint8)
    zero = np.zeros(2, np.int64)
    made = columns.Wall(
        images, zero, zero, facts, "test", [columns.Column(name, "model", images, np.zeros(2), "#111")], []
    )
    line = scores.Line(name, "#111111", "10 test", {"mse": 0.02})
    svg = plots.plot(
        [plots.Series(name, "#111111", [plots.Point(1, 2, name)], line=True)], plots.Axis(name), plots.Axis("y")
    )
    whole = report.report(
        name, [("Wall", payload(made, "pictures"))], [("T", scores.table([line]))], [("P", [svg])], [name]
    )
    for html in (scores.table([line]), svg, whole):
        assert "<script>alert" not in html
        assert "<i>x" not in html
    assert spreadsheet.as_csv(["run"], [["=1+1"]]) == "run\n'=1+1\n"


def test_runs_on_other_images_of_one_shape_are_compared_on_their_own(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = gathered(two_runs.lab, two_runs.ids, monkeypatch)

    def on(**data: object) -> comparison.Compared:
        return one._replace(config=with_values(one.config, {f"data.{name}": value for name, value in data.items()}))

    assert len(comparison.groups([on(name="folder", path="/a/x"), on(name="folder", path="/b/y")])) == 2
    assert on(name="folder", path="/a/x").what == "folder /a/x at 1×8×8"
    assert len(comparison.groups([on(name="glyphs", seed=0), on(name="glyphs", seed=1)])) == 2
    assert on(name="glyphs", seed=1).what == "glyphs of data seed 1 at 1×8×8"
    assert len(comparison.groups([on(seed=0), on(seed=1)])) == 1, "only its validation images differ"


def test_a_simple_method_that_was_fitted_to_other_images_has_a_line_of_its_own(copy: TrainedRun) -> None:
    shutil.copytree(copy.folder.path, copy.lab.runs_folder / "other")
    other = RunFolder(copy.lab.runs_folder / "other")
    metrics = json.loads((other.path / "analysis/metrics.json").read_text())
    metrics["columns"]["mean"] |= {"mse": 0.5, "n": 31}
    (other.path / "analysis/metrics.json").write_text(json.dumps(metrics))
    row, facts = run(copy.lab, copy.id), copy.folder.facts()
    assert facts
    both = [comparison.Compared(row, folder, copy.folder.config(), facts, "a", "#1") for folder in (copy.folder, other)]
    found = [line for line in scores.lines([both]) if line.baseline]
    assert [line.images for line in found if line.label == "Mean image"] == ["297 test images", "31 test images"]
    assert len([line for line in found if line.label.startswith("JPEG")]) == 1
    metrics["columns"]["mean"]["n"] = 297
    (other.path / "analysis/metrics.json").write_text(json.dumps(metrics))
    found = scores.lines([[both[0], both[1]._replace(label="b")]])
    means = [line.label for line in found if line.label.startswith("Mean")]
    assert means == ["Mean image, images of a", "Mean image, images of b"]
    assert [line.label for line in found if line.label.startswith("JPEG")] == ["JPEG"], "it is fitted to nothing"
    metrics["columns"]["mean"]["mse"] = json.loads((copy.folder.path / "analysis/metrics.json").read_text())["columns"][
        "mean"
    ]["mse"] * (1 + 1e-6)
    (other.path / "analysis/metrics.json").write_text(json.dumps(metrics))
    found = scores.lines([[both[0], both[1]._replace(label="b")]])
    assert [line.label for line in found if line.label.startswith("Mean")] == ["Mean image"], "they read the same"


def test_columns_of_a_simple_method_say_whose_images_it_was_fitted_to_where_they_differ() -> None:
    def column(level: int, whose: str, kind: str = "baseline", key: str = "mean") -> columns.Column:
        images = np.full((2, 1, 4, 4), level, np.uint8)
        return columns.Column("Mean image", kind, images, np.zeros(2), "", f"images of {whose}", key)

    named = lambda *some: [one.label for one in columns.each_once(some)]
    assert named(column(0, "a"), column(0, "b")) == ["Mean image"]
    assert named(column(254, "a"), column(255, "b")) == ["Mean image"], "one level is not seen"
    assert named(column(0, "a"), column(255, "b"), column(255, "c")) == [
        "Mean image, images of a",
        "Mean image, images of b",
    ]
    assert len(named(column(0, "a", "input"), column(1, "b", "input"))) == 2
    assert len(named(column(0, "a", "model"), column(0, "b", "model"))) == 2


def test_each_figure_is_told_with_the_images_that_it_was_measured_on(
    copy: TrainedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copy.folder.path / "analysis/metrics.json"
    metrics = json.loads(path.read_text())
    metrics["test"]["n"] = metrics["columns"]["model"]["n"] = 10_000
    metrics["code"] |= {"n": 256, "codes": 10_000, "prior_distance": 0.1}
    metrics["anomalies"] = {"auroc": 0.9, "n": 10_500}
    path.write_text(json.dumps(metrics))
    (line,) = (one for one in scores.lines([gathered(copy.lab, (copy.id,), monkeypatch)]) if not one.baseline)
    few = ("probe_accuracy", "knn_accuracy", "silhouette", "nmi", "ari")
    assert {line.of(name) for name in few} == {"256 test images"}
    whole = ("mse", "ms_ssim", "effective_dimension", "used_dimensions", "correlation")
    assert {line.of(name) for name in whole} == {"10,000 test images"}
    assert (line.of("prior_distance"), line.of("auroc")) == ("2,000 test images", "10,500 test images")

    corner = lambda html: re.findall(r'<th class="who">(.*?)</th>', html)
    small = lambda html: re.findall(r'>([^<]*)<small class="quiet">([^<]*)<', html)
    table, codes = scores.table([line]), scores.table([line], figures.CODES)
    assert (corner(table), corner(codes)) == (["10,000 test images"], ["256 test images"])
    shown = figures.ALL["knn_accuracy"].write(line.figures["knn_accuracy"])
    assert {("0.900", "of 10,500"), (shown, "of 256")} <= set(small(table))
    assert len(small(table)) == 3, "AUROC, kNN and the probe"
    assert {count for _, count in small(codes)} == {"of 10,000", "of 2,000"}
    told = scores.lines_csv([line]).splitlines()[1]
    assert "10,000 test images; auroc: 10,500 test images; knn_accuracy, probe_accuracy, silhouette" in told

    worse = {**line.figures, "knn_accuracy": 0.0, "mse": 9.0}
    twin = line._replace(figures=worse, counts={**line.counts, "knn_accuracy": 2_000})
    best = re.findall(r'best">([^<]*)<', scores.table([line, twin, twin._replace(figures=line.figures)]))
    assert figures.ALL["mse"].write(line.figures["mse"]) in best
    knn = lambda value, **more: line._replace(figures={"knn_accuracy": value}, **more)
    found = [knn(0.9), knn(0.2), twin, knn(1.0, images="9,020 test images")]
    assert re.findall(r'best">([^<]*)<', scores.table(found)) == ["90.0%"]


def test_places_are_found_by_the_pixels() -> None:
    images = np.arange(4 * 4, dtype=np.uint8).reshape(4, 1, 2, 2)
    labels = np.zeros(4, np.int64)
    first, other = (Inputs(i, labels, labels, labels, labels, "val") for i in (images, images[[2, 0]]))
    assert columns._places(first.images, other.images) == {0: 1, 2: 0}


def test_the_smallest_error_wins_and_a_line_to_beat_wins_nothing() -> None:
    lines = [
        scores.Line("a", "#111111", "10 test", {"mse": 0.02, "psnr": 17.0, "ssim": 0.5}),
        scores.Line("b", "#222222", "10 test", {"mse": 0.03, "psnr": 15.0, "ssim": 0.4}),
        scores.Line("PCA, 2 numbers", "", "10 test", {"mse": 0.01}, baseline=True),
        scores.Line("c", "#333333", "other images", {"mse": 0.001}, group=1),
    ]
    assert scores.table(lines).count(" best") == 3
    assert '<td class="n best">20.0<' in scores.table(lines)
    for error in (0.001, 0.0200001):
        few = lines[1]._replace(images="3 test", figures={"mse": error})
        assert scores.table([lines[0], lines[1], few]).count(" best") == 3, "other images are no contest"
    assert ">17,945<" in scores.table([scores.Line("a", "", "", {"used_dimensions": 17_945.0})], figures.CODES)
    bounds = [scores.Line(n, "#1", "", {"elbo": v}, note=n) for n, v in (("Bernoulli", -90.0), ("Gaussian", 800.0))]
    assert " best" not in scores.table(bounds), "bounds of unlike likelihoods cannot be compared"
    alike = [scores.Line(n, "#1", "", {"mig": v}) for n, v in (("a", 0.0081), ("b", 0.0084), ("c", 0.002))]
    assert scores.table(alike).count(" best") == 2, "of two that read the same none is the better one"


def test_an_axis_on_which_all_numbers_are_one_says_it_once_and_lines_leave_the_words_readable():
    axes = [parallel.Coordinate("kernel", [4.0, 4.0, None]), parallel.Coordinate("kind", ["conv", "conv", "dense"])]
    made = parallel.parallel(axes, ["a", "b", "c"], ["#111111", "#222222", "#333333"])
    heights = {word: float(y) for y, word in re.findall(r'y="([\d.]+)" text-anchor="start"[^>]*>([^<]+)<', made)}
    assert set(heights) == {"4", "conv"} | {"dense"}
    assert made.count("paint-order:stroke") == 3, "where a line goes through a word all the same, the word is above it"
    through = re.search(r'points="[\d.]+,([\d.]+) [\d.]+,([\d.]+)"', made)
    assert through is not None
    assert heights["4"] == float(through[1]) - 6
    assert heights["conv"] == float(through[2]) - 6


def test_each_heading_of_parallel_coordinates_stands_above_its_axis_and_is_not_cut_by_the_edge():
    names = ["A title that is long", "b", "another one as long", "MSE", "and the last of them all"]
    made = parallel.parallel([parallel.Coordinate(name, [1.0, 2.0]) for name in names], ["a", "b"], ["#1", "#2"])
    heads = re.findall(r'<text x="([\d.]+)"[^>]*text-anchor="middle"[^>]*>([^<]+)<', made)
    axes = re.findall(r'<line x1="([\d.]+)" y1="[\d.]+" x2="\1"', made)
    assert [x for x, _ in heads] == axes
    assert [head for _, head in heads] == names
    for x, head in heads:
        half = parallel.LETTER * len(head) / 2
        assert half < float(x) < 1100 - half


def test_a_legend_stands_where_its_lines_are_not():
    def legend(*values: float) -> float:
        points = [plots.Point(10.0**i, value) for i, value in enumerate(values)]
        svg = plots.plot(
            [plots.Series("PCA", "#111111", points, line=True)], plots.Axis("x", log=True), plots.Axis("y")
        )
        place = re.search(r'x="([\d.]+)"[^>]*>PCA<', svg)
        assert place is not None
        return float(place[1])

    assert legend(3, 2, 1) > legend(1, 2, 3) + 100


def test_a_legend_does_not_stand_on_a_line_between_two_points():
    guess = plots.Series("guessing", "red", [plots.Point(0, 0.1), plots.Point(1, 0.1)], marks=False, line=True)
    falls = plots.Series("a model", "blue", [plots.Point(0, 1), plots.Point(0.5, 0.9), plots.Point(1, 0.1)], line=True)
    drawn = plots.plot([guess, falls], plots.Axis("recall"), plots.Axis("precision"))
    (x, y) = map(float, re.search(r'<text x="([\d.]+)" y="([\d.]+)"[^>]*>guessing<', drawn).groups())
    assert (x > 200, y < plots.HEIGHT / 2) == (True, True), "at the top on the right"


def test_a_legend_for_which_no_corner_is_free_stands_below_the_plot():
    corners = [(0, 0), (10, 0.1), (10, 10), (0.1, 10), (0, 1)]
    round_ = plots.Series("all the way round", "#111111", [plots.Point(*place) for place in corners], line=True)
    drawn = plots.plot([round_, round_._replace(label="again")], plots.Axis("x"), plots.Axis("y"))
    high = int(re.search(r'height="(\d+)"', drawn)[1])
    names = re.findall(r'y="([\d.]+)"[^>]*>(all the way round|again)<', drawn)
    assert [name for _, name in names] == ["all the way round", "again"]
    assert all(plots.HEIGHT < float(y) < high for y, _ in names)
    long = plots.plot([round_._replace(label="PCA, images of " + 9 * "a long name ")], plots.Axis("x"), plots.Axis("y"))
    (end,) = re.findall(r'<line x1="[\d.]+" y1="[\d.]+" x2="([\d.]+)" y2="[\d.]+" stroke="#111111"', long)
    assert float(end) < plots.WIDTH
    assert " …" in long
    falls = plots.Series("falls", "#111111", [plots.Point(0, 10), plots.Point(2, 0), plots.Point(10, 0)], line=True)
    assert f'height="{plots.HEIGHT}"' in plots.plot([falls], plots.Axis("x"), plots.Axis("y"))
    low = plots.Series("low", "#111111", [plots.Point(x, y) for x, y in ((0, 10), (0.1, 1), (10, 10))], line=True)
    mark = plots.Mark(5.0, "elbow: a long word")
    assert f'height="{plots.HEIGHT}"' in plots.plot([low], plots.Axis("x"), plots.Axis("y"))
    assert f'height="{plots.HEIGHT}"' not in plots.plot([low], plots.Axis("x"), plots.Axis("y"), mark)


def test_ticks_of_code_sizes_are_whole_and_those_that_are_there_where_there_are_few(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = lambda axis, values: plots.Scale(axis, values, 0, 300).ticks()
    sizes = charts.COSTS["code_size"]
    assert ticks(sizes, [3, 5]) == [3, 5]
    assert ticks(sizes, [5, 5]) == [5]
    assert ticks(sizes, [2, 3, 5, 32]) == [2, 4, 8, 16, 32]
    assert ticks(sizes, [1000, 1001, 1500]) == [1024], "numbers that would stand on each other"
    one = gathered(two_runs.lab, two_runs.ids, monkeypatch)[0]
    size = "model__bottleneck__latent_dim"
    axis, _ = trials.trials(sweep_of(one, tiny(**{size: 2}), tiny(**{size: 4})), [2, 4])
    assert ticks(axis, [2, 4]) == [2, 3, 4]


def test_a_difference_within_the_noise_is_said_in_a_sentence(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = gathered(two_runs.lab, two_runs.ids, monkeypatch)
    near = noise.Apart(other, 297, {"mse": Interval(0.0001, -0.0002, 0.0004), "ssim": Interval(0.1, 0.05, 0.15)})
    assert noise.sentence(first, near) == (
        "tiny, 4 and tiny, 2 differ in MSE by 0.100 × 10⁻³ (95 %: −0.200 to 0.400): within the noise of these 297 test images."
    )
    far = noise.Apart(other, 297, {"mse": Interval(-0.01, -0.012, -0.008), "ssim": Interval(0.1, -0.05, 0.15)})
    assert "is smaller than that of tiny, 2 by 10.0 × 10⁻³" in noise.sentence(first, far)
    assert noise.sentence(first, far).endswith("In SSIM their difference is within the noise.")
    (measured,) = noise.apart(first, [first, other])
    kept = [run.folder.analysis("measures") or {} for run in (first, other)]
    assert measured.found["mse"].mean == pytest.approx(
        float((kept[1]["model.mse"] - kept[0]["model.mse"]).mean()), rel=1e-4
    )


def test_pca_stands_at_the_components_that_it_has(copy: TrainedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    path = copy.folder.path / "analysis/metrics.json"
    metrics = json.loads(path.read_text())
    metrics["baselines"]["pca"]["components"] = 1
    path.write_text(json.dumps(metrics))
    lines = scores.lines([gathered(copy.lab, (copy.id,), monkeypatch)])
    sizes = {line.label.partition(",")[0]: line.figures.get("code_size") for line in lines}
    assert (sizes["tiny"], sizes["PCA"]) == (2, 1)


def test_a_line_to_beat_joins_only_what_was_fitted_to_the_same_images(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = gathered(two_runs.lab, two_runs.ids, monkeypatch)
    (alone,) = charts.pca_lines(scores.lines([runs]))
    assert (alone.label, len(alone.points), alone.colour) == ("PCA", 2, charts.QUIET)
    for change in ({"training.classes": ("1", "2")}, {"training.subset": 100}):
        other = runs[1]._replace(config=with_values(runs[1].config, change))
        both = charts.pca_lines(scores.lines([[runs[0], other]]))
        assert [(line.label, line.colour) for line in both] == [
            (f"PCA, images of {run.label}", run.colour) for run in runs
        ]
        assert [[point.x for point in line.points] for line in both] == [[2], [4]]
        drawn = charts.costs(scores.lines([[runs[0], other]]))["error-against-code-size"]
        assert (drawn.count("<circle"), drawn.count("<polyline")) == (2, 2), "a line to beat does not look like a run"
    alike = [
        line._replace(figures=line.figures | {"mse": 0.5}) for line in scores.lines([[runs[0], other]]) if line.baseline
    ]
    joined = [line._replace(sets=frozenset().union(*(one.sets for one in alike))) for line in alike]
    assert [len(line.points) for line in charts.pca_lines(joined)] == [2, 2], "what reads the same is a point of both"
    held_out = runs[1]._replace(config=with_values(runs[1].config, {"data.validation": 0}))
    (one,) = charts.pca_lines(scores.lines([[runs[0], held_out]]))
    assert [point.x for point in one.points] == [2, 4]


def test_what_the_first_pictures_come_with_is_said_as_it_is() -> None:
    waits, ended = (SimpleNamespace(row=SimpleNamespace(step=step)) for step in (0, 7))
    assert "first step of training" in compare_view._awaited([ended, waits])
    assert "being analysed" in compare_view._awaited([ended])


def test_bounds_of_pixels_in_other_ranges_are_not_subtracted(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = gathered(two_runs.lab, two_runs.ids, monkeypatch)
    ranges = dict(zip(two_runs.ids, ("[0,1]", "[-1,1]"), strict=True))
    both = {"mse": Interval(0.1, 0.05, 0.15), "elbo": Interval(1.0, 0.5, 1.5)}
    monkeypatch.setattr(noise, "_paired", lambda *_: (297, dict(both)))
    monkeypatch.setattr(noise, "likelihood", lambda run: f"Gaussian likelihood of pixels in {ranges[run.row.id]}")
    (unlike,) = noise.apart(runs[0], runs)
    assert set(unlike.found) == {"mse"}
    ranges[two_runs.ids[1]] = "[0,1]"
    (alike,) = noise.apart(runs[0], runs)
    assert set(alike.found) == {"mse", "elbo"}


def test_a_sweep_is_plotted_beside_its_line_to_beat_and_its_elbow_is_of_the_validation_images(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = gathered(two_runs.lab, two_runs.ids, monkeypatch)[0]
    validation = {1: 1.0, 2: 0.4, 4: 0.1, 8: 0.08, 16: 0.07}
    found = [
        trials.Trial(
            one, x, "", {"test": {"mse": 0.05 / x, "psnr": 10.0 + x}, "baselines": {"pca": {"mse": 0.04 / x**1.2}}}, v
        )
        for x, v in validation.items()
    ]
    waits = trials.Trial(one, 32, "", {}, None)
    sizes = plots.Axis(trials.CODE_SIZE, True, 2)
    made = sweeps.pictures(sizes, [*found, waits])
    assert list(made) == ["mse", "psnr"], "nothing is known of the neighbours yet"
    assert made["mse"].count("<circle") == 5
    assert made["mse"].count("<polyline") == 2
    assert "elbow: 4" in made["mse"]
    words = sweeps.told(trials.CODE_SIZE, [*found, waits])
    assert words.startswith("5 of 6 runs are analysed. The elbow is at 4 numbers, by the validation images")
    assert words.endswith("0 of them beat PCA of the same size.")
    assert len(sweeps.csv_of(sizes, found).splitlines()) == 6


def test_a_sweep_over_what_is_to_be_given_is_no_contest_of_errors(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = gathered(two_runs.lab, two_runs.ids, monkeypatch)[0]
    other = one._replace(config=tiny(task__kind="down_sample"))
    metrics: dict[str, Any] = {"test": {"mse": 0.05, "psnr": 13.0}, "baselines": {"pca": {"mse": 0.06}}}
    found = [
        trials.Trial(run, place + 1.0, "", metrics | {"code": {"knn_accuracy": 0.9}}, 0.05)
        for place, run in enumerate((one, other))
    ]
    tasks = plots.Axis("task.kind", words=["Identity", "Down sample"])
    assert list(sweeps.pictures(tasks, found)) == ["knn"], "the codes stand for the same images"
    assert list(sweeps.pictures(tasks, [trial._replace(metrics=metrics) for trial in found])) == []
    words = sweeps.told(trials.CODE_SIZE, found)
    assert f"({plain(one.what)}; {plain(other.what)})" in words
    assert other.what.endswith("target: the image made 2 times smaller")
    assert "their errors are no contest" in words
    assert "elbow" not in words
    assert "beat PCA" not in words
    assert trials.best_size(found) is None
    assert list(sweeps.pictures(tasks, found[:1])) == ["mse", "psnr", "knn"]


def sweep_of(one: comparison.Compared, *configs: RunConfig) -> list[comparison.Compared]:
    """Runs with these configurations; what was measured of each is that of one."""
    row = lambda config: replace(one.row, code_size=config.model.code_size(one.facts.shape))
    return [one._replace(config=config, row=row(config)) for config in configs]


def test_the_axis_of_a_sweep_is_what_was_varied_and_words_stand_under_their_places(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = gathered(two_runs.lab, two_runs.ids, monkeypatch)[0]
    tasks = [tiny(task__kind=kind) for kind in ("denoise", "masked_patches", "denoise")]
    axis, found = trials.trials(sweep_of(one, *tasks), [])
    assert (axis.title, axis.words, [trial.x for trial in found]) == (
        "Task", ["Denoise", "Masked patches"], [1, 1, 2],
    )  # fmt: skip
    svg = sweeps.pictures(axis, found)["psnr"]
    written = re.findall(r">([^<]+)</text>", svg)
    assert written[:3] == ["Denoise", "Masked", "patches"]
    assert "0.5" not in svg.split("</g>")[0]
    assert "<polyline" not in svg, "nothing lies between two words"
    assert svg.count("<circle") == 3
    assert "Masked patches" in sweeps.csv_of(axis, found)
    epochs, _ = trials.trials(sweep_of(one, *(tiny(training__epochs=count) for count in (1, 2, 3))), [])
    assert plots.Scale(epochs, [1, 3], 0, 100).ticks() == [1, 2, 3], "and no half epochs"


def test_a_sweep_reaches_to_the_sizes_that_wait_and_its_lines_are_what_else_was_varied(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = gathered(two_runs.lab, two_runs.ids, monkeypatch)[0]
    size = "model__bottleneck__latent_dim"
    grid = [tiny(**{size: code, "training__batch_size": batch}) for code in (2, 4) for batch in (32, 64)]
    axis, found = trials.trials(sweep_of(one, *grid), [2, 2, 4, 4, 32])
    assert plots.Scale(axis, [2, 4], 0, 100).ticks() == [2, 4, 8, 16, 32]
    assert {trial.line for trial in found} == {"Batch size 32", "Batch size 64"}
    alone, found = trials.trials(sweep_of(one, grid[0]), [2, 4, 8, 16])
    assert (alone.title, alone.log, [trial.x for trial in found]) == (trials.CODE_SIZE, True, [2.0])
    conv = {"model__backbone__kind": "conv", "model__bottleneck__kind": "feature_map"}
    maps = [tiny(**conv, model__backbone__channels=(8, n)) for n in (1, 2)]
    assert {trial.line for trial in trials.trials(sweep_of(one, *maps), [4, 8])[1]} == {""}, "it is what sets the size"
    pairs = [tiny(**{size: 2 + at, "training__batch_size": 32 + at * 7 % 10}) for at in range(10)]
    axis, found = trials.trials(sweep_of(one, *pairs), [2, 11])
    assert {trial.line for trial in found} == {""}, "ten points, no ten lines"
    assert trials.best_size([trial._replace(validation=1 / trial.x) for trial in found]) is None, "nor an elbow"
    svg = sweeps.pictures(axis, found)["knn"]
    assert svg.count("<circle") == 10
    assert "<polyline" not in svg


def test_differences_are_in_the_words_and_the_order_of_the_form(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = gathered(two_runs.lab, two_runs.ids[:1], monkeypatch)[0]
    other = tiny(
        training__weight_decay=1.0, training__shuffle=False, task__kind="denoise", task__sigma=1.0,
        data__validation=0.25, model__backbone__widths=(16, 8),
    )  # fmt: skip
    found = {change.path: change.values for change in differing.changes(sweep_of(one, tiny(), other))}
    assert list(found) == [
        "data.validation", "model.backbone.widths", "task.kind", "task.sigma",
        "training.weight_decay", "training.shuffle",
    ]  # fmt: skip
    assert found["task.sigma"] == ["–", "1"]
    assert found["training.weight_decay"] == ["0", "1"]
    assert found["training.shuffle"] == ["on", "off"]
    assert found["model.backbone.widths"] == ["32", "16, 8"]
    assert found["task.kind"] == ["Identity", "Denoise"]


def test_a_line_of_many_runs_is_blue_by_what_the_runs_of_its_kind_reach() -> None:
    good, quiet = charts.GOOD, charts.QUIET
    blue = charts.by_error([1, 3, 0.1, 0.2, None], ["a", "a", "b", "b", "b"])
    assert blue == [good, quiet, good, quiet, quiet]
    assert charts.by_error([1, 2, 3, 9], ["a", "a", "a", "b"]) == [good, quiet, quiet, quiet], (
        "a median is not below itself"
    )


def test_a_sweep_that_waits_says_so_on_its_page(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    name, ids = sweep.submit(lab, sweep.plan(tiny(), {"code_size": "1,2,4"}), "ada")
    train_here(lab, tiny(training__epochs=1), "ada")
    at = open_page(lab, monkeypatch, sweep=name)
    assert not at.exception
    assert any("Its plots begin with the first run" in note.value for note in at.markdown)
    assert at.selectbox("pick-sweep").value == name
    assert "**3 runs** of this sweep, in the order of their code sizes." in [one.value for one in at.markdown]
    assert [row.sweep for row in runs(lab, ids)] == [name] * 3
    _, tasks = sweep.submit(lab, sweep.plan(tiny(), {"task.kind": "identity,denoise"}), "ada")
    assert sweeps.order(runs(lab, tasks)) == "in the order in which they were queued"
    gone = open_page(lab, monkeypatch, sweep="nothing-abc123")
    assert "There is no sweep" in gone.warning[0].value


def open_train(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("AELAB_HOME", str(lab.path))
    at = AppTest.from_file(str(ROOT / "ui/main.py"), default_timeout=60)
    return at.switch_page(str(ROOT / "pages/train.py")).run()


def test_one_press_on_train_queues_a_sweep_however_often_it_is_pressed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = open_train(lab, monkeypatch)
    at.text_input("sweep-values").set_value("2, 4").run()
    at.number_input("sweep-seeds").set_value(2).run()
    button = at.button("sweep-queue")
    assert button.label == "Queue 4 runs"
    button.click().run()
    assert at.button("sweep-queue").label == "Queued"
    at.button("sweep-queue").click().run()
    assert not at.exception
    rows = runs(lab)
    assert sorted(row.code_size for row in rows) == [2, 2, 4, 4]
    assert len({row.sweep for row in rows}) == 1
    said = " ".join(one.value for one in at.markdown).replace("\\", "")
    assert f"4 runs are queued, as the sweep **{rows[0].sweep}**." in said
    assert {job.at_once for row in rows for job in queue.jobs(lab, row.id)} == {2}
    at.button("new-sweep").click().run()
    assert at.button("sweep-queue").label == "Queue 4 runs"
    at.button("sweep-queue").click().run()
    assert len(runs(lab)) == 8
    at.text_input("sweep-values").set_value("2, nothing").run()
    assert at.button("sweep-queue").disabled
    assert "“Code size” is 'nothing', but must be a whole number." in text(at)


def test_what_a_sweep_can_vary_has_the_names_of_the_form(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    offered = open_train(lab, monkeypatch).selectbox("sweep-field").options
    assert offered[0] == "Code size"
    assert {"Backbone (model.backbone.kind)", "Learning rate (training.learning_rate)"} <= set(offered)
    assert not [name for name in offered if name.startswith("None")]


def test_the_runs_of_a_sweep_are_told_apart_by_their_names_and_nothing_is_said_twice(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = open_train(lab, monkeypatch)
    at.number_input("draft:training.epochs").set_value(7).run()
    at.text_input("sweep-values").set_value("3, 5").run()
    at.button("sweep-queue").click().run()
    rows = runs(lab)[::-1]
    assert [row.name for row in rows] == ["glyphs-conv, code 3", "glyphs-conv, code 5"]
    assert [sized(row) for row in rows] == [row.name for row in rows]
    assert sized(replace(rows[0], name="one")) == "one, code 3"
    assert pick.label(rows[0]).startswith("glyphs-conv, code 3 · glyphs · ")
    assert comparison.labels(rows) == ["code 3", "code 5"]


def test_ticks_are_round_numbers_inside_the_axis() -> None:
    assert plots.Scale(plots.Axis("x", log=True, base=2), [2, 32], 0, 100).ticks() == [2, 4, 8, 16, 32]
    assert plots.Scale(plots.Axis("x"), [0, 10], 0, 100).ticks() == [0, 2, 4, 6, 8, 10]
    ticks = plots.Scale(plots.Axis("y", log=True), [0.012, 0.05], 0, 100).ticks()
    assert ticks == [0.02, 0.03, 0.05]
    assert plots.plot([plots.Series("a", "#1", [plots.Point(0, 1)])], plots.Axis("x", log=True), plots.Axis("y")) == ""


def test_a_selection_of_the_latent_page_goes_through_every_model(
    two_runs: TwoRuns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELAB_HOME", str(two_runs.lab.path))
    chosen = np.array([4, 17, 230])
    name = latent_selection.keep(two_runs.ids[0], "test", chosen)
    said = latent_selection.title(two_runs.ids[0], name)
    at = open_page(two_runs.lab, monkeypatch, runs=",".join(two_runs.ids), images=said, selection=name)
    assert not at.exception
    assert said == "Selection: 3 test images"
    assert at.selectbox("images").value == latent_selection.NAME
    made = selected.wall_of(gathered(two_runs.lab, two_runs.ids, monkeypatch), name)
    assert made is not None
    assert made.indices.tolist() == [4, 17, 230]
    assert len(made.models) == 2
    for column, folder in zip(made.models, two_runs.folders, strict=True):
        np.testing.assert_allclose(column.errors, (folder.analysis("test") or {})["errors"][chosen], rtol=0.05)
    assert labels(at)[3:5] == ["Mean image", "PCA, 2"], "what is lit above the wall stands in it"
    beside = selected.wall_of(gathered(two_runs.lab, two_runs.ids, monkeypatch), name, SIMPLE)
    assert beside is not None
    for method in ("mean", "pca", "bicubic", "jpeg"):
        column = next(column for column in beside.columns if column.key == method)
        measured = two_runs.folders[0].analysis("measures") or {}
        at_ = [measured["indices"].tolist().index(index) for index in chosen]
        np.testing.assert_allclose(column.errors, measured[f"{method}.mse"][at_], rtol=1e-4, err_msg=method)
    assert selected.wall_of(gathered(two_runs.lab, two_runs.ids, monkeypatch), "0" * 16) is None
    assert "Silhouette" in text(at), "how good the codes are is a table of its own"
