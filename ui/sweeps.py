"""A sweep on the Compare page: what was varied against what came of it, with the line to beat, filling up while runs finish."""

from collections import Counter
from collections.abc import Callable, Sequence
from statistics import mean
from typing import Any, NamedTuple

import streamlit as st

from aecore.runs import Lab, RunRow, runs
from aecore.runs.database import OPEN
from ui import comparison, kiosk
from ui.charts import figure
from ui.comparison import Compared
from ui.frame import page_link, section
from ui.palette import RUNS
from ui.plots import QUIET, Mark, Point, Series, plot
from ui.scales import Axis
from ui.spreadsheet import as_csv
from ui.trials import CODE_SIZE, Trial, best_size, is_contest, trials
from ui.words import plain


class Measure(NamedTuple):
    """What a sweep is judged by, of the test images."""

    axis: Axis
    read: Callable[[dict[str, Any]], float | None]
    beat: Callable[[dict[str, Any]], float | None]
    """What principal components reach with as many numbers as a code has bytes."""
    error: bool = True
    """Whether it says how far reconstructions are from what they should be."""


def _of(part: str, name: str) -> Callable[[dict[str, Any]], float | None]:
    return lambda metrics: metrics.get(part, {}).get(name)


def _pca(name: str) -> Callable[[dict[str, Any]], float | None]:
    def read(metrics: dict[str, Any]) -> float | None:
        parts = (metrics.get(part, {}).get("pca", {}) for part in ("baselines", "columns"))
        return next((part[name] for part in parts if name in part), None)  # older analyses have it of fewer images

    return read


MEASURES = {
    "mse": Measure(
        Axis("test MSE per pixel", log=True),
        _of("test", "mse"),
        _pca("mse"),
    ),
    "psnr": Measure(Axis("test PSNR, dB"), _of("test", "psnr"), _pca("psnr")),
    "knn": Measure(Axis("kNN accuracy of the code"), _of("code", "knn_accuracy"), lambda m: None, error=False),
}


def known(rows: Sequence[RunRow]) -> dict[str, list[RunRow]]:
    """{sweep: its runs in the order of their code sizes, and of when they were queued}, the newest sweep first."""
    found: dict[str, list[RunRow]] = {}
    for row in rows:
        if row.sweep:
            found.setdefault(row.sweep, []).append(row)
    return {name: sorted(runs, key=lambda row: (row.code_size, row.created)) for name, runs in found.items()}


def order(rows: Sequence[RunRow]) -> str:
    """How the runs of a sweep are ordered, in words: a sweep over tasks has one code size only."""
    return f"in the order {'of their code sizes' if len({row.code_size for row in rows}) > 1 else 'in which they were queued'}"


def standing(rows: Sequence[RunRow]) -> str:
    """How far it is, in words.

    >>> standing([])
    '0 runs'
    """
    counts = Counter(row.shown for row in rows)
    words = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    return f"{len(rows)} runs: {words}" if rows else "0 runs"


def pictures(axis: Axis, found: Sequence[Trial]) -> dict[str, str]:
    """{name of the measure: SVG}; left out are those of which nothing is known yet, and errors that are no contest."""
    size = best_size(found) if axis.title == CODE_SIZE else None
    mark = None if size is None else Mark(size, f"elbow: {size}")
    made = {}
    contests = {name: one for name, one in MEASURES.items() if is_contest(found) or not one.error}
    for name, measure in contests.items():
        if svg := plot(_series(found, measure, axis), axis, measure.axis, mark):
            made[name] = svg
    return made


def _series(found: Sequence[Trial], measure: Measure, axis: Axis) -> list[Series]:
    series = []
    if axis.title == CODE_SIZE:
        pca = lambda trial: trial.metrics.get("baselines", {}).get("pca", {}).get("components", round(trial.x))
        beat = {t.x: (value, pca(t)) for t in found if (value := measure.beat(t.metrics)) is not None}
        points = [Point(x, y, f"PCA, {n} numbers: {y:.4g}") for x, (y, n) in sorted(beat.items())]
        series = [Series("PCA", QUIET, points, marks=len(points) < 2, line=True, dashed=True)] if points else []
    for place, line in enumerate(dict.fromkeys(trial.line for trial in found)):
        points = [
            Point(trial.x, value, f"{trial.run.label}: {value:.4g}")
            for trial in found
            if trial.line == line and (value := measure.read(trial.metrics)) is not None
        ]
        colour = RUNS[(place + 1) % len(RUNS)]
        means = [Point(x, mean(p.y for p in points if p.x == x)) for x in dict.fromkeys(p.x for p in points)]
        joined = means if all(trial.joined for trial in found) and (line or not axis.words) else []
        series += [Series(line or "these runs", colour, joined, marks=False, line=True), Series("", colour, points)]
    return series


def csv_of(axis: Axis, found: Sequence[Trial]) -> str:
    """What the plots show, as a file."""
    rows = [
        [
            t.run.row.id,
            axis.words[round(t.x) - 1] if axis.words else t.x,
            t.line,
            t.validation,
            *(m.read(t.metrics) for m in MEASURES.values()),
            MEASURES["mse"].beat(t.metrics),
        ]
        for t in found
    ]
    return as_csv(["run", axis.title, "line", "validation mse", *MEASURES, "pca mse"], rows)


def live(here: Lab, name: str) -> None:
    """The sweep, read again every two seconds while some of its runs go on or wait to be analysed."""
    section("Sweep", "what was varied against what came of it, on the test images")

    def going() -> bool:
        rows = known(runs(here))[name]
        return any(row.state in OPEN for row in rows) or any(
            row.state == "completed" and here.run(row.id).analysis_metrics() is None for row in rows
        )

    lively, begun = going(), _begun(known(runs(here))[name])

    def again() -> None:
        rows = known(runs(here)).get(name, [])
        if lively and (not going() or _begun(rows) != begun):
            st.rerun()  # all of the page follows: the interval is set when it runs, and there is one more to compare
        show(name, rows, comparison.gather(here, [row for row in rows if row.step])[0])

    st.fragment(again, run_every=2 if lively else None)()


def _begun(rows: Sequence[RunRow]) -> int:
    return sum(row.step > 0 for row in rows)


def show(name: str, rows: Sequence[RunRow], compared: Sequence[Compared]) -> None:
    """Progress, plots, and the table as a file."""
    done = sum(row.state not in OPEN for row in rows)
    if done < len(rows):
        st.progress(sum(row.progress if row.state in OPEN else 1 for row in rows) / len(rows), standing(rows))
    if not compared:
        st.markdown(":gray[Its plots begin with the first run that has started.]")
        return
    axis, found = trials(compared, [row.code_size for row in rows])
    made = pictures(axis, found)
    if not made and is_contest(found):
        st.markdown(":gray[The first point comes when a run is finished and analysed.]")
        return
    for place, (measure, svg) in zip(st.columns(3, gap="medium"), made.items(), strict=False):
        with place:
            figure(svg, f"{name}-{measure}", f"sweep-{measure}")
    st.markdown(f":gray[{told(axis.title, found, going=done < len(rows))}]")
    st.download_button(
        "CSV",
        csv_of(axis, found),
        f"{name}.csv",
        "text/csv",
        icon=":material/download:",
        key="sweep-csv",
        type="tertiary",
        on_click="ignore",
    )


def offer(run: Compared) -> None:
    """The way to a sweep that begins with this run's configuration."""
    if kiosk.chosen():
        return
    with st.container(key="sweep-offer", horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(":gray[Which code size is enough?]", width="content")
        label = f"Sweep it, from {plain(run.label)}"
        page_link("train", label, ":material/stacked_line_chart:", clone=run.row.id, sweep="open")


def told(title: str, found: Sequence[Trial], going: bool = False) -> str:
    """What the plots say, in a sentence or two; `going` where runs are still to come."""
    analysed = [trial for trial in found if MEASURES["mse"].read(trial.metrics) is not None]
    text = f"{len(analysed)} of {len(found)} runs are analysed."
    if not is_contest(found):
        kinds = "; ".join(plain(what) for what in dict.fromkeys(trial.run.what for trial in found))
        return (
            f"{text} They learnt to give different images ({kinds}): their errors are no contest and are not drawn. "
            "Below, each kind stands on its own."
        )
    if title != CODE_SIZE:
        return text
    size = best_size(found)
    if size is not None:
        text += f" The elbow is at {size} numbers{' so far' * going}, by the validation images: beyond it a larger code helps least."
    beaten = [
        t
        for t in analysed
        if (line := MEASURES["mse"].beat(t.metrics)) and (MEASURES["mse"].read(t.metrics) or 0) < line
    ]
    return f"{text} {len(beaten)} of them beat PCA of the same size."
