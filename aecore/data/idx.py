"""The files of MNIST and its relatives: a header of big-endian numbers, then bytes. Format: LeCun's MNIST page."""

import gzip
import struct
from pathlib import Path

import numpy as np

from aecore.data.base import DataError


def read_idx(path: Path) -> np.ndarray:
    """uint8 array of an IDX file, or of the file with '.gz' after its name where that is what lies there.

    Raises:
        DataError: where the file is not what its header says.
    """
    packed = path.with_name(path.name + ".gz")
    try:
        content = path.read_bytes() if path.exists() else gzip.decompress(packed.read_bytes())
        return _parse(content)
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise DataError(
            f"{path} is damaged ({error}): delete it, and it is downloaded again; or copy it there anew."
        ) from None


def _parse(content: bytes) -> np.ndarray:
    zeros, kind, dimensions = struct.unpack_from(">HBB", content)
    if zeros != 0 or kind != 0x08:  # 0x08: unsigned bytes
        raise ValueError("it does not begin like an IDX file of bytes")
    shape = struct.unpack_from(f">{dimensions}I", content, 4)
    pixels = np.frombuffer(bytearray(content), np.uint8, offset=4 + 4 * dimensions)  # a copy, which may be written to
    if pixels.size != np.prod(shape, dtype=np.int64):
        raise ValueError(f"{pixels.size:,} bytes instead of {' x '.join(map(str, shape))}")
    return pixels.reshape(shape)
