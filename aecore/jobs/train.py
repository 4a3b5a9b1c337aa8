"""The job 'train': from a configuration to a trained model, with everything that pages show of it."""

import platform
from contextlib import suppress
from typing import Any

import numpy as np
import torch

from aecore import data, training
from aecore.analysis.evaluation import evaluate
from aecore.config import Facts, RunConfig
from aecore.jobs import queue
from aecore.jobs.recorder import Recorder
from aecore.jobs.work import Shown, Stopped, Work
from aecore.models.summary import summarise
from aecore.runs import LabError
from aecore.training import device as devices


def train(work: Work) -> None:
    """Train the run of this job to its end, or until it is asked to stop; then it saves first.

    Raises:
        ConfigError, DataError: what does not fit or cannot be had.
        Diverged: the loss was not finite.
        Fenced: another attempt took over.
    """
    config = work.folder.config()
    data.ensure(config.data, work.lab.data_roots, lambda done, total: _downloading(work, done, total))
    device = devices.choose(config.training.device)
    prepared = training.prepare(config, work.lab.data_roots, device)
    state = training.start(config, prepared.facts, work.threads)
    work.folder.write_model(described(prepared.facts, state))
    recorder = Recorder(work, state, prepared)
    work.beat(total_steps=recorder.total_steps, device=devices.describe(device), reason="")
    for row in training.train(state, prepared, config):
        recorder.row(row)
        if work.stop.asked:
            break
    recorder.finish()
    _conclude(work, config, recorder, prepared)


def _downloading(work: Work, done: int, total: int) -> None:
    note = f"downloading {done / 1e6:.0f} of {total / 1e6:.0f} MB"
    work.beat(reason=note)
    work.show(Shown(0, 0, 0, None, 0.0, note))
    if work.stop.asked:
        raise Stopped


def described(facts: Facts, state: training.TrainState) -> dict[str, Any]:
    """What model.json holds: enough to build the model again, and to show it without building it."""
    layers = summarise(state.model, facts)
    return {
        "facts": facts._asdict(),
        "parameters": layers.parameters,
        "code_shape": layers.code_shape,
        "code_size": layers.code_size,
        "compression": layers.compression,
        "layers": [layer._asdict() for layer in layers.layers],
        **state.engine,
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__},
    }


def _conclude(work: Work, config: RunConfig, recorder: Recorder, prepared: training.Data) -> None:
    stopped = work.stop.asked
    ending = ending_of_stop(work, recorder.state.step) if stopped else ("completed", "", _completed(recorder))
    state, reason_code, reason = ending
    work.folder.write_result(_figures(config, recorder, prepared) | {"reason": reason})
    # Before the last word: who reads 'completed' finds the analysis at least queued. A run that was deleted needs none.
    if work.job.engine != "foreground":
        with suppress(LabError):
            queue.submit_job(work.lab, work.job.run_id, "analyse", work.job.owner)
    work.end(state, reason, reason_code)


def ending_of_stop(work: Work, step: int) -> tuple[str, str, str]:
    """State, reason code and sentence of a run that was asked to leave: by a person, or by the machine."""
    saved = f"at step {step:,}; the model was saved" if step else "before it began"
    if work.wanted() == "cancel":
        return "cancelled", "user", f"Stopped by {queue.stopper(work.lab, work.job.id)} {saved}."
    if work.job.engine == "foreground":  # Ctrl-C
        return "cancelled", "user", f"Stopped by {work.job.owner} {saved}."
    return "failed", "signal", f"The run's process was told to leave from outside {saved}."


def _completed(recorder: Recorder) -> str:
    step, total = recorder.state.step, recorder.total_steps
    early = f"; stopped early, {total - step:,} steps before the end" if step < total else ""
    return f"Completed {step:,} steps in {recorder.seconds:.0f} s{early}."


def _figures(config: RunConfig, recorder: Recorder, prepared: training.Data) -> dict[str, Any]:
    """What result.json holds: the last figures on the watched split."""
    split = data.watch_split(config.data)
    images = prepared.watch_images.cpu().numpy()
    seen = evaluate(recorder.state.model, images, prepared.facts)
    model = recorder.folder.model() or {}
    return {
        "split": split,
        "loss": recorder.latest.get((split, "loss")),
        **{name: seen[name] for name in ("mse", "psnr", "ssim")},
        "parameters": model["parameters"],
        "code_size": model["code_size"],
        "seconds": recorder.seconds,
        "steps": recorder.state.step,
        "images_per_second": recorder.mean_speed,
    }
