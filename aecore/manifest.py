"""Which checkpoints of a run are whole, by their manifests. Free of torch: the dashboard and the supervisor ask too.

<step>-<attempt>/ holds its files and, written last, MANIFEST.json with the size and sha256 of each and what of the run
folder belongs to them. A folder is written under another name, flushed to the disk, and renamed.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

MANIFEST = "MANIFEST.json"
FIRST = {"files", "metrics_bytes"}
"""What manifests of version 0.1 had: no digest of themselves."""


class Mark(NamedTuple):
    """Where a run's folder stands when a checkpoint is taken."""

    metrics_bytes: int = 0
    """Length of metrics.csv with all rows handed out so far."""
    seconds: float = 0.0
    """Seconds of training so far."""
    aside: float = 0.0
    """Of these, seconds that went into pictures and checkpoints."""
    best: bool = False
    """Whether the watched loss was never lower than at this step."""


class Damaged(NamedTuple):
    """A checkpoint that cannot be used."""

    path: Path
    problem: str
    """A sentence."""


def newest(folder: Path) -> Path | None:
    """The checkpoint of the highest step that is whole; None where there is none."""
    return survey(folder)[0]


def stamp(folder: Path) -> str:
    """Name of the checkpoint of the highest step, '' where there is none; whether it is whole costs more to know."""
    committed = (path for path in _all(folder) if (path / MANIFEST).exists())
    return max(committed, key=_step_and_attempt, default=Path()).name


def survey(folder: Path) -> tuple[Path | None, list[Damaged]]:
    """The newest whole checkpoint, and the damaged ones that are newer than it."""
    damaged: list[Damaged] = []
    for path in sorted(_all(folder), key=_step_and_attempt, reverse=True):
        problem = damage(path)
        if problem is None:
            return path, damaged
        damaged.append(Damaged(path, problem))
    return None, damaged


def best(folder: Path) -> Path | None:
    """The whole checkpoint of the lowest watched loss; None where none was taken at such a step."""
    for path in sorted(_all(folder), key=_step_and_attempt, reverse=True):
        if damage(path) is None and mark(path).best:
            return path
    return None


def damage(path: Path) -> str | None:
    """What is wrong with a checkpoint, in a sentence; None where every file is as its manifest says."""
    try:
        try:
            return _difference(path)
        except OSError:  # a system that fails once has damaged nothing yet: it is asked again
            return _difference(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return f"it cannot be read ({error})."


def _difference(path: Path) -> str | None:
    content = read(path)
    for name, (size, digest) in content["files"].items():
        if (path / name).stat().st_size != size:
            return f"{name} has {(path / name).stat().st_size} bytes instead of {size}."
        if digest_of(path / name) != digest:
            return f"{name} is not what was written."
    if content["step"] != step_of(path):
        return f"it is of step {content['step']}."
    mark(path)
    return None


def read(path: Path) -> dict[str, Any]:
    """The manifest of a checkpoint: {'files': {name: [bytes, sha256]}, 'step': ..., and the fields of its mark}.

    Raises ValueError where it is not what was written.
    """
    content: dict[str, Any] = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    if set(content) == FIRST:
        return content | {"step": step_of(path)}
    if content.pop("sha256") != _seal(content):
        raise ValueError("the manifest is not what was written")
    return content


def sealed(content: dict[str, Any]) -> str:
    """A manifest as text, with a digest of itself: a flipped bit in it is found like one in the files."""
    return json.dumps(content | {"sha256": _seal(content)})


def _seal(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def mark(path: Path) -> Mark:
    """What of the run folder belongs to a checkpoint."""
    content = read(path)
    return Mark(**{name: content[name] for name in Mark._fields if name in content})


def step_of(path: Path) -> int:
    """The step that a checkpoint's name says."""
    return _step_and_attempt(path)[0]


def set_aside(damaged: Damaged) -> None:
    """Keep a damaged checkpoint where nobody takes it for a whole one."""
    place = damaged.path.with_name(f"damaged-{damaged.path.name}")
    shutil.rmtree(place, ignore_errors=True)
    damaged.path.rename(place)


def prune(folder: Path, keep: int = 2) -> list[OSError]:
    """Remove all checkpoints but the newest ones and the best. Which is the best is read from the manifests alone.

    Returns: why some could not be: they are removed the next time.
    """
    return [error for path in spare(folder, keep) if (error := _remove(path))]


def spare(folder: Path, keep: int = 2) -> list[Path]:
    """All checkpoints but the newest ones and the best."""
    made = sorted(_all(folder), key=_step_and_attempt)
    try:
        flagged = [path for path in made if _flagged(path)]
    except OSError:
        return []  # the one that cannot be read now may be the best: the next time
    return [path for path in made[:-keep] if path not in flagged[-1:]]


def _remove(path: Path) -> OSError | None:
    """Under another name first: who is killed half-way leaves no half of a checkpoint that is taken for one."""
    unwanted = path.with_name(f".tmp-old-{path.name}")
    try:
        path.rename(unwanted)
        shutil.rmtree(unwanted)
    except OSError as error:
        return error
    return None


def tidy(folder: Path) -> None:
    """Remove what an attempt that died left half written. Only for the process that holds the run's lock."""
    for path in folder.glob(".tmp-*"):
        shutil.rmtree(path, ignore_errors=True)


def digest_of(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _all(folder: Path) -> list[Path]:
    return [path for path in folder.glob("[0-9]*-*") if path.is_dir()]


def _flagged(path: Path) -> bool:
    try:
        return mark(path).best
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return False


def _step_and_attempt(path: Path) -> tuple[int, int]:
    step, _, attempt = path.name.partition("-")
    return int(step) if step.isdigit() else -1, int(attempt) if attempt.isdigit() else -1
