"""The command line: the same verbs as the pages, for scripts, tests and machines without a browser.

python -m aecore presets | datasets | models | tasks       what there is
python -m aecore train  --preset NAME [--set PATH=VALUE]   in the foreground, with a progress bar
python -m aecore submit --preset NAME [--set PATH=VALUE]   into the queue; prints the run's id
python -m aecore sweep --preset NAME --over PATH=VALUES    many runs at once, as in --over code_size=2,4,8
python -m aecore runs | show RUN | log RUN                 what happened
python -m aecore stop RUN | delete RUN                     saves first; asks before it touches somebody else's
python -m aecore pause RUN | resume RUN                    frees the device; goes on from the last checkpoint
python -m aecore extend RUN --epochs N                     trains a completed run longer, as a new run
python -m aecore earlier RUN | later RUN                   before or behind the next one of the same owner
python -m aecore tag RUN --add TAG | note RUN --text TEXT  what you want to remember of it
python -m aecore tell RUN [--off]                          its owner hears of its end, by mail or webhook
python -m aecore archive RUN | unarchive RUN               out of the lists' way; nothing is deleted
python -m aecore hide RUN | unhide RUN                     only you and the lab's admins see it, or all
python -m aecore give RUN --to NAME                        another owner, where somebody has left
python -m aecore deleted | undelete RUN                    what was deleted, and bringing it back
python -m aecore usage                                     room on the disk, by run and person
python -m aecore backup FILE | restore FILE --lab DIR      the whole lab but its data sets, while runs go on
python -m aecore people                                    who has how much of the lab, and has used it lately
python -m aecore settings [--set PATH=VALUE]               of the lab, and changing them
python -m aecore cleanup [--yes]                           what could be freed on the disk, and freeing it
python -m aecore drain [finish|save|off] | restart         before maintenance; the supervisor anew
python -m aecore banner --text TEXT                        a line for everybody
python -m aecore evaluate RUN                              metrics on the test split
python -m aecore supervise                                 the supervisor in the foreground
python -m aecore doctor                                    what is fine on this machine and what is not
"""

import argparse
import getpass
import json
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from sqlalchemy import exc

from aecore.cli import caring, evaluating, keeping, marking, owning, steering, sweeping
from aecore.cli.commands import LISTS, OF_A_CONFIG, OF_A_RUN, Refused, Verb, show_runs
from aecore.config import ConfigError
from aecore.config.access import A_NAME, is_name
from aecore.data import DataError
from aecore.runs import LabError
from aecore.runs.errors import full, no_room
from aecore.runs.text import shown


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{message[:1].upper()}{message[1:]}. `python -m aecore --help` shows the verbs.\n")


def parser() -> Parser:
    """The whole command line."""
    shared = Parser(add_help=False)
    shared.add_argument("--lab", metavar="DIR", help="the lab's folder; AELAB_HOME, else lab/ in the checkout")
    shared.add_argument("--data-root", metavar="DIR", help="a folder of data sets to look in first; AELAB_DATA")
    shared.add_argument("--json", action="store_true", help="machine-readable output")
    shared.add_argument(
        "--user", metavar="NAME", default=os.environ.get("AELAB_USER") or getpass.getuser(), help="who you are"
    )
    whole = Parser(prog="python -m aecore", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = whole.add_subparsers(dest="verb", required=True, metavar="VERB", parser_class=Parser)
    for name, verb in (LISTS | keeping.LISTS | caring.LISTS).items():
        verbs.add_parser(name, parents=[shared]).set_defaults(do=verb)
    for name, verb in OF_A_CONFIG.items():
        configured = verbs.add_parser(name, parents=[shared])
        _add_configuration(configured, verb)
        if name == "submit":
            configured.add_argument("--tell", action="store_true", help="tell me when it ends, by mail or webhook")
    many = verbs.add_parser("sweep", parents=[shared])
    _add_configuration(many, sweeping.submit_sweep)
    sweeping.add_sweep(many)
    listing = verbs.add_parser("runs", parents=[shared])
    listing.add_argument("--limit", type=int, help="the newest so many")
    listing.add_argument("--archived", action="store_true", help="those that were archived, too")
    listing.set_defaults(do=show_runs)
    for name, verb in caring.WITH_OPTIONS.items():
        cared = verbs.add_parser(name, parents=[shared])
        caring.add_options(name, cared)
        cared.set_defaults(do=verb)
    for name, verb in keeping.OF_A_FILE.items():
        filed = verbs.add_parser(name, parents=[shared])
        filed.add_argument("file", metavar="FILE", help="a tar file")
        filed.set_defaults(do=verb)
    for name, verb in of_a_run().items():
        one = verbs.add_parser(name, parents=[shared])
        one.add_argument("run", metavar="RUN")
        one.add_argument("--yes", action="store_true", help="do not ask before touching somebody else's run")
        one.add_argument("--lines", type=int, default=200, help="of the log")
        if name == "extend":
            one.add_argument("--epochs", type=int, metavar="N", required=True, help="how many more")
        marking.add_marks(name, one)
        owning.add_options(name, one)
        one.set_defaults(do=verb)
    return whole


def of_a_run() -> dict[str, Verb]:
    """The verbs that take a run."""
    modules = (steering, keeping, marking, owning, evaluating)
    return {
        name: verb for verbs in (OF_A_RUN, *(module.OF_A_RUN for module in modules)) for name, verb in verbs.items()
    }


def _add_configuration(verb: argparse.ArgumentParser, do: Verb) -> None:
    which = verb.add_mutually_exclusive_group(required=True)
    which.add_argument("--preset", metavar="NAME", help="one of `presets`")
    which.add_argument("--config", metavar="FILE", help="a configuration as JSON")
    verb.add_argument("--dataset", metavar="NAME", help="another data set than the preset's")
    verb.add_argument("--set", metavar="PATH=VALUE", action="append", default=[], help="as in training.epochs=3")
    verb.add_argument("--private", action="store_true", help="only you and the lab's admins see it")
    verb.set_defaults(do=do)


def _readable(args: argparse.Namespace) -> None:
    """Raises Refused where something that was given is no text, or the person's name is none."""
    for value in vars(args).values():
        for text in map(str, value if isinstance(value, list) else [value]):
            if (legible := text.encode("utf-8", "replace").decode()) != text:
                raise Refused(f"{legible!r} is not UTF-8: each ? stands for bytes that are no letter.", 2)
    if not is_name(args.user):
        raise Refused(f"--user is {args.user!r}, but {A_NAME}.", 2)


OF_THE_PROGRAM = (exc.DataError, exc.IntegrityError, exc.ProgrammingError, exc.NotSupportedError)
"""What a database says of a question that is wrong, and not of itself: nobody else can mend that."""


def _of_the_machine(error: OSError | exc.DatabaseError) -> str:
    """What a disk, the system or a database refused, in a sentence."""
    if no_room(error):
        return full()
    if isinstance(error, exc.DatabaseError):
        return f"The lab's database says: {' '.join(str(error.orig).split())}."
    what = f"{error.filename} could not be read or written" if error.filename else "The system refused that"
    return f"{what}: {error.strerror or error}."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb. Returns the exit code; what goes wrong is one sentence on stderr."""
    args = parser().parse_args(arguments)
    try:
        _readable(args)
        answer = args.do(args)
        print(json.dumps(answer.data, indent=2) if args.json else shown(answer.text), flush=True)
        return int(answer.code)
    except (ConfigError, LabError, DataError) as error:
        print(shown(str(error)), file=sys.stderr)
        return 3
    except Refused as error:
        print(shown(str(error)), file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OF_THE_PROGRAM:
        raise
    except (OSError, exc.DatabaseError) as error:
        print(shown(_of_the_machine(error)), file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
