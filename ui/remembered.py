"""What a visitor's pages looked like last time, kept in the lab for each person: which columns, nothing that matters."""

import contextlib
import hashlib
from pathlib import Path
from typing import Any

from aecore.runs import files
from ui import kiosk
from ui.lab import lab, who


def recall(name: str, otherwise: Any) -> Any:
    """What this visitor chose last time, else `otherwise`."""
    return _all(_file()).get(name, otherwise)


def remember(name: str, value: Any) -> None:
    """Keep a choice of this visitor's. Where the disk is full, it is forgotten; and in a kiosk, whose visitors are many."""
    if kiosk.chosen():
        return
    file = _file()
    with contextlib.suppress(OSError):
        file.parent.mkdir(exist_ok=True)
        files.write_json(file, _all(file) | {name: value})


def _file() -> Path:
    return lab().path / "people" / f"{hashlib.sha256(who().encode()).hexdigest()[:16]}.json"


def _all(file: Path) -> dict[str, Any]:
    try:
        content = files.read_json(file)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
