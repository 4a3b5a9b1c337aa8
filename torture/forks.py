"""Children of a process that has torch imported already: each costs milliseconds instead of two seconds.

The server is a process of its own, `python -m torture.forks MODULE ARGUMENT`: it calls MODULE.warm(ARGUMENT), then for each
line of JSON that it reads it forks a child that calls MODULE.act(warm, **line).
"""

import ctypes
import importlib
import json
import os
import subprocess
import sys
import traceback
from types import TracebackType
from typing import IO, Any

from torture.world import ROOT

ANYBODY, PR_SET_PTRACER = -1, 0x59616D61


class Forks:
    """A server of children."""

    def __init__(self, module: str, argument: str, log: IO[str] | None = None):
        command = [sys.executable, "-m", "torture.forks", module, argument]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self.server = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            bufsize=1,
            env=environment,
            cwd=ROOT,
        )
        self._read()

    def __enter__(self) -> "Forks":
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.server.kill()
        self.server.wait()

    def fork(self, **arguments: Any) -> int:
        """Start a child. Returns its process id."""
        assert self.server.stdin is not None
        self.server.stdin.write(json.dumps(arguments) + "\n")
        return self._read()

    def wait(self) -> int:
        """Wait for the child's end; its exit code, negative for a signal."""
        return self._read()

    def _read(self) -> int:
        assert self.server.stdout is not None
        line = self.server.stdout.readline()
        if not line:
            raise RuntimeError(f"the server of children ended with exit code {self.server.wait()}")
        return int(line)


def serve(name: str, argument: str) -> None:
    """The server's loop."""
    module = importlib.import_module(name)
    warm = module.warm(argument)
    print(0, flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _be(module, warm, json.loads(line))
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _be(module: Any, warm: Any, arguments: dict[str, Any]) -> None:
    code = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PTRACER, ANYBODY, 0, 0, 0)
        os.dup2(sys.stderr.fileno(), 1)  # what it prints is no answer of the server
        code = module.act(warm, **arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])
