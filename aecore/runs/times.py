"""Moments, lengths of time and places, in words."""

import time


def when(moment: float | None, now: float | None = None) -> str:
    """A moment (seconds since 1970) as the clock shows it: the time today, with the day on any other; '' for None."""
    if moment is None:
        return ""
    then, today = time.localtime(moment), time.localtime(now)
    return time.strftime("%H:%M" if then[:3] == today[:3] else "%d %b, %H:%M", then)


def span(seconds: float) -> str:
    """A length of time in its largest fitting unit.

    >>> span(0.31), span(4.21), span(75), span(4000), span(9000)
    ('0.3 s', '4 s', '75 s', '67 min', '2.5 h')
    """
    if 0.05 <= seconds < 0.95:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def ordinal(place: int) -> str:
    """A place in an order.

    >>> ordinal(1), ordinal(2), ordinal(11), ordinal(23)
    ('1st', '2nd', '11th', '23rd')
    """
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending}"
