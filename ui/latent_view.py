"""Which of a run's codes are shown: the controls above the map, and the job that computes the codes of all images."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import streamlit as st

from aecore.jobs import queue
from aecore.runs import LabError, RunRow, rights
from aecore.runs import run as read_run
from aecore.runs.database import OPEN
from aecore.runs.rights import Verb
from aecore.runs.text import isolated
from ui.frame import empty, problem
from ui.lab import lab, visitor, who
from ui.latent_maps import dims_of
from ui.latent_points import View, analysed, cloud
from ui.pick import pick_run
from ui.words import plain

FILM = "film"
TITLES = {"train": "train", "val": "val", "test": "test", FILM: "as it learnt"}
KEPT = 60_000_000
"""Numbers in the codes of a split from which on the analysis keeps a random part of them only (256 MiB, less a little)."""

OPENED = "latent-opened"
"""Of the session: whether a map was drawn for this visitor. Everything else of the page comes after the first one."""

COUNTS: dict[str, int | None] = {"512": 512, "2000": 2_000, "10000": 10_000, "all": None}


def opened() -> bool:
    """Whether this visitor has seen a map, or was told why there is none."""
    return bool(st.session_state.get(OPENED))


def open_page() -> None:
    """Let the rest of the page follow, once: what a visitor came for stands, or is not to be had."""
    if not opened():
        st.session_state[OPENED] = True
        st.rerun()


def choose_run() -> RunRow | None:
    """The run whose codes are shown; None where no run has any yet."""
    return pick_run(lab(), keep=has_codes, boxed=opened())


def has_codes(row: RunRow) -> bool:
    """Whether a run was started: there are codes from the untrained model on."""
    return row.live or row.step > 0


def choose_source(row: RunRow) -> str:
    """'train', 'val' or 'test' of what was analysed, or FILM: the watched images, as they moved while it trained.

    Returns '' while there is neither.
    """
    folder = lab().run(row.id)
    sources = analysed(folder) + [FILM] * bool(folder.sample_steps())
    if row.live or len(sources) < 2:
        return FILM if FILM in sources else "".join(sources)
    inputs = (
        folder.inputs()
    )  # the split that was watched: what was selected in the film is still selected among all images
    default = inputs.split if inputs and inputs.split in sources else sources[0]
    widget = partial(st.segmented_control, "Images", sources, required=True, format_func=TITLES.__getitem__)
    return choose("split", sources, default, widget)


def choose_count(row: RunRow, source: str) -> int | None:
    """How many points; None for all of them."""
    if source == FILM:
        return None
    found = cloud(View(row.id, source))
    total, part = len(found.labels), len(found.labels) * found.code_size > KEPT
    fitting = [name for name, count in COUNTS.items() if count is None or count < total]
    said: Callable[[str], str] = lambda name: _said(name, source, total, part)
    widget = partial(st.selectbox, "Points", fitting, format_func=said, width=160)
    return COUNTS[choose("n", fitting, "all" if total <= 10_000 else "10000", widget)]


def _said(name: str, source: str, total: int, part: bool) -> str:
    if name == "all":
        return f"all {total:,} kept" if part else f"all {total:,}"
    return "512 (tutorial)" if name == "512" and source == "train" else f"{int(name):,} at random"


def choose_dims(run: str, code_size: int) -> int:
    """2 or 3 dimensions, those of the map that the address names at first; 3 only where the code has as many numbers."""
    if code_size < 3:
        return 2
    named = dims_of(lab().run(run), st.query_params.get("map", ""))
    widget = partial(st.segmented_control, "Dimensions", ["2", "3"], required=True, format_func="{}-D".format)
    return int(choose("dims", ["2", "3"], str(named or 2), widget))


def choose(name: str, options: list[str], default: str, widget: Callable[..., Any]) -> str:
    """One of the options, as `?name=` says, and the widget for it; before the first map stands the address alone says it."""
    with bound(name, options, default) as (key, changed):
        chosen = widget(key=key, on_change=changed) if opened() else st.session_state[key]
    return str(chosen)


@contextmanager
def bound(name: str, options: list[str], default: str) -> Iterator[tuple[str, Callable[[], None]]]:
    """A widget's key and callback that bind its value to `?name=`, by the value and not by what is shown of it."""
    key, wanted = f"latent-{name}", st.query_params.get(name)
    st.session_state[key] = wanted if wanted in options else default

    def changed() -> None:
        st.query_params[name] = st.session_state[key]

    yield key, changed


def film(row: RunRow) -> View:
    """The watched images at a moment of the training: the newest while it trains, by a slider afterwards.

    Raises FileNotFoundError with a sentence while there is no sample.
    """
    folder = lab().run(row.id)
    steps, inputs = folder.sample_steps(), folder.inputs()
    if not steps or inputs is None:
        raise FileNotFoundError(f"The run {isolated(row.name)} has no codes yet: they come with its first sample.")
    step = steps[-1]
    if len(steps) > 1 and not row.live:
        help_ = (
            "The same images, as the model placed them at that moment. Only the newest model is kept: it alone decodes."
        )
        key = f"moment-{row.id}"
        step = (
            st.session_state.get(key, step)
            if not opened()
            else st.select_slider(
                "Training step", steps, step, format_func="{:,}".format, key=key, help=help_, width=160
            )
        )
    return View(row.id, inputs.split, int(step))


def wait_for_codes(row: RunRow) -> None:
    """Look again every second, and show the map as soon as there is one."""
    if lab().run(row.id).sample_steps() or not read_run(lab(), row.id).live:
        st.rerun()
    empty(f"{plain(row.name)} has just started: its codes come with the first sample.")


def offer_analysis(row: RunRow) -> None:
    """While the codes of all images are not there: a button that has them computed, and then how far that is."""
    if row.live or analysed(lab().run(row.id)):
        return
    waiting = _analysis(row.id)
    _progress(row.id, 1.0 if waiting and waiting.state in OPEN else None)


def _progress(run: str, every: float | None) -> None:
    st.fragment(_offer, run_every=every)(run)


def _offer(run: str) -> None:
    job = _analysis(run)
    if analysed(lab().run(run)):
        st.rerun()
    with st.container(key="latent-offer", horizontal=True, vertical_alignment="center"):
        if job is not None and job.state in OPEN:
            said = "Waiting for a free slot to compute" if job.state == "queued" else "Computing"
            st.markdown(f":material/progress_activity: {said} the codes of all images …")
            return
        if job is not None and job.state == "failed":
            problem(f"The codes of all images could not be computed: {job.reason}")
        st.markdown("These are 2,000 watched images.", width="content")
        if may_analyse(run) and st.button(
            "Compute the codes of all images", icon=":material/scatter_plot:", key="analyse"
        ):
            try:
                queue.submit_job(lab(), run, "analyse", who())
                st.rerun()
            except LabError as error:
                problem(error)


def may_analyse(run: str) -> bool:
    """Whether this visitor may have something computed for a run."""
    return rights.allowed(visitor(), Verb.ANALYSE, read_run(lab(), run).owner)


def _analysis(run: str) -> queue.Job | None:
    """The newest job that analyses this run."""
    return next((job for job in reversed(queue.jobs(lab(), run)) if job.kind == "analyse"), None)
