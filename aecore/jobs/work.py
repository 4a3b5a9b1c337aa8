"""What a job's process holds while it works: its row in the queue, its folder, and whether it was asked to stop."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from aecore.jobs import endings, states
from aecore.jobs.queue import Job
from aecore.runs import Lab, LabError, RunFolder, database
from aecore.runs.errors import no_room

Written = TypeVar("Written")


DISK, DATABASE = "disk_full", "database"
WAITS = {
    DISK: "The disk is full: the run waits, and goes on as soon as there is room.",
    DATABASE: "The lab's database does not answer: the run waits, and goes on as soon as it does.",
}
OVER = {
    DISK: "There is room again: the run goes on.",
    DATABASE: "The lab's database did not answer for a while. It does again: the run goes on.",
}


def _passes(error: Exception) -> str:
    """What a run waits for, of the keys of WAITS; '' where an error will not pass."""
    return DISK if no_room(error) else DATABASE if database.unreachable(error) else ""


@contextmanager
def at_best() -> Iterator[None]:
    """What is done as far as disk and database let it."""
    try:
        yield
    except (LabError, OSError):
        pass
    except Exception as error:
        if not _passes(error):
            raise


class Stopped(Exception):
    """The work was asked to leave, and what can be saved is saved."""

    def __init__(self, step: int = 0):
        self.step = step
        super().__init__()


class Stop:
    """Set by SIGTERM. The work looks at it between two steps: a signal handler must do nothing else.

    But for `at_once`: while there is nothing to save yet, nobody waits for seconds of imports.
    """

    def __init__(self) -> None:
        self.asked = False
        self._at_once = False
        self._step = 0

    def install(self, *numbers: signal.Signals) -> None:
        """Take these signals from now on."""
        for number in numbers:
            signal.signal(number, self._set)

    def _set(self, *_: object) -> None:
        self.asked = True
        if self._at_once:
            self._at_once = False
            raise Stopped(self._step)

    @contextmanager
    def at_once(self, step: int) -> Iterator[None]:
        """In here the signal ends the work where it is, as saved at `step`. Raises Stopped, also where it has come already."""
        if self.asked:
            raise Stopped(step)
        self._step, self._at_once = step, True
        try:
            yield
        finally:
            self._at_once = False
        if self.asked:  # a library took the exception for one of its own
            raise Stopped(step)


class Shown(NamedTuple):
    """Progress for a person who watches."""

    step: int
    total_steps: int
    epoch: int
    loss: float | None
    images_per_second: float
    note: str = ""


@dataclass
class Work:
    """One attempt at a job."""

    lab: Lab
    job: Job
    attempt: int
    threads: int | None
    stop: Stop = field(default_factory=Stop)
    show: Callable[[Shown], None] = lambda shown: None
    waited: float = 0.0
    """Seconds for which it waited for room on the disk, or for the database."""

    @property
    def folder(self) -> RunFolder:
        return RunFolder(self.lab.runs_folder / self.job.run_id)

    def beat(self, **values: Any) -> None:
        """Write progress and learn whether to stop. Raises Fenced where this attempt is over."""
        if states.beat(self.lab, self.job.id, self.attempt, **values) != "run":
            self.stop.asked = True

    def end(self, state: str, reason: str, reason_code: str = "") -> None:
        """Say how it ended. Raises Fenced where this attempt was over already."""
        if not states.move(
            self.lab, self.job.id, state, by="trainer", reason=reason, attempt=self.attempt, reason_code=reason_code
        ):
            raise states.Fenced(f"job {self.job.id} ended without this process")

    def wanted(self) -> str:
        """What people want of it now: 'run', 'pause' or 'cancel'."""
        return states.beat(self.lab, self.job.id, self.attempt)

    def say(self, text: str, urgent: bool = False) -> None:
        """A sentence for the run's history and its log."""
        states.say(self.lab, self.job.id, self.job.run_id, text, urgent)
        print(text, flush=True)

    def patiently(self, write: Callable[[], Written], step: int) -> Written:
        """Write; where the disk is full or the database does not answer, wait until that is over, and say so.

        Raises:
            Stopped: where it is asked to leave while it waits.
        """
        waited, begin = "", time.monotonic()
        while True:
            try:
                written = write()
                break
            except Exception as error:
                code = _passes(error)
                if not code:
                    raise
            if code != waited:
                self._tell(code, WAITS[code])
            waited = code
            time.sleep(1)
            if code != DATABASE:
                with at_best():  # not every process is told by a signal
                    self.beat()
            if self.stop.asked:
                self.waited += time.monotonic() - begin
                raise Stopped(step)
        if waited:
            self.waited += time.monotonic() - begin
            self._tell("", OVER[waited])
        return written

    def _tell(self, code: str, sentence: str) -> None:
        if code == DATABASE:
            print(sentence, flush=True)  # there is nobody else to tell
            return
        with at_best():  # the database's disk may be the full one
            self.beat(reason_code=code, reason=sentence if code else "")
            self.say(sentence, urgent=bool(code))

    def leave(self, step: int, why: str = "The run's process was told to leave from outside") -> int:
        """Say why this process leaves before the end: a person asked, or the machine. Returns an exit code."""
        wanted, person = self.wanted(), self.job.owner
        if wanted == "run" and self.job.engine != "foreground":
            saved = f"It goes on from step {step:,}." if step else "It begins again."
            self.lab.reread()
            drained = self.lab.settings.drain == "save"
            self.end("queued", f"{'The lab was made ready for maintenance' if drained else why}. {saved}", "signal")
            return endings.LEFT
        if wanted != "run":
            person = states.stopper(self.lab, self.job.id)
        saved = f"at step {step:,}; the model was saved" if step else "before there was anything to save"
        state, word = ("paused", "Paused") if wanted == "pause" else ("cancelled", "Stopped")
        self.end(state, f"{word} by {person} {saved}.", "user")
        return endings.COMPLETED
