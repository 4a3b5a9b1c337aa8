"""A real Slurm of two nodes on this machine, for tests: everything in a folder of its own, every listener on loopback.

Needs root and Debian's packages `slurm-wlm` and `munge`; nothing of the system's own configuration is read or changed,
except that the host's name is added to /etc/hosts where it resolves to nothing. By hand: `python -m tests.slurm DIR`.
"""

import contextlib
import os
import secrets
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

CONFIGURATION = """\
ClusterName=ci
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CredType=cred/munge
MpiDefault=none
SwitchType=switch/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=5
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=10
OverTimeLimit=0
MinJobAge=300
SlurmdTimeout=15
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
GresTypes=gpu
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2 Gres=gpu:1 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2 Gres=gpu:1 State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=lab Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=one Nodes=n1 MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=n[1-2] MaxTime=INFINITE State=UP PriorityTier=2
"""
"""cred_expire: a requeued job starts again after 5 seconds instead of 121. batch_sched_delay, sched_interval: starts at once."""

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo")


def missing() -> str:
    """Why no Slurm can be started here; '' where it can."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if absent:
        return f"Slurm is not installed ({', '.join(absent)} not found): apt-get install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "only root can start a Slurm here"


class Cluster:
    """Two nodes, `n1` and `n2`, of two processors and one pretended GPU each.

    Partitions: `lab` of both, `one` of the first, and `urgent`, whose jobs take the places of the others' jobs.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": _path()}

    def start(self) -> None:
        """Start every daemon and wait until both nodes are idle."""
        _resolvable()
        for name in ("state", "n1", "n2"):
            (self.folder / name).mkdir()
        ports = _free_ports(3)
        text = CONFIGURATION.format(host=_host(), folder=self.folder, ports=ports)
        (self.folder / "slurm.conf").write_text(text, encoding="ascii")
        (self.folder / "gres.conf").write_text(self._gpus(), encoding="ascii")
        self._munge()
        self.start_controller()
        for node in ("n1", "n2"):
            self.call("slurmd", "-N", node)
        self._until_idle()

    def _gpus(self) -> str:
        lines = []
        for number, node in enumerate(("n1", "n2")):
            device = self.folder / f"fakegpu{number}"
            os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))  # like /dev/null: nobody opens it
            lines.append(f"NodeName={node} Name=gpu File={device}\n")
        return "".join(lines)

    def _munge(self) -> None:
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(128))
        places = {"key-file": key.name, "socket": "munge.socket", "pid-file": "munged.pid"}
        places |= {"log-file": "munged.log", "seed-file": "munged.seed"}
        self.call("munged", "--force", *(f"--{option}={self.folder / name}" for option, name in places.items()))

    def start_controller(self) -> None:
        """Start slurmctld, which knows from its folder what it knew before."""
        self.call("slurmctld")

    def _until_idle(self) -> None:
        end = time.monotonic() + 30
        while set(self.call("sinfo", "-h", "-N", "-o", "%T").split()) != {"idle"}:
            assert time.monotonic() < end, f"the nodes did not come up:\n{self.call('sinfo', '-N')}"
            time.sleep(0.1)

    def call(self, *command: str, seconds: float = 20) -> str:
        """What a Slurm command prints. Raises CalledProcessError or TimeoutExpired."""
        # Into files: a daemon that keeps our pipe open would keep us waiting.
        with tempfile.TemporaryFile("w+") as output:
            result = subprocess.run(
                command, env=self.environment, cwd="/", stdout=output, stderr=subprocess.STDOUT, timeout=seconds
            )
            output.seek(0)
            text = output.read()
        if result.returncode:
            raise subprocess.CalledProcessError(result.returncode, command, text)
        return text

    def daemon(self, name: str) -> psutil.Process:
        """'slurmctld', 'slurmd-n1', 'slurmd-n2' or 'munged'."""
        return psutil.Process(int((self.folder / f"{name}.pid").read_text()))

    def stop(self) -> None:
        """End every job and every daemon."""
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            self.daemon("slurmctld").resume()
        with contextlib.suppress(subprocess.SubprocessError, OSError):
            self.call("scancel", "--user=root")
            self.call("scancel", "--full", "--signal=KILL", "--user=root")
        _gone(self._steps(), 10)
        ended = []
        for name in ("slurmd-n1", "slurmd-n2", "slurmctld", "munged"):
            with contextlib.suppress(OSError, ValueError, psutil.Error):
                ended.append(self.daemon(name))
                ended[-1].terminate()
        _gone(ended, 10)
        for step in self._steps():
            _gone([*step.children(recursive=True), step], 0)

    def _steps(self) -> list[psutil.Process]:
        """The daemons that hold a job each, those included that slurmd does not know any more."""
        found, ours = [], self.environment["SLURM_CONF"]
        for process in psutil.process_iter(["name"]):
            with contextlib.suppress(psutil.Error):
                if process.info["name"].startswith("slurmstepd") and process.environ().get("SLURM_CONF") == ours:
                    found.append(process)
        return found


def _gone(processes: list[psutil.Process], seconds: float) -> None:
    """Wait for them to leave, then end them."""
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _path() -> str:
    return os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])  # where Debian puts the daemons


def _host() -> str:
    return socket.gethostname().split(".")[0]


def _resolvable() -> None:
    """A host whose name means nothing lets slurmctld hang for minutes, and then it dies."""
    try:
        socket.gethostbyname(_host())
    except OSError:
        with open("/etc/hosts", "a", encoding="ascii") as hosts:
            hosts.write(f"127.0.0.1 {_host()}\n")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


@pytest.fixture(scope="session", name="cluster")
def started_cluster() -> Iterator[Cluster]:
    """A Slurm that takes jobs; skips with the reason where there cannot be one."""
    if why := missing():
        pytest.skip(why)
    folder = Path(tempfile.mkdtemp(prefix="aelab-slurm-", dir="/tmp"))  # the path of a socket must be short
    made = Cluster(folder)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    by_hand = Cluster(Path(sys.argv[1]).absolute())
    by_hand.start()
    print(f"export SLURM_CONF={by_hand.folder / 'slurm.conf'}")
