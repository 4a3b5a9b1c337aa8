"""Settings of one lab: how many runs at once, and how the supervisor behaves."""

import os
from pathlib import Path
from typing import Literal

import psutil
from pydantic import Field, ValidationError

from aecore.config.access import AccessSettings
from aecore.config.base import ConfigError, Settings, from_json, sentences
from aecore.config.limits import PersonLimits
from aecore.config.slurm import SlurmSettings
from aecore.config.tell import TellSettings


def cores() -> int:
    """Physical cores that this process may use, at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(psutil.cpu_count(logical=False) or allowed, allowed))


class LabSettings(Settings):
    """`settings.json` of a lab. Every field has a default, so the file need not exist."""

    access: AccessSettings = Field(
        default_factory=AccessSettings, title="Access", description="Who may come in, and who is what."
    )
    executor: Literal["local", "slurm"] = Field(
        "local", title="Executor", description="What starts the runs: this machine, or the cluster's Slurm."
    )
    slurm: SlurmSettings = Field(
        default_factory=SlurmSettings, title="Slurm", description="What is asked of the cluster for each run."
    )
    tell: TellSettings = Field(
        default_factory=TellSettings,
        repr=False,  # what is wrong with it is said without the value
        title="Tell",
        description="How people are told that a run has ended: webhook, mail.",
    )
    database: str = Field(
        "",
        repr=False,  # it may hold a password
        title="Database",
        description="Empty: SQLite in the lab's folder. Where several machines write: postgresql://user@host/name.",
    )
    per_person: PersonLimits = Field(
        default_factory=PersonLimits, title="Per person", description="What one person may have."
    )
    drain: Literal["off", "finish", "save"] = Field(
        "off",
        title="Drain",
        description="Before maintenance: nothing new starts; what trains goes on to its end, or is saved and goes on afterwards.",
    )
    banner: str = Field(
        "",
        max_length=300,
        title="Banner",
        description="A line that everybody reads at the top of every page. Plain text.",
    )
    cpu_slots: int = Field(
        default_factory=cores,
        ge=1,
        le=1024,
        title="CPU slots",
        description="Runs at once on the CPU; one per physical core by default.",
    )
    side_slots: int = Field(
        default_factory=lambda: min(2, cores()),
        ge=1,
        le=64,
        title="Side slots",
        description="Analyses and other side jobs at once, beside the runs; two by default, where there are two cores.",
    )
    runs_per_gpu: int = Field(
        1,
        ge=1,
        le=16,
        title="Runs per GPU",
        description="Small runs that share a GPU, where the memory that was measured for runs like them fits.",
    )
    warm: int = Field(
        2,
        ge=0,
        le=16,
        title="Warm processes",
        description="Processes kept ready with torch imported, so that a run starts at once.",
    )
    idle_minutes: float = Field(
        10,
        gt=0,
        le=525_600,
        title="Idle minutes",
        description="The supervisor leaves after so long with nothing to do and nobody there.",
    )
    stop_grace_seconds: float = Field(
        60,
        gt=0,
        le=86_400,
        title="Grace, s",
        description="Seconds that a stopped run has to save before it is killed.",
    )
    retries: int = Field(
        3, ge=1, le=1000, title="Retries", description="A run that died so often without a newer checkpoint has failed."
    )
    checkpoint_seconds: float = Field(
        60, gt=0, le=604_800, title="Checkpoint every, s", description="Seconds after which a run is saved again."
    )
    checkpoint_steps: int = Field(
        10_000,
        ge=1,
        le=1_000_000_000,
        title="Checkpoint every, steps",
        description="Steps after which it is saved again, whatever the time.",
    )
    checkpoint_share: float = Field(
        0.05,
        gt=0,
        le=1,
        title="Checkpoint share",
        description="Share of the time that saving may take: large models are saved more rarely.",
    )
    keep_deleted_days: float = Field(
        7,
        ge=0,
        le=36_500,
        title="Keep deleted runs, days",
        description="So long a deleted run can be brought back.",
    )


def read_settings(path: Path) -> LabSettings:
    """Settings from a lab's `settings.json`; the defaults where there is none. Raises ConfigError that names the file."""
    try:
        return LabSettings.model_validate(from_json(path.read_text(encoding="utf-8"), str(path)))
    except FileNotFoundError:
        return LabSettings()
    except UnicodeDecodeError:
        raise ConfigError({"": f"{path} is not UTF-8."}) from None
    except ValidationError as error:
        raise ConfigError({p: f"{path}: {text}" for p, text in sentences(error, LabSettings).items()}) from None
