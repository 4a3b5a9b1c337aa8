"""Which device, said in words where it is not there."""

import resource
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from aecore.config import ConfigError
from aecore.models import Autoencoder

CONTEXT = 720e6
"""Bytes of a GPU that a process takes before any model: of an H100 with CUDA 13, by `python -m benchmarks.memory`."""
GPU_BATCHES = 20
"""So many batches at once where `at_once` takes more."""
PRODUCTS: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)  # type: ignore[attr-defined]


def choose(name: str) -> torch.device:
    """The device for `training.device`; 'auto' takes a GPU when there is one.

    Raises:
        ConfigError: for a device that this machine has not.
    """
    if name == "auto":
        return torch.device(next((kind for kind in ("cuda", "mps") if _available(kind)), "cpu"))
    if not _available(name):
        raise ConfigError(
            {
                "training.device": f"training.device is {name!r}, but this machine has no such device: use 'auto' or 'cpu'."
            }
        )
    return torch.device(name)


def describe(device: torch.device) -> str:
    """The device in words: 'NVIDIA H200', 'CPU, 2 threads'."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return "Apple GPU"
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"


def set_products(kind: Literal["ieee", "tf32"]) -> None:
    """How a GPU multiplies matrices and convolves in 32 bits: exactly, or with 10 of 23 bits of each factor. PyTorch's own default
    is the one for matrices and the other for convolutions."""
    for part in PRODUCTS:
        part.fp32_precision = kind


def peak(device: torch.device) -> int:
    """The most bytes that this process has had so far: of the GPU, its context counted, or of the machine's memory."""
    if device.type == "cuda":
        kept = torch.cuda.max_memory_reserved(device)  # what others cannot have, whether a tensor has it or none
        return int(CONTEXT + kept)
    with suppress(OSError):  # Linux: of this program alone, where getrusage knows what its starter had, too
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        return 1024 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def at_once(model: Autoencoder, device: torch.device) -> int:
    """Images that are evaluated together: of a network without convolutions and recurrent layers more on a GPU, for there a batch
    costs as much as its launches. What cuDNN works in grows with the batch, so that the others would take more than training."""
    light = not any(isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.RNNBase)) for layer in model.modules())
    return model.evaluation_batch * (GPU_BATCHES if device.type == "cuda" and light else 1)


def _available(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    return torch.backends.mps.is_available() if kind == "mps" else True
