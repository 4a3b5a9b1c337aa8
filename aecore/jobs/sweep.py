"""A sweep: one configuration with one or two fields varied, as a group of queued runs that belong together."""

import hashlib
import math
import random
import re
import secrets
from collections.abc import Mapping, Sequence
from itertools import product

from aecore import data
from aecore.config import ConfigError, RunConfig, code_size_path, flat, override, short, suggest, with_values, writes
from aecore.jobs import queue, quota
from aecore.runs import Lab
from aecore.runs.text import slug

MOST = 200
"""Runs in one sweep."""
LONGEST = 80
"""Letters of a run's name."""
CODE_SIZE = "code_size"
"""Stands for the field that sets the number of code units, whatever it is called there."""
SEED = "training.seed"


def plan(base: RunConfig, fields: Mapping[str, str], sample: int | None = None, seeds: int = 1) -> list[RunConfig]:
    """The configurations of a sweep, in the order in which they are queued.

    Args:
        fields: {path: values}, one or two of them. Values as in '2, 4, 8' (with ';' between lists), or, where a sample is
            drawn, a range as in '1e-4 .. 1e-2'. The path 'code_size' stands for the field that sets it.
        sample: so many of the combinations, drawn at random with a fixed seed; None for all.
        seeds: each of them with so many values of `training.seed`, from the base's on; 1 where that is varied itself.

    Raises:
        ConfigError: where a path is unknown, a value is not allowed, or there are none or too many.
    """
    if not 1 <= len(fields) <= 2:
        raise ConfigError({"": f"A sweep varies one or two fields, not {len(fields)}."})
    if seeds < 1 or (sample is not None and sample < 1):
        raise ConfigError({"": "A sweep needs at least one seed and, where it is drawn at random, one sample."})
    paths = {_path(base, path): values for path, values in fields.items()}
    if len(paths) < len(fields):
        raise ConfigError({"": f"{' and '.join(fields)} are the same field: give all of its values at once."})
    if SEED in paths and seeds > 1:
        raise ConfigError(
            {"": f"This sweep varies {SEED}, and asks for {seeds} seeds of each as well: choose one of them."}
        )
    points = _points(paths, sample)
    if len(points) * seeds > MOST:
        raise ConfigError({"": f"This sweep has {len(points) * seeds:,} runs, but at most {MOST} go together."})
    own = code_size_path(base)
    return [
        _config(base, dict(zip(paths, values, strict=True)), own, seed, seeds)
        for values in points
        for seed in range(seeds)
    ]


def _config(base: RunConfig, values: dict[str, str], own: str | None, seed: int, seeds: int) -> RunConfig:
    """One run of it, with what is varied at the end of its name, which is not what is cut of a long one."""
    words = {path: "code" if path == own else short(path).replace("_", " ") for path in values}
    if len(set(words.values())) < len(words):  # as of two activations
        words = {path: " ".join(path.split(".")[-2:]) for path in values}
    said = {words[path]: value for path, value in values.items()}
    said |= {"seed": str(base.training.seed + seed)} if seeds > 1 else {}
    varied = "".join(f", {word} {value}" for word, value in said.items())[:LONGEST]
    name = _unvaried(base, said, own)[: LONGEST - len(varied)] + varied
    found = override(base, [f"{path}={value}" for path, value in values.items()])
    return with_values(found, {"name": name, SEED: found.training.seed + seed})


def _unvaried(base: RunConfig, said: Mapping[str, str], own: str | None) -> str:
    """Its name without what is varied: that of 'demo-2' and of 'demo, code 2' is 'demo' where that is the code size."""
    first, *rest = (base.name or base.data.name).split(", ")
    if own and "code" in said:
        first = first.removesuffix(f"-{flat(base)[own]}")
    return ", ".join([first, *(part for part in rest if part.rpartition(" ")[0].replace("_", " ") not in said)])


def _path(base: RunConfig, path: str) -> str:
    known = flat(base)
    found = code_size_path(base) if path == CODE_SIZE else path
    if found is None:
        raise ConfigError(
            {path: "The code size of this model follows from its layers: vary a field of the layers instead."}
        )
    if found not in known:
        raise ConfigError({path: f"{path} is not a field of this configuration: {suggest(path, known)}"})
    return found


def _points(fields: Mapping[str, str], sample: int | None) -> list[tuple[str, ...]]:
    draw = random.Random(0)
    if sample is not None and any(".." in values for values in fields.values()):
        columns = [_drawn(path, values, sample, draw) for path, values in fields.items()]
        return list(dict.fromkeys(zip(*columns, strict=True)))
    whole = list(product(*(_values(path, values) for path, values in fields.items())))
    if sample is None or sample >= len(whole):
        return whole
    return [whole[place] for place in sorted(draw.sample(range(len(whole)), sample))]


def _values(path: str, text: str) -> list[str]:
    found = list(dict.fromkeys(part.strip() for part in re.split(";" if ";" in text else ",", text) if part.strip()))
    if not found:
        raise ConfigError({path: f"{path} has no values: write some, as in 2, 4, 8."})
    if any(".." in value for value in found):
        raise ConfigError(
            {path: f"{path} has a range: a range needs a random sample; a grid needs values, as in 2, 4, 8."}
        )
    return found


def _drawn(path: str, text: str, count: int, draw: random.Random) -> list[str]:
    """Values from a list, or from a range: evenly on a logarithmic scale where both ends are above zero."""
    low, dots, high = text.partition("..")
    if not dots:
        return draw.choices(_values(path, text), k=count)
    try:
        ends = (float(low), float(high))
    except ValueError:
        ends = (math.nan, math.nan)
    if not ends[0] < ends[1]:
        raise ConfigError(
            {path: f"{path} has the range {text.strip()!r}, which must be two numbers, the smaller one first."}
        )
    whole = all(end.strip().lstrip("-").isdigit() for end in (low, high))
    steps, logarithmic = [draw.random() for _ in range(count)], ends[0] > 0
    found = [ends[0] * (ends[1] / ends[0]) ** u if logarithmic else ends[0] + u * (ends[1] - ends[0]) for u in steps]
    return [str(round(value)) if whole else f"{value:.3g}" for value in found]


def submit(
    lab: Lab,
    configs: Sequence[RunConfig],
    owner: str,
    at_once: int | None = None,
    nonce: str | None = None,
    private: bool = False,
) -> tuple[str, list[str]]:
    """Queue the runs of a sweep, of which at most `at_once` run at the same time. Returns its id and theirs.

    All of them are checked before the first is queued. The same owner, nonce and configurations give the same sweep, and
    complete it where the first try was cut short.

    Raises:
        ConfigError: where a configuration does not fit its data; DataError: where that is not there.
        LabError: where they are more than a person may have waiting, or the lab cannot be written.
    """
    if at_once is not None and at_once < 1:
        raise ConfigError({"": f"At most {at_once} runs at once: at least 1 is needed."})
    for config in configs:
        data.suited(config, lab.data_roots)
    content = "\n".join([owner, nonce or secrets.token_hex(8), *map(writes, configs)])
    name = (configs[0].name or configs[0].data.name).partition(", ")[0]  # what follows is varied
    group = queue.Group(f"{slug(name, 24) or 'sweep'}-{hashlib.sha256(content.encode()).hexdigest()[:6]}", at_once)
    quota.ask(lab, owner, configs, group.id)
    return group.id, [
        queue.submit(lab, config, owner, nonce=group.id, group=group, private=private) for config in configs
    ]
