"""Changing a lab's settings while it runs: checked first, then written in one step, and noted in the lab's diary."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aecore.config import ConfigError, flat
from aecore.config.base import sentences
from aecore.config.lab import LabSettings, read_settings
from aecore.jobs import locks
from aecore.jobs.wake import wake
from aecore.runs import Lab, LabError, diary, files, rights
from aecore.runs.rights import Verb

BY_HAND = ("database", "executor", "slurm", "tell", "access.way", "access.login", "access.proxy_header")
"""What is changed in the file alone, with all that is below: while nothing trains and with a restart of everything, but for `tell`,
which holds secrets and is read for each message."""
WHEN = {False: ", while nothing trains", True: ", where no page shows it"}
VERBS = {"drain": Verb.DRAIN, "banner": Verb.ANNOUNCE}
TURN = 10.0
"""Seconds that one change waits for another one."""


def change(lab: Lab, values: Mapping[str, Any], by: str) -> list[str]:
    """Change settings of a lab by their paths, such as {'per_person.waiting': 20}. Returns what changed, in words.

    Everything that runs in this lab takes them over within about a second.

    Raises:
        ConfigError: where a path is unknown, a value is not allowed or the file cannot be read: nothing is changed then.
        LabError: where the file cannot be written, or the viewer may not do that.
    """
    for name in {path.partition(".")[0] for path in values}:
        lab.demand(VERBS.get(name, Verb.SETTINGS))
    for path in values:
        if by_hand(path):
            raise ConfigError(
                {path: f"{path} is changed in {lab.path / 'settings.json'}{WHEN[path.startswith('tell')]}."}
            )
    try:
        with _Turn(lab.path / "locks" / "settings.lock"):
            said = _write(lab, values)
    except OSError as error:
        raise LabError(f"The settings were not changed: {error.strerror}.") from None
    lab.reread()
    if said:
        diary.write(lab, by, f"settings: {'; '.join(said)}")
        wake(lab)
    return said


def by_hand(path: str) -> bool:
    """Whether a setting is one of BY_HAND."""
    return any(path == name or path.startswith(f"{name}.") for name in BY_HAND)


def _write(lab: Lab, values: Mapping[str, Any]) -> list[str]:
    path = lab.path / "settings.json"
    before = read_settings(path)
    content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    try:
        for name, value in values.items():
            _put(content, name.split("."), value)
        after = LabSettings.model_validate(content)
    except ValidationError as error:
        raise ConfigError(sentences(error, LabSettings)) from None
    _still_a_keeper(lab, after)
    old, new = flat(before), flat(after)
    said = [f"{name} from {_shown(old[name])} to {_shown(new[name])}" for name in new if new[name] != old.get(name)]
    if said:
        _replace(path, files.as_json(content))
    return said


def _still_a_keeper(lab: Lab, after: LabSettings) -> None:
    """Nobody locks themselves out: whoever is left may not be there."""
    who = lab.viewer
    if who is None or rights.allowed(rights.person(after.access, who.name), Verb.SETTINGS):
        return
    raise ConfigError(
        {"access": f"{who.name} could not change the lab's settings any more then: another admin has to do that."}
    )


def _put(content: dict[str, Any], names: list[str], value: Any) -> None:
    *groups, last = names
    for name in groups:
        if not isinstance(content.get(name), dict):  # where it is no group, its setting says what it must be
            content[name] = {}
        content = content[name]
    content[last] = value


def _shown(value: Any) -> str:
    return "nothing" if value in (None, "") else str(value)


def _replace(path: Path, text: str) -> None:
    """As readable as the file was: it may hold a password."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600

    def fill(file: Any) -> None:
        os.fchmod(file.fileno(), mode)
        file.write(text.encode())

    files.write(path, fill)
    files.flush(path.parent)


class _Turn:
    """A lock that is waited for. Raises OSError where it takes too long."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> None:
        end = time.monotonic() + TURN
        while (held := locks.acquire(self.path)) is None:
            if time.monotonic() > end:
                raise TimeoutError(0, "somebody else is changing them")
            time.sleep(0.02)
        self.held = held

    def __exit__(self, *_: object) -> None:
        locks.release(self.held)
