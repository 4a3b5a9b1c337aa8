"""Versions of what we use that have published holes or faults: a short list by hand, to be looked through at each release."""

import re
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

LOOKED_THROUGH = "2026-11-26"
"""When somebody last compared this list with what was published."""


class Hole(NamedTuple):
    """A fault in all releases of a package before one."""

    package: str
    mended_in: str
    what: str


HOLES = (
    Hole("torch", "2.10.0", "reading a checkpoint can damage memory, also with weights_only (CVE-2026-24747)"),
    Hole("pillow", "12.3.0", "hostile image files get around its size limits (CVE-2026-40192 and others)"),
    Hole("python-multipart", "0.0.22", "an upload can be written where it should not (CVE-2026-24486)"),
    Hole("starlette", "1.1.0", "static files can be read from elsewhere on Windows (CVE-2026-48818)"),
    Hole("onnx", "1.21.0", "a model file can write outside its folder (CVE-2026-34446, CVE-2026-34447)"),
)


def holes() -> list[tuple[Hole, str]]:
    """Those that are installed here, with the version that is."""
    found = []
    for hole in HOLES:
        try:
            here = version(hole.package)
        except PackageNotFoundError:
            continue
        if numbers(here) < numbers(hole.mended_in):
            found.append((hole, here))
    return found


def numbers(text: str) -> tuple[int, ...]:
    """A release's numbers, three at least: '2.9' comes before '2.10.1+cpu', and '2.10rc1' counts as '2.10'.

    >>> numbers("2.9") < numbers("2.10.1+cpu")
    True
    """
    found = re.match(r"\d+(\.\d+)*", text)
    parts = [int(part) for part in found[0].split(".")] if found else []
    return tuple([*parts, 0, 0, 0][: max(3, len(parts))])
