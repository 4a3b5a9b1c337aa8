"""The verbs of the command line for what people note about runs: tags, a note, the archive, who is told of their end."""

import argparse

from aecore.cli.commands import Answer, Verb, ask, open_lab
from aecore.jobs import marks, news
from aecore.runs import LabError, rights, run


def tag(args: argparse.Namespace) -> Answer:
    lab = open_lab(args)
    marks.tag(lab, [args.run], args.add, args.remove)
    tags = run(lab, args.run).tags
    return Answer({"run": args.run, "tags": list(tags)}, f"{args.run}: {', '.join(tags) or 'no tags'}")


def note(args: argparse.Namespace) -> Answer:
    lab = open_lab(args)
    if args.text is not None:
        marks.annotate(lab, args.run, args.text)
    found = run(lab, args.run).note
    return Answer({"run": args.run, "note": found}, found or f"{args.run} has no note.")


def archive(args: argparse.Namespace) -> Answer:
    lab = open_lab(args)
    row = run(lab, args.run)
    ask(args, lab, row, "Archive", rights.Verb.ARCHIVE)
    if marks.archive(lab, [args.run], args.user):
        raise LabError(f"{args.run} is {row.shown}: only a run that has ended can be archived.")
    return Answer({"run": args.run, "archived": True}, f"{args.run} is archived.")


def unarchive(args: argparse.Namespace) -> Answer:
    lab = open_lab(args)
    ask(args, lab, run(lab, args.run), "Take out of the archive", rights.Verb.ARCHIVE)
    marks.unarchive(lab, [args.run], args.user)
    return Answer({"run": args.run, "archived": False}, f"{args.run} is not archived.")


def tell(args: argparse.Namespace) -> Answer:
    lab = open_lab(args)
    row = run(lab, args.run)
    ask(args, lab, row, "Tell the owner of", rights.Verb.TELL)
    news.ask(lab, args.run, not args.off)
    said = "is not told" if args.off else "is told"
    return Answer({"run": args.run, "tell": not args.off}, f"{row.owner} {said} when {args.run} ends.")


def add_marks(name: str, verb: argparse.ArgumentParser) -> None:
    """The options of one of these verbs."""
    if name == "tag":
        verb.add_argument("--add", metavar="TAG", action="append", default=[], help="one more tag")
        verb.add_argument("--remove", metavar="TAG", action="append", default=[], help="take a tag away")
    if name == "note":
        verb.add_argument("--text", metavar="TEXT", help="the new note; '' removes it")
    if name == "tell":
        verb.add_argument("--off", action="store_true", help="do not tell after all")


OF_A_RUN: dict[str, Verb] = {"tag": tag, "note": note, "archive": archive, "unarchive": unarchive, "tell": tell}
