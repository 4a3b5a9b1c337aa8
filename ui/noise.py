"""How sure a difference between two runs is: intervals over the test images, and what they mean in a sentence."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import streamlit as st

from aecore.analysis.bootstrap import Interval, intervals
from aecore.runs import LabError
from ui.comparison import Compared
from ui.figures import FIGURES
from ui.lab import lab
from ui.scores import likelihood
from ui.spreadsheet import as_csv
from ui.wall import thousandths
from ui.words import escape

SMALLEST = 1 / (12 * 255**2)
"""Squared error of rounding to 8 bits: as in `aecore.analysis.evaluation`."""
MEASURES = ("mse", "psnr", "ssim", "ms_ssim", "elbo")


class Apart(NamedTuple):
    """A run against the reference: paired differences, the run minus the reference."""

    run: Compared
    images: int
    found: dict[str, Interval]


def apart(reference: Compared, runs: Sequence[Compared]) -> list[Apart]:
    """Each other run against the reference on the test images that both have; without those that are not analysed."""
    stamps = {run.row.id: _stamp(run) for run in [reference, *runs]}
    if not stamps[reference.row.id]:
        return []
    found = []
    for run in runs:
        if run is not reference and stamps[run.row.id] and run.kind == reference.kind:
            try:
                count, values = _paired(run.row.id, stamps[run.row.id], reference.row.id, stamps[reference.row.id])
            except LabError:  # one of them is damaged
                continue
            if likelihood(run) != likelihood(reference):
                values = {name: one for name, one in values.items() if name != "elbo"}
            found += [Apart(run, count, values)] * bool(values)
    return found


def _stamp(run: Compared) -> int:
    try:
        return (run.folder.path / "analysis/measures.npz").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


@st.cache_resource(max_entries=512, show_spinner="Resampling the test images …")
def _paired(run_id: str, written: int, reference_id: str, known: int) -> tuple[int, dict[str, Interval]]:
    mine, theirs = (lab().run(one).analysis("measures") or {} for one in (run_id, reference_id))
    both, at, there = np.intersect1d(mine["indices"], theirs["indices"], return_indices=True)
    if not len(both) or (mine["labels"][at] != theirs["labels"][there]).any():
        return 0, {}
    pairs = {name: (_values(mine, name), _values(theirs, name)) for name in MEASURES}
    rows = {name: a[at] - b[there] for name, (a, b) in pairs.items() if a is not None and b is not None}
    return len(both), dict(zip(rows, intervals(np.stack(list(rows.values())).astype(np.float64)), strict=True))


def _values(arrays: dict[str, np.ndarray], name: str) -> np.ndarray | None:
    if name != "psnr":
        return arrays.get(f"model.{name}")
    psnr: np.ndarray = -10 * np.log10(np.maximum(arrays["model.mse"].astype(np.float64), SMALLEST))
    return psnr


def sentence(reference: Compared, one: Apart) -> str:
    """What the difference of the errors means, and of the similarity where that says something else."""
    mse = one.found["mse"]
    size = f"{thousandths(abs(mse.mean))} × 10⁻³ ({_interval(one, 'mse')})"
    images = f"{one.images:,} test images"
    if not mse.sure:
        text = f"{one.run.label} and {reference.label} differ in MSE by {size}: within the noise of these {images}."
    else:
        word = "larger" if mse.mean > 0 else "smaller"
        text = f"The MSE of {one.run.label} is {word} than that of {reference.label} by {size} on {images}."
    doubtful = [FIGURES[name].head for name, found in one.found.items() if name != "mse" and not found.sure]
    if mse.sure and doubtful:
        heads = [head.split(",")[0] for head in doubtful]
        text += f" In {' and '.join(heads)} their difference is within the noise."
    return text


def _interval(one: Apart, name: str) -> str:
    found = one.found[name]
    write = FIGURES[name].write if name != "mse" else _signed
    return f"95 %: {write(found.low)} to {write(found.high)}"


def _signed(value: float) -> str:
    return f"{'−' * (value < 0)}{thousandths(abs(value))}"


def table(reference: Compared, found: Sequence[Apart]) -> str:
    """The differences as HTML: mean and interval of each measure, quiet where the sign is not sure."""
    names = [name for name in MEASURES if any(name in one.found for one in found)]
    head = f"<th>Minus {escape(reference.label)}</th>" + "".join(f'<th class="n">{FIGURES[n].head}</th>' for n in names)
    body = "".join(_row(one, names) for one in found)
    return f'<div class="wide"><table class="scores"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _row(one: Apart, names: Sequence[str]) -> str:
    cells = f'<td class="who"><b>{escape(one.run.label)}</b></td>'
    for name in names:
        if name not in one.found:
            cells += '<td class="n">–</td>'
            continue
        low, high, mean = one.found[name].low, one.found[name].high, one.found[name].mean
        write = _signed if name == "mse" else lambda value: f"{value:+.3f}".replace("-", "−")
        noise = "" if one.found[name].sure else '<small class="quiet"> within the noise</small>'
        cells += f'<td class="n">{write(mean)} <small class="quiet">[{write(low)}, {write(high)}]</small>{noise}</td>'
    return f'<tr style="--c:{one.run.colour}">{cells}</tr>'


def csv_of(reference: Compared, found: Sequence[Apart]) -> str:
    """The same as a file, in full precision."""
    rows = [
        [one.run.label, reference.label, one.images, name, *values]
        for one in found
        for name, values in one.found.items()
    ]
    return as_csv(["run", "minus", "images", "measure", "mean", "low", "high"], rows)
