"""What `make run`, `make serve` and the installer refuse, and in which words."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

import install
from ui import serve


def test_a_taken_port_is_a_sentence_with_the_cure(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert serve.main(["--port", str(port)]) == 1
    said = capsys.readouterr().err
    assert f"Port {port} cannot be used" in said
    assert f"PORT={port + 1}" in said


@pytest.mark.parametrize("port", [-1, 0, 65_536, 99_999])
def test_a_port_that_does_not_exist_is_a_sentence(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert serve.main(["--port", str(port)]) == 1
    assert capsys.readouterr().err == f"There is no port {port}: choose one of 1 to 65535, such as 8501.\n"


@pytest.mark.parametrize("password", [None, "", " \t"])
def test_serving_the_network_needs_a_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], password: str | None
) -> None:
    monkeypatch.delenv("AELAB_PASSWORD", raising=False)
    monkeypatch.setattr(serve.os, "execv", Mock())
    if password is not None:
        monkeypatch.setenv("AELAB_PASSWORD", password)
    assert serve.main(["--network"]) == 1
    assert "needs a shared password" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("network", "address"), [([], "--server.address=127.0.0.1"), (["--network"], "--server.address=0.0.0.0")]
)
def test_run_listens_here_and_serve_on_the_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], network: list[str], address: str
) -> None:
    monkeypatch.setenv("AELAB_PASSWORD", "secret")
    started: list[list[str]] = []
    monkeypatch.setattr(serve.os, "execv", lambda _, command: started.append(command))
    serve.main(["--port", "8599", *network])
    assert address in started[0]
    said = capsys.readouterr().out  # here the dashboard says it when it answers
    assert said.startswith("Autoencoder Lab: http://") and "127.0.0.1" not in said if network else said == ""
    assert ("AELAB_PASSWORD" in serve.os.environ) == bool(network)


@pytest.mark.parametrize(("given", "path"), [("lab", "/lab"), ("/lab/", "/lab"), ("/", "")])
def test_the_path_below_a_proxy_may_be_written_with_slashes_or_without(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], given: str, path: str
) -> None:
    monkeypatch.setenv("AELAB_PASSWORD", "secret")
    started: list[list[str]] = []
    monkeypatch.setattr(serve.os, "execv", lambda _, command: started.append(command))
    serve.main(["--network", "--port", "8599", "--base", given])
    assert capsys.readouterr().out.endswith(f":8599{path}\n")
    assert [word for word in started[0] if "baseUrlPath" in word] == [f"--server.baseUrlPath={path[1:]}"] * bool(path)


def test_the_installer_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert install.problem("requirements.txt") is None or "are free there" in str(install.problem("requirements.txt"))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2e9))
    assert "7.5 GB are needed" in str(install.problem("requirements.txt"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "apt-get install python3-venv" in str(install.problem("requirements.txt"))
    monkeypatch.setattr(sys, "version_info", (3, 10))
    assert "3.11 or newer is needed" in str(install.problem("requirements.txt"))


def test_a_second_make_run_installs_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(install, "VENV", tmp_path)
    monkeypatch.setattr(install.subprocess, "run", lambda command, **_: calls.append(command))
    install.install("requirements.txt")
    assert (tmp_path / ".installed").exists()  # what make compares with requirements.txt
    assert calls[-1][-1] == "requirements.txt"


@pytest.mark.parametrize(("imported", "looks"), [("streamlit", 1), ("app", 0)])
def test_a_start_does_not_look_through_all_installed_packages(tmp_path: Path, imported: str, looks: int) -> None:
    settings = os.environ | {"AELAB_HOME": str(tmp_path), "AELAB_KIOSK": "none"}  # without a supervisor
    told = subprocess.run([sys.executable, "-c", COUNTED, imported], cwd=serve.APP.parent, env=settings)
    assert told.returncode == 40 + looks


COUNTED = """
import importlib, importlib.metadata, sys
importlib.import_module(sys.argv[1])
from streamlit.components.v2.component_manager import BidiComponentManager
looks = []
importlib.metadata.distributions = lambda: looks.append(1) or []
BidiComponentManager().discover_and_register_components(start_file_watching=False)
sys.exit(40 + len(looks) + 10 * ("httpx" in sys.modules))
"""
