"""Who may import whom (the house's order), read from the imports themselves."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ORDER = ["config", "data", "models", "tasks", "training", "analysis", "runs", "jobs", "export"]
TORCH_FREE = ["aecore", "aecore.config", "aecore.data", "aecore.runs", "aecore.jobs.queue", "aecore.jobs.supervisor"]
SOURCES = sorted([*ROOT.glob("aecore/**/*.py"), *ROOT.glob("ui/**/*.py"), *ROOT.glob("pages/*.py"), ROOT / "app.py"])


def imports(path: Path) -> Iterator[str]:
    """Absolute dotted names that a module imports, `from a import b` as both `a` and `a.b`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} uses a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def allowed(path: Path, name: str) -> bool:
    """Whether a module may import this dotted name: the house's order, and what stays outside of which part."""
    (place, *inner), (top, *below) = path.relative_to(ROOT).with_suffix("").parts, name.split(".")
    part, other = (inner or [""])[0], (below or [""])[0]
    if place == "aecore":
        if top in ("streamlit", "ui", "pages") or (top == "plotly" and part != "export"):
            return False
        if top == "aecore" and part in ORDER and other in ORDER:
            return ORDER.index(other) <= ORDER.index(part) and (part, other) != ("models", "data")
        return True
    if place in ("pages", "app"):
        return top not in ("torch", "torchvision", "sklearn", "sqlalchemy")
    return top != "pages"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_stands_to_its_left(path: Path) -> None:
    wrong = [name for name in imports(path) if not allowed(path, name)]
    assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize("module", TORCH_FREE)
def test_what_must_start_at_once_is_free_of_torch(module: str) -> None:
    heavy = "{'torch', 'torchvision', 'sklearn', 'pandas', 'streamlit'}"
    script = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_no_page_is_longer_than_80_lines() -> None:
    long = {path.name: count for path in ROOT.glob("pages/*.py") if (count := len(path.read_text().splitlines())) > 80}
    assert not long
