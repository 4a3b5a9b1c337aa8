"""Compare: the same inputs through several models, their curves, their figures and the differences of their configurations."""

from pathlib import Path

import streamlit as st

from aecore.runs import runs as all_runs
from ui import analyses, charts, columns, compare_view, comparison, figures, frame, pick, scores, sweeps, take, wall
from ui.comparison import Compared
from ui.lab import lab
from ui.live import live_curves, shown
from ui.words import plain

here = lab()
FOLLOW = 5
"""Seconds between looks at the newest pictures of a model that trains."""


def pictures(groups: list[list[Compared]]) -> None:
    """The wall with its choices, rerun alone; while a model trains it follows. A large first one comes without them."""
    choice = compare_view.choice(groups[0], boxed=not wall.waits())
    walls = compare_view.show(groups, choice)
    if not walls:
        wall.go_on()
    if not wall.waits():
        take.report_button(walls, choice, groups)


st.html(Path(frame.__file__).parent / "assets/compare.css")
frame.header("Compare", "The same images through several models: what each kept, and what it lost.")
rows = all_runs(here)
if not any(row.step or row.sweep for row in rows):
    frame.empty("There is nothing to compare yet: train two models first.", "train", "Train a model")
    st.stop()
name, picked, said = pick.compared(here, rows)
chosen, sentences = comparison.gather(here, picked)
first = bool(chosen) and not name and wall.waits(compare_view.asked_for(chosen))
with st.container(key="compare-boxes"):
    st.html('<div class="room"></div>') if first else pick.compared_boxes(rows)
for sentence in [*said, *sentences][:8]:
    st.warning(plain(sentence), icon=":material/info:")
if name:
    sweeps.live(here, name)
elif not chosen:
    frame.empty("Choose runs in the box above.")
if not chosen:
    st.stop()
groups = comparison.groups(chosen)
if len(groups) > 1:
    st.info(
        "These runs learnt to give different images: each kind is compared on its own, at its own size.",
        icon=":material/info:",
    )
analyses.panel(chosen)
frame.section("Reconstructions", f"{wall.READ}; click one to swipe")
st.fragment(pictures, run_every=FOLLOW if any(run.row.live for run in chosen) else None)(groups)
if first:
    st.stop()  # what stands around a large wall follows it
found = scores.lines(groups)
frame.section("Figures", columns.read_as(chosen))
st.html(scores.table(found))
if codes := scores.table([line for line in found if not line.baseline], figures.CODES):
    frame.section("Codes", "how good the codes of the test images are; point at a heading to read how")
    st.html(codes)
take.csv("Figures as CSV", scores.lines_csv(found), "figures")
take.differences(groups)
if curves := charts.left_out(chosen):
    frame.section("Classes left out", "how well an image's error tells that its class was left out of training")
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
take.configurations(chosen[: comparison.MOST])
