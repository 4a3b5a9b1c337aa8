"""The verbs of the command line that keep a lab: what was deleted, the room that runs take, backups."""

import argparse
import shutil
from pathlib import Path

from aecore.cli.commands import Answer, Refused, Verb, ask, open_lab
from aecore.jobs import trash
from aecore.runs import backup as backups
from aecore.runs import rights, run
from aecore.runs.text import moment, table
from aecore.runs.usage import by_owner, usage


def delete(args: argparse.Namespace) -> Answer:
    lab = open_lab(args)
    ask(args, lab, run(lab, args.run), "Delete", rights.Verb.DELETE)
    trash.delete(lab, args.run, args.user)
    days = f"{lab.settings.keep_deleted_days:g} days"
    back = f"`python -m aecore undelete {args.run}` brings it back for {days}"
    return Answer({"run": args.run, "state": "deleted"}, f"{args.run}: deleted; {back}")


def undelete(args: argparse.Namespace) -> Answer:
    lab = open_lab(args)
    trash.undelete(lab, args.run, args.user)
    return Answer({"run": args.run, "state": run(lab, args.run).shown}, f"{args.run}: {run(lab, args.run).shown}")


def show_deleted(args: argparse.Namespace) -> Answer:
    found = trash.deleted(open_lab(args))
    rows = [[d.id, d.owner, moment(d.at), moment(d.until), megabytes(d.bytes)] for d in found]
    text = table(["run", "owner", "deleted", "kept until", "MB"], rows) if found else "No deleted run is kept."
    return Answer([d._asdict() for d in found], text)


def show_usage(args: argparse.Namespace) -> Answer:
    lab = open_lab(args)
    found, room = usage(lab), shutil.disk_usage(lab.path)
    owners = by_owner(found)
    rows = [[r.id, r.owner, megabytes(r.bytes), "deleted" if r.deleted else ""] for r in found]
    people = [[name, megabytes(size)] for name, size in owners.items()]
    text = f"{table(['run', 'owner', 'MB', ''], rows)}\n\n{table(['person', 'MB'], people)}\n\n"
    data = {"runs": [r._asdict() for r in found], "owners": owners, "free": room.free, "total": room.total}
    return Answer(data, f"{text}{megabytes(room.free)} of {megabytes(room.total)} MB are free on the lab's disk.")


def megabytes(size: float) -> str:
    return f"{size / 1e6:,.1f}"


def backup(args: argparse.Namespace) -> Answer:
    kept = backups.backup(open_lab(args), Path(args.file))
    text = f"{args.file}: {kept.runs} run{'s' * (kept.runs != 1)}, {megabytes(kept.bytes)} MB; data sets are not in it."
    text += " It took the place of an older backup." * kept.replaced
    return Answer({"file": args.file, **kept._asdict()}, text)


def restore(args: argparse.Namespace) -> Answer:
    if not args.lab:
        raise Refused("Say where the lab is to be made: --lab DIR, a new folder.", 2)
    kept = backups.restore(Path(args.file), Path(args.lab).expanduser().absolute())
    return Answer(
        {"lab": args.lab, **kept._asdict()}, f"{args.lab}: a lab with {kept.runs} run{'s' * (kept.runs != 1)}."
    )


LISTS: dict[str, Verb] = {"usage": show_usage, "deleted": show_deleted}
OF_A_RUN: dict[str, Verb] = {"delete": delete, "undelete": undelete}
OF_A_FILE: dict[str, Verb] = {"backup": backup, "restore": restore}
