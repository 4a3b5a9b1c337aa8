"""What this machine can train on, and what is free of it. Asks NVML and psutil, never CUDA: asking must not take a GPU."""

import os
import platform
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from aecore.jobs import locks
from aecore.jobs.slots import Slot, pool_of, slots
from aecore.runs import Lab

CPUINFO = Path("/proc/cpuinfo")
"""Of Linux; elsewhere it is not there."""


class Device(NamedTuple):
    """One device of the host, as the home page shows it."""

    name: str
    kind: str
    """'cuda', 'mps' or 'cpu'."""
    memory_used: int
    """Bytes."""
    memory_total: int
    """Bytes."""
    load: float | None
    """Share of the time in which it is busy, 0 to 1; None where the system does not say."""
    uuid: str = ""
    """What CUDA_VISIBLE_DEVICES takes; '' for what is no GPU of NVIDIA's."""


def devices() -> list[Device]:
    """The host's GPUs, then its processor."""
    return [*gpus(), *_apple(), _cpu()]


def where(choice: str, lab: Lab) -> str:
    """In words where a run with this `training.device` goes, and whether that is free."""
    cards = gpus()
    if choice == "cuda" and not cards:
        return "There is no CUDA GPU on this machine: choose auto or cpu."
    if choice == "mps" and not _apple():
        return "There is no Apple GPU on this machine: choose auto or cpu."
    pool = pool_of("cpu" if choice in ("cpu", "mps") else "auto", bool(cards))
    mine = [slot for slot in slots(lab, [card.uuid for card in cards]) if slot.pool == pool]
    free = [slot for slot in mine if not locks.held(slot.lock)]
    return _gpu_words(cards, mine, free) if pool == "gpu" else _cpu_words(mine, free)


def _gpu_words(cards: list[Device], mine: list[Slot], free: list[Slot]) -> str:
    if not free:
        return f"{_many(len(mine), 'GPU')}, none free: the run waits in the queue"
    index = mine.index(free[0])
    return f"GPU {index} ({cards[index].name}), free"


def _cpu_words(mine: list[Slot], free: list[Slot]) -> str:
    words = f"CPU, {_many(len(mine), 'slot')}, {len(free) or 'none'} free"
    return words if free else f"{words}: the run waits in the queue"


def _many(count: int, word: str) -> str:
    return f"{count} {word}" + ("s" if count != 1 else "")


def _cpu() -> Device:
    memory = psutil.virtual_memory()
    return Device(_processor(), "cpu", memory.total - memory.available, memory.total, _busy())


class _Ticks:
    """What the processors had done at the last look. One for all threads: psutil's own memory is one a thread, and a page
    runs in a new thread each time."""

    lock = threading.Lock()
    before = psutil.cpu_times()
    share = 0.0


def _busy() -> float:
    """Share of the processors' time that was not idle since the last look."""
    with _Ticks.lock:
        now = psutil.cpu_times()
        spent = [b - a for a, b in zip(_Ticks.before, now, strict=True)][:8]  # guests' time is in the users' already
        if sum(spent) > 0.5:  # a shorter look would be noise: two viewers may ask at once
            idle = spent[now._fields.index("idle")] + (spent[4] if "iowait" in now._fields else 0)
            _Ticks.share, _Ticks.before = max(0.0, 1 - idle / sum(spent)), now
        return _Ticks.share


def load(cuda: bool) -> float | None:
    """How busy this process' device is, 0 to 1: the first GPU that it may see, or the machine's processors."""
    return next((card.load for card in gpus()), None) if cuda else _busy()


def _processor() -> str:
    return _told("model name") or platform.processor() or platform.machine()


def _told(name: str) -> str:
    """What Linux tells of the first processor; '' where it tells nothing."""
    with suppress(OSError, StopIteration), CPUINFO.open(encoding="utf-8") as file:
        return next(line.partition(":")[2].strip() for line in file if line.startswith(name))
    return ""


def has_bfloat16() -> bool | None:
    """Whether the processor multiplies numbers of bfloat16: x86's AVX512-BF16 and AMX-BF16, ARM's BF16. None where the system does not say."""
    told = {*_told("flags").split(), *_told("Features").split()}
    return bool(told & {"avx512_bf16", "amx_bf16", "bf16"}) if told else None


def _apple() -> list[Device]:
    if platform.system() != "Darwin" or platform.machine() != "arm64":
        return []
    memory = psutil.virtual_memory()  # shared with the processor
    return [Device("Apple GPU", "mps", memory.total - memory.available, memory.total, None)]


def gpus() -> list[Device]:
    """NVIDIA's GPUs that this process may see and that answer, in the order of their PCI bus."""
    nvml = _nvml()
    if nvml is None:
        return []
    cards: list[tuple[int, Device]] = []
    with suppress(nvml.NVMLError):
        for index in range(nvml.nvmlDeviceGetCount()):
            with suppress(nvml.NVMLError):  # one that is lost, or that we may not ask: the others are still there
                cards.append((index, _gpu(nvml, index)))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return [card for _, card in cards]
    chosen = {part.strip() for part in visible.split(",")}
    return [card for index, card in cards if {str(index), card.uuid} & chosen]


def _gpu(nvml: Any, index: int) -> Device:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    load = None
    with suppress(nvml.NVMLError):  # not every card and driver counts it
        load = nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
    return Device(
        nvml.nvmlDeviceGetName(handle), "cuda", memory.used, memory.total, load, nvml.nvmlDeviceGetUUID(handle)
    )


def _nvml() -> Any | None:
    try:
        import pynvml

        pynvml.nvmlInit()  # counts its calls: a second one costs nothing
        return pynvml
    except Exception:  # no driver, no library, or a driver that does not answer: no GPU to use
        return None
