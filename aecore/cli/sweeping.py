"""The verb of the command line that queues many runs at once."""

import argparse

from aecore.cli.commands import Answer, configured, open_lab
from aecore.config import ConfigError
from aecore.jobs import supervisor, sweep


def submit_sweep(args: argparse.Namespace) -> Answer:
    lab = open_lab(args)
    fields: dict[str, str] = {}
    for path, values in map(_assignment, args.over):
        if path in fields:
            raise ConfigError(
                {path: f"--over {path} is there twice: give all of its values at once, as in {path}=2,4,8."}
            )
        fields[path] = values
    configs = sweep.plan(configured(args, lab), fields, args.sample, args.seeds)
    name, runs = sweep.submit(lab, configs, args.user, args.at_once, private=args.private)
    supervisor.ensure_supervisor(lab)
    return Answer({"sweep": name, "runs": runs}, "\n".join([f"Sweep {name}: {len(runs)} runs", *runs]))


def _assignment(text: str) -> tuple[str, str]:
    path, equals, values = text.partition("=")
    if not equals:
        raise ConfigError(
            {text: f"--over is {text!r}: write a field's path, '=', and its values, as in code_size=2,4,8."}
        )
    return path.strip(), values


def add_sweep(verb: argparse.ArgumentParser) -> None:
    """What only this verb takes."""
    verb.add_argument(
        "--over",
        metavar="PATH=VALUES",
        action="append",
        required=True,
        help="as in code_size=2,4,8; one or two of them",
    )
    verb.add_argument("--sample", type=int, metavar="N", help="so many of the combinations, at random")
    verb.add_argument("--seeds", type=int, default=1, metavar="N", help="each with so many seeds")
    verb.add_argument("--at-once", type=int, metavar="N", help="at most so many run at the same time")
