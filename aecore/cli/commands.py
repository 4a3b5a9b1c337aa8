"""The verbs of the command line: each takes its arguments and gives an answer for machines and for people."""

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from aecore import data
from aecore.config import (
    Config,
    ConfigError,
    ModelConfig,
    RunConfig,
    members,
    override,
    preset,
    presets,
    reads,
    with_values,
)
from aecore.jobs import doctor, queue, supervisor
from aecore.jobs.children import PATIENT
from aecore.jobs.forecast import Forecast, first, forecast, told
from aecore.runs import Lab, LabError, RunFolder, RunRow, events, owned_by, rights, run, runs
from aecore.runs.history import history
from aecore.runs.lab import is_lab, place_of
from aecore.runs.text import table
from aecore.runs.times import ordinal, when


class Answer(NamedTuple):
    """What a verb gives: for machines, for people, and the exit code."""

    data: Any
    text: str
    code: int = 0


class Refused(Exception):
    """The person said no, or a run did not end well: a sentence and an exit code."""

    def __init__(self, sentence: str, code: int = 1):
        super().__init__(sentence)
        self.code = code


MAKE_ONE = ("presets", "datasets", "submit", "train", "sweep", "supervise")
"""Verbs that make a lab where there is none; the first two say what can be done in it."""


def open_lab(args: argparse.Namespace) -> Lab:
    """The lab, as who gives the command sees it. Raises LabError where there is none, and the verb has nothing to put into it."""
    place = place_of(args.lab)
    if not (is_lab(place) or args.verb in MAKE_ONE or getattr(args, "set", None)):
        raise LabError(f"There is no lab in {place}: “python -m aecore submit” or “train” makes one there.")
    return Lab.open(args.lab, args.data_root).seen_by(args.user)


def show_presets(args: argparse.Namespace) -> Answer:
    known = presets(open_lab(args).presets_folder)
    rows = [[name, p.config.data.name, p.title, p.flaw] for name, p in known.items()]
    found = {name: p.model_dump(mode="json") for name, p in known.items()}
    return Answer(found, table(["preset", "data set", "what", "known flaw"], rows))


def show_datasets(args: argparse.Namespace) -> Answer:
    roots = open_lab(args).data_roots
    known = [(d, bool(d.present(roots))) for d in data.DATASETS.values()]
    found = [
        {"name": d.name, "kind": d.kind, "shape": d.shape, "train": d.n_train, "test": d.n_test}
        | {"megabytes": d.megabytes, "present": here, "title": d.title}
        for d, here in known
    ]
    rows = [_dataset_line(d, here) for d, here in known]
    return Answer(found, table(["data set", "kind", "shape", "train", "test", "here", "what"], rows))


def _dataset_line(d: data.Dataset, present: bool) -> list[Any]:
    shape = "x".join(map(str, d.shape or ("?",)))
    here = "yes" if present else f"no, {d.megabytes:.0f} MB"
    return [d.name, d.kind, shape, d.n_train or "?", d.n_test or "?", here, d.title]


def show_models(args: argparse.Namespace) -> Answer:
    return _parts({name: members(field.annotation) for name, field in ModelConfig.model_fields.items()})


def show_tasks(args: argparse.Namespace) -> Answer:
    return _parts({"task": members(RunConfig.model_fields["task"].annotation)})


def _parts(parts: dict[str, dict[str, type[Config]]]) -> Answer:
    lines = [
        (part, kind, (c.__doc__ or "").splitlines()[0]) for part, kinds in parts.items() for kind, c in kinds.items()
    ]
    found = {part: {kind: c.model_json_schema() for kind, c in kinds.items()} for part, kinds in parts.items()}
    return Answer(found, table(["part", "kind", "what"], lines))


def configured(args: argparse.Namespace, lab: Lab) -> RunConfig:
    """The configuration that --preset or --config, --dataset and --set mean."""
    if args.config is not None:
        try:
            config = reads(Path(args.config).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ConfigError({"": f"The configuration {args.config} cannot be read: {why}."}) from None
    else:
        config = preset(args.preset, lab.presets_folder).config
    if args.dataset is not None:
        config = with_values(config, {"data.name": data.dataset(args.dataset).name})
    return override(config, args.set)


def submit(args: argparse.Namespace) -> Answer:
    lab = open_lab(args)
    run_id = queue.submit(lab, configured(args, lab), args.user, private=args.private, tell=args.tell)
    supervisor.ensure_supervisor(lab)
    return Answer({"run": run_id}, run_id)


def train(args: argparse.Namespace) -> Answer:
    os.environ.update(PATIENT | os.environ)  # before torch is imported
    from aecore.jobs.foreground import train_here
    from aecore.jobs.progress import Bar

    lab = open_lab(args)
    config = configured(args, lab)
    with Bar() as bar:
        run_id = train_here(lab, config, args.user, private=args.private, began=bar.began, show=bar.show)
    row = run(lab, run_id)
    if row.state == "failed":
        raise Refused(row.reason.splitlines()[0])
    result = {"run": run_id, "state": row.state, "reason": row.reason, **(lab.run(run_id).result() or {})}
    return Answer(result, f"{row.reason}\n{_figures(result)}", 0 if row.state == "completed" else 130)


def _figures(result: dict[str, Any]) -> str:
    names = [
        name
        for name in ("loss", "mse", "psnr", "ssim", "gain", "parameters", "code_size")
        if result.get(name) is not None
    ]
    return table(
        names, [[f"{result[name]:.4g}" if isinstance(result[name], float) else result[name] for name in names]]
    )


def show_runs(args: argparse.Namespace) -> Answer:
    lab = open_lab(args)
    _at_least_one("limit", args.limit)
    there, expected = [row for row in runs(lab) if args.archived or row.archived is None], forecast(lab)
    found = there[: args.limit]
    head = ["run", "state", "owner", "data set", "model", "code", "progress", "loss", "images/s"]
    head += ["place", "starts", "ends"]
    none = "No runs yet: `python -m aecore train --preset demo` makes one."
    text = table(head, [_run_line(row, expected.get(row.id)) for row in found]) if found else none
    content = [asdict(row) | {"forecast": (one := expected.get(row.id)) and one._asdict()} for row in found]
    return Answer(content, text)


def _at_least_one(option: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise Refused(f"--{option} is {value}, but must be at least 1.")


def _run_line(row: RunRow, expected: Forecast | None) -> list[Any]:
    return [
        *(row.id, row.shown, row.owner, row.dataset, f"{row.backbone}/{row.bottleneck}", row.code_size),
        f"{row.progress:.0%}",
        "" if row.loss is None else f"{row.loss:.4g}",
        "" if row.images_per_second is None else f"{row.images_per_second:,.0f}",
        *_times(row, expected),
    ]


def _times(row: RunRow, expected: Forecast | None) -> list[str]:
    """Place in the queue, start and end: of a waiting run as they are expected, of others as they were measured."""
    now = time.time()
    if expected is not None:
        return [f"{ordinal(expected.position)}{first(expected)}", when(expected.starts, now), when(expected.ends, now)]
    ends = row.ended if row.eta_seconds is None else now + row.eta_seconds
    return ["", when(row.started, now), when(ends, now)]


def show_run(args: argparse.Namespace) -> Answer:
    lab = open_lab(args)
    row, past = run(lab, args.run), events(lab, args.run)
    folder = RunFolder(lab.runs_folder / row.id)
    expected = forecast(lab).get(row.id)
    found: dict[str, Any] = {
        "run": asdict(row),
        "forecast": expected and expected._asdict(),
        "config": folder.config().model_dump(mode="json") if folder.reachable else None,
        "result": folder.result(),
    }
    found |= {"analysis": folder.analysis_metrics(), "events": [event._asdict() for event in past]}
    lines = [
        f"{row.id}: {row.shown}, {row.owner}'s. {row.reason}",
        f"step {row.step:,} of {row.total_steps or 0:,}, epoch {row.epoch} of {row.epochs}",
        *([] if folder.reachable else [f"Its folder {folder.path} is not there, or cannot be read."]),
        *([f"goes on from {row.parent}"] if row.parent else []),
        *([" ".join(filter(None, [f"{told(expected)}.", expected.rule, expected.why]))] if expected else []),
    ]
    lines += [_figures(found["result"])] if found["result"] else []
    lines += [table(["when", "what"], [[when(line.at), line.sentence] for line in history(past)])]
    return Answer(found, "\n".join(lines))


def show_log(args: argparse.Namespace) -> Answer:
    lab = open_lab(args)
    _at_least_one("lines", args.lines)
    text = lab.run(run(lab, args.run).id).log(args.lines)
    return Answer({"run": args.run, "log": text}, text)


def stop(args: argparse.Namespace) -> Answer:
    lab = open_lab(args)
    ask(args, lab, run(lab, args.run), "Stop", rights.Verb.STOP)
    shown = queue.stop(lab, args.run, args.user)
    return Answer({"run": args.run, "state": shown}, f"{args.run}: {shown}")


def ask(args: argparse.Namespace, lab: Lab, row: RunRow, verb: str, may: rights.Verb) -> None:
    """Before somebody else's run is touched. Raises Forbidden where that is not allowed, Refused where the answer is no."""
    lab.demand(may, row.owner)
    if owned_by(row, args.user) or args.yes:
        return
    print(f"{verb} {row.owner}'s run {row.id}? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Refused(f"Nothing was changed: {row.id} is {row.owner}'s run (--yes does not ask).")


def supervise(args: argparse.Namespace) -> Answer:
    lab = open_lab(args).seen_by(None)
    print(
        f"Supervising {lab.path} with {lab.settings.cpu_slots} CPU slots; Ctrl-C leaves, runs go on.", file=sys.stderr
    )
    if not supervisor.supervise(lab):
        raise Refused(f"The lab {lab.path} has a supervisor already: process {supervisor.running(lab)}.")
    return Answer({"lab": str(lab.path)}, "Left.")


def show_doctor(args: argparse.Namespace) -> Answer:
    checks = doctor.examine(args.lab, args.data_root, args.user)
    rows = [[{True: "ok", False: "PROBLEM", None: "-"}[c.fine], c.name, c.text] for c in checks]
    return Answer(
        [c._asdict() for c in checks], table(["", "what", ""], rows), int(any(c.fine is False for c in checks))
    )


Verb = Callable[[argparse.Namespace], Answer]
LISTS: dict[str, Verb] = {
    "presets": show_presets,
    "datasets": show_datasets,
    "models": show_models,
    "tasks": show_tasks,
    "supervise": supervise,
    "doctor": show_doctor,
}
OF_A_CONFIG: dict[str, Verb] = {"train": train, "submit": submit}
OF_A_RUN: dict[str, Verb] = {
    "show": show_run,
    "log": show_log,
    "stop": stop,
}
