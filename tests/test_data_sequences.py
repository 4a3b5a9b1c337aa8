"""Sequences of several numbers a step: what is drawn, how a recurrent backbone reads it, and that every page takes it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from streamlit.testing.v1 import AppTest

from aecore import data
from aecore.__main__ import main
from aecore.config import ConfigError, DataConfig, Facts, ModelConfig, preset
from aecore.data import waves
from aecore.data.base import Split
from aecore.jobs.foreground import train_here
from aecore.models import Batch, build
from aecore.runs import Lab
from tests.conftest import tiny
from ui import latent_view
from ui.comparison import converted

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def drawn() -> Split:
    return waves.draw(48, 800, seed=0, part=0)


def test_the_same_seed_draws_the_same_waves_and_all_factors_are_known(drawn: Split) -> None:
    assert drawn.images.shape == (800, 1, 16, 48)
    assert drawn.images.dtype == np.uint8
    assert np.bincount(drawn.labels).tolist() == [200] * 4
    assert set(drawn.factors) == {"frequency", "phase", "delay", "amplitude", "noise"}
    assert (drawn.images == waves.draw(48, 800, seed=0, part=0).images).all()
    for seed, part in ((1, 0), (0, 1)):
        assert not (drawn.images == waves.draw(48, 800, seed, part).images).all()


def test_a_wave_is_what_its_factors_say() -> None:
    labels = np.arange(4)
    factors = {"frequency": 2.0, "phase": 90.0, "delay": 45.0, "amplitude": 0.5, "noise": 0.0}
    found = waves.clean(labels, {name: np.full(4, value) for name, value in factors.items()}, 48)
    time = np.arange(48) / 48
    turns = 2 * time + 0.25 + np.arange(16)[:, None] / 8
    assert found.shape == (4, 16, 48)
    np.testing.assert_allclose(found[0], 0.5 * np.sin(2 * np.pi * turns), atol=1e-5)
    np.testing.assert_allclose(found[2], 0.5 * (2 * (turns % 1) - 1), atol=1e-5)
    assert set(np.unique(np.abs(found[1][found[1] != 0]))) == {0.5}
    chirp = 2 * (0.4 * time + 0.6 * time**2) + 0.25
    np.testing.assert_allclose(found[3, 0], 0.5 * np.sin(2 * np.pi * chirp), atol=1e-5)


def test_the_noise_is_as_strong_as_its_factor_says_and_a_byte_is_fine_enough(drawn: Split) -> None:
    values = drawn.images[:, 0] / 127.5 - 1
    off = (values - waves.clean(drawn.labels, drawn.factors, 48)).std(axis=(1, 2))
    loud = drawn.factors["noise"] > 0.03
    np.testing.assert_allclose(off[loud], drawn.factors["noise"][loud], rtol=0.15)
    assert off.min() < 0.006  # where there is hardly any noise, rounding to a byte is all that is left


def test_the_side_is_the_number_of_steps_and_there_is_no_colour(tmp_path: Path) -> None:
    config = DataConfig(name="waves", size=16)
    assert data.facts(config, [tmp_path]).shape == (1, 16, 16)
    assert data.load(config, "test", [tmp_path]).images.shape == (4000, 1, 16, 16)
    with pytest.raises(ConfigError, match=r"data\.size is 15, .*number of steps: at least 16"):
        data.facts(DataConfig(name="waves", size=15), [tmp_path])
    with pytest.raises(ConfigError, match=r"data\.colour is 'rgb', .*which have no colour"):
        data.facts(DataConfig(name="waves", colour="rgb"), [tmp_path])
    facts = data.facts(DataConfig(name="waves"), [tmp_path])
    assert data.facts(converted(DataConfig(name="waves"), facts, "waves"), [tmp_path]).shape == facts.shape


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_columns_are_read_and_written_as_the_rows_of_the_turned_image_are(cell: str) -> None:
    def model(over: str, shape: tuple[int, int, int]) -> torch.nn.Module:
        backbone = {"kind": "recurrent", "cell": cell, "widths": [12, 6], "over": over, "bidirectional": True}
        torch.manual_seed(0)
        return build(ModelConfig.model_validate({"backbone": backbone}), Facts(shape, (0.0, 1.0), 9, ())).eval()

    columns, rows = model("columns", (1, 8, 20)), model("rows", (1, 20, 8))
    rows.load_state_dict(columns.state_dict())
    x = torch.rand(3, 1, 8, 20)
    assert torch.equal(columns(Batch(x, x)).x_hat, rows(Batch(x.mT, x.mT)).x_hat.mT)
    assert columns.encoder.layers[1].input_size == 8, "a step is what eight sensors say"


def test_the_preset_reads_step_by_step() -> None:
    config = preset("lstm-waves").config
    assert (config.data.name, config.model.backbone.kind, config.model.backbone.over) == (
        "waves",
        "recurrent",
        "columns",
    )  # type: ignore[union-attr]


def test_the_command_line_lists_it_with_its_shape(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets", "--json", "--lab", str(lab.path)]) == 0
    row = next(row for row in json.loads(capsys.readouterr().out) if row["name"] == "waves")
    assert (row["shape"], row["train"], row["test"], row["present"]) == ([1, 16, 48], 20000, 4000, True)


def test_a_run_on_sequences_is_shown_by_every_page(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train_here(
        lab,
        tiny(
            name="heard",
            data__name="waves",
            data__size=16,
            model__backbone__kind="recurrent",
            model__backbone__over="columns",
            model__backbone__widths=(16,),
            model__backbone__cell="gru",
            training__subset=512,
            training__epochs=2,
        ),
        "ada",
    )
    figures = lab.run(run).analysis_metrics()
    assert figures is not None
    assert figures["test"]["n"] == 4000
    assert {"frequency", "phase", "delay", "amplitude", "noise"} <= set(figures["disentanglement"]["factors"])
    monkeypatch.setenv("AELAB_HOME", str(lab.path))
    for page in ("runs", "compare", "latent"):
        at = AppTest.from_file(str(ROOT / "ui/main.py"), default_timeout=120)
        at.query_params["runs" if page == "compare" else "run"] = run
        at.session_state[latent_view.OPENED] = True
        at.switch_page(str(ROOT / f"pages/{page}.py")).run()
        assert not at.exception, page
        assert not at.error, page
        said = [element.value for element in [*at.header, *at.markdown]]
        offered = [option for box in [*at.selectbox, *at.multiselect] for option in box.options]
        assert any("heard" in text for text in [*said, *offered]), page
