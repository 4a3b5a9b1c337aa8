"""Checkpoints: safetensors and JSON in a folder of their own, whole or not there at all.

<step>-<attempt>/ holds encoder.safetensors, decoder.safetensors (each usable alone), optimiser.safetensors, state.json and,
written last, the manifest (`aecore.manifest`). The folder is written under another name, flushed to the disk, and renamed.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from aecore import manifest
from aecore.config import ConfigError, Facts, ModelConfig, RunConfig
from aecore.manifest import MANIFEST, Mark
from aecore.models import Autoencoder, unset
from aecore.training import device as devices
from aecore.training import engines
from aecore.training.rows import Diverged, Row
from aecore.training.state import Best, Engine, TrainState, assemble


def commit(folder: Path, state: TrainState, mark: Mark, attempt: int, facts: Facts) -> Path:
    """Keep `state` under `folder`, durably, with what of the run's folder belongs to it.

    A step that this attempt has kept already is left as it is: its rows that were not handed out then lie in it.

    `facts` are those of the data that the model was built for.

    Raises:
        OSError, safetensors.SafetensorError: where it cannot be written; nothing is left behind then.
        Diverged: where losses that were still on the device, or the weights themselves, are not finite.
    """
    path = folder / f"{state.step:08d}-{attempt}"
    if path.exists():
        return path
    unfinished = folder / f".tmp-{path.name}-{os.getpid()}"
    try:
        unfinished.mkdir(parents=True)
        _write(unfinished, state, mark, facts)
        unfinished.rename(path)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    _flush(folder)
    return path


def restore(path: Path, config: RunConfig) -> TrainState:
    """The state that was kept, on the engine that it was started on (a free choice where `training.exact` is off).

    Raises:
        ConfigError: where the engine's device is not there any more, or the checkpoint is of another model.
    """
    kept = _read_state(path)
    engine: Engine = kept["engine"]
    engine.setdefault("engine", "eager")  # what there was before there were others
    facts = Facts.read(kept["facts"])
    model = load_model(path, config.model, facts)
    if config.training.exact:
        devices.choose(torch.device(engine["device"]).type)
    else:
        device = devices.choose(config.training.device)
        engine["device"] = str(device)
        engine["engine"], engine["threads"] = engines.settle(
            config, model, device, facts.n_train, torch.get_num_threads()
        )
    state = assemble(model, config, facts, engine)
    tensors = load_file(path / "optimiser.safetensors")
    state.noise.set_state(tensors.pop("noise"))
    for optimiser in state.optimisers:
        optimiser.load(tensors)
    state.step, state.epoch, state.position, state.watched = (kept[k] for k in ("step", "epoch", "position", "watched"))
    state.best = Best(*kept["best"])
    state.rows.extend(Row(*row) for row in kept["rows"])
    state.losses.names, state.losses.sums, state.losses.count = tuple(kept["names"]), kept["sums"], kept["count"]
    return state


def load_model(path: Path, config: ModelConfig, facts: Facts | None = None) -> Autoencoder:
    """The model of a checkpoint, on the CPU, in evaluation mode. `facts` are the checkpoint's own by default.

    Raises:
        ConfigError: where the checkpoint is of another model.
    """
    model = unset(config, facts or kept_facts(path))
    try:
        for name, part in model.named_children():
            if part.state_dict():
                part.load_state_dict(load_file(path / f"{name}.safetensors"))
    except (RuntimeError, OSError) as error:
        raise ConfigError({"": f"The checkpoint {path.name} does not fit the run's model: {error}"}) from None
    return model.eval()


def kept_facts(path: Path) -> Facts:
    """Facts of the data that a checkpoint's model was built for."""
    return Facts.read(_read_state(path)["facts"])


def _write(folder: Path, state: TrainState, mark: Mark, facts: Facts) -> None:
    """Every file of a checkpoint, the manifest last, each of them flushed to the disk."""
    state.rows.extend(state.losses.flush())
    _check(state)
    for name, part in state.model.named_children():
        if part.state_dict():
            _save(part.state_dict(), folder / f"{name}.safetensors")
    moments = {name: tensor for one in state.optimisers for name, tensor in one.tensors().items()}
    _save(moments | {"noise": state.noise.get_state()}, folder / "optimiser.safetensors")
    _write_json(folder / "state.json", _scalars(state) | {"facts": facts._asdict()})
    files = {path.name: [path.stat().st_size, manifest.digest_of(path)] for path in sorted(folder.iterdir())}
    content = manifest.sealed({"files": files, "step": state.step, **mark._asdict()})
    (folder / MANIFEST).write_text(content, encoding="utf-8")
    for path in (*folder.iterdir(), folder):
        _flush(path)


def _check(state: TrainState) -> None:
    """A checkpoint is healthy or not written: a finite loss can have had a gradient that was not."""
    sums = [parameter.detach().float().sum() for parameter in state.model.parameters()]
    if sums and not bool(torch.isfinite(torch.stack(sums)).all()):
        raise Diverged(state.step, float("nan"), "sum of the weights")


def _scalars(state: TrainState) -> dict[str, Any]:
    """The part of a state that is not tensors. JSON keeps a double exactly."""
    return {
        "step": state.step,
        "epoch": state.epoch,
        "position": state.position,
        "watched": state.watched,
        "best": state.best,
        "engine": state.engine,
        "rows": list(state.rows),
        "names": state.losses.names,
        "sums": state.losses.sums,
        "count": state.losses.count,
    }


def _save(tensors: dict[str, Tensor], path: Path) -> None:
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def _read_state(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((path / "state.json").read_text(encoding="utf-8"))
    return content


def _flush(path: Path) -> None:
    """Make the system write a file or a folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
