"""Which device, said in words where it is not there."""

import torch

from aecore.config import ConfigError


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


def _available(kind: str) -> bool:
    if kind == "cuda":
        return torch.cuda.is_available()
    return torch.backends.mps.is_available() if kind == "mps" else True
