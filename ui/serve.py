"""Start the dashboard: `python -m ui.serve` here, `--network` for the lab. Behind `make run` and `make serve`."""

import argparse
import os
import socket
import sys
from pathlib import Path

import psutil

from aecore.config import ConfigError
from aecore.config.lab import read_settings

APP = Path(__file__).resolve().parents[1] / "app.py"
LOOPBACK, EVERYWHERE = "127.0.0.1", "0.0.0.0"


def problem(address: str, port: int, password: str, known: bool = False) -> str | None:
    """Why the dashboard cannot start, as a sentence with the cure; None where nothing stands in the way.

    Args:
        known: whether a login or a proxy says who is there, so that no password is needed.
    """
    if address != LOOPBACK and not password and not known:
        return "make serve needs a shared password, so that not everyone on the network gets in: AELAB_PASSWORD=... make serve"
    if not 0 < port < 2**16:
        return f"There is no port {port}: choose one of 1 to {2**16 - 1}, such as 8501."
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return f"Port {port} cannot be used ({error.strerror}): stop what uses it, or choose another with PORT={port + 1}."
    return None


def way_in() -> tuple[str, str]:
    """The way in that the lab's settings choose, and why nobody can come in by it, '' where that is not so."""
    try:
        way = read_settings(
            Path(os.environ.get("AELAB_HOME") or APP.parent / "lab").expanduser() / "settings.json"
        ).access.way
    except (ConfigError, OSError):  # each page says why
        return "password", ""
    if way == "password":  # what follows takes a second to import
        return way, ""
    from aecore.runs import Lab, LabError
    from ui import ways

    try:
        return way, ways.problem(Lab.open())
    except LabError as error:
        return way, str(error)


def network_address() -> str:
    """The first IPv4 address of this machine that is not the loopback, else the loopback."""
    for interface in psutil.net_if_addrs().values():
        for entry in interface:
            if entry.family == socket.AF_INET and not entry.address.startswith("127."):
                return entry.address
    return LOOPBACK


def _kiosk(runs: str) -> str:
    """Make this a kiosk of these runs. Returns why it cannot be one, '' where it can."""
    from aecore.runs import Lab, LabError
    from ui import kiosk

    try:
        sentence = kiosk.problem(Lab.open(), runs)
    except LabError as error:
        return str(error)
    os.environ[kiosk.VARIABLE] = runs
    return sentence


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ui.serve", description="Start the dashboard.")
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument("--base", default="", metavar="PATH", help="the path below which a proxy shows it, as /lab")
    parser.add_argument("--network", action="store_true", help="listen on the network; needs AELAB_PASSWORD")
    parser.add_argument("--kiosk", metavar="RUN,RUN", help="only these runs, to be looked at by whoever comes")
    options = parser.parse_args(arguments)
    if options.kiosk is not None and (refusal := _kiosk(options.kiosk)):
        print(refusal, file=sys.stderr)
        return 1
    base = options.base.strip("/")
    address = EVERYWHERE if options.network else LOOPBACK
    way, missing = way_in()
    password = os.environ.get("AELAB_PASSWORD", "").strip()
    if sentence := missing or problem(
        address, options.port, password, known=way != "password" or options.kiosk is not None
    ):
        print(sentence, file=sys.stderr)
        return 1
    if not options.network and not options.base and way == "password":
        os.environ.pop(
            "AELAB_PASSWORD", None
        )  # a password guards the network, and nobody but this machine's user is here
    if options.network:
        print(f"Autoencoder Lab: http://{network_address()}:{options.port}{base and f'/{base}'}", flush=True)
    command = [sys.executable, "-m", "streamlit", "run", str(APP)]
    command += [f"--server.baseUrlPath={base}"] if base else []
    os.execv(sys.executable, [*command, f"--server.address={address}", f"--server.port={options.port}"])


if __name__ == "__main__":
    raise SystemExit(main())
