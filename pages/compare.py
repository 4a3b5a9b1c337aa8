"""Compare: the same inputs through several models, their curves, their figures and the differences of their configurations."""

from pathlib import Path

import streamlit as st

from aecore.runs import runs as all_runs
from ui import analyses, charts, compare_view, comparison, frame, scores, sweeps, take, wall
from ui.comparison import Compared
from ui.lab import lab
from ui.live import live_curves, shown
from ui.pick import pick_compared
from ui.words import plain

here = lab()
FOLLOW = 5
"""Seconds between looks at the newest pictures of a model that trains."""


def pictures(groups: list[list[Compared]], found: list[scores.Line]) -> None:
    """The wall with its choices, rerun alone; while a model trains it follows."""
    choice = compare_view.choose(groups[0])
    walls = compare_view.show(groups, choice)
    take.report_button(walls, choice, groups, found)


st.html(Path(frame.__file__).parent / "assets/compare.css")
frame.header("Compare", "The same images through several models: what each kept, and what it lost.")
rows = all_runs(here)
if not any(row.step or row.sweep for row in rows):
    frame.empty("There is nothing to compare yet: train two models first.", "train", "Train a model")
    st.stop()
name, picked, said = pick_compared(here, rows)
chosen, sentences = comparison.gather(here, picked)
for sentence in [*said, *sentences][:8]:
    st.warning(plain(sentence), icon=":material/info:")
if name:
    frame.section("Sweep", "what was varied against what came of it, on the test images")
    sweeps.live(here, name)
if not chosen:
    if not name:
        frame.empty("Choose runs in the box above.")
    st.stop()
groups = comparison.groups(chosen)
if len(groups) > 1:
    st.info(
        "These runs learnt to give different images: each kind is compared on its own, at its own size.",
        icon=":material/info:",
    )
analyses.panel(chosen)
found = scores.lines(groups)
frame.section("Reconstructions", "below each image its MSE per pixel × 10⁻³, for pixels in [0,1]; click one to swipe")
st.fragment(pictures, run_every=FOLLOW if any(run.row.live for run in chosen) else None)(groups, found)
if wall.waits():
    st.stop()  # what lies below a large wall follows it
frame.section("Figures", "means over the test images; grey lines need no network")
st.html(scores.table(found))
if codes := scores.table([line for line in found if not line.baseline], scores.CODES):
    frame.section("Codes", "how good the codes of the test images are; point at a heading to read how")
    st.html(codes)
take.csv("Figures as CSV", scores.lines_csv(found), "figures")
take.differences(groups)
if curves := charts.left_out(chosen):
    frame.section(
        "Classes left out", "how well the error of a test image tells that its class was left out of training"
    )
    charts.beside(curves, "left-out")
frame.section("Error against cost")
for place in range(len(groups)):
    charts.cost_plots([line for line in found if line.group == place], f"costs-{place}")
sweeps.offer(chosen[0])
if svg := charts.coordinates(chosen, found):
    better = "better than the median" + " of those that should give the same images" * (len(groups) > 1)
    frame.section("All runs", f"each line is a run; blue ones are {better}")
    charts.figure(svg, "parallel-coordinates", "parallel")
frame.section("Curves")
live_curves(shown([(run.row.id, run.label) for run in chosen[: comparison.MOST]]), key="compare-curves")
take.curves(chosen[: comparison.MOST])
if len(chosen) > 1:
    take.configurations(chosen[: comparison.MOST])
