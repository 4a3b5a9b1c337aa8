"""The routes of the latent map: the bytes are the codes, the pictures are the images, a lasso holds whom it holds."""

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

import aecore
from aecore import data
from aecore.runs import Lab
from tests.conftest import TrainedRun, TwoRuns
from ui import latent_exchange, latent_places, latent_points
from ui.api.latent import ROUTES
from ui.lab import latest_stamp
from ui.latent_points import View


@pytest.fixture
def client(session_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("AELAB_HOME", str(session_lab.path))
    return TestClient(Starlette(routes=ROUTES))


def unpack(content: bytes) -> dict[str, np.ndarray]:
    """What parse() in ui/components/latent_reading.js does."""
    length = int(np.frombuffer(content, "<u4", 1)[0])
    header, at, columns = json.loads(content[4 : 4 + length]), 4 + length, {}
    for name, kind in header["columns"]:
        columns[name] = np.frombuffer(content, kind, header["n"], at)
        at += -(-columns[name].nbytes // 4) * 4
    assert at == len(content)
    return columns


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


@pytest.mark.parametrize("n", [None, 97])
def test_the_points_are_the_codes_of_the_analysis(client: TestClient, trained_run: TrainedRun, n: int | None) -> None:
    found = unpack(client.get(f"/api/points/{trained_run.id}?split=test" + (f"&n={n}" if n else "")).content)
    kept = trained_run.folder.analysis("test")
    assert kept is not None
    row = {index: place for place, index in enumerate(kept["indices"].tolist())}
    rows = [row[index] for index in found["index"].tolist()]
    assert len(set(rows)) == len(rows) == (n or len(kept["indices"]))
    np.testing.assert_array_equal(np.stack([found["x"], found["y"]], axis=1), kept["codes"][rows])
    np.testing.assert_array_equal(found["label"], kept["labels"][rows])
    np.testing.assert_array_equal(found["error"], kept["errors"][rows])


def test_the_points_of_a_sample_are_its_codes(client: TestClient, trained_run: TrainedRun) -> None:
    folder = trained_run.folder
    step, inputs = folder.sample_steps()[-1], folder.inputs()
    found = unpack(client.get(f"/api/points/{trained_run.id}?split={inputs.split}&step={step}").content)
    order = {index: place for place, index in enumerate(inputs.point_indices.tolist())}
    rows = [order[index] for index in found["index"].tolist()]
    np.testing.assert_array_equal(np.stack([found["x"], found["y"]], axis=1), folder.sample(step).codes[rows])


def test_a_smaller_number_of_points_is_part_of_a_larger(trained_run: TrainedRun, client: TestClient) -> None:
    few, more = (latent_points.points(View(trained_run.id, "train", None, n)).indices for n in (50, 100))
    np.testing.assert_array_equal(few, more[:50])


def test_an_answer_is_kept_for_good_only_under_its_stamp(client: TestClient, trained_run: TrainedRun) -> None:
    view = View(trained_run.id, "test")
    fresh = client.get(f"/api/points/{view.run}?split=test&v={latent_points.stamp(view)}")
    assert "immutable" in fresh.headers["cache-control"]
    assert client.get(f"/api/points/{view.run}?split=test&v=old").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_picture_is_the_image_beside_its_reconstruction(
    client: TestClient, trained_run: TrainedRun, split: Any
) -> None:
    images = data.load(trained_run.folder.config().data, split, trained_run.lab.data_roots).images
    model, stamp = aecore.load(trained_run.folder), latest_stamp(trained_run.id)
    shown = pixels(client.get(f"/api/thumb/{trained_run.id}/{split}/11.png?v={stamp}").content)
    np.testing.assert_array_equal(shown[:, :8], images[11, 0])
    np.testing.assert_array_equal(shown[:, 8:], model.reconstruct(images[11:12])[0, 0])
    np.testing.assert_array_equal(
        pixels(client.get(f"/api/thumb/{trained_run.id}/{split}/11.png").content), images[11, 0]
    )


def test_pictures_of_several_images_are_those_of_each_one_below_the_other(
    client: TestClient, trained_run: TrainedRun
) -> None:
    stamp = latest_stamp(trained_run.id)
    sheet = pixels(client.get(f"/api/thumbs/{trained_run.id}/test.png?v={stamp}&i=11,3,296").content)
    each = [pixels(client.get(f"/api/thumb/{trained_run.id}/test/{i}.png?v={stamp}").content) for i in (11, 3, 296)]
    np.testing.assert_array_equal(sheet, np.concatenate(each))
    many = ",".join(map(str, range(200)))
    assert len(pixels(client.get(f"/api/thumbs/{trained_run.id}/test.png?v={stamp}&i={many}").content)) == 32 * 8


def test_what_a_denoiser_makes_of_a_point_is_what_its_error_is_of(
    denoiser: TrainedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AELAB_HOME", str(denoiser.lab.path))
    client, kept, stamp = (
        TestClient(Starlette(routes=ROUTES)),
        denoiser.folder.analysis("test"),
        latest_stamp(denoiser.id),
    )
    assert kept is not None
    for at in (0, 5, 40):
        shown = pixels(client.get(f"/api/thumb/{denoiser.id}/test/{kept['indices'][at]}.png?v={stamp}").content) / 255
        assert np.square(shown[:, :8] - shown[:, 8:]).mean() == pytest.approx(kept["errors"][at], rel=1e-4)


def test_a_place_decodes_as_the_model_decodes_that_code(client: TestClient, trained_run: TrainedRun) -> None:
    answer = client.get(f"/api/decode/{trained_run.id}?split=test&x=0.25&y=-1.5")
    wanted = aecore.load(trained_run.folder).decode(np.array([[0.25, -1.5]], np.float32))
    np.testing.assert_array_equal(pixels(answer.content), wanted[0, 0])


def test_a_place_of_a_projection_decodes_through_its_inverse(client: TestClient, two_runs: TwoRuns) -> None:
    view, folder = View(two_runs.ids[1], "test"), two_runs.folders[1]
    found = latent_points.cloud(view)
    assert found.pca is not None
    assert found.code_size == 4
    code = found.pca.mean + 0.5 * found.pca.components[0] - 0.25 * found.pca.components[1]
    np.testing.assert_allclose(latent_places.lift(view, 0.5, -0.25)[0], code, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.pca.project(latent_places.lift(view, 0.5, -0.25))[0, :2], [0.5, -0.25], atol=1e-5)
    answer = client.get(f"/api/decode/{view.run}?split=test&x=0.5&y=-0.25")
    wanted = aecore.load(folder).decode(latent_places.lift(view, 0.5, -0.25))
    np.testing.assert_array_equal(pixels(answer.content), wanted[0, 0])


def test_all_splits_share_the_axes_of_the_training_images(client: TestClient, two_runs: TwoRuns) -> None:
    train, test = (latent_points.cloud(View(two_runs.ids[1], split)).pca for split in ("train", "test"))
    assert train is test


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("/api/points/nobody?split=test", 404, "There is no run 'nobody'"),
        ("/api/points/..?split=test", 404, ""),
        ("/api/points/%2e%2e%2f%2e%2e?split=test", 404, ""),
        ("/api/thumb/nobody/test/1.png", 404, "There is no run 'nobody'"),
        ("/api/thumb/{run}/..%2f..%2fconfig/1.png", 404, ""),
        ("/api/thumb/{run}/secret/1.png", 400, "The split is 'secret', but must be one of train, val, test."),
        ("/api/thumb/{run}/test/999999.png", 404, "there is no number 999,999"),
        ("/api/thumbs/{run}/test.png?i=1,999999", 404, "there is no number 999,999"),
        ("/api/thumbs/{run}/test.png?i=1,-2", 400, "i is '-2', but must be a whole number."),
        ("/api/thumbs/{run}/test.png", 400, "i is '', but must be a whole number."),
        ("/api/points/{run}?split=../../x", 400, "must be one of train, val, test"),
        ("/api/points/{run}?split=test&step=12345678", 404, "has no codes of step 12,345,678 yet"),
        ("/api/decode/{run}?split=test&x=1&y=nan", 400, "x and y must be finite numbers"),
        ("/api/decode/{run}?split=test&x=one&y=2", 400, "x and y must be finite numbers"),
        ("/api/decode/{run}?split=test", 400, "x and y must be finite numbers"),
        ("/api/decode/{run}?split=test&x=1e308&y=-1e308", 400, "and not beyond 1e+18."),
        ("/api/decode/{run}?split=test&x=0&y=0&n=abc", 400, "n is 'abc', but must be a whole number."),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(
    client: TestClient, trained_run: TrainedRun, address: str, status: int, said: str
) -> None:
    answer = client.get(address.format(run=trained_run.id))
    assert answer.status_code == status
    assert said in answer.text if not said else said in answer.json()["problem"]


SQUARE = [[0.0, 0.0], [4.0, 0.0], [4.0, 4.0], [0.0, 4.0]]
HOOK = [[0.0, 0.0], [6.0, 0.0], [6.0, 6.0], [4.0, 6.0], [4.0, 2.0], [2.0, 2.0], [2.0, 6.0], [0.0, 6.0]]


@pytest.mark.parametrize(
    ("polygon", "point", "inside"),
    [
        (SQUARE, (2, 2), True),
        (SQUARE, (5, 2), False),
        (SQUARE, (-1, 2), False),
        (SQUARE, (2, 4.01), False),
        (HOOK, (1, 5), True),
        (HOOK, (3, 5), False),
        (HOOK, (3, 1), True),
        (HOOK, (5, 5), True),
        (HOOK[:2], (1, 0), False),
        ([], (0, 0), False),
    ],
)
def test_a_lasso_holds_exactly_the_points_inside(
    polygon: list[list[float]], point: tuple[float, float], inside: bool
) -> None:
    x, y = (np.array([value], float) for value in point)
    assert latent_exchange.within(np.array(polygon, float).reshape(-1, 2), x, y).tolist() == [inside]


def test_a_lasso_agrees_with_counting_one_by_one() -> None:
    chance = np.random.default_rng(3)
    polygon, points = chance.normal(size=(40, 2)), chance.normal(size=(500, 2))

    def one(px: float, py: float) -> bool:  # ray casting, edge by edge
        odd = False
        for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, 1, axis=0), strict=True):
            if (ay > py) != (by > py) and px < (bx - ax) * (py - ay) / (by - ay) + ax:
                odd = not odd
        return odd

    assert latent_exchange.within(polygon, *points.T).tolist() == [one(*point) for point in points]


def test_a_selection_is_kept_by_image_and_leaves_out_what_was_hidden(
    client: TestClient, trained_run: TrainedRun
) -> None:
    view = View(trained_run.id, "test")
    shown = latent_points.points(view)
    (left, low), (right, high) = shown.places.min(0) - 1, shown.places.max(0) + 1
    box = [[left, low], [right, low], [right, high], [left, high]]
    everything = {"kind": "polygon", "polygon": [[float(v) for v in corner] for corner in box]}
    assert latent_exchange.members(view, everything).tolist() == sorted(shown.indices.tolist())
    without = latent_exchange.members(view, everything | {"hidden": [3, 7]})
    assert without.tolist() == sorted(shown.indices[~np.isin(shown.labels, [3, 7])].tolist())
    assert latent_exchange.members(view, {"kind": "index", "index": 5}).tolist() == [5]


def test_codes_that_are_not_finite_are_left_out(client: TestClient, trained_run: TrainedRun, monkeypatch: Any) -> None:
    codes = np.array([[1, 2], [np.nan, 0], [3, np.inf], [5, 6]], np.float32)
    monkeypatch.setattr(
        latent_points, "read", lambda *_: latent_points.Codes(codes, np.arange(4), np.zeros(4), np.arange(4))
    )
    latent_points._cloud.cache_clear()
    latent_points._ordered.cache_clear()
    found = latent_points.cloud(View(trained_run.id, "test"))
    latent_points._cloud.cache_clear()
    latent_points._ordered.cache_clear()
    assert found.left_out == 2
    assert sorted(found.indices.tolist()) == [0, 3]


def test_points_without_a_label_have_a_number_of_their_own() -> None:
    chosen = latent_points.Points(np.zeros((3, 2), np.float32), np.array([-1, 0, 9]), np.zeros(3), np.arange(3))
    assert unpack(latent_exchange.pack(chosen))["label"].tolist() == [latent_exchange.NO_LABEL, 0, 9]


@pytest.mark.parametrize(("size", "dims"), [(1, 2), (2, 2), (3, 3)])
def test_a_code_of_one_number_gets_a_second_axis_by_chance(
    client: TestClient, trained_run: TrainedRun, monkeypatch: Any, size: int, dims: int
) -> None:
    codes = np.arange(6 * size, dtype=np.float32).reshape(6, size)
    monkeypatch.setattr(
        latent_points, "read", lambda *_: latent_points.Codes(codes, np.zeros(6, int), np.zeros(6), np.arange(6))
    )
    latent_points._cloud.cache_clear()
    latent_points._ordered.cache_clear()
    found = latent_points.points(View(trained_run.id, "test", dims=dims))
    latent_points._cloud.cache_clear()
    latent_points._ordered.cache_clear()
    assert found.places.shape == (6, dims)
    np.testing.assert_array_equal(found.places[:, :size], codes[found.indices])
