"""The verbs of the command line that look after a lab: its settings, a banner, maintenance, and room on the disk."""

import argparse

from aecore.cli.commands import Answer, Refused, Verb, open_lab
from aecore.cli.keeping import megabytes
from aecore.config.fields import assigned, walk
from aecore.jobs import care, cleanup, supervisor
from aecore.jobs.settings import change
from aecore.runs import Lab, LabError, rights
from aecore.runs.text import table
from aecore.runs.times import span


def settings(args: argparse.Namespace) -> Answer:
    """Show them, or change some of them."""
    lab = open_lab(args)
    lab.demand(rights.Verb.SERVER)
    said = change(lab, assigned(lab.settings, args.set), args.user) if args.set else []
    values = {field.path: field.value for field in walk(lab.settings) if field.info.repr}  # the others may be secret
    if args.set:
        return Answer({"changed": said, "settings": values}, "\n".join(said) or "Nothing was changed.")
    rows = [[path, "" if value is None else value] for path, value in values.items()]
    return Answer({"settings": values}, table(["setting", "value"], rows))


def banner(args: argparse.Namespace) -> Answer:
    lab = open_lab(args)
    if args.text is not None:
        change(lab, {"banner": args.text}, args.user)
    return Answer({"banner": lab.settings.banner}, lab.settings.banner or "There is no banner.")


def drain(args: argparse.Namespace) -> Answer:
    """Say how it stands; with a word change it."""
    lab = open_lab(args)
    if args.how is not None:
        change(lab, {"drain": args.how}, args.user)
        supervisor.ensure_supervisor(lab)
    return _standing(lab)


def _standing(lab: Lab) -> Answer:
    """What still runs, and what waits until afterwards."""
    there, people = [job for job in care.at_work(lab) if job.kind == "train"], care.people(lab)
    waiting, how = sum(person.waiting for person in people), lab.settings.drain
    head = {"off": "Runs start as usual."}.get(how) or care.DRAINING[how]
    left = f"{len(there)} still train, {waiting} wait."
    data = {"drain": how, "running": [job.run_id for job in there], "waiting": waiting}
    lines = [f"  {job.run_id}, {job.owner}'s: step {job.step:,} of {job.total_steps or 0:,}" for job in there]
    return Answer(data, "\n".join([head, left, *lines]))


def restart(args: argparse.Namespace) -> Answer:
    lab = open_lab(args)
    care.restart(lab, args.user)
    return Answer({"lab": str(lab.path)}, "The supervisor was restarted; runs go on.")


def clean(args: argparse.Namespace) -> Answer:
    """Say what could be freed; with --yes free it."""
    lab = open_lab(args)
    kinds = args.kind or list(cleanup.KINDS)
    found = cleanup.parts(lab, kinds)
    total = sum(part.bytes for part in found)
    if args.yes:
        try:
            freed = cleanup.clean(lab, found, args.user)
        except LabError as error:
            raise Refused(str(error)) from None
        return Answer({"freed": freed}, f"{megabytes(freed)} MB are free again." if found else "Nothing to free.")
    rows = [[part.kind, part.run_id, part.owner, megabytes(part.bytes)] for part in found]
    text = f"{table(['what', 'run', 'owner', 'MB'], rows)}\n\n{megabytes(total)} MB could be freed: --yes does it."
    return Answer({"parts": [part._asdict() for part in found], "bytes": total}, text if found else "Nothing to free.")


def show_people(args: argparse.Namespace) -> Answer:
    found = care.people(open_lab(args))
    rows = [[p.name, p.runs, p.running, p.waiting, span(p.used) if p.used >= 1 else ""] for p in found]
    return Answer([p._asdict() for p in found], table(["person", "runs", "running", "waiting", "used lately"], rows))


LISTS: dict[str, Verb] = {"people": show_people, "restart": restart}
WITH_OPTIONS: dict[str, Verb] = {"settings": settings, "banner": banner, "drain": drain, "cleanup": clean}


def add_options(name: str, verb: argparse.ArgumentParser) -> None:
    """What each of WITH_OPTIONS takes."""
    if name == "settings":
        verb.add_argument(
            "--set", metavar="PATH=VALUE", action="append", default=[], help="as in per_person.waiting=20"
        )
    elif name == "banner":
        verb.add_argument("--text", metavar="TEXT", help="one line for everybody; '' takes it away")
    elif name == "drain":
        verb.add_argument("how", nargs="?", choices=["finish", "save", "off"])
    else:
        verb.add_argument("--kind", action="append", choices=list(cleanup.KINDS), help="only this; may be given twice")
        verb.add_argument("--yes", action="store_true", help="free it, and do not only say what could be freed")
