"""What is announced of a run before it is queued, from one measured step, and how right it was afterwards. Free of torch."""

import time
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

from aecore.config import RunConfig, with_values
from aecore.jobs import measures
from aecore.jobs.forecast import SOON, if_queued
from aecore.jobs.measures import Measure, Room
from aecore.runs import Lab, RunFolder, RunRow, files
from aecore.runs.text import size
from aecore.runs.times import span, when

FILE = "announced.json"


@dataclass(frozen=True)
class Announced:
    """Bytes and seconds; moments are seconds since 1970, None where nobody knows."""

    memory: int
    free: int
    """Of the device's memory, when it was said."""
    seconds: float
    """From its start to its end."""
    starts: float | None
    ends: float | None


def announce(lab: Lab, config: RunConfig, measure: Measure, room: Room, now: float | None = None) -> Announced:
    """What a run would be that were queued now."""
    seconds = measure.seconds(config)
    expected = if_queued(lab, config, seconds, now)
    return Announced(measure.memory, room.free, seconds, expected.starts, expected.ends)


def told(said: Announced, now: float | None = None) -> tuple[str, str]:
    """Whether it fits, and when it starts and ends: ('fits', '740 MB of 18 GB free; starts in a moment, ends about 14:32')."""
    now = time.time() if now is None else now
    fits = "fits" if said.memory <= said.free else "does not fit now"
    memory = f"{size(said.memory)} of {size(said.free)} free"
    if said.starts is None or said.ends is None:
        return fits, f"{memory}; takes about {span(said.seconds)} once it starts, and nobody knows yet when that is"
    wait = said.starts - now
    starts = "starts in a moment" if wait < SOON else f"starts in about {span(wait)}"
    return fits, f"{memory}; {starts}, ends about {when(said.ends, now)}"


def rarer(config: RunConfig, measure: Measure) -> str:
    """A sentence where evaluating the held-out images takes more than a twentieth of an epoch, and what makes it less; else ''."""
    share = measure.watching(config)
    if share <= measures.SHARE:
        return ""
    every = config.training.watch_every * ceil(share / measures.SHARE)
    after = "each epoch" if config.training.watch_every == 1 else f"every {config.training.watch_every} epochs"
    less = measure.watching(with_values(config, {"training.watch_every": every}))
    return f"Evaluating after {after} adds {share:.0%}; after every {every} (Watch every) {less:.0%}."


def keep(folder: RunFolder, said: Announced) -> None:
    """Note in a new run's folder what was announced of it."""
    files.write_json(folder.path / FILE, asdict(said))


def outcome(lab: Lab, row: RunRow) -> str:
    """How right it was, in a sentence; '' where nothing was announced, or the run is not complete."""
    said: dict[str, Any] | None = files.read_json(lab.run(row.id).path / FILE)
    if said is None or row.state != "completed" or row.started is None or row.ended is None:
        return ""
    result = lab.run(row.id).result() or {}
    memory = result.get("peak_memory")
    had = [size(memory)] if memory else []
    # who went on after a pause, or stopped early, did something else than what was announced
    if row.attempt == 1 and row.step == row.total_steps:
        had.append(span(row.ended - row.started))
    if not had:
        return ""
    return f"Announced: {size(said['memory'])} and {span(said['seconds'])}. It took {' and '.join(had)}."


def of(lab: Lab, config: RunConfig) -> Announced | None:
    """What is known now, None while nothing was measured."""
    where = measures.place(config, lab)
    measure = where and measures.of(lab, config)
    return announce(lab, config, measure, measures.room(where.pool)) if where and measure else None
