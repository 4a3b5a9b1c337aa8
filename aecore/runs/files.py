"""Writing files so that a reader sees the old content or the new, never half of it."""

import json
import math
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from aecore.runs.errors import LabError


def write(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Let `fill` write into a file beside `path`, then put it in its place. Raises OSError, and leaves nothing behind then."""
    beside = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_native_id()}.tmp")
    try:
        with beside.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Replace the text of a file in one step; it is there after a power failure, too."""
    write(path, lambda file: file.write(text.encode("utf-8")))
    flush(path.parent)


def flush(path: Path) -> None:
    """Make the system write a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_json(path: Path, content: Any) -> None:
    """Replace a JSON file in one step. What is not finite becomes null: JSON has no word for it."""
    write_text(path, as_json(content))


def as_json(content: Any) -> str:
    """JSON for people and machines. What is not finite becomes null."""
    return json.dumps(_finite(content), indent=2, allow_nan=False) + "\n"


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def write_arrays(path: Path, **arrays: Any) -> None:
    """Replace an .npz file in one step."""
    write(path, lambda file: np.savez(file, **arrays))


def read_json(path: Path) -> Any | None:
    """Content of a JSON file, None where there is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def told(run: Path, name: str) -> dict[str, Any] | None:
    """What a JSON file in a run's folder says, None where there is none.

    Raises:
        LabError: where it is damaged, or no object; OSError: where it cannot be read.
    """
    try:
        content: dict[str, Any] | None = read_json(run / name)
    except (IsADirectoryError, NotADirectoryError):
        raise LabError(f"{name} of run {run.name} is damaged: it is no file.") from None
    except (ValueError, RecursionError):
        raise LabError(f"{name} of run {run.name} is damaged: it is not JSON.") from None
    if content is not None and not isinstance(content, dict):
        raise LabError(f"{name} of run {run.name} is damaged: it is no JSON object.")
    return content


def read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """Arrays of an .npz file in a folder of a run, by name, None where there is none. Raises LabError where it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        return None
    except (OSError, MemoryError):
        raise
    except Exception as error:  # numpy and zipfile raise many kinds for a damaged file
        raise LabError(f"{path.parent.name}/{path.name} of run {path.parents[1].name} is damaged: {error}") from None


def tail(path: Path, lines: int) -> str:
    """The last lines of a text file; '' where there is none. Reads only its end."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 400 * max(lines, 1)))
            return "\n".join(file.read().decode("utf-8", "replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""


def size(path: Path) -> int:
    """Bytes of a file; 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def inode(path: Path) -> int:
    """Which file lies at a path, another one after its rows were cut; 0 where there is none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0
