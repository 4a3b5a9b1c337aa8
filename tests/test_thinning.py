"""Long curves are thinned to what a screen can show: nothing that stands out is lost, and means are those of all rows."""

import math

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from aecore.jobs import queue
from aecore.runs import Lab
from aecore.runs.columns import Growing
from aecore.runs.folder import MetricRow, TimingRow
from tests.conftest import tiny
from ui import thinning
from ui.api import live
from ui.thinning import Thinned, extremes, thin_timing


def thin(rows: list[MetricRow]) -> Thinned:
    return thinning.thin(Growing().add(rows).all())


def curve(count: int, an_epoch: int, split: str = "train", name: str = "loss") -> list[MetricRow]:
    """Noise, with a peak and a hole."""
    values = np.random.default_rng(0).uniform(1, 2, count)
    values[count // 3], values[count // 2] = 9, -9
    return [(step + 1, 1 + step // an_epoch, split, name, float(value)) for step, value in enumerate(values)]


def test_a_short_curve_is_told_as_it_is() -> None:
    rows = curve(1000, 100)
    assert thin(rows) == (rows, {}, {}, False)
    assert thin([]) == ([], {}, {}, False)


def test_of_a_long_curve_ends_peaks_and_holes_are_kept_in_their_order() -> None:
    rows = curve(100_000, 1000)
    found = thin(rows)
    assert found.thinned
    assert len(found.rows) <= 2 * thinning.STRETCHES + 2
    assert {rows[0], rows[-1], rows[33_333], rows[50_000]} <= set(found.rows)
    assert found.rows == sorted(found.rows)
    for begin in range(0, 100_000, 125):  # 800 stretches
        values = [row[4] for row in rows[begin : begin + 125]]
        kept = [row[4] for row in found.rows if begin < row[0] <= begin + 125]
        assert (min(kept), max(kept)) == (min(values), max(values))


def test_means_are_those_of_all_rows() -> None:
    rows = curve(100_000, 1000)
    found = thin(rows)
    values = np.array([row[4] for row in rows])
    assert [mean[3] for mean in found.stretches["loss"]] == [125] * 800
    assert [mean[2] for mean in found.stretches["loss"]] == pytest.approx(values.reshape(800, 125).mean(1).tolist())
    assert [mean[:2] for mean in found.epoch_means["loss"]] == [(1000 * epoch, epoch) for epoch in range(1, 101)]
    assert [mean[2] for mean in found.epoch_means["loss"]] == pytest.approx(values.reshape(100, 1000).mean(1).tolist())


def test_what_is_not_a_number_is_left_out_of_means_and_hides_nothing() -> None:
    rows = [(step, 1, "train", "loss", math.nan if step % 2 else float(step)) for step in range(10_000)]
    found = thin(rows)
    assert all(mean[2] is not None and math.isfinite(mean[2]) for mean in found.stretches["loss"])
    assert max(row[4] for row in found.rows if not math.isnan(row[4])) == 9998
    nothing = thin([(step, 1, "train", "loss", math.nan) for step in range(10_000)])
    assert {mean[2:] for mean in nothing.stretches["loss"]} == {(None, 0)}


def test_thousands_of_epochs_are_thinned_like_steps() -> None:
    found = thin(curve(20_000, 2))
    assert len(found.epoch_means["loss"]) <= 2 * thinning.STRETCHES + 2
    assert min(mean[2] or 0 for mean in found.epoch_means["loss"]) < 0, "the hole's epoch"


def test_many_curves_share_what_an_answer_may_hold() -> None:
    rows = [row for unit in range(300) for row in curve(400, 10, "val", f"kl_dim_{unit}")]
    found = thin(rows)
    assert len(found.rows) <= thinning.MOST + 2 * 300
    assert len({row[3] for row in found.rows}) == 300
    assert (found.stretches, found.epoch_means) == ({}, {}), "only training has rows of steps"


def test_what_is_measured_every_second_keeps_its_slowest_moment() -> None:
    rows = [TimingRow(s, 1, float(s), 100.0 if s != 7777 else 1.0, 0) for s in range(100_000)]
    found = thin_timing(rows)
    assert len(found) <= 2 * thinning.STRETCHES + 2
    assert rows[7777] in found


def test_extremes_are_places_that_rise() -> None:
    assert extremes(np.arange(5.0), 2).tolist() == [0, 1, 2, 3, 4]
    assert extremes(np.array([3, 1, 2, 9, 5, 4, 4, 4, 0, 4, 6.0]), 2).tolist() == [0, 1, 3, 8, 10]


def test_a_part_of_a_long_curve_is_told_as_fine_as_it_is(monkeypatch: pytest.MonkeyPatch, lab: Lab) -> None:
    monkeypatch.setenv("AELAB_HOME", str(lab.path))
    client, run = TestClient(Starlette(routes=live.ROUTES)), queue.submit(lab, tiny(), "ada")
    rows = curve(20_000, 100)
    lab.run(run).append_metrics(rows)
    whole = client.get(f"/api/metrics?run={run}").json()
    assert (whole["thinned"], len(whole["epoch_means"]["loss"])) == (True, 200)
    part = client.get(f"/api/metrics/stretch?run={run}&first=501&last=900").json()
    assert not part["thinned"]
    assert [row[0] for row in part["rows"]] == list(range(501, 901))
    assert client.get(f"/api/metrics?run={run}&after={whole['next']}").json()["rows"] == []
    assert client.get("/api/metrics/stretch?run=x&first=1&last=2").status_code == 404
    assert client.get(f"/api/metrics/stretch?run={run}&first=a&last=2").status_code == 400
