"""Several processes that train one model: each takes its part of every batch, and the gradients are summed.

For losses that are means over images this is the same mathematics as one process with the whole batch. What needs the whole
batch at once (batch statistics) is refused by the configuration.
"""

import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from aecore.models import Batch, Sums
from aecore.models.noise import Noise

Told = TypeVar("Told")


class World(NamedTuple):
    """The processes of a run, and which of them this is. One process alone does nothing here and pays nothing."""

    rank: int = 0
    size: int = 1

    def share(self, batch: Batch, noise: torch.Generator) -> tuple[Batch, float]:
        """This process's images of a batch, and their share of it; the noise knows which they are.

        Where there are fewer images than processes, the rest take one that counts nothing.
        """
        if self.size == 1:
            return batch, 1.0
        n = len(batch.x)
        first, last = self.rank * n // self.size, (self.rank + 1) * n // self.size
        part = slice(first, last) if last > first else slice(0, 1)
        assert isinstance(noise, Noise)
        noise.part, noise.whole = part, n
        return Batch(*(None if field is None else field[part] for field in batch)), (last - first) / n  # type: ignore[arg-type]

    def reduce(self, parameters: Iterable[Tensor], sums: Sums, share: float) -> Sums:
        """Sum gradients, in place, and this process's share of the loss terms over all processes."""
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        terms = [share * term.detach() for terms in sums for term in terms.values()]
        parts = [*gradients, *terms]
        flat = torch.cat([part.reshape(-1) for part in parts])
        dist.all_reduce(flat)
        summed = flat.split([part.numel() for part in parts])
        for gradient, total in zip(gradients, summed, strict=False):
            gradient.copy_(total.view_as(gradient))
        totals = iter(summed[len(gradients) :])
        return tuple({name: next(totals).reshape(()) for name in terms} for terms in sums)

    def agree(self, flag: bool) -> bool:
        """Whether any process says so."""
        return any(self.gather(flag)) if self.size > 1 else flag

    def gather(self, value: Any) -> list[Any]:
        """What each process says, by rank."""
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def told(self, make: Callable[[], Told]) -> Told:
        """What the first process makes, for all of them."""
        if self.size == 1:
            return make()
        box: list[Any] = [make() if self.rank == 0 else None]
        dist.broadcast_object_list(box)
        result: Told = box[0]
        return result


ALONE = World()


def join(device: str) -> World:
    """Meet the other processes that torchrun started beside this one, on this machine's loopback only."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return ALONE
    loopback = "lo0" if os.uname().sysname == "Darwin" else "lo"
    os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    os.environ.setdefault("NCCL_SOCKET_IFNAME", loopback)
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    return current()


def current() -> World:
    """The processes that have met; this one alone where none have."""
    if not dist.is_available() or not dist.is_initialized():
        return ALONE
    return World(dist.get_rank(), dist.get_world_size())
