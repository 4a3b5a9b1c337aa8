"""A run in the middle of its training, inside this process: what a trainer holds when it makes a checkpoint. Imports torch."""

from dataclasses import dataclass
from pathlib import Path

import torch

from aecore import manifest, training
from aecore.config import RunConfig
from aecore.jobs import queue, states
from aecore.jobs.recorder import Recorder
from aecore.jobs.work import Work
from aecore.runs import Lab
from torture.world import small

EVERY = 20
"""Steps between two checkpoints."""


@dataclass
class Scene:
    """A run, its trainer's recorder, and its training loop."""

    work: Work
    config: RunConfig
    state: training.TrainState
    data: training.Data
    recorder: Recorder

    @property
    def folder(self) -> Path:
        return self.work.folder.path

    def train(self, steps: int) -> None:
        """Go on for so many steps. The recorder takes the rows, and writes none of them by itself."""
        end = self.state.step + steps
        for row in training.train(self.state, self.data, self.config):
            if row is not None:
                self.recorder.waiting.append(row)
            if self.state.step >= end:
                break

    def keep(self) -> int:
        """Make a checkpoint as a trainer does. Returns its step."""
        self.recorder.keep()
        return self.state.step


def set_up(path: Path, data: training.Data | None = None) -> Scene:
    """Queue a run in the lab of a folder, take it, and stand before its first step."""
    torch.set_num_threads(1)
    lab = Lab.open(path)
    config = small(100_000)
    run_id = queue.submit(lab, config, "torture")
    job = queue.jobs(lab, run_id)[0]
    states.move(lab, job.id, "starting", by="torture")
    attempt = states.claim(lab, job.id, "torture")
    assert attempt is not None
    work = Work(lab, queue.job(lab, job.id), attempt, 1)
    data = data or training.prepare(config, lab.data_roots, torch.device("cpu"))
    state = training.start(config, data.facts, 1)
    return Scene(work, config, state, data, Recorder(work, state, data))


def advanced(scene: Scene, checkpoints: int) -> None:
    """Make so many checkpoints, the first of them the best, and train on for as many steps as lie between two."""
    for number in range(checkpoints):
        scene.train(EVERY)
        if number == 0:
            scene.state.best = scene.state.best._replace(step=scene.state.step)
        scene.keep()
    scene.train(EVERY)


def visible(folder: Path) -> list[str]:
    """Checkpoints that a reader takes for whole ones and that are not, with what is wrong with them."""
    problems = ((path.name, manifest.damage(path)) for path in folder.glob("[0-9]*"))
    return [f"{name}: {problem}" for name, problem in problems if problem]
