"""Take the measures and write docs/RELIABILITY.md.

    python -m torture [NAME ...] [--rounds N] [--seed S] [--record FILE]

Without names all of them, with the full number of rounds, one after another. Rows that are not measured now stay as they are.
The exit code is 1 where something did not hold.
"""

import argparse
import importlib
import os
import sys
from pathlib import Path

from torture import table
from torture.result import Skipped


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m torture", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(table.MEASURES))
    parser.add_argument("--rounds", type=int, help="instead of the full number")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", type=Path, default=table.RECORD, help="where the figures are kept")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(table.MEASURES)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: there is {', '.join(table.MEASURES)}.")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    held = [take(name, options) for name in options.names or table.MEASURES]
    table.write(options.record)
    return 0 if all(held) else 1


def take(name: str, options: argparse.Namespace) -> bool:
    """One measure, recorded. Returns whether it held; what cannot be measured here is said, and does not count."""
    rounds = options.rounds or table.MEASURES[name].rounds
    try:
        result = importlib.import_module(f"torture.{name}").measure(rounds, options.seed)
    except Skipped as reason:
        print(f"{name}: not measured: {reason}", flush=True)
        return True
    table.record(options.record, name, rounds, options.seed, result)
    print(f"{name}: {'held' if result.held else 'DID NOT HOLD'}, {result.seconds:.0f} s. {result.sentence}", flush=True)
    return result.held


if __name__ == "__main__":
    sys.exit(main())
