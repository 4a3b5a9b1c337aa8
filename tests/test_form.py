"""The form is generated from the config classes, and says at a field what is wrong with it."""

from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any, Literal
from xml.etree import ElementTree

import pytest
from pydantic import Field
from streamlit.testing.v1 import AppTest

from aecore.config import ConfigError, DataConfig, Facts, RunConfig, TrainingConfig, parse, presets, walk
from ui.draft import Draft
from ui.drawings import DRAWINGS, drawing
from ui.form import APART, _grown
from ui.widgets import Numeric, from_text, numeric, say
from ui.words import plain

VARIATIONAL = {"elbo", "tc", "dip", "info", "iwae", "vamp", "factor"}
ALL = {"reconstruction", "wae", "aae", "sparse", "contractive", "rae"} | VARIATIONAL


class LongerTraining(TrainingConfig):
    """A training config with fields that no page has heard of."""

    patience: int = Field(3, ge=2, le=7, title="Patience", description="How long to wait.")
    mood: Literal["calm", "wild"] = Field("calm", title="Mood", description="How to step.")
    ladder: tuple[int, ...] = Field((4, 2), max_length=3, title="Ladder", description="Rungs.")
    bold: bool = Field(False, title="Bold", description="Whether to dare.")


class LongerRun(RunConfig):
    training: LongerTraining = Field(LongerTraining(), title="Training", description="How it is trained.")


class Nothing:
    """Knows no data: everything fits."""

    def check(self, config: RunConfig) -> None:
        config.suits(Facts((1, 28, 28), (0.0, 1.0), 1000, ("a", "b")))

    def options(self, path: str, draft: Draft) -> Mapping[str, str] | None:
        return None

    def hints(self, draft: Draft) -> Mapping[str, str]:
        return {}


START: list[RunConfig] = []
"""What the script of `shown` starts from: AppTest runs a function's source, which sees no variables of this file."""


def script() -> None:
    from tests import test_form
    from ui.form import Form

    form = Form("draft", test_form.Nothing(), test_form.START[0])
    form.basic()
    form.more()


@pytest.fixture
def shown() -> Iterator[Any]:
    def show(config: RunConfig) -> AppTest:
        START[:] = [config]
        return AppTest.from_function(script, default_timeout=120).run()

    yield show
    START.clear()


def keys(at: AppTest) -> set[str]:
    kinds = ("number_input", "selectbox", "text_input", "toggle", "multiselect", "button_group", "button")
    return {widget.key.removeprefix("draft:").partition("#")[0] for kind in kinds for widget in at.get(kind)}


def said(at: AppTest) -> str:
    return " ".join(unescape(block.proto.body) for block in at.get("html") if "field-problem" in block.proto.body)


@pytest.mark.parametrize("name", ["demo", "vae-2", "stacked-9", "conv-valid-5x5"])
def test_every_field_of_a_config_has_a_widget(shown: Any, name: str) -> None:
    config = presets()[name].config
    at = shown(config)
    assert not at.exception
    alone = {path for path, kinds in ((p.path, p.members) for p in Draft(config.model_dump()).parts().values())}
    wanted = {f.path for f in walk(config)} - APART
    assert keys(at) == wanted
    assert alone <= wanted


def test_a_new_field_in_a_config_appears_without_a_change_here(shown: Any) -> None:
    at = shown(LongerRun())
    assert not at.exception
    patience = at.number_input("draft:training.patience")
    assert (patience.label, patience.value) == ("Patience", 3)
    assert patience.help == "How long to wait."
    assert at.toggle("draft:training.bold").value is False
    assert at.get("button_group")  # the two moods stand side by side
    assert [at.number_input(f"draft:training.ladder#{i}").value for i in (0, 1)] == [4, 2]
    patience.set_value(5).run()
    assert at.session_state["draft"].config().training.patience == 5
    patience.set_value(8).run()
    assert "“Patience” is 8, but must be at most 7." in said(at)


def test_a_number_beyond_its_bounds_reaches_the_config_which_refuses_it(shown: Any) -> None:
    at = shown(presets()["scatter-2"].config)
    at.number_input("draft:model.bottleneck.latent_dim").set_value(-5).run()
    assert "“Code size” is -5, but must be at least 1." in said(at)
    at.number_input("draft:model.bottleneck.latent_dim").set_value(3).run()
    assert said(at) == ""


def test_help_comes_from_the_declaration(shown: Any) -> None:
    at = shown(presets()["scatter-2"].config)
    for field in walk(presets()["scatter-2"].config):
        known = numeric(field.info.annotation, field.info.metadata)
        if known and field.path not in APART:
            assert at.number_input(f"draft:{field.path}").help == field.info.description


def test_a_bad_combination_is_said_at_its_field(shown: Any) -> None:
    at = shown(presets()["demo"].config)
    assert said(at) == ""
    at.session_state["draft"] = at.session_state["draft"].put("data.value_range", "[-1,1]")
    at.run()
    assert said(at).count("“Loss” is “BCE”, but “Pixel range” is “[-1,1]”") == 1


def test_an_impossible_kind_is_marked_with_the_validators_sentence() -> None:
    draft = Draft(presets()["scatter-2"].config.model_dump(mode="json"))
    refused = draft.refusals("model.bottleneck.kind", ["vector", "feature_map", "gaussian"], Nothing().check)
    assert set(refused) == {"feature_map"}
    assert refused["feature_map"].startswith("“Bottleneck” is “Feature map”, but the backbone “Dense” has")


def test_a_page_says_titles_and_words_where_the_command_line_says_paths_and_values() -> None:
    draft = Draft(presets()["stacked-9"].config.model_dump(mode="json"))
    said = lambda sentence: draft.said(ConfigError({"": sentence}))[""]
    assert said("model.objective.kind is 'tc', but model.decoder.kind is 'mirror'.") == (
        "“Objective” is “Beta-TC”, but “Decoder” is “Mirror”."
    )
    assert said("model.backbone.widths.1 is 0, but must be at least 1.") == (
        "Number 2 of “Nodes per layer” is 0, but must be at least 1."
    )
    kept = "training.epoch is not a known field of 'my config', and model.bottleneck.latent_dims is 'x'."
    assert said(kept) == kept


def test_another_kind_rebuilds_its_part_and_keeps_the_fields_of_the_same_name() -> None:
    draft = Draft(presets()["scatter-2"].config.model_dump(mode="json"))
    other = draft.put("model.backbone.kind", "conv").put("model.bottleneck.kind", "gaussian")
    assert other.content["model"]["backbone"]["channels"] == [16, 32]
    assert other.content["model"]["backbone"]["output"] == draft.content["model"]["backbone"]["output"]
    assert "widths" not in other.content["model"]["backbone"]
    assert other.content["model"]["bottleneck"] == {"kind": "gaussian", "latent_dim": 2}
    assert draft.content["model"]["backbone"]["kind"] == "dense", "a draft is never changed in place"


def test_a_draft_of_a_preset_is_that_preset() -> None:
    for found in presets().values():
        assert Draft(found.config.model_dump(mode="json")).config() == found.config


def test_a_kernel_larger_than_the_image_is_a_problem_at_the_kernel() -> None:
    draft = Draft(presets()["demo"].config.model_dump(mode="json")).put("model.backbone.kernel", 31)
    assert list(draft.problems(Nothing().check)) == ["model.backbone.kernel"]


def test_data_that_cannot_be_read_is_a_problem_at_the_data() -> None:
    def check(config: RunConfig) -> None:
        raise ValueError(f"{config.data.name} is gone.")

    draft = Draft(RunConfig(data=DataConfig(name="glyphs")).model_dump(mode="json"))
    assert draft.problems(check) == {"data.name": "glyphs is gone."}
    with pytest.raises(ConfigError):
        draft.put("training.epochs", 0).config()


def test_more_layers_go_on_in_the_ratio_of_the_last_two() -> None:
    what = Numeric(int, 1, 65536, False)
    assert _grown((128, 64), 4, what) == [128, 64, 32, 16]
    assert _grown((16, 32), 3, what) == [16, 32, 64]
    assert _grown((8,), 2, what) == [8, 8]
    assert _grown((128, 64), 1, what) == [128]
    assert _grown((2, 1), 4, what) == [2, 1, 1, 1]


def test_options_are_said_in_words() -> None:
    assert [say(option) for option in ("mse", "feature_map", "[0,1]", "leaky_relu")] == [
        "MSE",
        "Feature map",
        "[0,1]",
        "Leaky ReLU",
    ]


def test_text_that_is_no_json_is_left_for_the_config_to_refuse() -> None:
    assert from_text("[1, 2]", dict) == [1, 2]
    assert from_text("no", dict) == "no"


def test_a_decoder_of_its_own_is_offered_below_with_all_that_it_has(shown: Any) -> None:
    config = presets()["masked-autoencoder"].config
    assert config.model.decoder.kind == "transformer"
    START[:] = [config]
    at = AppTest.from_function(basic_script, default_timeout=60).run()
    assert not any("decoder" in key for key in keys(at)), "a newcomer sees the encoder's layers only"
    assert {"model.backbone.depth", "model.backbone.width", "model.backbone.patch"} <= keys(at)
    at = shown(config)
    assert {"model.decoder.kind", "model.decoder.depth", "model.decoder.output"} <= keys(at)
    assert any(box.key == "draft:model.decoder.kind" for box in at.selectbox)


def judge(content: dict[str, Any]) -> None:
    Nothing().check(parse(content))


FORBIDDEN = {
    "scatter-2": {
        "bottleneck": {"feature_map"},
        "objective": VARIATIONAL,
        "task": {"colourise", "grey"},
        "backbone": set(),
    },
    "vae-2": {"bottleneck": {"vector", "feature_map", "sphere", "top_k", "vq", "fsq"}, "objective": set()},
    "vq-vae": {"objective": ALL - {"reconstruction"}},
}
"""{preset: {part: kinds that cannot be}}, on grey images."""


@pytest.mark.parametrize(
    ("name", "part"), [(name, part) for name, parts in FORBIDDEN.items() for part in parts], ids=str
)
def test_what_mathematics_forbids_cannot_be_clicked_and_says_why_in_the_validators_words(
    shown: Any, name: str, part: str
) -> None:
    config = presets()[name].config
    at = shown(config)
    path = "task.kind" if part == "task" else f"model.{part}.kind"
    at.button(f"draft:{path}").click().run()
    offered = {button.key.partition("=")[2]: button for button in at.button if button.key.startswith(f"draft:{path}=")}
    assert set(offered) == set(Draft(config.model_dump(mode="json")).parts()[path].members)
    assert {kind for kind, button in offered.items() if button.disabled} == FORBIDDEN[name][part]
    for kind in FORBIDDEN[name][part]:
        content = config.model_dump(mode="json")
        (content if part == "task" else content["model"])[part] = {"kind": kind}
        with pytest.raises(ConfigError) as refused:
            judge(content)
        sentence = next(iter(Draft(content).said(refused.value).values()))
        assert plain(sentence) in offered[kind].label
        assert f"{part}." not in sentence


def test_another_kind_is_taken_by_a_click_on_it(shown: Any) -> None:
    at = shown(presets()["scatter-2"].config)
    card = "draft:model.backbone.kind"
    assert "**Dense** Fully connected layers; the decoder mirrors the encoder." in at.button(card).label
    at.button(card).click().run()
    assert "**Recurrent** Reads an image line by line" in at.button(f"{card}=recurrent").label
    at.button(f"{card}=recurrent").click().run()
    assert at.session_state["draft"].config().model.backbone.kind == "recurrent"
    assert "**Recurrent** Reads an image line by line" in at.button(card).label


def test_a_kind_whose_own_field_has_to_be_set_can_be_chosen_and_says_so_there(shown: Any) -> None:
    at = shown(presets()["scatter-2"].config)
    at.button("draft:model.bottleneck.kind").click().run()
    at.button("draft:model.bottleneck.kind=top_k").click().run()
    assert "“Active units” is 4, but the code has 2 units: at most 2." in said(at)
    at.number_input("draft:model.bottleneck.k").set_value(1).run()
    assert said(at) == ""


def test_every_kind_of_the_four_parts_has_a_drawing_of_its_own() -> None:
    parts = Draft(RunConfig().model_dump(mode="json")).parts()
    kinds = {
        (part, kind)
        for part in ("backbone", "bottleneck", "objective", "task")
        for kind in parts["task.kind" if part == "task" else f"model.{part}.kind"].members
    }
    assert set(DRAWINGS) == kinds
    assert len({drawing(part, kind) for part, kind in kinds}) == len(kinds) == 35
    for part, kind in kinds:
        ElementTree.fromstring(drawing(part, kind))


def basic_script() -> None:
    from tests import test_form
    from ui.form import Form

    Form("draft", test_form.Nothing(), test_form.START[0]).basic()
