"""A run at one moment: points that move instead of jumping, the best and the worst images, errors, and what is damaged."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from aecore.analysis.alignment import follow, plane, procrustes
from aecore.analysis.watched import EACH, EACH_OF_CLASS, MOST_NOTABLE, notable, three
from aecore.jobs import queue
from aecore.runs import Lab
from tests.conftest import TrainedRun, tiny
from ui import moments
from ui.api import live
from ui.api import moments as routes
from ui.lab import split

Ask = Callable[[Lab], TestClient]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """A client of the routes over a lab."""

    def at(lab: Lab) -> TestClient:
        monkeypatch.setenv("AELAB_HOME", str(lab.path))
        return TestClient(Starlette(routes=[*live.ROUTES, *routes.ROUTES]))

    return at


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def turned(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s], [s, c]])


@pytest.fixture
def cloud() -> np.ndarray:
    """(300, 2) centred points with a shape of their own."""
    random = np.random.default_rng(0)
    points = random.normal(size=(300, 2)) * [3.0, 1.0] + random.exponential(size=(300, 1))
    centred: np.ndarray = points - points.mean(axis=0)
    return centred


@pytest.mark.parametrize("degrees", [0, 37, 90, 180, 251])
@pytest.mark.parametrize("mirror", [1, -1])
def test_points_that_were_only_turned_or_mirrored_do_not_move(cloud: np.ndarray, degrees: float, mirror: int) -> None:
    moved = cloud @ turned(degrees) * [mirror, 1]
    np.testing.assert_allclose(procrustes(moved, cloud), cloud, atol=1e-9)


def test_codes_in_another_basis_stay_where_they_were(cloud: np.ndarray) -> None:
    random = np.random.default_rng(1)
    codes = np.concatenate([cloud, 0.1 * random.normal(size=(300, 6))], axis=1)
    basis = np.linalg.qr(random.normal(size=(8, 8)))[0]
    before = follow(codes, None)
    np.testing.assert_allclose(follow(codes @ basis * 5 + 3, before), before, atol=1e-6)
    assert np.square(before).sum(axis=1).mean() == pytest.approx(1)


def test_two_numbers_keep_their_axes_and_one_is_spread(cloud: np.ndarray) -> None:
    here = plane(cloud)
    np.testing.assert_allclose(here * np.sqrt(np.square(cloud).sum(axis=1).mean()), cloud, atol=1e-9)
    np.testing.assert_allclose(follow(cloud @ turned(90), here), plane(cloud @ turned(90)))
    line = plane(np.arange(50.0)[:, None])
    assert (np.diff(line[:, 0]) > 0).all()
    assert len(np.unique(line[:, 1])) == 50


def test_codes_that_are_not_finite_or_all_the_same_stand_at_the_centre() -> None:
    codes = np.random.default_rng(0).normal(size=(40, 5))
    codes[3, 2], codes[7] = np.nan, np.inf
    found = plane(codes)
    assert np.isfinite(found).all()
    assert (found[[3, 7]] == 0).all()
    assert (plane(np.ones((10, 4))) == 0).all()
    assert (plane(np.full((3, 4), np.nan)) == 0).all()
    assert plane(np.zeros((0, 4))).shape == (0, 2)


def test_long_codes_are_projected_too() -> None:
    codes = np.random.default_rng(0).normal(size=(200, 600)).astype(np.float32)
    codes[:100] += 3
    left, right = plane(codes)[:100, 0], plane(codes)[100:, 0]
    assert max(left) < min(right) or max(right) < min(left)


@pytest.mark.parametrize(
    ("n", "first", "middle", "last"),
    [
        (20, [0, 1, 2, 3], [8, 9, 10, 11], [19, 18, 17, 16]),
        (12, [0, 1, 2, 3], [4, 5, 6, 7], [11, 10, 9, 8]),
        (3, [0], [1], [2]),
        (2, [0], [1], []),
        (1, [0], [], []),
        (0, [], [], []),
    ],
)
def test_best_typical_and_worst_have_nothing_in_common(
    n: int, first: list[int], middle: list[int], last: list[int]
) -> None:
    assert [part.tolist() for part in three(np.arange(n), 4)] == [first, middle, last]


def test_what_is_notable_is_so_among_all_and_in_each_class() -> None:
    errors = np.random.default_rng(0).permutation(500).astype(np.float32)
    labels = np.arange(500) % 5
    found = notable(errors, labels)
    assert len(found) == len(set(found.tolist())) <= MOST_NOTABLE
    order = np.argsort(errors)
    assert set(order[:EACH]) | set(order[-EACH:]) <= set(found)
    for label in range(5):
        of_class = order[labels[order] == label]
        assert set(of_class[:EACH_OF_CLASS]) | set(of_class[-EACH_OF_CLASS:]) <= set(found)
    assert len(notable(errors, np.arange(500))) == MOST_NOTABLE


def test_a_moment_has_the_errors_of_its_sample(ask: Ask, trained_run: TrainedRun) -> None:
    client, folder = ask(trained_run.lab), trained_run.folder
    step = folder.sample_steps()[-1]
    sample, inputs = folder.sample(step), folder.inputs()
    assert sample is not None
    assert inputs is not None
    assert inputs.all_labels is not None
    told = client.get(f"/api/moment/{folder.id}/{step}").json()
    assert told["mean"] == pytest.approx(float(sample.errors.mean()))
    assert [label for label, _, _ in told["classes"]] == list(range(10))
    assert sum(n for _, _, n in told["classes"]) == len(sample.errors)
    assert sum(error * n for _, error, n in told["classes"]) / len(sample.errors) == pytest.approx(
        told["mean"], rel=1e-5
    )
    assert [one["kind"] for one in told["extremes"]] == ["best"] * 4 + ["typical"] * 4 + ["worst"] * 4
    errors = np.sort(sample.errors)
    assert [one["error"] for one in told["extremes"][:4]] == pytest.approx(errors[:4].tolist())
    assert [one["rank"] for one in told["extremes"][8:]] == [len(errors) - i for i in range(4)]
    assert all(one["kept"] for one in told["extremes"])
    assert len(told["places"]) == 2 * len(sample.codes)


def test_a_class_has_its_own_best_and_worst(ask: Ask, trained_run: TrainedRun) -> None:
    client, step = ask(trained_run.lab), trained_run.folder.sample_steps()[-1]
    told = client.get(f"/api/moment/{trained_run.id}/{step}?label=7").json()
    assert {one["label"] for one in told["extremes"]} == {7}
    assert len(told["extremes"]) == 3 * EACH_OF_CLASS
    answer = client.get(f"/api/moment/{trained_run.id}/{step}?label=77")
    assert (answer.status_code, answer.json()["problem"][-15:]) == (404, "is of class 77.")
    assert client.get(f"/api/moment/{trained_run.id}/{step}?label=x").status_code == 400


def test_the_strip_shows_those_images_above_what_the_model_made_of_them_then(ask: Ask, trained_run: TrainedRun) -> None:
    client, folder = ask(trained_run.lab), trained_run.folder
    for step in (folder.sample_steps()[0], folder.sample_steps()[-1]):
        inputs, sample = moments.inputs_of(folder), moments.sample_of(folder, step)
        assert sample.notable is not None
        assert sample.notable_x_hat is not None
        shown = moments.extremes(inputs, sample)
        strip = pixels(client.get(f"/api/extremes/{folder.id}/{step}.png").content)
        val = split(folder.config().data.model_dump_json(), "val")
        originals = [val.images[moments.indices(inputs)[one.place], 0] for one in shown]
        made = [moments.kept_of(sample, one) for one in shown]
        np.testing.assert_array_equal(strip[:8], np.concatenate(originals, axis=1))
        np.testing.assert_array_equal(strip[8:], np.concatenate([one[0] for one in made if one is not None], axis=1))
        error = np.square((originals[0].astype(float) - strip[8:, :8]) / 255).mean()
        assert error == pytest.approx(shown[0].error, abs=2e-4)  # rounded to whole grey levels


def copy_of(run: TrainedRun, place: Path) -> Lab:
    shutil.copytree(run.lab.path, place, ignore=shutil.ignore_patterns("locks", "*.lock"))
    return Lab.open(place)


def without(lab: Lab, run: str, step: int, *names: str) -> None:
    """Take arrays out of a sample, as older programs wrote it."""
    path = lab.run(run).sample_path(step)
    with np.load(path) as file:
        kept = {name: file[name] for name in file.files if name not in names}
    np.savez(path, **kept)


def test_what_an_older_sample_does_not_keep_is_the_newest_models_and_marked(
    ask: Ask, trained_run: TrainedRun, tmp_path: Path
) -> None:
    lab = copy_of(trained_run, tmp_path / "lab")
    step = lab.run(trained_run.id).sample_steps()[0]
    without(lab, trained_run.id, step, "notable", "notable_x_hat")
    client = ask(lab)
    told = client.get(f"/api/moment/{trained_run.id}/{step}").json()
    missing = [at for at, one in enumerate(told["extremes"]) if not one["kept"]]
    assert missing
    strip = pixels(client.get(f"/api/extremes/{trained_run.id}/{step}.png").content)
    at = missing[0]
    assert strip[8:, 8 * at : 8 * at + 8].std() > 0  # something was drawn
    shutil.rmtree(lab.run(trained_run.id).checkpoints)
    strip = pixels(client.get(f"/api/extremes/{trained_run.id}/{step}.png").content)
    assert (strip[8:, 8 * at : 8 * at + 8] == 128).all()  # no model: grey


def test_points_stay_near_where_they_were_the_sample_before(ask: Ask, denoiser: TrainedRun) -> None:
    client, steps = ask(denoiser.lab), denoiser.folder.sample_steps()
    assert len(steps) >= 2
    places = [np.array(client.get(f"/api/moment/{denoiser.id}/{step}").json()["places"]) for step in steps[-2:]]
    own = moments.told(plane(moments.sample_of(denoiser.folder, steps[-1]).codes[: moments.POINTS]))
    apart = np.square(places[1] - places[0]).sum()
    assert apart <= np.square(np.array(own) - places[0]).sum() + 1e-9
    assert apart < np.square(-places[1] - places[0]).sum()


def test_the_error_map_is_red_where_too_bright_blue_where_too_dark_and_clear_where_right() -> None:
    x = np.array([[[[100, 100, 0, 255]]]], np.uint8)
    x_hat = np.array([[[[100, 110, 255, 0]]]], np.uint8)
    found = moments.difference(x, x_hat)
    assert found.shape == (1, 4, 1, 4)
    assert found[0, 3, 0].tolist() == [0, round(255 * (10 / 255) ** 0.5), 255, 255]
    assert found[0, :3, 0, 2].tolist() == moments.MORE.tolist()
    assert found[0, :3, 0, 3].tolist() == moments.LESS.tolist()
    colour = moments.difference(np.zeros((2, 3, 5, 6), np.uint8), np.full((2, 3, 5, 6), 51, np.uint8))
    assert colour.shape == (2, 4, 5, 6)
    assert set(colour[:, 3].ravel()) == {round(255 * 0.2**0.5)}


def test_the_error_map_is_as_long_as_asked_for(ask: Ask, trained_run: TrainedRun) -> None:
    answer = ask(trained_run.lab).get(f"/api/error/{trained_run.id}/0.png?n=5")
    assert pixels(answer.content).shape == (8, 40, 4)


def test_what_is_watched_is_told_once_with_names_and_colours(ask: Ask, trained_run: TrainedRun) -> None:
    told = ask(trained_run.lab).get(f"/api/watched/{trained_run.id}").json()
    assert told["classes"][0] == [0, "0", "#3f90da"]
    assert (told["split"], len(told["labels"])) == ("val", 64)
    assert told["count"] == len(moments.indices(moments.inputs_of(trained_run.folder)))


@pytest.mark.parametrize("damage", [b"", b"PK\3\4 not a zip", None])
def test_a_damaged_sample_is_a_sentence_and_the_others_are_shown(
    ask: Ask, trained_run: TrainedRun, tmp_path: Path, damage: bytes | None
) -> None:
    lab = copy_of(trained_run, tmp_path / "lab")
    folder = lab.run(trained_run.id)
    broken, *_, good = folder.sample_steps()
    path = folder.sample_path(broken)
    path.write_bytes(path.read_bytes()[:200] if damage is None else damage)
    client = ask(lab)
    listed = [step for step, _, _ in client.get(f"/api/samples?run={trained_run.id}").json()["samples"]]
    assert broken not in listed
    assert good in listed
    for address in (f"moment/{trained_run.id}/{broken}", f"error/{trained_run.id}/{broken}.png"):
        answer = client.get(f"/api/{address}")
        assert answer.status_code == 404
        assert answer.json()["problem"].startswith(
            f"The sample of step {broken} of run {trained_run.id} cannot be read"
        )
    assert client.get(f"/api/moment/{trained_run.id}/{good}").status_code == 200
    (folder.path / "samples/inputs.npz").write_bytes(b"no")
    answer = client.get(f"/api/watched/{trained_run.id}")
    assert (answer.status_code, "cannot be read" in answer.json()["problem"]) == (404, True)


def test_a_run_without_samples_and_one_that_is_not_there_are_sentences(ask: Ask, lab: Lab) -> None:
    run = queue.submit(lab, tiny(), "ada")
    client = ask(lab)
    assert client.get(f"/api/watched/{run}").json()["problem"] == f"The run {run} has no pictures yet."
    for address in ("moment/nobody/0", "extremes/nobody/0.png", "error/nobody/0.png", "watched/nobody"):
        answer = client.get(f"/api/{address}")
        assert (answer.status_code, answer.json()["problem"][:15]) == (404, "There is no run")


def test_a_moment_of_a_model_that_is_not_finite_is_told(ask: Ask, trained_run: TrainedRun, tmp_path: Path) -> None:
    lab = copy_of(trained_run, tmp_path / "lab")
    folder = lab.run(trained_run.id)
    sample = folder.sample(folder.sample_steps()[-1])
    assert sample is not None
    spoilt = SimpleNamespace(
        x_hat=sample.x_hat, codes=np.full_like(sample.codes, np.nan), errors=np.full_like(sample.errors, np.nan)
    )
    folder.write_sample(spoilt, sample.step, sample.epoch, sample.seconds)
    told = ask(lab).get(f"/api/moment/{trained_run.id}/{sample.step}").json()
    assert (told["mean"], set(told["places"])) == (None, {0})


def test_timing_comes_with_the_metrics_and_only_what_is_new(ask: Ask, trained_run: TrainedRun) -> None:
    client, folder = ask(trained_run.lab), trained_run.folder
    first = client.get(f"/api/metrics?run={trained_run.id}").json()
    rows, _ = folder.timing()
    assert first["timing"] == [list(row) for row in rows]
    again = client.get(f"/api/metrics?run={trained_run.id}&after={first['next']}").json()
    assert (again["timing"], again["rows"], again["whole"]) == ([], [], False)


def test_timing_of_an_older_program_has_no_load(lab: Lab) -> None:
    folder = lab.run(queue.submit(lab, tiny(), "ada"))
    (folder.path / "timing.csv").write_text("step,epoch,seconds,images_per_second,device_memory\n5,1,0.5,10.0,99\n")
    assert folder.timing()[0] == [(5, 1, 0.5, 10.0, 99, None)]
