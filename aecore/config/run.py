"""One complete configuration of a run, and the rules between its parts."""

import json
import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from aecore.config.backbones import ConvBackbone, DenseBackbone
from aecore.config.base import Config, ConfigError, sentences
from aecore.config.bottlenecks import BottleneckConfig, FeatureMapBottleneck, VectorBottleneck, size
from aecore.config.data import DataConfig
from aecore.config.facts import Facts, Shape
from aecore.config.objectives import ObjectiveConfig, ReconstructionObjective
from aecore.config.tasks import AnyTask, IdentityTask
from aecore.config.training import TrainingConfig

SCHEMA_VERSION = 1

BackboneConfig = Annotated[DenseBackbone | ConvBackbone, Field(discriminator="kind")]
Labels = Literal["none", "conditional", "swap"]
TaskConfig = Annotated[AnyTask, Field(discriminator="kind")]


class ModelConfig(Config):
    """A backbone with a bottleneck and an objective."""

    backbone: BackboneConfig = Field(DenseBackbone(), title="Backbone", description="What layers.")
    bottleneck: BottleneckConfig = Field(VectorBottleneck(), title="Bottleneck", description="What kind of code.")
    objective: ObjectiveConfig = Field(ReconstructionObjective(), title="Objective", description="What is minimised.")
    labels: Labels = Field(
        "none",
        title="Labels",
        description="none: not used. conditional: the decoder is told the label of the image. swap: a decoder for each label, "
        "so that the code of one label's image can be decoded as another's.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        problems = {}
        backbone, bottleneck, objective = self.backbone, self.bottleneck, self.objective
        if isinstance(bottleneck, FeatureMapBottleneck) and not isinstance(backbone, ConvBackbone):
            problems["model.bottleneck.kind"] = (
                f"model.bottleneck.kind is 'feature_map', but a {backbone.kind} backbone has no feature map: use 'conv', or 'vector'."
            )
        elif isinstance(bottleneck, FeatureMapBottleneck) and isinstance(backbone, ConvBackbone) and backbone.hidden:
            problems["model.backbone.hidden"] = (
                "model.backbone.hidden must be empty for a feature_map bottleneck: dense layers lose the map."
            )
        problems |= objective.misfits(backbone, bottleneck)
        if self.labels == "swap" and isinstance(backbone, ConvBackbone) and backbone.norm == "batch":
            problems["model.labels"] = (
                "model.labels is 'swap', but model.backbone.norm is 'batch': each decoder has only its own label's part of a "
                "batch to normalise by. Use another norm, or the labels 'conditional'."
            )
        if objective.loss == "bce" and backbone.output != "sigmoid":
            problems["model.backbone.output"] = (
                f"model.backbone.output is {backbone.output!r}, but the loss 'bce' needs 'sigmoid', so that outputs lie in [0,1]."
            )
        if problems:
            raise ConfigError(problems)
        return self

    def code_shape(self, shape: Shape) -> tuple[int, ...]:
        """Shape of the code of one image of `shape` (C, H, W). Raises ConfigError where the layers do not fit."""
        return self.bottleneck.code_shape(self.backbone.feature_shape(shape))

    def code_size(self, shape: Shape) -> int:
        """Numbers in the code of one image of `shape` (C, H, W)."""
        return size(self.code_shape(shape))


class RunConfig(Config):
    """Everything that decides what a run does."""

    schema_version: int = Field(
        SCHEMA_VERSION, ge=1, le=SCHEMA_VERSION, title="Version", description="Version of this layout."
    )
    name: str = Field(
        "", max_length=80, title="Name", description="What the run is called; the preset's name by default."
    )
    data: DataConfig = Field(DataConfig(), title="Data", description="Which images.")
    model: ModelConfig = Field(ModelConfig(), title="Model", description="Layers, code and objective.")
    task: TaskConfig = Field(IdentityTask(), title="Task", description="What the encoder sees.")
    training: TrainingConfig = Field(TrainingConfig(), title="Training", description="How it is trained.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.model.objective.loss == "bce" and self.data.value_range != "[0,1]":
            raise ConfigError(
                {
                    "model.objective.loss": f"model.objective.loss is 'bce', but data.value_range is '{self.data.value_range}': "
                    "binary cross-entropy needs pixels in [0,1]; use 'mse' or 'l1', or the range '[0,1]'."
                }
            )
        if problems := self._alone():
            raise ConfigError(problems)
        return self

    def suits(self, facts: Facts) -> None:
        """Raises ConfigError where the layers, the task or the use of labels do not go with images of `facts`."""
        self.model.code_shape(facts.shape)
        if sentence := self.task.refusal(facts.shape):
            raise ConfigError({"task.kind": sentence})
        classes = len(self.training.classes or facts.class_names)
        if self.model.labels != "none" and classes < 2:
            sentence = (
                f"model.labels is {self.model.labels!r}, but the images have {'one label' if classes else 'no labels'}: at least "
                "two are needed. Use the labels 'none', or other images."
            )
            raise ConfigError({"model.labels": sentence})

    def _alone(self) -> dict[str, str]:
        """Why several processes cannot train it together."""
        count, backbone = self.training.processes, self.model.backbone
        if count > self.training.batch_size:
            batch = self.training.batch_size
            return {
                "training.processes": f"training.processes is {count}, but a batch has {batch} images: at most {batch}."
            }
        if count > 1 and isinstance(backbone, ConvBackbone) and backbone.norm == "batch":
            sentence = (
                f"training.processes is {count}, but model.backbone.norm is 'batch': each process would normalise by its own "
                "part of the batch, which is another model. Use 1, or the norm 'none'."
            )
            return {"training.processes": sentence}
        reason = self.model.objective.whole_batch or self.model.bottleneck.whole_batch
        if count > 1 and reason:
            sentence = f"training.processes is {count}, but {reason}, of which each process has only a part: use 1."
            return {"training.processes": sentence}
        return {}

    def total_steps(self, n_train: int) -> int:
        """Steps over `n_train` images (before `training.subset`), unless it stops early."""
        images = min(n_train, self.training.subset or n_train)
        steps = self.training.epochs * math.ceil(images / self.training.batch_size)
        return min(steps, self.training.max_steps or steps)


def parse(content: dict[str, Any]) -> RunConfig:
    """A config from plain data.

    Raises:
        ConfigError: one sentence for each field that is wrong.
    """
    try:
        return RunConfig.model_validate(upgrade(content))
    except ValidationError as error:
        raise ConfigError(sentences(error, RunConfig)) from None


def reads(text: str) -> RunConfig:
    """A config from its JSON text. Raises ConfigError with a sentence."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError({"": f"This is not JSON: {error.msg} in line {error.lineno}."}) from None
    if not isinstance(content, dict):
        raise ConfigError({"": "A configuration is a JSON object with data, model, task and training."})
    return parse(content)


def writes(config: RunConfig) -> str:
    """The JSON text of a config, every field written out."""
    return config.model_dump_json(indent=2) + "\n"


UPGRADES: dict[int, Any] = {}
"""Version -> a function from its plain data to the next version's. `upgrade` walks it up to SCHEMA_VERSION."""


def upgrade(content: dict[str, Any]) -> dict[str, Any]:
    """Bring the plain data of an older version to this one. Raises ConfigError for a version that is newer than this program."""
    version = content.get("schema_version", SCHEMA_VERSION)
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ConfigError(
            {
                "schema_version": f"schema_version is {version}, but this program knows versions up to {SCHEMA_VERSION}: update it."
            }
        )
    while version in UPGRADES:
        content = UPGRADES[version](content)
        version = content["schema_version"]
    return content
