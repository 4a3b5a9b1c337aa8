"""Training images that a GPU has no room for: they stay in the host's memory, and the GPU reads those of a batch over the bus.

Their pages are locked, so that they have one address for both, and choosing the images of a batch is the same operation as on
the device, in recorded steps too: nothing need be fetched ahead.
"""

import weakref

import numpy as np
import torch
from torch import Tensor

from aecore.data import DataError

SHARE = 0.5
"""Of a GPU's free memory that images may take; the rest is for the model."""


class _Shared:
    """Memory of the host as PyTorch takes it for a GPU's: https://numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html."""

    def __init__(self, array: np.ndarray):
        self.array = array
        self.__cuda_array_interface__ = {
            "shape": array.shape,
            "typestr": "|u1",
            "data": (array.ctypes.data, False),
            "version": 3,
        }


def too_large(nbytes: int, device: torch.device) -> bool:
    """Whether images of so many bytes are better left where they are."""
    return device.type == "cuda" and nbytes > SHARE * torch.cuda.mem_get_info(device)[0]


def on_host(images: np.ndarray, device: torch.device) -> Tensor:
    """Images (N, C, H, W) uint8 as a tensor of a GPU, in memory of the host.

    Raises:
        DataError: where so much memory cannot be locked.
    """
    shared = _Shared(images if images.flags.c_contiguous and images.flags.writeable else np.array(images, order="C"))
    runtime, address = torch.cuda.cudart(), shared.array.ctypes.data
    code = int(runtime.cudaHostRegister(address, shared.array.nbytes, 0))
    if code:
        raise DataError(
            f"The training images take {images.nbytes / 1e9:.1f} GB, more than half of what the GPU has free, and the system "
            f"does not lock so much memory (CUDA error {code}): use a smaller part of them (training.subset)."
        )
    weakref.finalize(shared, runtime.cudaHostUnregister, address).atexit = False  # the process' end does that itself
    return torch.as_tensor(shared, device=device)
