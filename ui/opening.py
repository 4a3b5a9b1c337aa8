"""What Home's own document shows until Streamlit's scripts have made the page: its words, and the first pictures of its film.

A browser takes a second and more to read these scripts, to connect and to have the page's script run. This comes with the document,
stands where the page will, and goes when the page has drawn the same.
"""

import json
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from streamlit import config

from aecore.runs import runs
from ui import demo, kiosk
from ui.lab import lab
from ui.live import SIZE, film, script, style
from ui.moments import inputs_of, sample_of
from ui.pictures import data_url, wall
from ui.samples import folder_of

TITLE = "Autoencoder Lab"
STORY = (
    "An autoencoder squeezes an image through a code of a few numbers and draws it again from them alone. "
    "Train one here, watch it learn, compare it with another, and walk through the space of its codes."
)
DOCUMENT = Path(__file__).parent / "assets/opening.html"
ACROSS = 12
"""Images that find room in the row of a wide screen."""
COLOURS = {"background": "backgroundColor", "st-text-color": "textColor", "st-primary-color": "primaryColor"}
"""Of a theme, and what they are called in our styles."""


def opening() -> str:
    """HTML for the begin of the document's body; '' where Home begins with something else, or the lab cannot be opened."""
    if kiosk.chosen():
        return ""
    try:
        shown = demo.before_the_click(runs(lab(), limit=demo.RECENT))
        told = film(shown, most=1) | {"size": SIZE, "lines": 1, "shared": False}
        told["runs"] = [run | _drawn(run["id"], run["samples"][0][0]) for run in told["runs"]]
    except Exception:  # deleted a moment ago, no pictures, no database: the page says what there is to say
        return ""
    return _document().replace("{{film}}", _json(told))


def _drawn(run: str, step: int) -> dict[str, Any]:
    """The pictures themselves: a new browser asks for a hundred scripts at that moment, and whatever else it asks for comes after."""
    folder = folder_of(run)
    images, x_hat = inputs_of(folder).images[:ACROSS], sample_of(folder, step).x_hat[:ACROSS]
    drawn = {"inputs": data_url(wall(images[None])), "sample": data_url(wall(x_hat[None]))}
    return {"drawn": drawn, "count": len(images)}


@cache
def _document() -> str:
    """All but the film."""
    parts = {
        "words": f"<h1>{escape(TITLE)}</h1><p>{escape(STORY)}</p><b>{escape(demo.LABEL)}</b>",
        "light": _colours("light"),
        "dark": _colours("dark"),
        "style": style("opening"),
        "pictures": _json(style("strips")),
        "script": script("strips", "opening"),
    }
    made = DOCUMENT.read_text(encoding="utf-8")
    for name, text in parts.items():
        made = made.replace(f"{{{{{name}}}}}", text)
    return made


def _json(told: Any) -> str:
    """As no browser takes it for the end of a script."""
    return json.dumps(told).replace("<", "\\u003c")


def _colours(theme: str) -> str:
    return " ".join(f"--{name}: {config.get_option(f'theme.{theme}.{option}')};" for name, option in COLOURS.items())
