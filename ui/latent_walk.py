"""Walks through the codes, decoded: along a line in the plane, from one image to another, one dimension after the other."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from aecore.analysis import walks
from ui import latent_places
from ui.lab import latest_stamp
from ui.latent_model import computed
from ui.latent_points import View
from ui.pictures import data_url, png, wall

FRAMES = 24


def decode(view: View, codes: np.ndarray) -> np.ndarray:
    """Codes (n, D) as images (n, C, H, W) uint8, by the run's newest model, one viewer at a time."""
    codes, weights = np.asarray(codes, np.float32), latest_stamp(view.run)
    return computed(view.run, weights, "decode", codes, latent_places.labels(view, codes, weights))


def along(view: View, path: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    """Frames (n, C, H, W) along a line in the plane, and how far from real codes each is: see `latent_places.away`."""
    places = walks.evenly(np.array(path), FRAMES)
    codes = np.concatenate([latent_places.lift(view, x, y) for x, y in places])
    return decode(view, codes), far(view, codes)


def far(view: View, codes: np.ndarray) -> np.ndarray:
    """(n,) how far codes (n, D) are from real ones: see `latent_places.away`."""
    return np.array([latent_places.away(view, code) for code in np.asarray(codes, np.float32)])


def row(frames: np.ndarray) -> str:
    """Frames (n, C, H, W) in a row, as one picture in HTML."""
    return f'<img class="latent-row" src="{data_url(wall(frames[None], 1, 1))}" alt="">'


def strip(frames: np.ndarray, away: np.ndarray, captions: Sequence[str] = (), wide: bool = False) -> str:
    """Frames side by side as HTML, each over a bar that is green among real codes and red far from them."""
    said = captions or [""] * len(frames)
    parts = [
        f'<figure><img src="{data_url(png(frame))}" alt=""><i style="--near:{100 / max(1.0, float(distance)):.0f}%" '
        f'title="{float(distance):.1f} × the usual distance from real data"></i>{caption}</figure>'
        for frame, distance, caption in zip(frames, away, said, strict=True)
    ]
    return f'<div class="latent-strip{" wide" * wide}">{"".join(parts)}</div>'


def gif(frames: np.ndarray, there_and_back: bool = True) -> bytes:
    """A film of frames (n, C, H, W) uint8, enlarged so that pixels look like pixels."""
    scale = max(1, round(140 / frames.shape[-1]))
    images = [Image.open(io.BytesIO(png(frame, scale))).convert("RGB") for frame in frames]
    images += images[-2:0:-1] if there_and_back else []
    stream = io.BytesIO()
    images[0].save(stream, "GIF", save_all=True, append_images=images[1:], duration=80, loop=0)
    return stream.getvalue()
