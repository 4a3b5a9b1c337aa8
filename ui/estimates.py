"""What a configuration would give, before it is queued: computed once for all viewers, without weights in memory."""

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from aecore import data
from aecore.config import ConfigError, DataConfig, Facts, ModelConfig, RunConfig
from aecore.runs.lab import Lab
from aecore.runs.text import size
from ui.draft import Draft

if TYPE_CHECKING:
    from aecore.models import Summary
    from aecore.training.memory import Memory

BIG = 1e9
"""Bytes from which on memory and checkpoints are worth a warning."""


class Data:
    """What the Train page's form asks of the data sets of a lab."""

    def __init__(self, lab: Lab):
        self.lab = lab
        self.roots = tuple(map(str, lab.data_roots))

    def facts(self, config: DataConfig) -> Facts:
        """Facts of a data config, from the declared ones of a data set that is not there yet. Raises ConfigError, DataError."""
        return _facts(config.model_dump_json(), self.roots)

    def check(self, config: RunConfig) -> None:
        """Raises ConfigError or DataError where the config does not go with its images, or the device is not there."""
        chosen = config.data.model_dump_json(), config.training.classes, self.roots
        data.check(config, self.facts(config.data), lambda: _n_of_classes(*chosen))
        if (sentence := self.where(config)).startswith("There is no"):
            raise ConfigError({"training.device": sentence})
        if config.training.engine == "graphs" and sentence.startswith("CPU"):
            why = "training.engine is 'graphs', but the run would go to the CPU, which has no CUDA graphs: use 'auto'."
            raise ConfigError({"training.engine": why})

    def where(self, config: RunConfig) -> str:
        """Where the run will go and whether that is free, in words."""
        return _where(config.training.device, str(self.lab.path), self.lab)

    def options(self, path: str, draft: Draft) -> Mapping[str, str] | None:
        if path == "data.name":
            return {name: self._titled(name) for name in data.DATASETS}
        if path == "training.classes":
            return dict.fromkeys(self._class_names(draft), "")
        return None

    def hints(self, draft: Draft) -> Mapping[str, str]:
        return {**self._hints_of_model(draft), **self._hints_of_precision(draft.loose)}

    def _hints_of_precision(self, config: RunConfig) -> Mapping[str, str]:
        here = self.lab.settings.executor == "local" and self.where(config).startswith("CPU")
        if here and config.training.precision == "tf32":
            return {"training.precision": "TF32 is of GPUs: on the CPU it is the same as 32 bit."}
        if here and config.training.precision == "bf16" and _has_bfloat16() is False:
            sentence = "This server's processor has no bfloat16: a run on it takes about twice as long or longer. Choose 32 bit."
            return {"training.precision": sentence}
        return {}

    def _hints_of_model(self, draft: Draft) -> Mapping[str, str]:
        objective = draft.loose.model.objective
        known = data.DATASETS.get(draft.loose.data.name)
        if known and known.sequence and getattr(draft.loose.model.backbone, "over", "") == "rows":
            sentence = (
                f"In {known.title} time runs from left to right: “Reads by” columns (under More) takes it step by step."
            )
            return {"model.backbone.kind": sentence}
        fits = draft.loose.data.value_range == "[0,1]" and draft.loose.model.output == "sigmoid"
        if fits and objective.kind == "reconstruction" and objective.loss != "bce":
            return {"model.objective.loss": "BCE suits pixels in [0,1] with a sigmoid."}
        return {}

    def missing(self, name: str) -> float | None:
        """Megabytes of the download that a data set needs first; None where it is there, or unknown."""
        known = data.DATASETS.get(name)
        return known.megabytes if known and known.kind == "download" and not _present(name, self.roots) else None

    def _titled(self, name: str) -> str:
        megabytes, title = self.missing(name), data.DATASETS[name].title
        return title if megabytes is None else f"{title} (↓ {size(1e6 * megabytes)})"

    def _class_names(self, draft: Draft) -> tuple[str, ...]:
        try:
            return self.facts(draft.config().data).class_names
        except ValueError:
            return ()


@st.cache_data(ttl=5, max_entries=64, show_spinner=False)
def _present(name: str, roots: tuple[str, ...]) -> bool:
    return data.is_present(DataConfig(name=name), [Path(root) for root in roots])


@st.cache_data(ttl=20, max_entries=256, show_spinner=False)
def _facts(config: str, roots: tuple[str, ...]) -> Facts:
    return data.facts(DataConfig.model_validate_json(config), [Path(root) for root in roots])


@st.cache_data(ttl=60, max_entries=64, show_spinner="Counting the images of these classes …")
def _n_of_classes(config: str, classes: tuple[str, ...], roots: tuple[str, ...]) -> int | None:
    return data.n_of_classes(DataConfig.model_validate_json(config), classes, [Path(root) for root in roots])


def summary(config: RunConfig, facts: Facts) -> "Summary":
    """Layers, parameters and code of a config's model. Raises ConfigError where the layers do not fit."""
    return _summary(config.model.model_dump_json(), facts)


@st.cache_data(max_entries=512, show_spinner=False)
def _summary(model: str, facts: Facts) -> "Summary":
    from aecore.models import summary

    return summary(ModelConfig.model_validate_json(model), facts)


def memory(config: RunConfig, facts: Facts) -> "Memory":
    """Bytes that training will take, by what they are for, and bytes of a checkpoint."""
    return _memory(config.model_copy(update={"name": ""}).model_dump_json(), facts)


@st.cache_data(max_entries=512, show_spinner=False)
def _memory(config: str, facts: Facts) -> "Memory":
    from aecore.training.memory import estimate

    return estimate(RunConfig.model_validate_json(config), facts)


@st.cache_data(ttl=2, max_entries=16, show_spinner=False)
def _where(device: Any, path: str, _lab: Lab) -> str:
    from aecore.jobs.devices import where

    return where(device, _lab)


def _has_bfloat16() -> bool | None:
    from aecore.jobs.devices import has_bfloat16

    return has_bfloat16()


def compression(facts: Facts, code_size: int, bits: float | None = None) -> tuple[str, str]:
    """The compression ratio in words, and the two numbers that it comes from: of a code that is one of finitely many, bits.

    >>> compression(Facts((1, 28, 28), (0, 1), 1, ()), 16)
    ('49 × smaller', '784 pixels → 16 numbers')
    >>> compression(Facts((1, 28, 28), (0, 1), 1, ()), 1568, 441)
    ('14.2 × smaller', '784 bytes → 441 bits')
    """
    pixels = prod(facts.shape)
    ratio = pixels / code_size if bits is None else 8 * pixels / bits
    if bits is None:
        many = f"{code_size:,} number{'s' * (code_size != 1)}"
        numbers = f"{pixels:,} {'pixels' if facts.shape[0] == 1 else 'values'} → {many}"
    else:
        numbers = f"{pixels:,} bytes → {bits:,.0f} bits"
    if ratio <= 1:
        return f"no compression: × {ratio:.2g}", numbers
    return f"{ratio:,.3g} × smaller" if ratio < 1000 else f"{ratio:,.0f} × smaller", numbers
