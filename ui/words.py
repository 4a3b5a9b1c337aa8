"""Times, sizes and where a run stands, in the words of the pages."""

import html
import re
import time
from typing import Any

from aecore.jobs import quota
from aecore.jobs.forecast import SOON, Forecast, told
from aecore.runs import RunRow
from aecore.runs.text import isolated
from aecore.runs.times import ordinal, span, when

MEANT = re.compile(
    r"://|www(?=\.)|@(?=\w)"  # addresses, which become links
    r"|:(?=[\w+/-]+:)"  # names of pictures, as :smile: and :material/home:
    r"|(?<!\S)(?:<->|<-|->|--|>=|<=|~=)(?!\S)",  # arrows and dashes
    re.IGNORECASE,
)
"""What Streamlit finds in the text after all markup was read, so that no backslash keeps it from that."""
JOINER = "\u2060"
"""It has no width; behind these signs it keeps them what they are."""


def plain(text: str) -> str:
    """Text that somebody typed, safe in Streamlit's markdown: one line, in which no sign means anything but itself."""
    line = MEANT.sub(rf"\g<0>{JOINER}", isolated(" ".join(text.split())))
    line = "".join(f"\\{letter}" if letter in "\\`*_[]<>#|~:$&" else letter for letter in line)
    return re.sub(r"^([-+=]|\d+(?=[.)]))", lambda found: _begun(found[0]), line)


def escape(text: str, quote: bool = True) -> str:
    """The same, safe in HTML and SVG; in an attribute, too, where quotes are."""
    return html.escape(isolated(text), quote)


def _begun(start: str) -> str:
    """The start of a line that would be a list's."""
    return f"{start}{JOINER}" if start[0].isdigit() else f"\\{start}"


def shown(value: Any) -> str:
    """A config's value for a table: lists with commas, nothing as a dash, a switch as on or off.

    >>> shown((16, 32)), shown(False), shown(1.0), shown(0.0001), shown("")
    ('16, 32', 'off', '1', '0.0001', '–')
    """
    if isinstance(value, tuple | list):
        return ", ".join(map(shown, value)) or "–"
    if isinstance(value, bool):
        return "on" if value else "off"
    return "–" if value in (None, "") else f"{value:.12g}" if isinstance(value, float) else str(value)


def starts(row: RunRow, expected: Forecast | None, now: float | None = None) -> str:
    """When a run started; of one that waits its place in the queue and when it will start."""
    if row.shown != "queued":
        return when(row.started, now)
    if expected is None:
        return ""
    return ", ".join(filter(None, [ordinal(expected.position), when(expected.starts, now)]))


def ends(row: RunRow, expected: Forecast | None, now: float | None = None) -> str:
    """When a run ended or will end."""
    now = time.time() if now is None else now
    if row.eta_seconds is not None:
        return f"{when(now + row.eta_seconds, now)}, in {span(row.eta_seconds)}"
    return when(expected.ends if expected else row.ended, now)


def soon(expected: Forecast, now: float | None = None) -> str:
    """A forecast in the width of a card: '2nd, in 4 min', or 'in 4 min, after 2 of others'."""
    wait = None if expected.starts is None else max(0, expected.starts - (time.time() if now is None else now))
    starts = "" if wait is None else f"in {span(wait)}" if wait >= SOON else "next"
    if expected.others:
        return ", ".join(filter(None, [starts, f"after {expected.others} of others"]))
    return ", ".join(filter(None, [ordinal(expected.position), starts]))


def standing(row: RunRow, expected: Forecast | None = None) -> str:
    """A sentence on where a run stands; the reason where it has ended with one."""
    if row.shown == "queued":
        return " ".join(filter(None, [f"{told(expected)}." if expected else "It waits for a free slot.", row.reason]))
    if row.shown == "failed":
        return f"It failed at step {row.step:,}." if row.step else "It failed soon after its start."
    if row.shown in ("running", "starting"):
        device = f" on {row.device}" if row.device else ""
        if row.reason[:1].islower():  # what it does before its first step
            return f"{row.shown.capitalize()}: {row.reason}."
        return f"{row.shown.capitalize()}{device}. {row.reason}".strip()
    if row.shown in ("stopping", "pausing"):
        return f"It saves what it has learnt, then {'ends' if row.shown == 'stopping' else 'frees its place'}."
    if row.reason:
        return row.reason
    took = f" in {span(row.ended - row.started)}" if row.started and row.ended else ""
    return f"{row.shown.capitalize()}{took}."


def sized(row: RunRow, between: str = ", ") -> str:
    """A run's name, and its code size where the name does not say it already, as those of a sweep do."""
    name, said = isolated(row.name), rf"\bcode ({row.code_size}|{row.code_size:,})\b"
    return name if re.search(said, name) else f"{name}{between}code {row.code_size:,}"


def needs_room(row: RunRow) -> bool:
    """Whether it waits for room: on the disk, or in its owner's share of it."""
    return (row.reason_code == "disk_full" and row.live) or row.reason.startswith(quota.FULL)


def many(value: float) -> str:
    """A large count in few characters.

    >>> many(512), many(9_999), many(104_938), many(999_600), many(2_345_000)
    ('512', '9,999', '105k', '1M', '2.35M')
    """
    for least, size, letter in ((9.995e8, 1e9, "G"), (9.995e5, 1e6, "M"), (1e4, 1e3, "k")):
        if value >= least:
            return f"{value / size:.3g}{letter}"
    return f"{value:,.0f}"


def figures(seen: dict[str, Any], anomalies: dict[str, Any] | None = None) -> str:
    """How good a model is, in one line, from what was measured of it; '' where nothing was.

    >>> figures({"mse": 0.0123, "psnr": 19.51, "ssim": 0.871, "gain": 9.87, "n": 10000.0}, {"auroc": 0.93, "left_out": ["0"]})
    '10,000 test images: MSE 0.0123, PSNR 19.5 dB (9.9 dB above what the encoder saw), SSIM 0.871. Left out: 0; the error tells it with an AUROC of 0.930.'
    """
    if seen.get("psnr") is None:
        return ""
    where = (
        f"{int(seen['n']):,} test images" if "n" in seen else f"{SPLITS.get(seen.get('split', ''), 'Held-out')} images"
    )
    gain = seen.get("gain")
    over = "" if gain is None else f" ({abs(gain):.1f} dB {'above' if gain >= 0 else 'below'} what the encoder saw)"
    text = f"{where}: MSE {seen['mse']:.4f}, PSNR {seen['psnr']:.1f} dB{over}, SSIM {seen['ssim']:.3f}."
    if not anomalies:
        return text
    names = ", ".join(anomalies["left_out"])
    return f"{text} Left out: {names}; the error tells it with an AUROC of {anomalies['auroc']:.3f}."


SPLITS = {"val": "Validation", "test": "Test"}


def what_is_kept(row: RunRow) -> str:
    """What a failed run leaves behind."""
    if row.reason_code == "folder_lost":
        return "This line of the table. The curves, the pictures and the checkpoints were in its folder."
    rest = f"the curves and the pictures until step {row.step:,}"
    if row.checkpoint_step == 0:
        return f"The untrained model; {rest}."
    if row.checkpoint_step is not None:
        return f"The model and its optimiser as they were at step {row.checkpoint_step:,}; {rest}."
    return f"No checkpoint was written yet; {rest}." if row.step else "Its configuration. Nothing was trained yet."


ADVICE = {
    "config": ("Clone it and change what the sentence names.", False),
    "oom": ("Clone it with a smaller batch, a smaller model or smaller images.", False),
    "folder_lost": ("Put its folder back, from a backup for instance; or delete the run.", True),
    "diverged": ("Clone it with a smaller learning rate, or with gradient clipping.", False),
    "disk_full": ("Make room on the disk of the lab. Then it can go on.", True),
    "exit": ("The last lines of its log are below. Mend what they name, then let it go on.", True),
}
"""Why a run failed -> what to do about it, and whether resuming it comes first."""


def advice(row: RunRow) -> tuple[str, bool]:
    """What a person can do about a failed run, and whether resuming it is the first thing to try."""
    onward = f"from step {row.checkpoint_step:,}" if row.checkpoint_step else "from the start"
    sentence, again = ADVICE.get(row.reason_code, ("The run itself may be fine: let it try once more.", True))
    return f"{sentence} Resuming goes on {onward}." if again else sentence, again
