"""Maps of a run's codes, in its folder: what was asked for, and what a job of the kind `project` made of it.

`projections/KEY.json` holds the request and, when it is done, how much to trust it; `projections/KEY.npz` one array a split.
"""

import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aecore.config.projection import SurroundingsConfig, TsneConfig, UmapConfig, key_of, parse_projection
from aecore.runs import files
from aecore.runs.folder import RunFolder

AnyProjection = TsneConfig | UmapConfig | SurroundingsConfig


class Projection(NamedTuple):
    """A map that was asked for."""

    key: str
    config: AnyProjection
    said: dict[str, Any]
    """Of one that was tried: 'problem', a sentence; of one that is done: 'fingerprint' of the codes, 'split' and number
    'fitted', 'seconds', and 'trust' (trustworthiness, kept, neighbours, n)."""

    @property
    def waits(self) -> bool:
        """Whether nobody has tried it yet."""
        return not self.said


def ask(folder: RunFolder, config: AnyProjection) -> str:
    """Note that somebody wants this map; whoever asks again for one that failed has it tried again. Returns its key."""
    key = key_of(config)
    known = read(folder, key)
    if known is None or "problem" in known.said or not _current(folder, known):
        _place(folder).mkdir(exist_ok=True)
        _say(folder, key, config, {})
    return key


def read(folder: RunFolder, key: str) -> Projection | None:
    """A map by its key; None where nobody asked for it."""
    content = files.read_json(_place(folder) / f"{key}.json") if key.replace("-", "").isalnum() else None
    return content and Projection(key, parse_projection(content["config"]), content["said"])


def projections(folder: RunFolder) -> list[Projection]:
    """All that were asked for, those of codes that are gone left out, the oldest first."""
    paths = sorted(_place(folder).glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    found = [known for path in paths if (known := read(folder, path.stem)) is not None]
    return [known for known in found if known.waits or "problem" in known.said or _current(folder, known)]


def write(
    folder: RunFolder, key: str, config: AnyProjection, arrays: dict[str, np.ndarray], said: dict[str, Any]
) -> None:
    """Keep a map that is done: arrays by 'SPLIT.NAME', each with a row for each row of the split's analysis."""
    files.write_arrays(_place(folder) / f"{key}.npz", **arrays)
    _say(folder, key, config, said)


def refuse(folder: RunFolder, key: str, config: AnyProjection, problem: str) -> None:
    """Keep why a map cannot be made."""
    _say(folder, key, config, {"problem": problem})


def forget(folder: RunFolder, key: str) -> None:
    """Take a map back, done or not."""
    for suffix in (".json", ".npz"):
        with suppress(FileNotFoundError):
            (_place(folder) / f"{key}{suffix}").unlink()


def arrays(folder: RunFolder, key: str) -> dict[str, np.ndarray] | None:
    """What `write` kept; None where it is not there."""
    return files.read_arrays(_place(folder) / f"{key}.npz")


def array_path(folder: RunFolder, key: str) -> Path:
    """Where the arrays lie, whether they are there or not."""
    return _place(folder) / f"{key}.npz"


def fingerprint(codes: np.ndarray) -> str:
    """Of codes: another training gives another one."""
    return f"{zlib.crc32(np.ascontiguousarray(codes).data):08x}-{len(codes)}"


def _current(folder: RunFolder, known: Projection) -> bool:
    """Whether a map is of the codes that the run has now. A look at the time of the analysis, then at the codes themselves."""
    analysis, mine = folder.path / "analysis" / "metrics.json", array_path(folder, known.key)
    try:
        if analysis.stat().st_mtime_ns <= mine.stat().st_mtime_ns:
            return True
    except FileNotFoundError:
        return False
    kept = folder.analysis(known.said.get("split", "train"))
    return kept is not None and fingerprint(kept["codes"]) == known.said.get("fingerprint")


def _place(folder: RunFolder) -> Path:
    return folder.path / "projections"


def _say(folder: RunFolder, key: str, config: AnyProjection, said: dict[str, Any]) -> None:
    files.write_json(_place(folder) / f"{key}.json", {"config": config.model_dump(mode="json"), "said": said})
