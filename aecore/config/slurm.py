"""What a lab asks of its cluster for each run."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from aecore.config.base import ConfigError, Settings

OURS = re.split(
    r"\s+",
    "array batch chdir cpus-per-task error export gres gpus help input job-name mem no-requeue open-mode output parsable "
    "partition quiet requeue signal test-only time wait wrap",
)
"""Options of sbatch that the lab sets itself, or that would change what it gets back."""


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ConfigError({"slurm": f"{text!r} has a line break or a control character: it must be one line."})
    return text


def _option(text: str) -> str:
    found = re.fullmatch(r"--([a-z][a-z-]*)(=.*)?", _one_line(text))
    if not found:
        raise ConfigError({"slurm.options": f"slurm.options has {text!r}, but each must read --name or --name=value."})
    if any(name.startswith(found[1]) for name in OURS):  # sbatch takes shortened names as well
        raise ConfigError({"slurm.options": f"slurm.options has {text!r}, which the lab sets itself."})
    return text


Line = Annotated[str, AfterValidator(_one_line)]
Option = Annotated[str, AfterValidator(_option)]


class SlurmSettings(Settings):
    """`slurm` in a lab's `settings.json`; used where `executor` is 'slurm'."""

    partition: str = Field(
        "", pattern=r"^[\w.,-]*$", title="Partition", description="Partitions to use; the cluster's default when empty."
    )
    gpus: int = Field(1, ge=0, le=64, title="GPUs", description="GPUs of a run that does not ask for the CPU.")
    gpu_type: str = Field(
        "",
        pattern=r"^[\w.-]*$",
        title="GPU type",
        description="As the cluster names it, such as 'a100'; any when empty.",
    )
    cpus: int = Field(4, ge=1, le=1024, title="CPUs", description="Processors of a run.")
    memory: str = Field(
        "16G",
        pattern=r"^([1-9]\d*[KMGT]?)?$",
        title="Memory",
        description="Of a run; the cluster's default when empty.",
    )
    time_limit: str = Field(
        "",
        pattern=r"^((\d+-)?\d+(:\d\d){0,2})?$",
        title="Time limit",
        description="Minutes, or as 24:00:00 or 2-12:00:00; the partition's own when empty. A run that reaches it goes on.",
    )
    save_seconds: int = Field(
        120,
        ge=1,
        le=3600,
        title="Time to save",
        description="Seconds before the time limit at which a run is told to save.",
    )
    options: tuple[Option, ...] = Field(
        (), title="Options", description="Further options of sbatch, such as '--account=vision'."
    )
    prologue: tuple[Line, ...] = Field(
        (), title="Prologue", description="Lines of shell before the run's process starts, such as 'module load cuda'."
    )
    python: Line = Field(
        "", title="Python", description="The interpreter on the nodes; the supervisor's own when empty."
    )
    waiting: int = Field(
        2,
        ge=1,
        le=1000,
        title="Waiting in Slurm",
        description="Runs of a kind that wait in Slurm at a time; the others wait in the lab.",
    )
    poll_seconds: float = Field(
        2,
        ge=0.1,
        le=600,
        title="Poll every, s",
        description="Seconds between two questions to Slurm about the same run.",
    )
    timeout_seconds: float = Field(
        15, gt=0, le=600, title="Timeout, s", description="Seconds after which a command of Slurm counts as unanswered."
    )
