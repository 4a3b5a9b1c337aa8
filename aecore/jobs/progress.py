"""A progress bar for a run in the foreground."""

import sys
from types import TracebackType
from typing import Any

from tqdm import tqdm

from aecore.jobs.work import Shown


class Bar:
    """Shows a run on stderr, so that stdout keeps what a script reads."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.name = ""

    def __enter__(self) -> "Bar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.close()

    def began(self, run_id: str) -> None:
        """Name the run."""
        self.name = run_id
        print(run_id, file=sys.stderr, flush=True)

    def show(self, shown: Shown) -> None:
        """Move to where the run is."""
        if self.bar is None:
            known = {"total": shown.total_steps or None, "initial": shown.step}  # its speed is that of what it sees
            self.bar = tqdm(unit=" steps", desc=self.name, file=sys.stderr, **known)
        if shown.note:
            self.bar.set_postfix_str(shown.note)
            return
        self.bar.total = shown.total_steps
        loss = "" if shown.loss is None else f"loss {shown.loss:.4g}, "
        self.bar.set_postfix_str(f"{loss}{shown.images_per_second:,.0f} images/s", refresh=False)
        self.bar.update(shown.step - self.bar.n)
        if shown.step == shown.total_steps:  # what follows is the analysis: it must not count as training
            self.bar.close()
