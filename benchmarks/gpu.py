"""Every GPU line of training in one go, under 8 minutes: torch 2.11 or newer and what `aecore` itself imports, no dashboard.

    python -m benchmarks.gpu [--only PRESET ...] [--rounds 5] [--write docs/benchmarks]

Where there is no GPU it says that the lines are missing, and that is all.
"""

import sys
import time
from pathlib import Path

BUDGET = 420.0
"""Seconds after which no further preset is begun, so that what was measured is written in time."""


def main() -> None:
    from benchmarks.throughput import arguments, lines

    parser = arguments(__doc__)
    parser.set_defaults(device="cuda", rounds=5, write=Path("docs/benchmarks"))
    asked = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        print("This machine has no GPU: the GPU lines are missing.")
        return
    from benchmarks import growth
    from benchmarks.table import save

    begin, found, missing = time.monotonic(), [], []
    for name in asked.only:
        if time.monotonic() - begin > BUDGET / 2:
            missing.append(f"{name}: no time was left")
            continue
        some, why = lines(
            [name], "cuda", asked.threads, asked.rounds, [*asked.without, "JAX lax.scan", "pythae's trainer"]
        )
        found += some
        missing += why
    tables = {"Against others (theirs over ours)": found}
    if time.monotonic() - begin < BUDGET:
        tables |= growth.tables("cuda", asked.threads)
    else:
        missing.append("floor and growth: no time was left")
    save(asked.write, "gpu", "Training throughput on a GPU", tables, missing)
    print(f"{time.monotonic() - begin:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
