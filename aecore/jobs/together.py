"""One run on several slots: torchrun starts a process for each, and they meet on the loopback."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from aecore.jobs.children import PATIENT
from aecore.jobs.queue import Job
from aecore.jobs.slots import Slot
from aecore.jobs.trainer import HELD
from aecore.runs import Lab


class Group(NamedTuple):
    """The processes of one run; `process` is torchrun, which ends with the last of them."""

    process: "subprocess.Popen[bytes]"


def command(run: Path, slots: int, job: int) -> list[str]:
    """What starts a job of a run by hand, on any engine: the trainer itself, or torchrun with one for each slot."""
    trainer = ["-m", "aecore.jobs.trainer", str(run), "--job", str(job)]
    if slots == 1:
        return [sys.executable, *trainer]
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={slots}"]
    return [sys.executable, *torchrun, *trainer]


def start(lab: Lab, job: Job, places: list[Slot], held: list[int]) -> Group:
    """Start a run's processes; torchrun inherits the locks, and the processes end with it. Raises OSError."""
    run = lab.runs_folder / job.run_id
    environment = (
        os.environ
        | PATIENT
        | {
            HELD: str(job.id),
            "OMP_NUM_THREADS": str(places[0].threads),
            "AELAB_DATA": job.data_root or "",
            "CUDA_VISIBLE_DEVICES": ",".join(place.device for place in places),
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "PYTHONUNBUFFERED": "1",
        }
    )
    with (run / "log.txt").open("ab") as log:
        return Group(
            subprocess.Popen(
                command(run, job.slots, job.id),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=held,
                start_new_session=True,
                env=environment,
            )
        )
