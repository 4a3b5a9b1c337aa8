"""The routes that the live components poll, on a run that was really trained."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from aecore.config import preset
from aecore.jobs import queue
from aecore.jobs.states import claim, move
from aecore.runs import Inputs, Lab, RunFolder
from aecore.runs.folder import MetricRow
from tests.conftest import TrainedRun, tiny
from ui import shared
from ui.api import live
from ui.live import titles

Ask = Callable[[Lab], TestClient]


class Later(TestClient):
    """Asks each time as if a while had passed since."""

    def get(self, *asked: Any, **options: Any) -> httpx.Response:
        shared.forget()
        return super().get(*asked, **options)


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """A client of the routes over a lab."""

    def at(lab: Lab) -> TestClient:
        monkeypatch.setenv("AELAB_HOME", str(lab.path))
        return Later(Starlette(routes=live.ROUTES))

    return at


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_all_rows_come_once_and_then_only_what_is_new(ask: Ask, trained_run: TrainedRun) -> None:
    client = ask(trained_run.lab)
    first = client.get(f"/api/metrics?run={trained_run.id}").json()
    rows, _ = trained_run.folder.metrics()
    assert first["rows"] == [list(row) for row in rows]
    assert first["whole"]
    assert (first["shown"], first["ended"], first["epoch"], first["epochs"]) == ("completed", True, 3, 3)
    again = client.get(f"/api/metrics?run={trained_run.id}&after={first['next']}").json()
    assert again["rows"] == []
    assert not again["whole"]
    assert again["next"] == first["next"]


def queued(lab: Lab) -> tuple[str, RunFolder]:
    run = queue.submit(lab, tiny(), "ada")
    return run, lab.run(run)


def test_a_run_that_waits_has_no_rows_and_no_pictures_yet(ask: Ask, lab: Lab) -> None:
    run, _ = queued(lab)
    client = ask(lab)
    metrics = client.get(f"/api/metrics?run={run}").json()
    assert (metrics["rows"], metrics["shown"], metrics["ended"], metrics["position"]) == ([], "queued", False, 1)
    assert client.get(f"/api/samples?run={run}").json()["samples"] == []
    assert client.get(f"/api/inputs/{run}.png").json()["problem"] == f"The run {run} has no pictures yet."


def test_what_is_appended_comes_with_the_next_question(ask: Ask, lab: Lab) -> None:
    run, folder = queued(lab)
    client = ask(lab)
    folder.append_metrics([(1, 1, "train", "loss", 0.5)])
    after = client.get(f"/api/metrics?run={run}&after={client.get(f'/api/metrics?run={run}').json()['next']}").json()[
        "next"
    ]
    folder.append_metrics([(2, 1, "train", "loss", 0.25), (2, 1, "train", "kl", float("nan"))])
    answer = client.get(f"/api/metrics?run={run}&after={after}").json()
    assert answer["rows"] == [[2, 1, "train", "loss", 0.25], [2, 1, "train", "kl", None]]


def test_a_file_that_was_cut_for_a_resumed_run_is_told_from_the_start(ask: Ask, lab: Lab) -> None:
    run, folder = queued(lab)
    client = ask(lab)
    folder.append_metrics([(1, 1, "train", "loss", 0.5), (2, 1, "train", "loss", 0.4)])
    after = client.get(f"/api/metrics?run={run}").json()["next"]
    cut = folder.path / "cut"
    cut.write_text("".join((folder.path / "metrics.csv").read_text().splitlines(keepends=True)[:2]))
    cut.replace(folder.path / "metrics.csv")
    answer = client.get(f"/api/metrics?run={run}&after={after}").json()
    assert answer["whole"]
    assert answer["rows"] == [[1, 1, "train", "loss", 0.5]]


def test_a_run_that_goes_on_is_told_from_the_start_even_where_its_file_has_the_same_number(ask: Ask, lab: Lab) -> None:
    run, folder = queued(lab)
    client = ask(lab)
    folder.append_metrics([(step, 1, "train", "loss", 0.5) for step in range(1, 9)])
    address = f"/api/metrics?run={run}&after="
    first = client.get(address).json()
    assert len(first["rows"]) == 8
    job = queue.jobs(lab, run)[0].id
    move(lab, job, "starting", by="supervisor")
    claim(lab, job, "local:x:1:1")
    with (folder.path / "metrics.csv").open("r+b") as file:
        file.truncate(file.read().index(b"5,"))  # under the same inode, which a file system may give again
    again = client.get(address + first["next"]).json()
    assert (again["whole"], [row[0] for row in again["rows"]]) == (True, [1, 2, 3, 4])
    folder.append_metrics([(5, 1, "train", "loss", 0.25)])
    onward = client.get(address + again["next"]).json()
    assert (onward["whole"], onward["rows"]) == (False, [[5, 1, "train", "loss", 0.25]])


def test_a_file_that_is_cut_between_two_looks_is_read_again(
    ask: Ask, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, folder = queued(lab)
    client = ask(lab)
    folder.append_metrics([(1, 1, "train", "loss", 0.5), (2, 1, "train", "loss", 0.4)])
    address = f"/api/metrics?run={run}&after="
    after = client.get(address).json()["next"]
    metrics, cuts = RunFolder.metrics, [0]

    def cut_first(self: RunFolder, start: int = 0, until: int | None = None) -> tuple[list[MetricRow], int]:
        if cuts:
            cuts.pop()
            self.rewind(len((self.path / "metrics.csv").read_bytes()) - len("2,1,train,loss,0.4\n"), 1)
        return metrics(self, start, until)

    monkeypatch.setattr(RunFolder, "metrics", cut_first)
    answer = client.get(address + after).json()
    assert (answer["whole"], [row[0] for row in answer["rows"]]) == (True, [1])


def test_all_who_ask_at_the_same_moment_are_told_as_much(ask: Ask, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Later, "get", TestClient.get)
    shared.forget()
    run, folder = queued(lab)
    client = ask(lab)
    folder.append_metrics([(1, 1, "train", "loss", 0.5)])
    address = f"/api/metrics?run={run}&after="
    first = client.get(address).json()
    folder.append_metrics([(2, 1, "train", "loss", 0.4)])  # in the same quarter of a second
    second = client.get(address + first["next"]).json()
    assert (second["rows"], second["next"]) == ([], first["next"])
    shared.forget()
    assert [row[0] for row in client.get(address + first["next"]).json()["rows"]] == [2]


def test_a_second_watcher_is_told_all_and_only_new_bytes_are_read(
    ask: Ask, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, folder = queued(lab)
    client, metrics = ask(lab), RunFolder.metrics
    reads: list[tuple[int, int | None]] = []

    def noted(self: RunFolder, after: int = 0, until: int | None = None) -> tuple[list[MetricRow], int]:
        reads.append((after, until))
        return metrics(self, after, until)

    monkeypatch.setattr(RunFolder, "metrics", noted)
    rows: list[MetricRow] = [(step, 1, "train", "loss", 0.5 * step) for step in range(1, 9)]
    first = folder.append_metrics(rows[:5])
    address = f"/api/metrics?run={run}"
    assert client.get(address).json()["rows"] == [list(row) for row in rows[:5]]
    assert client.get(f"/api/metrics/stretch?run={run}&first=2&last=4").json()["rows"] == [
        list(row) for row in rows[1:4]
    ]
    second = folder.append_metrics(rows[5:])
    told = client.get(address).json()
    assert (told["whole"], told["rows"]) == (True, [list(row) for row in rows])
    assert client.get(f"{address}&after={told['next']}").json()["rows"] == []
    assert reads == [(0, first), (first, second), (second, second)]


@pytest.mark.parametrize("after", ["x", "--", "0-0-0", "9-9-9", "1-5--3", "-1", "0-99999999999999999999-7"])
def test_a_place_that_we_never_gave_is_the_start(ask: Ask, trained_run: TrainedRun, after: str) -> None:
    answer = ask(trained_run.lab).get(f"/api/metrics?run={trained_run.id}&after={after}").json()
    assert answer["whole"]
    assert answer["rows"][0] == list(trained_run.folder.metrics()[0][0])


def test_a_picture_that_was_taken_again_has_another_caption(ask: Ask, lab: Lab) -> None:
    run, folder = queued(lab)
    client = ask(lab)
    images = np.zeros((2, 1, 4, 4), np.uint8)
    inputs = {"images": images, "labels": np.zeros(2), "indices": np.zeros(2), "split": "val"}
    folder.write_inputs(SimpleNamespace(**{name: inputs.get(name, np.zeros(2)) for name in Inputs._fields}))
    sample = SimpleNamespace(x_hat=images, codes=np.zeros((2, 2)), errors=np.zeros(2))
    told = []
    for seconds in (1.5, 2.5):
        folder.write_sample(sample, 7, 1, seconds)
        os.utime(folder.sample_path(7), ns=(0, int(seconds * 1e9)))
        told += client.get(f"/api/samples?run={run}").json()["samples"]
    assert told == [[7, 1, 1.5], [7, 1, 2.5]]


def test_samples_are_listed_from_the_untrained_model_on(ask: Ask, trained_run: TrainedRun) -> None:
    answer = ask(trained_run.lab).get(f"/api/samples?run={trained_run.id}").json()
    assert [step for step, _, _ in answer["samples"]] == trained_run.folder.sample_steps()
    assert answer["samples"][0][:2] == [0, 0]
    assert answer["shape"] == [1, 8, 8]
    assert answer["count"] == 64
    assert answer["ended"]


def test_a_strip_holds_exactly_the_pixels_of_the_sample(ask: Ask, trained_run: TrainedRun) -> None:
    client, folder = ask(trained_run.lab), trained_run.folder
    step = folder.sample_steps()[-1]
    inputs, sample = folder.inputs(), folder.sample(step)
    assert inputs is not None
    assert sample is not None
    for address, images in ((f"inputs/{folder.id}", inputs.images), (f"sample/{folder.id}/{step}", sample.x_hat)):
        answer = client.get(f"/api/{address}.png?n=5")
        assert "immutable" in answer.headers["cache-control"]
        np.testing.assert_array_equal(pixels(answer.content), np.concatenate(list(images[:5, 0]), axis=1))


def test_what_the_encoder_sees_is_a_strip_of_its_own_for_a_task(
    ask: Ask, denoiser: TrainedRun, trained_run: TrainedRun
) -> None:
    client, inputs = ask(denoiser.lab), denoiser.folder.inputs()
    assert inputs is not None
    assert inputs.seen is not None
    assert client.get(f"/api/samples?run={denoiser.id}").json()["seen"]
    strip = pixels(client.get(f"/api/seen/{denoiser.id}.png?n=5").content)
    np.testing.assert_array_equal(strip, np.concatenate(list(inputs.seen[:5, 0]), axis=1))
    client = ask(trained_run.lab)
    assert not client.get(f"/api/samples?run={trained_run.id}").json()["seen"]
    answer = client.get(f"/api/seen/{trained_run.id}.png")
    assert (answer.status_code, answer.json()["problem"][:11]) == (404, "The encoder")


@pytest.mark.parametrize("run", ["recorded-2", "recorded-16"])
def test_a_recorded_demo_is_there_before_the_first_run(ask: Ask, lab: Lab, run: str) -> None:
    client = ask(lab)
    answer = client.get(f"/api/samples?run={run}").json()
    assert answer["samples"][0] == [0, 0, None]
    assert answer["samples"][-1][1] == preset("demo").config.training.epochs
    assert answer["ended"]
    assert pixels(client.get(f"/api/inputs/{run}.png?n=16").content).shape == (28, 16 * 28)
    assert pixels(client.get(f"/api/sample/{run}/0.png?n=16").content).shape == (28, 16 * 28)


def test_only_runs_on_the_same_images_have_the_same_number(ask: Ask, trained_run: TrainedRun) -> None:
    client = ask(trained_run.lab)
    two, sixteen, other = (
        client.get(f"/api/samples?run={run}").json()["watched"] for run in ("recorded-2", "recorded-16", trained_run.id)
    )
    assert two == sixteen != other


def test_colour_images_keep_their_channels() -> None:
    images = np.random.default_rng(0).integers(0, 256, (1, 2, 3, 4, 5), dtype=np.uint8)
    strip = pixels(live.wall(images))
    np.testing.assert_array_equal(strip[:, :5], np.moveaxis(images[0, 0], 0, -1))


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("metrics?run=nobody", 404),
        ("metrics", 404),
        ("samples?run=../runs", 404),
        ("sample/nobody/0.png", 404),
        ("inputs/nobody.png", 404),
    ],
)
def test_what_is_not_there_is_a_sentence(ask: Ask, lab: Lab, address: str, status: int) -> None:
    answer = ask(lab).get(f"/api/{address}")
    assert answer.status_code == status
    assert answer.json()["problem"].startswith("There is no run")


def test_the_wall_of_pictures_has_its_gaps_enlarged_with_it(tmp_path: Path) -> None:
    images = np.full((2, 3, 1, 4, 4), 200, np.uint8)
    wall = pixels(live.wall(images, scale=2, gap=1))
    assert wall.shape == (2 * (2 * 5 - 1), 2 * (3 * 5 - 1), 4)
    assert wall[0, 0].tolist() == [200, 200, 200, 255]
    assert wall[8, 0, 3] == 0


def test_the_axis_says_what_the_loss_is_averaged_over() -> None:
    mean = titles([tiny()])
    assert mean["loss"] == "loss: squared error, mean over pixels, images in [0,1]"
    elbo = tiny(model__bottleneck__kind="gaussian", model__objective__kind="elbo")
    assert titles([elbo])["loss"].startswith("loss: reconstruction and KL, ")
    assert "sum over pixels" in titles([elbo])["loss"]
    assert "do not minimise the same" in titles([tiny(), elbo])["loss"]


@pytest.mark.parametrize(
    "address",
    [
        "inputs/{run}.png?n=many",
        "inputs/{run}.png?n=-1",
        f"inputs/{{run}}.png?n={'9' * 5000}",
        "metrics/stretch?run={run}&first=abc",
    ],
)
def test_a_number_that_is_none_is_a_sentence(trained_run: TrainedRun, ask: Ask, address: str) -> None:
    answer = ask(trained_run.lab).get(f"/api/{address.format(run=trained_run.id)}")
    assert answer.status_code == 400
    assert answer.json()["problem"].endswith(", but must be a whole number.")
    assert len(answer.text) < 300
