"""The verbs of the command line that steer a run: pause, resume, train longer, earlier or later in the queue."""

import argparse
from collections.abc import Callable

from aecore.cli.commands import Answer, Verb, ask, open_lab
from aecore.jobs import steer, supervisor
from aecore.jobs.forecast import forecast, told
from aecore.runs import Lab, rights, run


def pause(args: argparse.Namespace) -> Answer:
    lab = open_lab(args)
    ask(args, lab, run(lab, args.run), "Pause", rights.Verb.PAUSE)
    return _state(args, steer.pause(lab, args.run, args.user))


def resume(args: argparse.Namespace) -> Answer:
    lab = open_lab(args)
    ask(args, lab, run(lab, args.run), "Resume", rights.Verb.RESUME)
    state = steer.resume(lab, args.run, args.user)
    supervisor.ensure_supervisor(lab)
    return _state(args, state)


def _state(args: argparse.Namespace, state: str) -> Answer:
    return Answer({"run": args.run, "state": state}, f"{args.run}: {state}")


def extend(args: argparse.Namespace) -> Answer:
    """The new run is the person's own: nobody is asked."""
    lab = open_lab(args)
    new = steer.extend(lab, args.run, args.user, args.epochs)
    supervisor.ensure_supervisor(lab)
    return Answer({"run": new, "parent": args.run}, new)


def earlier(args: argparse.Namespace) -> Answer:
    return _move(args, steer.earlier, "first")


def later(args: argparse.Namespace) -> Answer:
    return _move(args, steer.later, "last")


def _move(args: argparse.Namespace, move: Callable[[Lab, str, str], bool], end: str) -> Answer:
    lab = open_lab(args)
    row = run(lab, args.run)
    ask(args, lab, row, "Move", rights.Verb.MOVE)
    moved = move(lab, row.id, args.user)
    expected = forecast(lab).get(row.id)
    place = told(expected) if expected else run(lab, row.id).shown
    text = f"{row.id}: {place}" if moved else f"{row.id} is the {end} of {row.owner}'s waiting runs already: {place}"
    return Answer({"run": row.id, "moved": moved, "forecast": expected and expected._asdict()}, text)


OF_A_RUN: dict[str, Verb] = {"pause": pause, "resume": resume, "extend": extend, "earlier": earlier, "later": later}
