"""Choosing a map of the codes and what colours it, and having a job make what is not there yet."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import streamlit as st

from aecore.config import ConfigError
from aecore.config.projection import KINDS, SurroundingsConfig, parse_projection
from aecore.jobs import queue
from aecore.runs import LabError, RunRow, projections
from aecore.runs import run as read_run
from aecore.runs.database import OPEN
from aecore.runs.projections import AnyProjection
from aecore.runs.rights import Verb
from ui import latent_colours, latent_maps, latent_selection
from ui.frame import problem
from ui.lab import lab, who
from ui.latent_points import View, cloud
from ui.latent_view import FILM, choose, choose_count, choose_dims, film, may_analyse
from ui.widgets import Ask, choice, choices_of, number, numeric

DIMS = "dims"
HELP = (
    "PCA shows the directions in which the codes vary most, and distances in it are real. t-SNE and UMAP keep who is whose "
    "neighbour; distances between groups mean little in them."
)


def choose_view(row: RunRow, source: str) -> tuple[View, str]:
    """What of a run's codes is shown, and the kind of map, or 'surroundings', that is to be made for it first; '' for none."""
    view = film(row) if source == FILM else View(row.id, source, only=_alone(row.id, source))
    with st.spinner("Reading the codes …"):
        size = cloud(view).code_size
    view = view._replace(dims=choose_dims(row.id, size))
    view, wanted = choose_map(view, size)
    view, around = choose_colour(view)
    return view._replace(n=choose_count(row, source)), wanted or around


def _alone(run: str, split: str) -> str:
    """The selection that the address wants to see alone; '' where it is unknown here, or of other images."""
    name = st.query_params.get("only", "")
    return name if len(latent_selection.kept(run, split, name)) else ""


def choose_map(view: View, size: int) -> tuple[View, str]:
    """The view on the map that the visitor wants, and the kind of map that is to be made first, '' for none."""
    options = _options(view, size)
    if len(options) == 1:
        return view, ""
    widget = partial(st.selectbox, "Map", list(options), format_func=options.__getitem__, help=HELP, width=124)
    chosen = choose("map", list(options), "", widget)
    if chosen in latent_maps.NAMES:
        return view, chosen
    if chosen != DIMS:
        return view._replace(map=chosen), ""
    return view._replace(map=_choose_numbers(size, view.dims)), ""


def choose_colour(view: View) -> tuple[View, str]:
    """The view in the colour that the visitor wants, and 'surroundings' where that is to be made first."""
    options, around = latent_colours.colours(view), _done(view.run, latent_colours.surroundings_key())
    if not around and not may_analyse(view.run):
        options = {key: title for key, title in options.items() if key not in latent_colours.AROUND}
    widget = partial(st.selectbox, "Colour", list(options), format_func=options.__getitem__, width=124)
    chosen = choose("colour", list(options), "label", widget)
    if chosen in latent_colours.AROUND and not around:
        return view, "surroundings"
    return view._replace(colour=chosen), ""


def _options(view: View, size: int) -> dict[str, str]:
    found = {"": "PCA" if size > 3 else "The code"}
    if size > 2:
        found[DIMS] = "Its numbers"
    if view.step is not None:
        return found
    made = latent_maps.maps(lab().run(view.run), view.dims)
    found |= {key: one.title for key, one in made.items() if latent_maps.done(one.known)}
    missing = {kind: f"{name} …" for kind, name in latent_maps.NAMES.items()}
    return found | (missing if size > 2 and may_analyse(view.run) else {})


def _choose_numbers(size: int, dims: int) -> str:
    numbers = [str(number) for number in range(1, min(size, 512) + 1)]
    found = [
        choose(f"axis{axis}", numbers, str(axis), partial(st.selectbox, f"Axis {axis}", numbers, width=72))
        for axis in range(1, dims + 1)
    ]
    return "-".join([DIMS, *(str(int(word) - 1) for word in found)])


def offer(row: RunRow, kind: str, dims: int) -> None:
    """A row that has a map made: with its parameters and a button, then with how far it is and when it is done."""
    said = (
        "This needs the neighbours of all codes."
        if kind == "surroundings"
        else f"{latent_maps.NAMES[kind]} is computed once and kept with the run."
    )
    every = 1.0 if working(row.id) else None
    st.fragment(_offer, run_every=every)(row.id, kind, said, lambda: _parameters(kind, dims))


def offer_like(run: str, config: AnyProjection, said: str) -> None:
    """The same for a map of which everything is decided, inside of what reruns by itself while `working`."""
    _offer(run, config.kind, said, lambda: config)


def working(run: str) -> bool:
    """Whether a job makes maps of a run, or waits to."""
    job = _job(run)
    return job is not None and job.state in OPEN


def _offer(run: str, kind: str, said: str, wanted: Callable[[], AnyProjection | None]) -> None:
    job = _job(run)
    waiting = [known for known in projections.projections(lab().run(run)) if known.waits and known.config.kind == kind]
    with st.container(key=f"latent-making-{run}", horizontal=True, vertical_alignment="center"):
        if job is not None and job.state in OPEN and waiting:
            _progress(job, waiting[-1])
            return
        may = may_analyse(run)
        if waiting and job is not None and job.state == "completed" and may:
            _submit(run)  # it was asked for in the moment in which the job left
        if _made_meanwhile(run, kind):
            st.rerun()
        _refusals(run, kind, job)
        config = wanted() if may else None
        st.markdown(said, width="content")
        if config and st.button("Compute", icon=":material/scatter_plot:", key=f"latent-compute-{run}", type="primary"):
            _begin(run, config)


def _begin(run: str, config: AnyProjection) -> None:
    try:
        lab().demand(Verb.ANALYSE, read_run(lab(), run).owner)  # before it is noted
        st.session_state[f"latent-awaited-{run}"] = projections.ask(lab().run(run), config)
        _submit(run)
        st.rerun()
    except (LabError, OSError) as error:
        problem(error)


def _made_meanwhile(run: str, kind: str) -> bool:
    """Whether what this visitor waited for is done; the address names it then, where it is of the run that is shown."""
    awaited = st.session_state.get(f"latent-awaited-{run}", "")
    if not awaited.startswith(kind) or not _done(run, awaited):
        return False
    del st.session_state[f"latent-awaited-{run}"]
    if kind != "surroundings" and st.session_state.get("pick-run") == run:
        st.query_params["map"] = awaited
    return True


def _progress(job: queue.Job, known: projections.Projection) -> None:
    share = min(1.0, job.step / (job.total_steps or 1))
    name = latent_maps.NAMES.get(known.config.kind, "The neighbours of all codes")
    said = f"{name}: {'waits for a free slot' if job.state == 'queued' else f'{100 * share:.0f} %'}"
    if share > 0.02 and job.started:
        left = (time.time() - job.started) * (1 - share) / share
        said += f", done at about {time.strftime('%H:%M:%S', time.localtime(time.time() + left))}"
    st.progress(share, text=said)
    if may_analyse(job.run_id) and st.button("Stop", icon=":material/stop:", key=f"latent-making-stop-{job.run_id}"):
        try:
            queue.stop_job(lab(), job.id, who())
            projections.forget(lab().run(job.run_id), known.key)
            st.rerun()
        except LabError as error:
            problem(error)


def _refusals(run: str, kind: str, job: queue.Job | None) -> None:
    known = [one for one in projections.projections(lab().run(run)) if one.config.kind == kind]
    for one in known:
        if "problem" in one.said:
            problem(f"It could not be made: {one.said['problem']}")
        elif one.waits and job is not None and job.state == "failed":
            problem(f"It could not be made: {job.reason}")


def _parameters(kind: str, dims: int) -> AnyProjection | None:
    """What the visitor sets of a map, from its declaration."""
    if kind == "surroundings":
        return SurroundingsConfig()
    fields = {name: info for name, info in KINDS[kind].model_fields.items() if name not in ("kind", "dims", "like")}
    with st.popover("Parameters", icon=":material/tune:"):
        for name, info in fields.items():
            key = f"latent-{kind}-{name}"
            st.session_state.setdefault(key, info.default)
            ask = Ask(info.title or name, key, info.description or "", lambda: None)
            what = numeric(info.annotation, info.metadata)
            if what is not None:
                number(ask, what, info.default)
            elif len(choices_of(info.annotation)) > 1:
                choice(ask, choices_of(info.annotation), {})
    try:
        return parse_projection({"kind": kind, "dims": dims} | _given(kind, fields))
    except ConfigError as error:
        problem(error)
        return None


def _given(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: st.session_state[f"latent-{kind}-{name}"] for name in fields}


def _submit(run: str) -> None:
    queue.submit_job(lab(), run, "project", who())


def _done(run: str, key: str) -> bool:
    return latent_maps.done(projections.read(lab().run(run), key))


def _job(run: str) -> queue.Job | None:
    return next((job for job in reversed(queue.jobs(lab(), run)) if job.kind == "project"), None)
