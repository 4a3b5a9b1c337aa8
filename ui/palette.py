"""One palette for the whole dashboard: labels, runs and states look the same on every page."""

LABELS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
"""Colours of labels: the ten of Petroff, Accessible color sequences, arXiv:2107.02270, made for the colour-blind."""

RUNS = ("#e8710a", "#2f7de1", "#1b9e77", "#c2479a", "#8a63d2", "#b8860b", "#4f8c9e", "#d1495b")
"""Colours of runs that are shown together; 3:1 or better against the light and the dark background."""

STEPS = ("#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#d8c917")
"""Colours of a number from low to high, in eight steps: viridis, its ends drawn in so that both backgrounds carry them."""

STATES = {
    "queued": ("gray", "schedule"),
    "starting": ("violet", "hourglass_top"),
    "running": ("blue", "play_circle"),
    "stopping": ("orange", "stop_circle"),
    "pausing": ("orange", "pause_circle"),
    "paused": ("yellow", "pause_circle"),
    "completed": ("green", "check_circle"),
    "failed": ("red", "error"),
    "cancelled": ("orange", "cancel"),
}
"""What is shown of a run -> (Streamlit's colour name, Material symbol)."""

TONES = {
    "": ("gray", "chevron_right"),
    "good": ("green", "check_circle"),
    "warning": ("orange", "warning"),
    "bad": ("red", "error"),
}
"""How a line of a run's history is meant -> (Streamlit's colour name, Material symbol)."""


def label_colour(index: int) -> str:
    """Hex colour of the class with this number, the same on every page; the colours repeat, darker, after the tenth.

    >>> label_colour(0), label_colour(10)
    ('#3f90da', '#2b6499')
    """
    turn, place = divmod(int(index), len(LABELS))
    return _darker(LABELS[place], 0.7 ** (turn % 3))


def run_colour(index: int) -> str:
    """Hex colour of the run that stands in this place among those shown together."""
    return RUNS[index % len(RUNS)]


def _darker(colour: str, factor: float) -> str:
    parts = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{round(part * factor):02x}" for part in parts)
