"""Make `.venv` and install a requirements file into it, once: `python3 install.py requirements.txt`.

Only the standard library, since nothing is installed yet. Says what is missing before it starts to download.
"""

from __future__ import annotations  # so that an old Python gets as far as being told that it is old

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
GIGABYTES = {"requirements.txt": 7.5, "requirements-dev.txt": 0.7}


def problem(requirements: str) -> str | None:
    """What stands in the way, as a sentence with the cure; None where nothing does."""
    if sys.version_info < (3, 11):  # noqa: UP036
        return f"This is Python {sys.version.split()[0]}, but 3.11 or newer is needed: make run PYTHON=python3.11"
    if not importlib.util.find_spec("ensurepip") or not importlib.util.find_spec("venv"):
        return "Python's venv module is missing. On Debian and Ubuntu: sudo apt-get install python3-venv"
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < GIGABYTES[requirements]:
        return f"{GIGABYTES[requirements]} GB are needed in {ROOT}, but only {free:.1f} GB are free there."
    return None


def install(requirements: str) -> None:
    """Create the environment where it is not there yet, install, and leave the mark that make looks at."""
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    print(
        f"Installing {requirements} into .venv (up to {GIGABYTES[requirements]} GB; torch is most of it).", flush=True
    )
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "-r", requirements]
    subprocess.run(pip, cwd=ROOT, check=True)
    mark = ".installed" if requirements == "requirements.txt" else ".installed-dev"
    (VENV / mark).touch()


def main() -> int:
    requirements = sys.argv[1] if len(sys.argv) > 1 else "requirements.txt"
    if sentence := problem(requirements):
        print(sentence, file=sys.stderr)
        return 1
    try:
        install(requirements)
    except subprocess.CalledProcessError as error:
        print(
            f"Installing {requirements} failed (exit code {error.returncode}); the lines above say why.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
