"""Python reads this first where the folder is in PYTHONPATH: who wants to talk to another machine is refused, and that is written down."""

import os
import sys
from typing import Any

HERE = (None, "", "localhost", "127.0.0.1", "::1")


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.sendto"):
        place = args[1]
        host = place[0] if isinstance(place, tuple) else None  # a path is this machine's
    elif event == "socket.getaddrinfo":
        host = args[0]
    else:
        return
    host = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if host not in HERE:
        _write(f"{event} {host}")
        raise OSError(f"no network: {host}")


def _write(line: str) -> None:
    with open(os.environ["AELAB_TEST_OUTSIDE"], "a", encoding="utf-8") as file:
        file.write(f"{line} by {' '.join(sys.orig_argv)}\n")


_write("watched:")
sys.addaudithook(_hook)
