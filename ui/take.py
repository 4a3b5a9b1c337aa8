"""Taking a comparison along: tables as CSV, everything as one HTML file; and the tables that belong to the figures."""

from collections.abc import Sequence
from math import inf

import streamlit as st

from ui import charts, differing, figures, frame, noise, scores
from ui.columns import Wall
from ui.compare_view import Choice
from ui.comparison import MOST, Compared
from ui.report import report
from ui.scores import Line
from ui.spreadsheet import as_csv
from ui.stored import simple_figures
from ui.wall import payload
from ui.words import escape

SPOKEN = 6
"""Differences that are told in sentences."""


def csv(label: str, text: str, name: str) -> None:
    """A button that saves a table."""
    st.download_button(
        label,
        text,
        f"{name}.csv",
        "text/csv",
        icon=":material/download:",
        key=f"csv-{name}",
        type="tertiary",
        on_click="ignore",
    )


def differences(groups: Sequence[Sequence[Compared]]) -> None:
    """The runs of each group against the best of it, with intervals over the test images, in sentences and as a table."""
    for place, runs in enumerate(groups):
        reference = best(runs)
        found = noise.apart(reference, nearest(runs)) if reference is not None else []
        if reference is None or not found:
            continue
        st.html(f'<ul class="verdicts">{"".join(f"<li>{escape(text)}</li>" for text in spoken(reference, found))}</ul>')
        with st.expander(
            "Paired differences on the test images, with 95 % bootstrap intervals",
            icon=":material/compare_arrows:",
            key=f"apart-{place}",
        ):
            if len(runs) > MOST:
                st.markdown(f":gray[The {MOST} of {len(runs)} models with the smallest errors.]")
            st.html(noise.table(reference, found))
            csv("Differences as CSV", noise.csv_of(reference, found), f"differences-{place}")


def spoken(reference: Compared, found: Sequence[noise.Apart]) -> list[str]:
    """Sentences for the nearest of the others."""
    near = sorted(found, key=lambda one: one.found["mse"].mean)
    return [noise.sentence(reference, one) for one in near[:SPOKEN]]


def best(runs: Sequence[Compared]) -> Compared | None:
    """The run with the smallest error on its test images; None where none is analysed."""
    return min((run for run in runs if _error(run) < inf), key=_error, default=None)


def nearest(runs: Sequence[Compared]) -> list[Compared]:
    """Those with the smallest errors, in their order: every difference takes thousands of resamplings."""
    few = {run.row.id for run in sorted(runs, key=_error)[:MOST]}
    return [run for run in runs if run.row.id in few]


def _error(run: Compared) -> float:
    """On its test images; infinite before it is analysed."""
    found = simple_figures(run).get("model", {}).get("mse")
    return inf if found is None else float(found)


def configurations(runs: Sequence[Compared]) -> None:
    """Where the configurations of several differ."""
    if len(runs) < 2:
        return
    frame.section("Differences", "of the configurations; nothing that is equal")
    found = differing.changes(runs)
    if not found:
        st.html("<p>Their configurations are the same in every field.</p>")
        return
    st.html(differing.changes_table(runs, found))
    rows = [[change.path, *change.values] for change in found]
    csv("Configurations as CSV", as_csv(["field", *(run.label for run in runs)], rows), "configurations")


def report_button(walls: Sequence[tuple[str, Wall]], choice: Choice, groups: Sequence[Sequence[Compared]]) -> None:
    """A button that saves the whole comparison as it is seen now."""

    def make() -> str:
        return whole(walls, choice, groups, scores.lines(groups))

    st.download_button(
        "Save as one HTML file", make, "comparison.html", "text/html", key="report", icon=":material/html:", on_click="ignore",
        help="The pictures, the tables and the plots in one file, which opens without a network. The address of this page opens this view again.",
    )  # fmt: skip


def whole(
    walls: Sequence[tuple[str, Wall]], choice: Choice, groups: Sequence[Sequence[Compared]], found: Sequence[Line]
) -> str:
    """The comparison as one HTML file."""
    runs = [run for group in groups for run in group]
    title = " against ".join(run.label for run in runs) if len(runs) <= 3 else f"{len(runs)} models compared"
    pictures = [
        (heading, payload(wall, choice.mode, choice.pair if i == 0 else None))
        for i, (heading, wall) in enumerate(walls)
    ]
    tables, sentences = [("Figures", scores.table(found))], []
    if codes := scores.table([line for line in found if not line.baseline], figures.CODES):
        tables.append(("Codes", codes))
    for group in groups:
        reference = best(group)
        if reference is not None and (apart := noise.apart(reference, nearest(group))):
            sentences += spoken(reference, apart)
            tables.append(("Paired differences, with 95 % bootstrap intervals", noise.table(reference, apart)))
    changes = differing.changes(runs) if len(runs) > 1 else []
    tables += [("Differences of the configurations", differing.changes_table(runs, changes))] * bool(changes)
    plots = [
        svg for i in range(len(groups)) for svg in charts.costs([line for line in found if line.group == i]).values()
    ]
    lines = [svg for svg in (charts.coordinates(runs, found), charts.curves(runs[:MOST])) if svg]
    left = list(charts.left_out(runs).values())
    drawn = [("Error against cost", plots), ("Classes left out", left), ("Runs and curves", lines)]
    return report(title, pictures, tables, drawn, sentences)
