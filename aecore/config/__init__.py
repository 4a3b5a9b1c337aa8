"""Configurations: pydantic only, free of torch. Every hyperparameter is declared once, here."""

from aecore.config.base import Config, ConfigError, members, suggest
from aecore.config.data import DataConfig
from aecore.config.facts import Facts, Shape
from aecore.config.fields import FieldAt, code_size_path, differences, flat, override, short, walk, with_values
from aecore.config.presets import Preset, preset, presets, save_preset
from aecore.config.run import SCHEMA_VERSION, ModelConfig, RunConfig, parse, reads, writes
from aecore.config.training import TrainingConfig

__all__ = [
    "SCHEMA_VERSION",
    "Config",
    "ConfigError",
    "DataConfig",
    "Facts",
    "FieldAt",
    "ModelConfig",
    "Preset",
    "RunConfig",
    "Shape",
    "TrainingConfig",
    "code_size_path",
    "differences",
    "flat",
    "members",
    "override",
    "parse",
    "preset",
    "presets",
    "reads",
    "save_preset",
    "short",
    "suggest",
    "walk",
    "with_values",
    "writes",
]
