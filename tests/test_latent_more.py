"""The Latent page with codes of every kind: drawn images, grids, code books, feature maps, moments, and maps that begin alike."""

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from aecore import load
from aecore.analysis import codebook, layouts
from aecore.analysis.neighbours import nearest
from aecore.config.projection import TsneConfig, UmapConfig, key_of, most_fitted
from aecore.jobs import queue
from aecore.jobs.foreground import train_here
from aecore.models.divergences import kl_per_unit
from aecore.runs import Lab, projections
from tests.conftest import TrainedRun, TwoRuns, tiny
from tests.test_api_latent import unpack
from tests.test_latent_maps import here
from tests.test_projections import clouds, make
from tests.test_ui_latent import Open, latent, text
from ui import (
    latent_below,
    latent_book,
    latent_chosen,
    latent_grid,
    latent_own,
    latent_pair,
    latent_panel,
    latent_pictures,
    latent_points,
    latent_selection,
)
from ui.api.latent import ROUTES
from ui.lab import latest_stamp, split
from ui.latent_pair import FIRST, OWN
from ui.latent_points import View

__all__ = ["here", "latent"]


@pytest.fixture
def kinds(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """An empty lab that is the dashboard's."""
    monkeypatch.setenv("AELAB_HOME", str(lab.path))
    return lab


def trained(lab: Lab, **values: object) -> str:
    return train_here(lab, tiny(training__epochs=1, **values), "ada")


def test_every_number_of_a_longer_code_can_have_its_row_and_slider(latent: Open, kinds: Lab) -> None:
    run = trained(kinds, model__bottleneck__latent_dim=12)
    own = {latent_below.HAND: True}
    few, every = (latent(kinds, own, run=run, split="test", rows=rows) for rows in ("some", "all"))
    assert [len(test.slider) for test in (few, every)] == [10, 12]
    assert [text(test).count("<tr><th>Code unit") for test in (few, every)] == [10, 12]


def test_what_is_drawn_is_encoded_and_lands_on_the_map(latent: Open, here: TrainedRun) -> None:
    view = View(here.id, "test")
    told = latent_own.board(view)
    assert (told["shape"], told["colours"], told["paper"], told["ink"]) == ([8, 8], False, "#000000", "#ffffff")
    image = split(here.folder.config().data.model_dump_json(), "test").images[30, 0]
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "PNG")
    drawing = latent_own.PNG + base64.b64encode(stream.getvalue()).decode()
    test = latent(here.lab, {latent_own.DRAWN: {"drawing": drawing}}, run=here.id, split="test")
    said = text(test)
    assert "Your drawing" in said
    assert "/test/30.png" in said.split("<figure>")[1], "the image that it was drawn after is its nearest"
    for nonsense in ("", "data:image/png;base64,???", "hello", None):
        test = latent(here.lab, {latent_own.DRAWN: {"drawing": nonsense}}, run=here.id, split="test")
        assert "Your drawing" not in text(test)


def test_a_grid_lies_at_the_quantiles_of_the_data_or_of_the_prior(latent: Open, kinds: Lab) -> None:
    run = trained(
        kinds, model__bottleneck__kind="gaussian", model__bottleneck__latent_dim=3, model__objective__kind="elbo"
    )
    view, weights = View(run, "test"), latest_stamp(run)
    of_data = latent_grid.quantiles(view, weights, (2, 0), "data")
    codes = latent_points.codes(view)
    shares = (np.arange(latent_grid.GRID) + 0.5) / latent_grid.GRID
    np.testing.assert_allclose(of_data, np.quantile(codes[:, [2, 0]], shares, axis=0), rtol=1e-5)
    of_prior = latent_grid.quantiles(view, weights, (2, 0), "prior")
    from scipy.stats import norm

    np.testing.assert_allclose(of_prior, np.stack([norm.ppf(shares)] * 2, 1), atol=0.06)
    plane = {"latent-plane-False": True}
    test = latent(kinds, plane, run=run, split="test", quantiles="prior", across="3", up="1")
    assert "at the quantiles of the prior, code unit 3 to the right, code unit 1 upwards" in text(test)
    assert "two different code units" in text(latent(kinds, plane, run=run, split="test", across="2", up="2"))


def test_the_divergence_of_each_unit_and_the_active_ones_stand_beside_their_picture(latent: Open, kinds: Lab) -> None:
    run = trained(
        kinds, model__bottleneck__kind="gaussian", model__bottleneck__latent_dim=3, model__objective__kind="elbo"
    )
    folder = kinds.run(run)
    pictures = (folder.analysis_metrics() or {})["code_pictures"]
    model = load(folder).model
    import torch

    from aecore.data import normalise

    images = torch.from_numpy(split(folder.config().data.model_dump_json(), "test").images.copy())
    with torch.inference_mode():
        mu, log_var = model.eval().encoder.posterior(normalise(images, (0.0, 1.0)))
    np.testing.assert_allclose(pictures["kl_units"], kl_per_unit(mu, log_var).mean(0), rtol=1e-3)
    test = latent(kinds, run=run, split="test", below="quality")
    assert "Active units" in text(test)
    assert "KL of each code unit" in text(test)
    assert "95 % of the prior" in text(test)
    assert len(test.get("plotly_chart")) == 8


def test_known_factors_have_their_figures_and_a_map_of_who_knows_what() -> None:
    figures = {"factors": {"shape": {"information": [0.1, 1.2, 0.0]}, "place": {"information": [0.9, 0.1, 0.0]}}}
    drawn = latent_pictures.factors(figures)
    assert drawn is not None
    np.testing.assert_array_equal(drawn[2].data[0].z, [[0.1, 1.2, 0.0], [0.9, 0.1, 0.0]])
    assert latent_pictures.factors({}) is None


@pytest.mark.parametrize(
    "bottleneck",
    [{"kind": "vq", "codes": 12, "dimension": 3, "vectors": 4}, {"kind": "fsq", "levels": [4, 3], "vectors": 4}],
    ids=["vq", "fsq"],
)
def test_quantised_codes_have_a_map_of_their_code_book(latent: Open, kinds: Lab, bottleneck: dict[str, Any]) -> None:
    run = trained(kinds, **{f"model__bottleneck__{name}": value for name, value in bottleneck.items()})
    trained_ = load(kinds.run(run))
    codes = latent_points.codes(View(run, "test"))
    found = codebook.use(trained_.model, codes)
    assert (len(found.counts), found.counts.sum(), found.places.shape) == (12, 4 * len(codes), (4,))
    vectors = codes.reshape(len(codes), -1, 4).transpose(0, 2, 1).reshape(4 * len(codes), -1)
    _, times = np.unique(vectors.round(4), axis=0, return_counts=True)
    assert sorted(times) == sorted(found.counts[found.counts > 0])
    assert 1 <= found.perplexity <= found.used
    one = np.array([int(found.counts.argmax())])
    assert codebook.drawn(trained_.model, trained_.facts, one).shape == (1, 1, 8, 8)
    said = text(latent(kinds, run=run, split="test", below="quality"))
    assert f"Use of the code book: {found.used} of 12 vectors" in said
    cells = latent_book.cells(found.counts).data[0]
    assert np.isfinite(cells.z).sum() == found.used
    with pytest.raises(ValueError, match="it has no code book"):
        codebook.use(load(kinds.run(trained(kinds))).model, codes)


def test_a_feature_map_is_a_code_like_any_other(latent: Open, kinds: Lab) -> None:
    backbone = {"kind": "conv", "channels": [4], "kernel": 3}
    run = trained(kinds, model__backbone=backbone, model__bottleneck={"kind": "feature_map"})
    for below in ("traverse", "between", "samples", "quality"):
        test = latent(kinds, run=run, split="test", below=below)
        assert test.get("bidi_component")
        assert not test.error
    assert "PCA of a code of" in text(test)


def test_a_thousand_labels_are_counted_and_the_first_ones_named(latent: Open, here: TrainedRun) -> None:
    kept = here.folder.analysis("test") or {}
    here.folder.write_analysis({"test": kept | {"labels": np.arange(297) * 3 % 1000}}, {})
    chosen = latent_selection.keep(here.id, "test", np.arange(200))
    said = text(latent(here.lab, run=here.id, split="test", selection=chosen))
    assert "200 of 297 selected" in said
    assert f"and {200 - latent_panel.COUNTED} more labels" in said


def test_two_moments_of_one_run_are_laid_over_each_other(latent: Open, here: TrainedRun) -> None:
    steps = here.folder.sample_steps()
    two = latent_pair.of_steps(here.id, "val", steps[0], steps[-1])
    found = latent_pair.pair(two)
    client = TestClient(Starlette(routes=ROUTES))
    address = f"/api/pair/{here.id}?other={here.id}&split=val&step={steps[0]}&other_step={steps[-1]}"
    for side in (0, 1):
        told = unpack(client.get(f"{address}&side={side}").content)
        np.testing.assert_array_equal(told["x"], found.sides[side].places[:, 0])
    same = latent_pair.pair(latent_pair.of_steps(here.id, "val", steps[-1], steps[-1]))
    assert same.kept.min() == 1
    np.testing.assert_allclose(same.moved, 0, atol=1e-4)
    said = text(latent(here.lab, run=here.id, split="val", below="pair", beside="epochs"))
    assert f"Step {steps[0]:,}" in said
    assert f"Step {steps[-1]:,}" in said
    assert "the second moment keeps" in said


def test_a_map_can_begin_where_the_other_models_map_has_the_same_images(
    latent: Open, two_runs: TwoRuns, tmp_path: Any
) -> None:
    codes, _ = clouds(30)
    found = nearest(codes, codes, 14, same=True)
    quiet = lambda share: None
    other = np.random.default_rng(0).standard_normal((90, 2)) * 7 + 3
    start = layouts.begin_like(codes, np.where(np.arange(90)[:, None] == 5, np.nan, other))
    assert np.isfinite(start).all()
    rest = np.delete(np.arange(90), 5)
    np.testing.assert_allclose(np.corrcoef(start[rest, 0], other[rest, 0])[0, 1], 1)
    np.testing.assert_allclose(start[rest].std(0).max(), 1)
    one, two = (layouts.lay_out(UmapConfig(epochs=10), codes, found, quiet, at) for at in (start, None))
    assert not np.allclose(one, two)


def test_the_second_map_begins_alike_where_one_asks_for_it(latent: Open, here: TrainedRun) -> None:
    make(here, UmapConfig(epochs=12))
    (key,) = [known.key for known in projections.projections(here.folder)]
    view = View(here.id, "test", map=key)
    assert latent_pair.wanted(view, OWN) == UmapConfig(epochs=12)
    config = latent_pair.wanted(view, FIRST)
    assert config == UmapConfig(epochs=12, like=f"{here.id}/{key}")
    assert make(here, config).state == "completed", "a run may begin at a map of its own"
    two = latent_pair.of_runs(view, here.id, FIRST)
    assert two.second.map == key_of(config) != key
    assert make(here, UmapConfig(epochs=12, like="nobody/umap-1")).state == "failed"
    with pytest.raises(ValueError, match="like"):
        UmapConfig(like="../../etc/passwd/x")


def test_tsne_in_three_dimensions_is_fitted_to_fewer_codes() -> None:
    codes, labels = clouds(30)
    config = TsneConfig(dims=3, perplexity=8, iterations=60)
    found = nearest(codes, codes, config.neighbours, same=True)
    places = layouts.lay_out(config, codes, found, lambda share: None)
    assert places.shape == (90, 3)
    assert np.isfinite(places).all()
    assert (labels[nearest(places, places, 3, same=True).indices] == labels[:, None]).mean() > 0.95
    assert most_fitted(config) < most_fitted(TsneConfig())


def test_a_selection_stands_in_the_page_of_a_run(here: TrainedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = here.folder.analysis("test") or {}
    worst = np.argsort(-kept["errors"])[:5]
    said = latent_chosen.errors(View(here.id, "test"), worst)
    times = kept["errors"][worst].mean() / kept["errors"].mean()
    assert f"{times:.2g} times that of all 297 test images" in said


def test_a_direction_leads_from_an_earlier_selection_to_this_one(latent: Open, here: TrainedRun) -> None:
    first, second = (latent_selection.keep(here.id, "test", np.array(indices)) for indices in ([1, 2], [3, 4, 5]))
    test = latent(here.lab, run=here.id, split="test", below="between", selection=first)
    test.query_params["selection"] = second
    test.run()
    options = test.selectbox(key=f"latent-plus-{here.id}").options
    assert options[1:3] == ["the selection", "an earlier selection, 2 images"]
    assert latent_below.SECTIONS["pair"].startswith("Beside another model")


def test_the_same_map_of_the_other_model_is_one_press_away(latent: Open, two_runs: TwoRuns, here: TrainedRun) -> None:
    second, first = two_runs.ids
    run = TrainedRun(here.lab, first, here.lab.run(first))
    make(run, UmapConfig(epochs=12))
    (key,) = [known.key for known in projections.projections(run.folder)]
    test = latent(here.lab, run=first, split="test", map=key, below="pair", beside=second)
    assert "The other model has no such UMAP yet; these are principal components." in text(test)
    assert test.segmented_control(key="latent-start").value == FIRST
    test.button(key=f"latent-compute-{second}").click().run()
    assert not test.exception
    (known,) = projections.projections(here.lab.run(second))
    assert known.config == UmapConfig(epochs=12, like=f"{first}/{key}")
    for job in queue.jobs(here.lab, second):
        if job.kind == "project":
            queue.stop_job(here.lab, job.id, "ada")
