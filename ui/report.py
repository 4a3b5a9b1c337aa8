"""A comparison as one HTML file that opens anywhere: the wall with its pictures, the tables and the plots. It loads nothing."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ui.wall import READ
from ui.words import escape

HERE = Path(__file__).parent
STYLE = """
:root { color-scheme: light dark; --st-background-color: light-dark(#fff, #14171c); }
body { max-width: 105rem; margin: 2rem auto; padding: 0 1.5rem; font: 15px/1.5 system-ui, sans-serif; color: light-dark(#1c1f24, #e8eaed); background: var(--st-background-color); }
h1 { margin: 0; } h2 { margin: 2.2rem 0 .6rem; } .quiet { opacity: .75; } svg { max-width: 100%; height: auto; }
.plots { display: flex; flex-wrap: wrap; gap: .7rem; } .wide { overflow-x: auto; }
"""
NARROW = ".scores { --ground: light-dark(#fff, #14171c); } .tall { max-height: none; } .head { font-size: .74rem; } .head small { font-size: .7rem; letter-spacing: -.02em; }"
"""Heads of columns in whatever letters a machine has: wider ones than the dashboard's."""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def report(
    title: str,
    walls: Sequence[tuple[str, Mapping[str, Any]]],
    tables: Sequence[tuple[str, str]],
    plots: Sequence[tuple[str, Sequence[str]]],
    sentences: Sequence[str] = (),
) -> str:
    """The file.

    Args:
        title: plain text.
        walls: heading and what `ui.wall.payload` made.
        tables, plots: heading and HTML, or SVG, that was made by this program: what people typed is escaped in it.
        sentences: plain text under the first table.
    """
    made = time.strftime("%Y-%m-%d %H:%M")
    css = "".join((HERE / name).read_text(encoding="utf-8") for name in ("assets/compare.css", "components/wall.css"))
    roots = "".join(
        f"<h2>{escape(heading)}</h2><p class='quiet'>{escape(_read(wall))}</p><div class='root' data-wall='{i}'></div>"
        for i, (heading, wall) in enumerate(walls)
    )
    parts = [f"<h2>{escape(heading)}</h2>{html}" for heading, html in tables if html]
    parts[1:1] = [f"<p>{escape(sentence)}</p>" for sentence in sentences]
    parts += [f"<h2>{escape(heading)}</h2><div class='plots'>{''.join(svgs)}</div>" for heading, svgs in plots if svgs]
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><meta name="viewport" content="width=device-width">'
        f"<style>{STYLE}{css.replace(':host, ', '')}{NARROW}</style></head><body><h1>{escape(title)}</h1>"
        f"<p class='quiet'>Made on {made}. Everything in this file is inside it.</p>{roots}{''.join(parts)}"
        f"<script>{_script([payload for _, payload in walls])}</script></body></html>"
    )


def _read(wall: Mapping[str, Any]) -> str:
    """How the pictures of a wall are to be read."""
    gap = "; the gap is how far apart the errors of the two models are" if wall["pair"] else ""
    return f"{wall['columns'][0]['note'].capitalize()}; {READ}{gap}."


def _script(payloads: Sequence[Mapping[str, Any]]) -> str:
    """The wall's component with its data; nothing in the data can end the script."""
    code = (
        (HERE / "components/wall.js").read_text(encoding="utf-8").replace("export default function", "function mount")
    )
    data = json.dumps(list(payloads)).replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    begin = "document.querySelectorAll('[data-wall]').forEach((root) => mount({ data: all[+root.dataset.wall], parentElement: { querySelector: () => root } }));"
    assert "</" not in code, "it stands inside a script element"
    return f"{code}\nconst all = {data};\n{begin}"
