"""Images as PNG, enlarged so that pixels look like pixels. numpy and PIL only."""

import base64
import io

import numpy as np
from PIL import Image

Pixels = np.ndarray
"""uint8 images, channels first."""


def png(image: Pixels, scale: int = 1) -> bytes:
    """PNG of one uint8 image (C, H, W), C 1, 3 or 4 (the last one its opacity), every pixel drawn as a square of `scale` pixels."""
    return _encode(_pillow(image), scale)


def wall(images: Pixels, scale: int = 1, gap: int = 0) -> bytes:
    """PNG of a grid of uint8 images (R, K, C, H, W): R rows, K columns, `gap` transparent pixels between them.

    The gap is in pixels of the images: it is enlarged with them.
    """
    rows, columns, channels, height, width = images.shape
    if not gap:
        return _encode(
            _pillow(images.transpose(2, 0, 3, 1, 4).reshape(channels, rows * height, columns * width)), scale
        )
    canvas = Image.new("RGBA", (columns * (width + gap) - gap, rows * (height + gap) - gap))
    for row in range(rows):
        for column in range(columns):
            canvas.paste(_pillow(images[row, column]), (column * (width + gap), row * (height + gap)))
    return _encode(canvas, scale)


def data_url(content: bytes, kind: str = "image/png") -> str:
    """A `data:` URL of these bytes."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _pillow(image: Pixels) -> Image.Image:
    content = np.ascontiguousarray(np.moveaxis(image, 0, -1))  # (H, W, C)
    return Image.fromarray(content[..., 0] if content.shape[-1] == 1 else content)


def _encode(image: Image.Image, scale: int) -> bytes:
    if scale > 1:
        image = image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=4)
    return stream.getvalue()
