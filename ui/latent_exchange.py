"""What travels between the map in the browser and Python: points as bytes, and what is meant by what was drawn around them."""

import json
from typing import Any

import numpy as np

from ui import latent_points
from ui.latent_points import Points, View

NO_LABEL = 65535


def pack(chosen: Points, groups: np.ndarray | None = None) -> bytes:
    """Bytes for the map: `columns` of x, y, z in three dimensions, index, error, label and group.

    `groups` (n,) say who has which colour, -1 none; by default the labels.
    """
    labels, groups = (
        np.where((array < 0) | (array >= NO_LABEL), NO_LABEL, array)
        for array in (chosen.labels, chosen.labels if groups is None else groups)
    )
    return columns(
        places(chosen.places)
        | {
            "index": chosen.indices.astype("<i4"),
            "error": chosen.errors.astype("<f4"),
            "label": labels.astype("<u2"),
            "group": groups.astype("<u2"),
        }
    )


def places(found: np.ndarray) -> dict[str, np.ndarray]:
    """Places (n, 2 or 3) as columns."""
    return {axis: found[:, at].astype("<f4") for at, axis in enumerate("xyz"[: found.shape[1]])}


def columns(found: dict[str, np.ndarray]) -> bytes:
    """uint32 length of a JSON header, the header, then the columns (n,) one after the other, padded to 4 bytes."""
    n = len(next(iter(found.values())))
    header = json.dumps({"n": n, "columns": [[name, column.dtype.name] for name, column in found.items()]}).encode()
    header = _padded(header, b" ")
    return b"".join([np.uint32(len(header)).tobytes(), header, *(_padded(c.tobytes()) for c in found.values())])


def _padded(content: bytes, with_: bytes = b"\0") -> bytes:
    return content + with_ * (-len(content) % 4)


def members(view: View, selection: dict[str, Any], groups: np.ndarray | None = None) -> np.ndarray:
    """Image indices, ascending, that a selection of a view's map means: see `meant`."""
    return meant(latent_points.points(view), selection, groups)


def meant(chosen: Points, selection: dict[str, Any], groups: np.ndarray | None = None) -> np.ndarray:
    """Image indices, ascending, that a selection among points means: `{kind: polygon|index, polygon|index, turn, hidden: groups}`.

    `groups` (n,) are those of the points, by default their labels; -1 in `hidden` stands for points without one. `turn` are
    two rows of three numbers: from which side three dimensions were seen.
    """
    if selection["kind"] == "index":
        inside = chosen.indices == int(selection["index"])
    else:
        polygon = np.asarray(selection["polygon"], float).reshape(-1, 2)
        inside = within(polygon, *seen(chosen.places, selection.get("turn")))
        inside &= ~np.isin(chosen.labels if groups is None else groups, selection.get("hidden", []))
    return np.sort(chosen.indices[inside])


def seen(found: np.ndarray, turn: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """x and y (n,) of places (n, 2 or 3) on the screen's plane; the arithmetic of `Turn` in ui/components/latent_plane.js."""
    if turn is None or found.shape[1] < 3:
        return found[:, 0].astype(float), found[:, 1].astype(float)
    x, y, z = found.astype(float).T
    right, up = np.asarray(turn, float).reshape(2, 3)
    across, high = (row[0] * x + row[1] * y + row[2] * z for row in (right, up))
    return across.astype(np.float32).astype(float), high.astype(np.float32).astype(float)


def within(polygon: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which points (n,) lie in a polygon (m, 2): even-odd rule, the same arithmetic as in ui/components/latent_plane.js."""
    inside = np.zeros(len(x), bool)
    if len(polygon) < 3:
        return inside
    (left, low), (right, high) = polygon.min(0), polygon.max(0)
    near = np.flatnonzero((x >= left) & (x <= right) & (y >= low) & (y <= high))
    px, py, odd = x[near], y[near], np.zeros(len(near), bool)
    for (xi, yi), (xj, yj) in zip(polygon, np.roll(polygon, 1, axis=0), strict=True):
        if yi != yj:
            odd ^= ((yi > py) != (yj > py)) & (px < (xj - xi) * (py - yi) / (yj - yi) + xi)
    inside[near] = odd
    return inside
