"""What a waiting process does before its run comes: everything that is slow the first time, on the demo's own images."""

import contextlib

import torch

from aecore import training
from aecore.analysis.sampling import Sampler
from aecore.config import preset, with_values
from aecore.runs import Lab


def rehearse(lab: Lab) -> None:
    """Train two steps of the demo on the CPU and take a picture; nothing is kept but the images, which are drawn once.

    What fails here fails again, with its sentence, in a run that needs it: so nothing is said.
    """
    with contextlib.suppress(Exception):
        config = with_values(preset("demo").config, {"training.device": "cpu", "training.max_steps": 2})
        whole = training.prepare(config, lab.data_roots, torch.device("cpu"))
        data = whole.watching(64)
        state = training.start(config, data.facts, torch.get_num_threads())
        sampler = Sampler(data, state.model, config)
        for _ in training.train(state, data, config):
            pass
        sampler.take(state.model)
