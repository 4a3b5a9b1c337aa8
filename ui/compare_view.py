"""The reconstruction wall with its controls. What is chosen stands in the URL, so that a link opens exactly this view."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

import numpy as np
import streamlit as st

from aecore.data import DataError
from ui import columns, comparison, frame, ordering, selected, wall
from ui.columns import SIMPLE, Wall
from ui.comparison import MOST, Compared
from ui.lab import lab
from ui.latent_selection import NAME, title
from ui.stored import inputs, shown
from ui.words import plain

COUNTS, MODES = [12, 20, 48], ["pictures", "differences"]
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


def asked(runs: Sequence[Compared]) -> Choice:
    """What the address says, as the controls will say it: they are what a browser takes longest for."""
    pair = list(_names(runs))
    source, number = _said("images", _sources(runs)), st.query_params.get("image", "")
    epochs, order = _epochs(runs, source)[0], _said("order", {one: one for one in ordering.ORDERS})
    return Choice(
        source,
        _numbered(_said("epoch", {one: one for one in [END, *epochs]})),
        _said("show", {one: one.capitalize() for one in MODES}),
        _rows_said(),
        order,
        (_said("a", _names(runs)), _said("b", _names(runs), pair[1]))
        if len(pair) > 1 and order == ordering.GAP
        else None,
        _beside(),
        _said("class", {name: name or "All" for name in ["", *runs[0].facts.class_names]}),
        int(number) if number.isdecimal() and order != ordering.GAP else None,
        None,
    )


def asked_for(runs: Sequence[Compared]) -> int:
    """How many pictures that models made the first wall of these runs has."""
    return min(len(runs), MOST) * _rows_said()


def _rows_said() -> int:
    return _said("rows", {count: f"{count} images" for count in COUNTS})


def choice(runs: Sequence[Compared], boxed: bool) -> Choice:
    """What the controls say; without them what the address says, and the room that they will take."""
    with st.container(key="wall-choices"):
        if boxed:
            return choose(runs)
        st.html('<div class="room"></div>')
        return asked(runs)


Named = TypeVar("Named")


def _said(name: str, options: Mapping[Named, str], default: Named | None = None) -> Named:
    """The option whose words stand under a name in the address, else the default, which is the first one."""
    wanted, first = st.query_params.get(name), next(iter(options)) if default is None else default
    return next((one for one, words in options.items() if words == wanted), first)


def _beside() -> tuple[str, ...]:
    """The simple methods in the address, in its order: all of them where it says nothing that is known."""
    words = st.query_params.get_all("beside")
    named = tuple(name for said in words for name, known in SIMPLE.items() if known == said)
    return named or (() if words == [""] else tuple(SIMPLE))


def _names(runs: Sequence[Compared]) -> dict[str, str]:
    return {run.row.id: run.label for run in runs[:MOST]}


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
            "Show", MODES, default=MODES[0], required=True, key="show", bind=URL,
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
        str(source),
        epoch,
        str(mode or MODES[0]),
        int(count or COUNTS[0]),
        str(order),
        pair,
        tuple(beside),
        label,
        number,
        upload,
    )


def _sources(runs: Sequence[Compared]) -> dict[str, str]:
    """{key: words}: the test images first where every model has been through them."""
    ready = all(shown(run, "shown-test") is not None for run in runs[:MOST])
    some = any(shown(run, "shown-test") is not None for run in runs[:MOST])
    held = f"{_watched(runs[0]).capitalize()} images, epoch by epoch"
    known = (
        {TEST: "Test images, at the end", VALIDATION: held}
        if ready
        else {VALIDATION: held} | ({TEST: "Test images, at the end"} if some else {})
    )
    return known | _selection(runs[0]) | comparison.others(runs[0], lab())


def _watched(run: Compared) -> str:
    """Which images it is watched on: where none were held out for validation, it is the test images."""
    found = inputs(run)
    return TEST if found is not None and found.split == TEST else VALIDATION


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
        earlier = f": earlier epochs are kept of {_watched(runs[0])} images" * (source == TEST)
        place.markdown(f":gray[:small[The newest models{earlier}.]]")
        return None
    options, sentence = _epochs(runs, source)
    if sentence:
        place.markdown(f":gray[:small[{sentence}]]")
    if not options:
        return None
    return _numbered(str(place.select_slider("Models after", [*options, END], END, key="epoch", bind=URL)))


def _epochs(runs: Sequence[Compared], source: str) -> tuple[list[str], str]:
    """What the slider offers before the end, and a sentence where the address names an epoch that is still to come."""
    if source != VALIDATION:
        return [], ""
    named = re.fullmatch(r"epoch (\d{1,9})", st.query_params.get("epoch", ""))
    linked, last = int(named[1]) if named else 0, max(run.row.epoch for run in runs)
    kept = [linked] if linked < last else []  # a link's epoch can be chosen, however many epochs come
    epochs = sorted({*comparison.epochs(runs), *kept})
    late = f"There is no epoch {linked} yet: these are the models after epoch {last}." if linked > last else ""
    return [UNTRAINED if epoch == 0 else f"epoch {epoch}" for epoch in epochs], late


def _numbered(epoch: str) -> int | None:
    return None if epoch == END else 0 if epoch == UNTRAINED else int(epoch.removeprefix("epoch "))


def _pair(runs: Sequence[Compared], place: st.delta_generator.DeltaGenerator) -> tuple[str, str]:
    """The two models whose gap counts."""
    names = _names(runs)
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
        found = selected.wall_of(most, st.query_params.get(NAME, ""), choice.beside)
    else:
        found = selected.elsewhere(most, choice.source, choice.beside)
    if found is None or not found.models:
        return None, []
    rows, notes = _rows(found, choice)
    return found.take(rows[: choice.shown]), [*found.notes, *notes]


def _rows(found: Wall, choice: Choice) -> tuple[np.ndarray, list[str]]:
    rows, notes = ordering.ordered(found, choice.order, choice.pair), []
    if choice.label in found.facts.class_names:
        rows = rows[found.labels[rows] == found.facts.class_names.index(choice.label)]
        notes += [f"None of these images is of the class {choice.label}."] * (not len(rows))
    if choice.upload is not None:
        try:
            image = ordering.uploaded(choice.upload, found.originals.shape[1:])
            aside = " The image number is left aside." * (choice.number is not None)
            notes += [f"The images most like the uploaded one come first.{aside}{ordering.inverted(found, image)}"]
            return ordering.like(found, image, rows), notes
        except ValueError as error:
            notes += [str(error)]
    if choice.number is not None:
        at = np.flatnonzero(found.indices == choice.number)
        if len(at):
            rows = ordering.like(found, found.originals[at[0]], np.r_[at, rows[rows != at[0]]])
            notes += [f"The images most like image {choice.number} come first."]
        else:
            split = wall.SPLITS.get(found.split, found.split)
            notes += [
                f"Image {choice.number} is not among the {len(found.indices)} that are kept of the {split} split."
            ]
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
            frame.empty(f"No pictures of {plain(runs[0].label)} yet: {_awaited(runs)}.")
        elif len(made.labels):
            wall.show(made, choice.mode, place, choice.pair if place == 0 else None)
            made_walls.append((f"Reconstructions, {runs[0].what}" if len(groups) > 1 else "Reconstructions", made))
    return made_walls


def _awaited(runs: Sequence[Compared]) -> str:
    """What the first pictures of a wall come with."""
    if all(run.row.step for run in runs):
        return "these models are being analysed, and their test images come with that"
    return "the first ones come with the first step of training"
