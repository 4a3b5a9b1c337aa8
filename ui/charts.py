"""What the Compare page plots: the error against what it costs, and many runs at once."""

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from statistics import median

import streamlit as st

from aecore.config import code_size_path, flat
from ui.comparison import Compared
from ui.differing import changes
from ui.live import component
from ui.parallel import Coordinate, parallel
from ui.plots import QUIET, Point, Series, plot
from ui.scales import Axis
from ui.scores import Line
from ui.stored import told

_figure = component("figure")
MSE = Axis("MSE per pixel", log=True)
COSTS = {
    "code_size": Axis("code size, numbers", log=True, base=2, whole=True),
    "parameters": Axis("parameters", log=True, whole=True),
    "seconds": Axis("training, s", log=True),
}
MOST_AXES = 9
DETECTION = {
    "roc": ("false positive rate", "true positive rate", "auroc"),
    "pr": ("recall", "precision", "average_precision"),
}
"""Curve -> its axes, and the figure that is its area."""


def figure(svg: str, name: str, key: str) -> None:
    """A plot with its files, PNG and SVG; `name` is what they are called."""
    _figure(data={"svg": svg, "name": name}, key=key)


def costs(found: Sequence[Line]) -> dict[str, str]:
    """{name: SVG} of the error against code size, parameters and seconds, for the runs of one group."""
    runs = [line for line in found if not line.baseline and "mse" in line.figures]
    made = {}
    for name, axis in COSTS.items():
        series = [
            Series(line.label, line.colour, [Point(line.figures[name], line.figures["mse"], _title(line))])
            for line in runs
            if name in line.figures
        ]
        if name == "code_size":
            series = pca_lines(found) + series
        if svg := plot(series, axis, MSE):
            made[f"error-against-{name.replace('_', '-')}"] = svg
    return made


def pca_lines(found: Sequence[Line]) -> list[Series]:
    """What principal components reach at the code sizes of these runs: the lines to beat, one for each choice of classes and of a subset
    that they were fitted to and measured on, in the colour of the first run with these where there are several."""
    beat = [line for line in found if line.baseline and line.figures.get("code_size")]
    sets = [
        one
        for one in dict.fromkeys(one for line in found for one in line.sets)
        if any(one in line.sets for line in beat)
    ]
    made = []
    for one in sets:
        alike = [line for line in beat if one in line.sets]
        places = sorted({line.figures["code_size"]: line.figures["mse"] for line in reversed(alike)}.items())
        own = next((line for line in found if not line.baseline and one in line.sets), None)
        name, colour = ("PCA", QUIET) if own is None or len(sets) == 1 else (f"PCA, images of {own.label}", own.colour)
        made.append(Series(name, colour, [Point(*at) for at in places], marks=False, line=True, dashed=True))
    return made


def _title(line: Line) -> str:
    return f"{line.label}: MSE {line.figures['mse']:.4g}"


def left_out(runs: Sequence[Compared]) -> dict[str, str]:
    """{name: SVG} of how well the errors tell the classes that were left out of training; {} where none were."""
    known = [(run, told(run, "analysis/metrics.json").get("anomalies", {})) for run in runs]
    known = [(run, found) for run, found in known if "roc" in found]
    if not known:
        return {}
    shares = {found["share"] for _, found in known}
    guesses = {"roc": [(0, 0), (1, 1)], "pr": [(0, min(shares)), (1, min(shares))] if len(shares) == 1 else []}
    made = {}
    for name, (x, y, area) in DETECTION.items():
        series = [
            Series(
                f"{run.label}: {found[area]:.3f}",
                run.colour,
                [Point(*at) for at in found[name]],
                marks=False,
                line=True,
            )
            for run, found in known
        ]
        guess = Series("guessing", QUIET, [Point(*at) for at in guesses[name]], marks=False, line=True, dashed=True)
        made[f"left-out-{name}"] = plot([guess, *series], Axis(x), Axis(y))
    return made


def curves(runs: Sequence[Compared]) -> str:
    """The error on the watched images over the epochs, of every run, as a picture that can be taken along; '' before the first."""
    series = []
    for run in runs:
        rows = [row for row in run.folder.metrics()[0] if row[2] != "train" and row[3] == "mse"]
        points = [Point(epoch, value) for _, epoch, _, _, value in rows if math.isfinite(value)]
        series.append(Series(run.label, run.colour, points, marks=False, line=True))
    return plot(series, Axis("epoch"), Axis("MSE per pixel of the watched images", log=True), width=720)


def coordinates(runs: Sequence[Compared], found: Sequence[Line]) -> str:
    """Parallel coordinates of what differs between the runs and of what came of it; '' for fewer than three runs."""
    if len(runs) < 3:
        return ""
    figures = {line.label: line.figures for line in found if not line.baseline}
    flats, sizes = [flat(run.config) for run in runs], [float(run.row.code_size) for run in runs]
    known = {"training.seed", *(code_size_path(run.config) for run in runs)}
    varied = {change.path: change for change in changes(runs) if change.path not in known}
    axes = [Coordinate("Code size", sizes, log=max(sizes) > 8 * min(sizes))] * (len(set(sizes)) > 1)
    few = sorted(varied, key=lambda path: sum(path not in one for one in flats))  # what all have first
    few = few[: MOST_AXES - 3 - len(axes)]
    titles = Counter(varied[path].title for path in few)
    called = lambda change: change.title if titles[change.title] == 1 else _two(change.path)
    axes += [_varied(called(varied[p]), [one.get(p) for one in flats], varied[p].values) for p in few]
    for name, title in (("parameters", "Parameters"), ("seconds", "Seconds"), ("mse", "MSE")):
        values = [figures.get(run.label, {}).get(name) for run in runs]
        if any(value is not None for value in values):
            axes.append(Coordinate(title, values, log=True))
    errors = [figures.get(run.label, {}).get("mse") for run in runs]
    return parallel(axes, [run.label for run in runs], by_error(errors, [run.kind for run in runs]))


def _two(path: str) -> str:
    return ".".join(path.split(".")[-2:])


def _varied(title: str, values: Sequence[object], words: Sequence[str]) -> Coordinate:
    """An axis of numbers, or of the words for what is none."""
    plain = [
        v if v is None else float(v) if isinstance(v, int | float) and not isinstance(v, bool) else word
        for v, word in zip(values, words, strict=True)
    ]
    numbers = [v for v in plain if isinstance(v, float) and v > 0]
    return Coordinate(title, plain, log=len(numbers) > 1 and max(numbers) > 20 * min(numbers))


def by_error(errors: Sequence[float | None], kinds: Sequence[Hashable]) -> list[str]:
    """A colour for each line: those with less than the median error of the runs that should give the same images stand out."""
    known = {kind: [e for e, own in zip(errors, kinds, strict=True) if own == kind and e is not None] for kind in kinds}
    return [
        GOOD if error is not None and error < median(known[kind]) else QUIET
        for error, kind in zip(errors, kinds, strict=True)
    ]


GOOD = "#2f7de1"


def cost_plots(found: Sequence[Line], key: str) -> None:
    """The plots of `costs` side by side."""
    beside(costs(found), key)


def beside(made: Mapping[str, str], key: str) -> None:
    """Plots {name: SVG}, at most three, side by side, each as wide as one of three."""
    for place, (name, svg) in zip(st.columns(len(COSTS), gap="medium"), made.items(), strict=False):
        with place:
            figure(svg, name, f"{key}-{name}")
