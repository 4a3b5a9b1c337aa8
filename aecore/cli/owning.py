"""The verbs of the command line for whose a run is and who sees it."""

import argparse

from aecore.cli.commands import Answer, Verb, ask, open_lab
from aecore.jobs import owners
from aecore.runs import rights, run


def hide(args: argparse.Namespace) -> Answer:
    return _hide(args, True)


def unhide(args: argparse.Namespace) -> Answer:
    return _hide(args, False)


def _hide(args: argparse.Namespace, private: bool) -> Answer:
    lab = open_lab(args)
    ask(args, lab, run(lab, args.run), "Hide" if private else "Show all", rights.Verb.HIDE)
    owners.hide(lab, [args.run], private, args.user)
    text = f"{args.run} is private" if private else f"{args.run} is visible to all"
    return Answer({"run": args.run, "private": private}, text)


def give(args: argparse.Namespace) -> Answer:
    lab = open_lab(args)
    ask(args, lab, run(lab, args.run), "Give away", rights.Verb.HAND_OVER)
    owners.hand_over(lab, [args.run], args.to, args.user)
    return Answer({"run": args.run, "owner": args.to}, f"{args.run} is {args.to}'s now.")


def add_options(name: str, verb: argparse.ArgumentParser) -> None:
    """The options of one of these verbs."""
    if name == "give":
        verb.add_argument("--to", metavar="NAME", required=True, help="whose it is from now on")


OF_A_RUN: dict[str, Verb] = {"hide": hide, "unhide": unhide, "give": give}
