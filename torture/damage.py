"""Bit flips and truncations in the newest checkpoint: each is found, the one before is used, and the run's history says so."""

import contextlib
import io
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aecore import manifest
from aecore.runs import Lab, events
from torture.result import Result
from torture.world import laboratory


def measure(rounds: int, seed: int) -> Result:
    """`rounds` flipped bits and `rounds` lengths for each file; besides, each file gone, empty, and that of the checkpoint before."""
    from torture import scene

    begin, rng, problems = time.monotonic(), random.Random(seed), list[str]()
    with laboratory() as lab:
        made = scene.set_up(lab.path)
        scene.advanced(made, 2)
        folder = made.folder / "checkpoints"
        template = lab.path / "template"
        shutil.copytree(folder, template)
        older, newest = sorted(template.glob("[0-9]*"))
        damages = 0
        for name in sorted(path.name for path in newest.iterdir()):
            for what, content in _damaged((newest / name).read_bytes(), (older / name).read_bytes(), rng, rounds):
                damages += 1
                shutil.rmtree(folder)
                shutil.copytree(template, folder)
                _put(folder / newest.name / name, content)
                problems += [f"{name}, {what}: {problem}" for problem in _next_attempt(made, older.name, newest.name)]
    counts = {"damages": damages, "found, and the one before used": damages - len(problems), "not": len(problems)}
    sentence = (
        f"{damages} damages ({rounds} flipped bits and {rounds} truncations for each file, each file gone, empty, and taken "
        f"from the checkpoint before): {damages - len(problems)} found, with the checkpoint before used and the damaged one "
        "set aside and named in the run's history."
    )
    return Result(counts, time.monotonic() - begin, " ".join([sentence, *problems[:5]]), not problems)


def _damaged(content: bytes, older: bytes, rng: random.Random, rounds: int) -> Iterator[tuple[str, bytes | None]]:
    for _ in range(rounds):
        place, bit = rng.randrange(len(content)), rng.randrange(8)
        flipped = content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]
        yield f"bit {bit} of byte {place} flipped", flipped
    for _ in range(rounds):
        length = rng.randrange(len(content))
        yield f"cut to {length} bytes", content[:length]
    yield "empty", b""
    yield "cut by one byte", content[:-1]
    yield "gone", None
    if older != content:
        yield "that of the checkpoint before", older


def _put(path: Path, content: bytes | None) -> None:
    path.unlink()
    if content is not None:
        path.write_bytes(content)


def _next_attempt(scene: Any, older: str, newest: str) -> list[str]:
    """Do what a trainer does first; what is wrong with it, in words."""
    from aecore.jobs import train
    from aecore.training import restore

    before = len(_said(scene.work.lab, scene.work.job.run_id))
    with contextlib.redirect_stdout(io.StringIO()):
        path, _ = train.recover(scene.work)
    said = _said(scene.work.lab, scene.work.job.run_id)[before:]
    if path is None or path.name != older:
        return [f"{path} was used."]
    if restore(path, scene.config).step != manifest.step_of(path):
        return ["The checkpoint before is not what it says."]
    step = manifest.step_of(Path(newest))
    sentence = f"The checkpoint of step {step:,} is damaged and was set aside: "
    if len(said) != 1 or not said[0].startswith(sentence):
        return [f"The history says {said}."]
    return [] if (path.parent / f"damaged-{newest}").is_dir() else ["It was not set aside."]


def _said(lab: Lab, run_id: str) -> list[str]:
    return [event.reason for event in events(lab, run_id)]
