"""One complete configuration of a run, and the rules between its parts."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from aecore.config.backbones import Backbone, BackboneConfig, DecoderConfig, DenseBackbone, Mirror
from aecore.config.base import Config, ConfigError, from_json, moved, sentences
from aecore.config.bottlenecks import BottleneckConfig, FeatureMapBottleneck, VectorBottleneck, size
from aecore.config.data import DataConfig
from aecore.config.facts import Facts, Shape
from aecore.config.objectives import ObjectiveConfig, ReconstructionObjective
from aecore.config.tasks import AnyTask, IdentityTask
from aecore.config.training import TrainingConfig

SCHEMA_VERSION = 1

Labels = Literal["none", "conditional", "swap"]
TaskConfig = Annotated[AnyTask, Field(discriminator="kind")]


class ModelConfig(Config):
    """A backbone with a bottleneck and an objective."""

    backbone: BackboneConfig = Field(DenseBackbone(), title="Backbone", description="What layers.")
    decoder: DecoderConfig = Field(
        Mirror(),
        title="Decoder",
        description="The backbone's layers in reverse order, or layers of its own, with an output range of their own.",
        json_schema_extra={"folded": True},
    )
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
        problems: dict[str, str] = {}
        backbone, bottleneck, objective = self.backbone, self.bottleneck, self.objective
        if isinstance(bottleneck, FeatureMapBottleneck) and not backbone.keeps_map:
            problems |= _without_map(backbone)
        if isinstance(backbone, DenseBackbone) and backbone.tied and not isinstance(self.decoder, Mirror):
            problems["model.backbone.tied"] = (
                f"model.backbone.tied is true, but model.decoder.kind is {self.decoder.kind!r}: only a decoder that mirrors its "
                "encoder can have its weights."
            )
        problems |= objective.misfits(backbone, bottleneck)
        if self.labels == "swap":
            problems |= self._cannot_swap()
        if objective.loss == "bce" and self.output != "sigmoid":
            problems[f"{self.decoder_path}.output"] = (
                f"{self.decoder_path}.output is {self.output!r}, but the loss 'bce' needs 'sigmoid', so that outputs lie in [0,1]."
            )
        if problems:
            raise ConfigError(problems)
        return self

    def _cannot_swap(self) -> dict[str, str]:
        """Why there cannot be a decoder for each label."""
        if self.decoder_layers.batch_norm:
            return {
                "model.labels": "model.labels is 'swap', but the norm is 'batch': each decoder has only its own label's part of a "
                "batch to normalise by. Use another norm, or the labels 'conditional'."
            }
        if isinstance(self.backbone, DenseBackbone) and self.backbone.tied:
            return {
                "model.backbone.tied": "model.backbone.tied is true, but model.labels is 'swap': several decoders cannot all have "
                "the encoder's weights."
            }
        return {}

    @property
    def decoder_layers(self) -> Backbone:
        """What the decoder undoes: the backbone, or layers of its own."""
        return self.backbone if isinstance(self.decoder, Mirror) else self.decoder

    @property
    def decoder_path(self) -> str:
        """Where the decoder's layers are configured."""
        return "model.backbone" if isinstance(self.decoder, Mirror) else "model.decoder"

    @property
    def output(self) -> str:
        """Name of the decoder's last non-linearity."""
        return self.decoder_layers.output

    @property
    def batch_norm(self) -> bool:
        """Whether encoder or decoder normalise over the batch."""
        return self.backbone.batch_norm or self.decoder_layers.batch_norm

    def code_shape(self, shape: Shape) -> tuple[int, ...]:
        """Shape of the code of one image of `shape` (C, H, W). Raises ConfigError where the layers do not fit."""
        self.decoder_shape(shape)
        return self.bottleneck.code_shape(self.backbone.feature_shape(shape))

    def decoder_shape(self, shape: Shape) -> tuple[int, ...]:
        """Shape of the features that the decoder begins with. Raises ConfigError where its layers do not fit the image."""
        try:
            return self.decoder_layers.feature_shape(shape)
        except ConfigError as error:
            raise ConfigError(moved(error.fields, "model.backbone", self.decoder_path)) from None

    def code_size(self, shape: Shape) -> int:
        """Numbers in the code of one image of `shape` (C, H, W)."""
        return size(self.code_shape(shape))


def _without_map(backbone: Backbone) -> dict[str, str]:
    """Why a backbone has no feature map."""
    if hasattr(backbone, "hidden"):
        return {
            "model.backbone.hidden": "model.backbone.hidden must be empty for the bottleneck 'feature_map': dense layers lose the map."
        }
    return {
        "model.bottleneck.kind": f"model.bottleneck.kind is 'feature_map', but the backbone {backbone.kind!r} has no feature map: "
        "use the backbone 'conv' or 'transformer', or the bottleneck 'vector'."
    }


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
        """Raises ConfigError where the layers, the task, the use of labels or the batches do not go with images of `facts`."""
        self.model.code_shape(facts.shape)
        if sentence := self.task.refusal(facts.shape):
            raise ConfigError({"task.kind": sentence})
        classes = len(set(self.training.classes or facts.class_names))
        if self.model.labels != "none" and classes < 2:
            sentence = (
                f"model.labels is {self.model.labels!r}, but the images have {'one label' if classes else 'no labels'}: at least "
                "two are needed. Use the labels 'none', or other images."
            )
            raise ConfigError({"model.labels": sentence})
        if (
            not self.training.classes or self.training.batch_size == 1
        ):  # of classes, whoever reads the labels knows the number
            self.divides(facts.n_train)

    def divides(self, n_train: int) -> None:
        """Raises ConfigError where a batch of one of `n_train` images would have to be normalised by itself."""
        size, images = self.training.batch_size, min(n_train, self.training.subset or n_train)
        batches = math.ceil(images / size)
        alone = size == 1 or (images % size == 1 and self.total_steps(n_train) >= batches)
        if not alone or not self.model.batch_norm:
            return
        better = next((f"{other}, or " for other in range(size + 1, size + images + 3) if images % other != 1), "")
        which = "is 1" if size == 1 else f"is {size}, which leaves a last batch of one of {images:,} images"
        sentence = (
            f"training.batch_size {which}, but the norm 'batch' needs two images at least: use {better}another norm."
        )
        raise ConfigError({"training.batch_size": sentence})

    def _alone(self) -> dict[str, str]:
        """Why several processes cannot train it together."""
        count = self.training.processes
        if count > self.training.batch_size:
            batch = self.training.batch_size
            return {
                "training.processes": f"training.processes is {count}, but a batch has {batch} images: at most {batch}."
            }
        if count > 1 and self.model.batch_norm:
            sentence = (
                f"training.processes is {count}, but the norm is 'batch': each process would normalise by its own "
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
    content = from_json(text)
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
    if not isinstance(version, int):
        raise ConfigError({"schema_version": f"schema_version is {version!r}, but must be a whole number."})
    if version > SCHEMA_VERSION:
        raise ConfigError(
            {
                "schema_version": f"schema_version is {version}, but this program knows versions up to {SCHEMA_VERSION}: update it."
            }
        )
    while version in UPGRADES:
        content = UPGRADES[version](content)
        version = content["schema_version"]
    return content
