"""Compare: the same inputs through several models, their curves, their figures and the differences of their configurations."""

from pathlib import Path

import streamlit as st

from aecore.data import DataError
from aecore.runs import runs as all_runs
from ui import comparison, frame, scores
from ui.lab import lab
from ui.live import live_curves, shown
from ui.pick import pick_runs
from ui.wall import wall

COUNTS = [12, 24, 48]
ORDERS = ["As they come", "Worst first"]
here = lab()


def moment_words(epoch: int | None) -> str:
    return "the end" if epoch is None else f"epoch {epoch}" if epoch else "untrained"


@st.fragment
def pictures(chosen: list[comparison.Compared]) -> None:
    """The wall with its choices, rerun alone."""
    others = comparison.others(chosen[0], here)
    source, when, which, many = st.columns([2, 2, 1.6, 1.2], gap="medium", vertical_alignment="top")
    words = {"": "Held out, never trained on", **others}
    name = source.selectbox("Images", list(words), format_func=words.__getitem__, key="wall-images")
    options: list[int | None] = [*comparison.epochs(chosen), None]
    moment: int | None = None
    if len(options) > 1 and not name:
        moment = when.select_slider("Models after", options, None, moment_words, key="wall-epoch")
    count = many.segmented_control("How many", COUNTS, default=COUNTS[0], required=True, key="wall-count")
    worst = which.segmented_control("Order", ORDERS, default=ORDERS[0], required=True, key="wall-order") == ORDERS[1]
    pool = comparison.POOL if worst else count
    try:
        made = comparison.elsewhere(chosen, name, pool) if name else comparison.held_out(chosen, pool, moment)
    except (DataError, ValueError) as error:
        frame.problem(error)
        return
    if made is None or not made.columns:
        frame.empty("No pictures yet: the first ones come with the first step of training.")
        return
    for note in made.notes:
        st.info(note, icon=":material/info:")
    st.html(wall(comparison.worst(made, count) if worst else made))


st.html(Path(frame.__file__).parent / "assets/compare.css")
frame.header("Compare", "The same images through several models: what each kept, and what it lost.")
rows = all_runs(here)
if not any(row.step for row in rows):
    frame.empty("There is nothing to compare yet: train two models first.", "train", "Train a model")
    st.stop()
picked = pick_runs(here, rows=rows, default=comparison.default(rows), keep=lambda row: row.step > 0)
chosen, sentences = comparison.gather(here, picked)
for sentence in sentences:
    st.warning(sentence, icon=":material/info:")
if not chosen:
    frame.empty("Choose runs in the box above.")
    st.stop()
frame.section("Reconstructions", "below each image its MSE per pixel × 10⁻³, for pixels in [0,1]")
pictures(chosen)
frame.section("Figures", "means over the images that each run did not learn from; grey lines need no network")
st.html(scores.table(scores.scores(chosen)))
frame.section("Curves")
live_curves(shown([(run.row.id, run.label) for run in chosen]), key="compare-curves")
if len(chosen) > 1:
    frame.section("Differences", "of the configurations")
    st.html(scores.changes(chosen) or "<p>Their configurations are the same in every field.</p>")
