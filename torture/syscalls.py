"""Each system call of a checkpoint commit that writes, x {KILL, ENOSPC, EIO}: strace makes it the last, or makes it fail.

A child of a warm process does what a trainer does. `commit`: a checkpoint beside three older ones, by the recorder: rows,
files, manifest, flush, rename, progress, rotation. `recover`: an attempt's first steps where the one before died inside a
commit and the newest checkpoint is damaged. A first pass without faults says which calls there are; then each is struck once.
"""

import random
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from aecore import manifest
from torture.forks import Forks
from torture.result import Result, Skipped

CALLS = (
    "openat,creat,write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2,mkdir,mkdirat,close,unlink,unlinkat"
)
CALLS += ",rmdir,ftruncate,fallocate,copy_file_range,sendfile,link,linkat"
FAULTS = {"KILL": "signal=KILL", "ENOSPC": "error=ENOSPC", "EIO": "error=EIO"}
OLDER = 3
LINE = re.compile(r"^(?:\d+ +)?(\w+)\(")


class Point(NamedTuple):
    """One place to strike."""

    part: str
    """'commit' or 'recover'."""
    call: str
    occurrence: int
    """From 1, among all calls of that name."""
    fault: str


def warm(argument: str) -> Any:
    """In the server of children: a run with older checkpoints, and a new one due."""
    from aecore.jobs import train  # noqa: F401  a child that imports would open files that are not the checkpoint's
    from torture import scene

    made = scene.set_up(Path(argument) / "lab")
    scene.advanced(made, OLDER)
    (Path(argument) / "run").write_text(str(made.folder), encoding="utf-8")
    return made


def act(scene: Any, part: str, go: str) -> int:
    """In a child: wait until strace is there, then do it. A full disk is waited for as in a trainer."""
    from aecore.jobs import train, work

    work.time.sleep, sleep = lambda _: None, time.sleep  # the wait for room need not take a second here
    while not Path(go).exists():
        sleep(0.001)
    if part == "commit":
        scene.work.patiently(scene.recorder.checkpoint, scene.state.step)
    else:
        train.recover(scene.work)
    return 0


def measure(rounds: int, seed: int) -> Result:
    """At most `rounds` points: all of them, or a random choice."""
    if shutil.which("strace") is None:
        raise Skipped("strace is not installed (apt-get install strace)")
    begin = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="torture-") as name,
        (Path(name) / "log").open("w") as log,
        Forks("torture.syscalls", name, log) as forks,
    ):
        sweep = Sweep(Path(name), forks)
        points = [*sweep.points("commit"), *sweep.points("recover")]
        chosen = points if len(points) <= rounds else random.Random(seed).sample(points, rounds)
        problems = [f"{point}: {problem}." for point in chosen for problem in sweep.strike(point)]
    calls = len({point[:3] for point in chosen})
    counts = {"points": len(chosen), "calls": calls, "killed": sweep.killed, "went on": sweep.went_on}
    counts |= {"without a valid checkpoint": sweep.without, "visible invalid": sweep.invalid}
    sentence = (
        f"{len(chosen)} of {len(points)} points ({calls} calls x {', '.join(FAULTS)}, "
        f"{sum(point.part == 'recover' for point in chosen)} of them while an attempt recovers): "
        f"{sweep.without} without a valid checkpoint, {sweep.invalid} with a visible invalid one, {len(problems)} problems "
        f"in all; {sweep.killed} times the process was killed, {sweep.went_on} times it did its work in spite of the fault."
    )
    return Result(counts, time.monotonic() - begin, " ".join([sentence, *problems[:5]]), not problems)


class Sweep:
    """Strikes points, one after another, each in a fresh copy of the run's folder."""

    def __init__(self, place: Path, forks: Forks):
        self.place, self.forks = place, forks
        self.run = Path((place / "run").read_text(encoding="utf-8"))
        self.checkpoints = self.run / "checkpoints"
        self.templates = {part: place / part for part in ("commit", "recover")}
        shutil.copytree(self.run, self.templates["commit"])
        self._traced("commit")  # what the next attempt finds: a commit that was not done, and a damaged checkpoint
        self.rows = (self.run / "metrics.csv").read_bytes()
        newest = manifest.newest(self.checkpoints)
        assert newest is not None
        shutil.copytree(newest, self.checkpoints / ".tmp-00000100-1-1")
        (newest / "state.json").write_text("{", encoding="utf-8")
        shutil.copytree(self.run, self.templates["recover"])
        self.killed = self.went_on = self.without = self.invalid = 0

    def points(self, part: str) -> list[Point]:
        """Every call that names the checkpoints, the metrics or the timing."""
        trace = self._traced(part, "-y", "-s", "0", "-e", f"trace=?{CALLS.replace(',', ',?')}")[1]
        names = [f"{self.run}/checkpoints", f"{self.run}/metrics", f"{self.run}/.metrics"]
        seen: dict[str, int] = {}
        found = []
        for line in trace.splitlines():
            match = LINE.match(line)
            if match:
                seen[match[1]] = seen.get(match[1], 0) + 1
                if any(name in line for name in names):
                    found += [Point(part, match[1], seen[match[1]], fault) for fault in FAULTS]
        return found

    def strike(self, point: Point) -> list[str]:
        """Do it; what is wrong afterwards, in words."""
        part, call, occurrence, fault = point
        code, _ = self._traced(part, "-e", f"trace={call}", "-e", f"inject={call}:{FAULTS[fault]}:when={occurrence}")
        self.killed += code == -9
        self.went_on += code == 0
        problems = [f"the process ended with {code}"] if (code == -9) != (fault == "KILL") else []
        if part == "commit":
            problems += self._visible()
            if fault == "ENOSPC" and (code != 0 or self._newest() != self._last()):
                problems.append(f"it did not go on when there was room again (exit code {code})")
        return problems + self._next_attempt()

    def _visible(self) -> list[str]:
        from torture.scene import visible

        invalid = visible(self.checkpoints)
        self.invalid += bool(invalid)
        return invalid

    def _newest(self) -> int:
        newest = manifest.newest(self.checkpoints)
        return manifest.step_of(newest) if newest else -1

    def _last(self) -> int:
        return max(manifest.step_of(path) for path in self.checkpoints.glob("[0-9]*"))

    def _next_attempt(self) -> list[str]:
        """Recover without a fault, and look at what a run would go on from."""
        before = self._newest()
        self.without += before < 20 * OLDER
        self.forks.fork(part="recover", go=str(self.place))
        code = self.forks.wait()
        newest = manifest.newest(self.checkpoints)
        if code or newest is None or manifest.step_of(newest) < max(before, 20 * OLDER):
            return [f"the next attempt ended with {code} and finds {newest}"]
        problems = [f"{path.name} was left" for path in self.checkpoints.glob(".tmp-*")]
        problems += self._visible()
        if (self.run / "metrics.csv").read_bytes() != self.rows[: manifest.mark(newest).metrics_bytes]:
            problems.append("metrics.csv is not what belongs to the checkpoint")
        best = [path for path in self.checkpoints.glob("[0-9]*") if manifest.mark(path).best]
        return problems if best else [*problems, "the best checkpoint is gone"]

    def _traced(self, part: str, *options: str) -> tuple[int, str]:
        """Do a part under strace. Returns the exit code and the trace."""
        shutil.rmtree(self.run)
        shutil.copytree(self.templates[part], self.run)
        go, trace = self.place / "go", self.place / "trace"
        go.unlink(missing_ok=True)
        child = self.forks.fork(part=part, go=str(go))
        command = ["strace", "-f", "-o", str(trace), *options, "-p", str(child)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as strace:
            assert strace.stderr is not None
            said = strace.stderr.readline()
            go.touch()
            code = self.forks.wait()
        if "attached" not in said:
            raise Skipped(f"strace cannot watch another process here: {said.strip()}")
        return code, trace.read_text(encoding="utf-8", errors="replace")
