"""The reconstruction wall with its controls. What is chosen stands in the URL, so that a link opens exactly this view."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import streamlit as st

from aecore.data import DataError
from ui import columns, comparison, frame, ordering, selected, wall
from ui.columns import SIMPLE, Wall
from ui.comparison import MOST, Compared
from ui.lab import lab
from ui.latent_selection import NAME, title
from ui.stored import shown
from ui.words import plain

COUNTS = [12, 20, 48]
TEST, VALIDATION = "test", "validation"
END, UNTRAINED = "the end", "untrained"
URL: Final = "query-params"


class Choice(NamedTuple):
    """What the controls say."""

    source: str
    epoch: int | None
    mode: str
    shown: int
    order: str
    pair: tuple[str, str] | None
    beside: tuple[str, ...]
    label: str
    number: int | None
    upload: bytes | None


def choose(runs: Sequence[Compared]) -> Choice:
    """The controls, for the first group of runs."""
    sources = _sources(runs)
    _arrive(sources)
    first = st.columns([1.7, 1.6, 1.5, 2.4], gap="medium", vertical_alignment="bottom")
    source = first[0].selectbox("Images", list(sources), format_func=sources.__getitem__, key="images", bind=URL)
    epoch = _epoch(runs, first[1], str(source))
    order = first[2].selectbox("Order", ordering.ORDERS, key="order", bind=URL)
    pair = _pair(runs, first[3]) if len(runs) > 1 and order == ordering.GAP else None
    label, number, upload = _find(runs, first[3]) if pair is None else ("", None, None)
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="wall-bar"):
        mode = st.segmented_control(
            "Show", ["pictures", "differences"], default="pictures", required=True, key="show", bind=URL,
            format_func=str.capitalize, label_visibility="collapsed", width="content",
        )  # fmt: skip
        count = st.segmented_control(
            "Rows", COUNTS, default=COUNTS[0], required=True, key="rows", bind=URL, label_visibility="collapsed",
            format_func=lambda n: f"{n} images", width="content",
        )  # fmt: skip
        beside = st.pills(
            "Beside", list(SIMPLE), selection_mode="multi", default=list(SIMPLE), key="beside", bind=URL,
            format_func=SIMPLE.__getitem__, label_visibility="collapsed", width="content",
        )  # fmt: skip
    return Choice(
        str(source), epoch, str(mode), int(count or COUNTS[0]), str(order), pair, tuple(beside), label, number, upload
    )


def _sources(runs: Sequence[Compared]) -> dict[str, str]:
    """{key: words}: the test images first where every model has been through them."""
    ready = all(shown(run, "shown-test") is not None for run in runs[:MOST])
    some = any(shown(run, "shown-test") is not None for run in runs[:MOST])
    held = "Validation images, epoch by epoch"
    known = (
        {TEST: "Test images, at the end", VALIDATION: held}
        if ready
        else {VALIDATION: held} | ({TEST: "Test images, at the end"} if some else {})
    )
    return known | _selection(runs[0]) | comparison.others(runs[0], lab())


def _selection(run: Compared) -> dict[str, str]:
    """The selection that the address names, where the run has its images."""
    said = title(run.row.id, st.query_params.get(NAME, ""))
    return {NAME: said} if said else {}


def _arrive(sources: dict[str, str]) -> None:
    """Who comes with a selection sees it, whatever was chosen here before."""
    name, said = st.query_params.get(NAME, ""), sources.get(NAME, "")
    if said and st.query_params.get("images") == said and st.session_state.get("compare-arrived") != name:
        st.session_state.update({"images": NAME, "compare-arrived": name})


def _epoch(runs: Sequence[Compared], place: st.delta_generator.DeltaGenerator, source: str) -> int | None:
    if source != VALIDATION:
        words = "An epoch is chosen on the validation images." if source == TEST else "The newest models."
        place.markdown(f":gray[:small[{words}]]")
        return None
    asked = re.fullmatch(r"epoch (\d{1,9})", st.query_params.get("epoch", ""))
    linked, last = int(asked[1]) if asked else 0, max(run.row.epoch for run in runs)
    if linked > last:
        place.markdown(f":gray[:small[There is no epoch {linked} yet: these are the models after epoch {last}.]]")
    kept = [linked] if linked < last else []  # a link's epoch can be chosen, however many epochs come
    epochs = sorted({*comparison.epochs(runs), *kept})
    options = [UNTRAINED if epoch == 0 else f"epoch {epoch}" for epoch in epochs] + [END]
    if len(options) < 2:
        return None
    chosen = str(place.select_slider("Models after", options, END, key="epoch", bind=URL))
    return None if chosen == END else 0 if chosen == UNTRAINED else int(chosen.removeprefix("epoch "))


def _pair(runs: Sequence[Compared], place: st.delta_generator.DeltaGenerator) -> tuple[str, str]:
    """The two models whose gap counts."""
    names = {run.row.id: run.label for run in runs[:MOST]}
    left, right = place.columns(2, gap="small")
    a = left.selectbox("Between", list(names), format_func=names.__getitem__, key="a", bind=URL)
    b = right.selectbox("and", list(names), 1, format_func=names.__getitem__, key="b", bind=URL)
    return str(a), str(b)


def _find(runs: Sequence[Compared], place: st.delta_generator.DeltaGenerator) -> tuple[str, int | None, bytes | None]:
    """A class, an image by its number, or an image of one's own."""
    left, right = place.columns(2, gap="small", vertical_alignment="bottom")
    names = ["", *runs[0].facts.class_names]
    label = left.selectbox("Class", names, format_func=lambda name: name or "All", key="class", bind=URL)
    with right.popover("Find", icon=":material/search:", key="find", width="stretch"):
        number = st.number_input("Image number in its split", 0, None, None, placeholder="Any", key="image", bind=URL)
        file = st.file_uploader(
            "Or images like this one",
            ["png", "jpg", "jpeg", "webp", "bmp"],
            key="like",
            max_upload_size=20,
            help="It stays in this tab: the page's address, which has every other choice, does not carry it.",
        )
    return str(label or ""), None if number is None else int(number), None if file is None else file.getvalue()


def build(runs: Sequence[Compared], choice: Choice) -> tuple[Wall | None, list[str]]:
    """The wall of these runs as it is asked for, and what there is to say. Raises DataError, ValueError."""
    most = runs[:MOST]
    if choice.source == TEST:
        found = columns.test_images(most, choice.beside)
    elif choice.source == VALIDATION:
        found = columns.held_out(most, choice.epoch, choice.beside)
    elif choice.source == NAME:
        found = selected.wall_of(most, st.query_params.get(NAME, ""))
    else:
        found = columns.elsewhere(most, choice.source)
    if found is None or not found.models:
        return None, []
    rows, notes = _rows(found, choice)
    return found.take(rows[: choice.shown]), [*found.notes, *notes]


def _rows(found: Wall, choice: Choice) -> tuple[np.ndarray, list[str]]:
    rows, notes = ordering.ordered(found, choice.order, choice.pair), []
    if choice.label in found.facts.class_names:
        rows = rows[found.labels[rows] == found.facts.class_names.index(choice.label)]
        notes += [f"None of these images is of the class {choice.label}."] * (not len(rows))
    if choice.number is not None:
        at = np.flatnonzero(found.indices == choice.number)
        if len(at):
            rows = ordering.like(found, found.originals[at[0]], np.r_[at, rows[rows != at[0]]])
        else:
            notes.append(
                f"Image {choice.number} is not among the {len(found.indices)} that are kept of the {found.split} split."
            )
    elif choice.upload is not None:
        rows = ordering.like(found, ordering.uploaded(choice.upload, found.originals.shape[1:]), rows)
    return rows, notes


def show(groups: Sequence[Sequence[Compared]], choice: Choice) -> list[tuple[str, Wall]]:
    """A wall for each group; returns them with their headings."""
    made_walls: list[tuple[str, Wall]] = []
    for place, runs in enumerate(groups):
        if len(groups) > 1:
            st.markdown(f"**{plain(runs[0].what)}**")
        if len(runs) > MOST:
            st.info(
                f"The first {MOST} of {len(runs)} models stand here; all of them are in the figures below.",
                icon=":material/info:",
            )
        try:
            made, notes = build(runs, choice)
        except (DataError, ValueError) as error:
            frame.problem(error)
            continue
        for note in notes:
            st.info(plain(note), icon=":material/info:")
        if made is None:
            frame.empty(
                f"No pictures of {plain(runs[0].label)} yet: the first ones come with the first step of training."
            )
        elif len(made.labels):
            wall.show(made, choice.mode, place, choice.pair if place == 0 else None)
            made_walls.append((f"Reconstructions, {runs[0].what}" if len(groups) > 1 else "Reconstructions", made))
    return made_walls
