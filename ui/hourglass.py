"""A network drawn as an hourglass: one inline SVG for light and dark, whose parts move from where they stood before."""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from math import ceil, log2, prod
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

from ui.words import escape

WIDTH, HEIGHT, MIDDLE, MARGIN = 640.0, 250.0, 112.0, 46.0
TALLEST = 190.0
LETTER = 0.56
"""Width of an average character of the labels, in ems."""


@cache
def _component() -> Any:
    folder = Path(__file__).parent / "components"
    js, css = ((folder / f"hourglass.{kind}").read_text(encoding="utf-8") for kind in ("js", "css"))
    return st.components.v2.component("hourglass", html='<div class="network"></div>', css=css, js=js)


def show(found: Sequence["Stage"], before: Sequence["Stage"] = (), dim: bool = False) -> None:
    """Put the drawing on the page; see `hourglass`. `st.html` would strip it: it lets no SVG through."""
    _component()(key="hourglass", data={"drawing": hourglass(found, before, dim)})


class Stage(NamedTuple):
    """A tensor on its way: `part` is input, encoder, code, decoder or output; `shape` is without the batch."""

    part: str
    name: str
    shape: tuple[int, ...]

    @property
    def label(self) -> str:
        return "×".join(f"{n:,}" if len(self.shape) == 1 else str(n) for n in self.shape)


class Box(NamedTuple):
    """Where a stage is drawn, in the SVG's units: `x` is its middle; a map has a `depth`, a vector none."""

    stage: Stage
    x: float
    height: float
    width: float
    depth: float


def stages(
    layers: Sequence[tuple[str, str, tuple[int, ...], int]], image: tuple[int, ...], code: tuple[int, ...]
) -> list[Stage]:
    """The tensors between the layers (part, name, output shape, parameters): image, encoder, code, decoder, image.

    A layer that leaves the shape as it is gives no stage of its own.
    """
    halves: dict[str, list[Stage]] = {"encoder": [], "decoder": []}
    for part, name, shape, _ in layers:
        half = part if part in halves else ("decoder" if shape != code else "")
        if half:
            halves[half].append(Stage(half, name, shape))
    down = _distinct([Stage("input", "Image", image), *halves["encoder"]])
    up = _distinct([Stage("code", "", code), *(_unflattened(stage, down) for stage in halves["decoder"])])[1:]
    down = down[:-1] if down[-1].shape == code and len(down) > 1 else down
    up = up[:-1] if up and prod(up[-1].shape) == prod(image) else up
    return [*down, Stage("code", "Code", code), *up, Stage("output", "Reconstruction", image)]


def _distinct(found: list[Stage]) -> list[Stage]:
    return [
        stage for before, stage in zip([None, *found], found, strict=False) if not before or before.shape != stage.shape
    ]


def _unflattened(stage: Stage, down: Sequence[Stage]) -> Stage:
    """A long vector that the decoder lays out as the encoder's last map, drawn as that map."""
    last = next((other.shape for other in reversed(down) if len(other.shape) == 3 and other.part == "encoder"), ())
    return stage._replace(shape=last) if last and stage.shape == (prod(last),) else stage


def boxes(found: Sequence[Stage]) -> list[Box]:
    """Place the stages from left to right: heights by the log of the units of a vector, or of the side of a map."""
    step = (WIDTH - 2 * MARGIN) / max(1, len(found) - 1)
    units = log2(max(784, *(prod(s.shape) for s in found if len(s.shape) == 1), 2))
    side = log2(max(28, *(max(s.shape[1:]) for s in found if len(s.shape) == 3), 2))
    return [_box(stage, MARGIN + place * step, step, units, side) for place, stage in enumerate(found)]


def _box(stage: Stage, x: float, step: float, units: float, side: float) -> Box:
    if len(stage.shape) != 3:
        size = prod(stage.shape)
        return Box(stage, x, 16 + (TALLEST - 30) * min(1, log2(size) / units), min(20.0, 0.42 * step), 0)
    channels, height, width = stage.shape
    tall = 14 + (TALLEST - 44) * log2(height + 1) / log2(2**side + 1)
    thick = min(4 + 2.6 * log2(channels), 0.42 * step)
    depth = min(6 + 24 * log2(width + 1) / log2(2**side + 1), 0.5 * step)
    return Box(stage, x - depth * 0.35, tall, thick, depth)


def hourglass(found: Sequence[Stage], before: Sequence[Stage] = (), dim: bool = False) -> str:
    """The drawing as HTML. Parts start from where they stood in `before`; `dim` greys one that no longer holds."""
    now, old = boxes(found), boxes(before) if before else []
    moved = {_key(old, box): box for box in old}
    parts = "".join(_drawn(box, moved.get(_key(now, box))) for box in now)
    flow = _flow(now)
    same = len(old) == len(now)
    move = f'@keyframes hg-flow{{from{{d:path("{_flow(old) if same else flow}")}}}}'
    text = f"{' to '.join(s.label for s in found)}"
    return (
        f"<style>{move}</style>"
        f'<svg class="hourglass{" dim" * dim}" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" aria-label="The network: {escape(text)}">'
        f"<title>{escape(text)}</title>{GRADIENT}"
        f'<path class="hg-flow" d="{flow}" fill="url(#hg-tint)"/>{parts}{_labels(now)}</svg>'
    )


GRADIENT = (
    '<defs><linearGradient id="hg-tint" x1="0" x2="1" y1="0" y2="0">'
    '<stop class="hg-a" offset="0"/><stop class="hg-b" offset="0.5"/><stop class="hg-c" offset="1"/>'
    "</linearGradient></defs>"
)


def _key(all_boxes: Sequence[Box], box: Box) -> int:
    """Steps from the code: what stays the same place of the network when layers come and go."""
    code = next(place for place, other in enumerate(all_boxes) if other.stage.part == "code")
    return all_boxes.index(box) - code


def _flow(found: Sequence[Box]) -> str:
    """The silhouette: through the top of every box and back through the bottoms, with level tangents at each."""
    tops = [(box.x + box.depth * 0.35, MIDDLE - box.height / 2) for box in found]
    return f"M{_curve(tops)} L{_curve([(x, 2 * MIDDLE - y) for x, y in reversed(tops)])} Z"


def _curve(points: Sequence[tuple[float, float]]) -> str:
    path = f"{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (x0 + x1) / 2
        path += f" C{middle:.1f} {y0:.1f} {middle:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
    return path


def _drawn(box: Box, before: Box | None) -> str:
    """A group that starts at the height and place of `before`: CSS variables for the style sheet's one animation."""
    ratio, shift = (before.height / box.height, before.x - box.x) if before else (0.01, 0.0)
    side = {"input": "encoder", "output": "decoder"}.get(box.stage.part, box.stage.part)
    image = " hg-image" if box.stage.part in ("input", "output") else ""
    return (
        f'<g class="hg-box hg-{side}{image}" style="--k:{ratio:.3f};--dx:{shift:.1f}px">'
        f"<title>{escape(box.stage.name)}: {box.stage.label}</title>{_slab(box) if box.depth else _bar(box)}</g>"
    )


def _bar(box: Box) -> str:
    left, top = box.x - box.width / 2, MIDDLE - box.height / 2
    bar = f'<rect class="front" x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="{min(5, box.width / 2):.1f}"/>'
    return bar + (_units(box) if box.stage.part == "code" else "")


def _units(box: Box) -> str:
    """The numbers of a small code as dots, since they can be counted."""
    count = prod(box.stage.shape)
    pitch = (box.height - 6) / count
    if pitch < 3.2:
        return ""
    top, radius = MIDDLE - box.height / 2 + 3 + pitch / 2, min(4.2, 0.36 * pitch, 0.3 * box.width)
    return "".join(f'<circle cx="{box.x:.1f}" cy="{top + i * pitch:.1f}" r="{radius:.1f}"/>' for i in range(count))


def _slab(box: Box) -> str:
    """A feature map: as thick as the log of its channels, as tall and deep as the log of its height and width."""
    left, right = box.x - box.width / 2, box.x + box.width / 2
    dx, dy = 0.7 * box.depth, 0.55 * box.depth
    top, bottom = MIDDLE - box.height / 2 + dy / 2, MIDDLE + box.height / 2 + dy / 2
    lid = f"{left:.1f},{top:.1f} {left + dx:.1f},{top - dy:.1f} {right + dx:.1f},{top - dy:.1f} {right:.1f},{top:.1f}"
    side = f"{right:.1f},{top:.1f} {right + dx:.1f},{top - dy:.1f} {right + dx:.1f},{bottom - dy:.1f} {right:.1f},{bottom:.1f}"
    front = f'<rect class="front" x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{bottom - top:.1f}"/>'
    return f'<polygon class="lid" points="{lid}"/><polygon class="side" points="{side}"/>{front}'


def _labels(found: Sequence[Box]) -> str:
    """Sizes under the boxes, in as many rows as they need; the code's above the code as well, large."""
    step = found[1].x - found[0].x if len(found) > 1 else WIDTH
    letters = max(len(box.stage.label) for box in found)
    size = 12.5 if len(found) <= 13 else 10.5
    rows = min(3, ceil(letters * size * LETTER / (0.92 * step)))
    below = MIDDLE + TALLEST / 2 + 14
    text = ""
    for place, box in enumerate(found):
        code = box.stage.part == "code"
        x, y = box.x + box.depth * 0.35, below + (0 if code else (place % rows) * (size + 3))
        text += f'<text class="hg-size{" code" * code}" x="{x:.1f}" y="{y:.1f}" font-size="{size + 3 * code:.1f}">{box.stage.label}</text>'
        if code:
            text += f'<text class="hg-size code" x="{x:.1f}" y="{MIDDLE - box.height / 2 - 12 - 0.3 * box.depth:.1f}" font-size="12.5">code</text>'
    return text
