"""Configs: one declaration each, refused with a sentence, read back as they were written."""

from pathlib import Path

import pytest

from aecore.config import (
    ConfigError,
    RunConfig,
    code_size_path,
    differences,
    flat,
    override,
    parse,
    preset,
    presets,
    reads,
    save_preset,
    walk,
    with_values,
    writes,
)


@pytest.mark.parametrize(
    ("assignment", "sentence"),
    [
        ("training.epoch=3", "training.epoch is not a known field: did you mean epochs?"),
        ("modell.x=3", "modell is not a known field: did you mean model?"),
        ("model.bottleneck.latent_dim=0", "model.bottleneck.latent_dim is 0, but must be at least 1."),
        (
            "model.bottleneck.latent_dim=many",
            "model.bottleneck.latent_dim is 'many', but must be a whole number",
        ),
        ("model.backbone.kind=dens", "model.backbone.kind is 'dens', which is unknown: did you mean dense?"),
        ("training.learning_rate=0", "training.learning_rate is 0, but must be greater than 0"),
        ("training.optimiser=adamm", "training.optimiser is 'adamm', but must be 'adam', 'adamw' or 'sgd'."),
        ("model.objective.kind=elbo", "model.objective.kind is 'elbo', but the bottleneck 'vector' has no posterior"),
        ("data.value_range=[-1,1]", "model.objective.loss is 'bce', but data.value_range is '[-1,1]'"),
        ("model.backbone.output=tanh", "model.backbone.output is 'tanh', but the loss 'bce' needs 'sigmoid'"),
        ("training.epochs", "'training.epochs' is not an assignment"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name_its_value_and_what_is_allowed(assignment: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        override(preset("demo").config, [assignment])
    assert sentence in str(refused.value)


def test_of_a_list_with_a_wrong_value_that_alone_is_said() -> None:
    for value, sentence in (
        ("[0]", "is 0, but must be at least 1."),
        ("[70000]", "is 70000, but must be at most 65536."),
    ):
        with pytest.raises(ConfigError) as refused:
            override(preset("demo").config, [f"model.backbone.channels={value}"])
        assert refused.value.fields == {"model.backbone.channels.0": f"model.backbone.channels.0 {sentence}"}
    with pytest.raises(ConfigError) as refused:
        override(preset("demo").config, ["model.backbone.channels=[]"])
    assert list(refused.value.fields) == ["model.backbone.channels"]


def test_a_dense_backbone_has_no_feature_map() -> None:
    with pytest.raises(ConfigError) as refused:
        override(preset("compress-32").config, ["model.bottleneck.kind=feature_map"])
    assert "model.bottleneck.kind" in refused.value.fields
    assert "the backbone 'dense' has no feature map" in str(refused.value)


def test_an_override_sets_numbers_lists_texts_and_kinds() -> None:
    config = override(
        preset("demo").config,
        [
            "model.bottleneck.latent_dim=8",
            "model.backbone.kind=dense",
            "model.backbone.widths=100,50",
            "training.classes=3,4",
            "training.clip_norm=1.5",
            "data.size=",
        ],
    )
    found = flat(config)
    assert found["model.bottleneck.latent_dim"] == 8
    assert found["model.backbone.widths"] == (100, 50)
    assert found["training.classes"] == ("3", "4")
    assert found["training.clip_norm"] == 1.5
    assert found["data.size"] is None
    assert "model.backbone.kernel" not in found


@pytest.mark.parametrize("name", sorted(presets()))
def test_a_preset_reads_back_as_it_was_written(name: str) -> None:
    config = preset(name).config
    assert reads(writes(config)) == config
    assert config.name == name


@pytest.mark.parametrize("name", [name for name, kept in presets().items() if kept.flaw])
def test_a_flaw_is_a_sentence_and_has_a_twin_that_exists(name: str) -> None:
    kept = preset(name)
    assert kept.flaw.endswith(".")
    assert kept.twin in presets()


def test_the_code_size_is_found_by_its_role() -> None:
    config = preset("demo").config
    path = code_size_path(config)
    assert path is not None
    assert with_values(config, {path: 16}).model.code_size((1, 28, 28)) == 16
    assert code_size_path(preset("conv-valid-5x5").config) is None


def test_code_shapes_follow_from_the_layers() -> None:
    assert preset("conv-valid-5x5").config.model.code_shape((1, 28, 28)) == (16, 20, 20)
    assert preset("stl10-conv-100").config.model.code_shape((3, 32, 32)) == (100,)
    with pytest.raises(ConfigError) as refused:
        preset("conv-valid-5x5").config.model.code_shape((1, 8, 8))
    assert "model.backbone.kernel is 5, but the input of convolution 2 is only 4x4 pixels" in str(refused.value)


def test_differences_name_only_what_differs() -> None:
    one, two = preset("stacked-9").config, preset("stacked-9-tuned").config
    assert differences([one, two]) == {"name": ["stacked-9", "stacked-9-tuned"], "training.learning_rate": [0.1, 0.001]}


def test_a_newer_version_is_refused_and_a_missing_one_is_this_one() -> None:
    with pytest.raises(ConfigError, match="knows versions up to 1"):
        parse({"schema_version": 2})
    assert parse({}) == RunConfig()


def test_broken_json_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match="This is not JSON"):
        reads("{")
    with pytest.raises(ConfigError, match="is a JSON object"):
        reads("[]")


def test_every_field_has_a_title_and_a_description() -> None:
    for kept in presets().values():
        for field in walk(kept.config):
            assert field.path.endswith("kind") or (field.info.title and field.info.description), field.path


def test_ones_own_preset_is_kept_and_a_taken_or_odd_name_is_refused(tmp_path: Path) -> None:
    config = override(preset("demo").config, ["training.epochs=3"])
    save_preset(tmp_path, "mine", config)
    assert preset("mine", tmp_path).config.training.epochs == 3
    save_preset(tmp_path, "ä" * 60, config)
    with pytest.raises(ConfigError, match="belongs to a preset"):
        save_preset(tmp_path, "demo", config)
    for name in ("../x", "", "-rf", "_x", "a" * 61, "a" * 10_000):
        with pytest.raises(ConfigError, match="at most 60 letters, digits") as refused:
            save_preset(tmp_path, name, config)
        assert len(str(refused.value)) < 300
    (tmp_path / "broken.json").write_text("{")
    assert "broken" not in presets(tmp_path)
