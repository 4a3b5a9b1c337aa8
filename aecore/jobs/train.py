"""The job 'train': from a configuration to a trained model, with everything that pages show of it."""

import math
import platform
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aecore import data, manifest, training
from aecore.analysis.evaluation import evaluate
from aecore.analysis.seen import seen, wanted
from aecore.config import Facts, RunConfig, with_values
from aecore.data import DataError
from aecore.jobs import queue, states
from aecore.jobs.recorder import Recorder
from aecore.jobs.work import Shown, Stopped, Work
from aecore.manifest import Mark
from aecore.models import Progress
from aecore.models.summary import summarise
from aecore.runs import Lab, LabError
from aecore.runs.times import span
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
    world = training.join(device.type)
    prepared = training.prepare(config, work.lab.data_roots, device)
    path, mark = world.told(lambda: work.patiently(lambda: recover(work), 0))
    state = begin(path, config, prepared.facts, work.threads)
    if path is not None:
        work.say(f"Goes on from step {state.step:,}.")
        work.beat(step=state.step, checkpoint_step=state.step)
    model = described(prepared.facts, state) | needed(config, prepared, state.device)
    work.patiently(lambda: work.folder.write_model(model), state.step)
    recorder = Recorder(work, state, prepared, mark)
    work.beat(total_steps=recorder.total_steps, device=devices.describe(state.device), reason="")
    try:
        for row in training.train(state, prepared, config):
            recorder.row(row)
            if world.agree(work.stop.asked):
                break
    except training.Diverged as error:
        recorder.keep_the_curve(error.rows)
        raise
    except (Stopped, states.Fenced):
        raise
    except Exception:
        with suppress(OSError):
            recorder.flush()
        raise
    if work.stop.asked and not _is_the_end(work):
        recorder.keep()
        raise Stopped(state.step)
    recorder.finish()
    _conclude(work, config, recorder, prepared)


def follow(lab: Lab, run_id: str) -> None:
    """Be one of the other processes of a run that several train: do as the first one does, and write nothing."""
    config = lab.run(run_id).config()
    device = devices.choose(config.training.device)
    world = training.join(device.type)
    prepared = training.prepare(config, lab.data_roots, device)
    path, _ = world.told(lambda: (None, Mark()))  # the first process knows
    state = begin(path, config, prepared.facts, torch.get_num_threads())
    for _ in training.train(state, prepared, config):
        if world.agree(False):
            break


def begin(path: Path | None, config: RunConfig, facts: Facts, threads: int | None) -> training.TrainState:
    """The run at step 0, or as a checkpoint has it.

    Raises:
        ConfigError: where the device that it began on is not there any more.
        DataError: where the images are not those that it began with.
    """
    if path is None:
        return training.start(config, facts, threads)
    if (kept := training.kept_facts(path)) != facts:
        raise DataError(
            f"The images have changed since this run began: there were {_images(kept)}, and there are {_images(facts)}, or its "
            "classes have other names. Put them back and resume it, or clone it to train on those that there are."
        )
    return training.restore(path, config)


def _images(facts: Facts) -> str:
    shape, classes = "x".join(map(str, facts.shape)), len(facts.class_names)
    return f"{facts.n_train:,} training images of {shape} in {classes} class{'es' * (classes != 1)}"


def recover(work: Work) -> tuple[Path | None, Mark]:
    """The newest whole checkpoint, None at the start; what was written after it is taken back.

    Raises:
        LabError: where there were checkpoints and none of them can be used. A run never starts over silently.
    """
    folder = work.folder
    manifest.tidy(folder.checkpoints)
    path, damaged = manifest.survey(folder.checkpoints)
    for lost in damaged:
        manifest.set_aside(lost)
        work.say(f"The checkpoint of step {manifest.step_of(lost.path):,} is damaged and was set aside: {lost.problem}")
    if path is None and (damaged or work.job.checkpoint_step is not None):
        raise LabError("No checkpoint of this run can be used any more: clone it to train it from the start.")
    mark = manifest.mark(path) if path else Mark()
    folder.rewind(mark.metrics_bytes, manifest.step_of(path) if path else -1)
    return path, mark


def _is_the_end(work: Work) -> bool:
    """Whether who is asked to leave will not come back: then the figures are worth their time."""
    return work.wanted() == "cancel" or (work.wanted() == "run" and work.job.engine == "foreground")


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


def needed(config: RunConfig, prepared: training.Data, device: torch.device) -> dict[str, Any]:
    """Bytes that the run is expected to take, and that its GPU has: where they do not suffice, a batch that fits is named."""
    batch = config.training.batch_size
    of_batch, of_one = (
        training.memory.estimate(
            with_values(config, {"training.batch_size": size}), prepared.facts, prepared.streamed
        ).total
        for size in (batch, config.training.processes)
    )
    total = torch.cuda.mem_get_info(device)[1] if device.type == "cuda" else None
    return {"memory": {"batch_size": batch, "of_batch": of_batch, "of_one": of_one}, "device_memory": total}


def _conclude(work: Work, config: RunConfig, recorder: Recorder, prepared: training.Data) -> None:
    seconds, speed = recorder.seconds, recorder.mean_speed
    stopped, reason = work.stop.asked, _completed(recorder, seconds)
    figures = _figures(config, recorder, prepared) | {"seconds": seconds, "images_per_second": speed}
    # of a run that is over, the speed of the whole of it and not of its last moment, and the loss of its last step
    work.patiently(lambda: work.beat(images_per_second=speed, loss=figures["loss"]), recorder.state.step)
    figures |= {} if stopped else {"reason": reason}
    work.patiently(lambda: work.folder.write_result(figures), recorder.state.step)
    # Before the last word: who reads 'completed' finds the analysis at least queued. A run that was deleted needs none.
    if work.job.engine != "foreground":
        with suppress(LabError):
            queue.submit_job(work.lab, work.job.run_id, "analyse", work.job.owner)
    if stopped:
        raise Stopped(recorder.state.step)
    work.patiently(lambda: work.end("completed", reason), recorder.state.step)


def _completed(recorder: Recorder, seconds: float) -> str:
    step, total = recorder.state.step, recorder.total_steps
    early = f"; stopped early, {total - step:,} steps before the end" if step < total else ""
    return f"Completed {step:,} steps in {span(seconds)}{early}."


def _loss(config: RunConfig, recorder: Recorder, prepared: training.Data) -> float | None:
    """Of the watched images as the model is now; a run that was stopped may have been looked at long before."""
    if recorder.state.watched == recorder.state.step:
        return recorder.loss
    end = Progress(recorder.total_steps, recorder.total_steps)
    found = training.evaluate(recorder.state.model, prepared, config, end)["loss"]
    return found if math.isfinite(found) else None


def _figures(config: RunConfig, recorder: Recorder, prepared: training.Data) -> dict[str, Any]:
    """What result.json holds: the last figures on the watched split."""
    split = data.watch_split(config.data)
    images = prepared.watch_images.cpu().numpy()
    labels, facts = prepared.watch_labels.cpu().numpy(), prepared.facts
    targets, inputs = wanted(config, images, facts), seen(config, images, facts)
    found = evaluate(recorder.state.model, targets, facts, inputs, labels)
    model = recorder.folder.model() or {}
    return {
        "split": split,
        "loss": _loss(config, recorder, prepared),
        **{name: value for name, value in found.items() if name != "n"},
        "parameters": model["parameters"],
        "code_size": model["code_size"],
        "steps": recorder.state.step,
        "peak_memory": devices.peak(recorder.state.device),
    }
