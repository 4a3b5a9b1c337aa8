"""Tells people what has become of their runs. The supervisor looks in with each of its ticks; a message travels in a thread of
its own, so that a receiver that hangs holds nothing up. What was not taken is sent again, and each outcome is an event of the run."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aecore.config.tell import TellSettings
from aecore.jobs import channels, news
from aecore.jobs.channels import NotTold
from aecore.jobs.news import News
from aecore.runs import Lab

SAID = {"completed": "has completed", "failed": "has failed", "cancelled": "was stopped", "paused": "was paused"}
SAID |= {"running": "waits"}
PATIENCE = 3
"""A message is given up after so many times the longest silence: whoever answers a byte at a time is never silent for long."""


@dataclass
class Attempt:
    """The tries of one message on one channel."""

    count: int = 0
    due: float = 0.0
    began: float = 0.0
    box: list[str] | None = None
    """What comes of the try that is under way: '' where it was taken. None while none is."""


@dataclass
class Teller:
    """Carries what is outstanding in a lab."""

    lab: Lab
    clock: Callable[[], float] = time.monotonic
    attempts: dict[tuple[int, str], Attempt] = field(default_factory=dict)

    def look(self) -> bool:
        """Note what came of messages, send those that are due. Returns whether any is still to be told."""
        waiting = news.outstanding(self.lab)
        if waiting:
            settings = news.settings(self.lab)
            for one in waiting:
                self._carry(one, settings)
        known = {one.event for one in waiting}
        self.attempts = {key: attempt for key, attempt in self.attempts.items() if key[0] in known}
        return bool(waiting)

    def _carry(self, one: News, settings: TellSettings) -> None:
        left = set()
        if not news.own_doing(self.lab, one):
            left = {
                channel for channel in channels.CHANNELS if channels.there(channel, settings, one.private)
            } - news.done(self.lab, one)
        for channel in left:
            self._push(one, channel, settings)
        if not left:
            news.settle(self.lab, one)

    def _push(self, one: News, channel: str, settings: TellSettings) -> None:
        attempt = self.attempts.setdefault((one.event, channel), Attempt())
        now = self.clock()
        if attempt.box is None:
            if now >= attempt.due:
                attempt.count, attempt.began, attempt.box = attempt.count + 1, now, []
                threading.Thread(target=_try, args=(channel, settings, one, attempt.box), daemon=True).start()
        elif attempt.box:
            self._outcome(one, channel, settings, attempt, attempt.box[0])
        elif now - attempt.began > PATIENCE * settings.timeout_seconds:
            self._outcome(one, channel, settings, attempt, f"did not answer within {now - attempt.began:.0f} s")

    def _outcome(self, one: News, channel: str, settings: TellSettings, attempt: Attempt, problem: str) -> None:
        who = channels.receiver(channel, settings, one.owner)
        said = f"that it {SAID[one.new]}"
        attempt.box = None
        if not problem:
            news.record(self.lab, one, channel, "told", f"Told {who} {said}.")
        elif attempt.count >= settings.tries:
            times = f" It was tried {attempt.count} times." if attempt.count > 1 else ""
            news.record(self.lab, one, channel, "untold", f"Not told {said}: {who} {problem}.{times}")
        else:
            attempt.due = self.clock() + settings.retry_seconds * 2 ** (attempt.count - 1)
            if attempt.count == 1:
                news.record(
                    self.lab, one, channel, "retold", f"Not told yet {said}: {who} {problem}. It is tried again."
                )


def _try(channel: str, settings: TellSettings, one: News, box: list[str]) -> None:
    try:
        channels.send(channel, settings, one)
        box.append("")
    except NotTold as problem:
        box.append(str(problem))
    except Exception as error:  # a fault of ours must not leave it on its way for ever
        box.append(f"was not reached: {type(error).__name__}")
