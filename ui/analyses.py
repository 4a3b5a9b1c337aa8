"""Runs that are compared but not measured yet: what is missing, a button that measures it, and how far that is."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from aecore.jobs import queue
from aecore.runs import LabError, rights
from aecore.runs.database import OPEN
from aecore.runs.rights import Verb
from ui.comparison import MOST as PICTURED
from ui.comparison import Compared
from ui.frame import problem
from ui.lab import lab, latest_stamp, visitor, who
from ui.stored import shown, simple_figures
from ui.words import plain

MOST = 50
"""Runs that are looked after at once."""


def panel(runs: Sequence[Compared]) -> None:
    """Nothing where every run is measured; else how many are not, and what can be done."""
    pictured = [run.row.id for run in runs[:PICTURED] if shown(run, "shown-test") is not None]
    whole = [*pictured, *(run.row.id for run in runs[PICTURED:])]
    missing = [run for run in runs if not simple_figures(run) or run.row.id not in whole][:MOST]
    if not missing:
        return
    jobs = {run.row.id: _newest(run) for run in missing}
    going = [run for run in missing if (job := jobs[run.row.id]) is not None and job.state in OPEN]
    st.fragment(partial(_standing, missing, [run.row.id for run in going]), run_every=2 if going else None)()
    _failed([(run, job) for run in missing if (job := jobs[run.row.id]) is not None and job.state == "failed"])
    may = [run for run in missing if rights.allowed(visitor(), Verb.ANALYSE, run.row.owner)]
    ready = [run for run in may if run not in going and latest_stamp(run.row.id)]
    if ready:
        label = f"Analyse {len(ready)} run{'s' * (len(ready) > 1)}"
        st.button(
            label, icon=":material/query_stats:", key="analyse", on_click=_submit, args=[[r.row.id for r in ready]]
        )
    if said := st.session_state.pop("analyse-failed", None):
        problem(said)


def _newest(run: Compared) -> queue.Job | None:
    found = [job for job in queue.jobs(lab(), run.row.id) if job.kind == "analyse"]
    return found[-1] if found else None


def _standing(missing: Sequence[Compared], going: Sequence[str]) -> None:
    """What is missing, or how far it is; the whole page follows when a measurement is there."""
    jobs = [queue.jobs(lab(), run_id)[-1] for run_id in going]
    if any(job.state not in OPEN for job in jobs):
        st.rerun()
    names = ", ".join(plain(run.label) for run in missing[:4]) + (
        f" and {len(missing) - 4} more" if len(missing) > 4 else ""
    )
    if not jobs:
        going_on = all(run.row.state in OPEN for run in missing)
        word = "are" if len(missing) > 1 else "is"
        ends = "they end" if len(missing) > 1 else "it ends"
        why = f"analysed when {ends}" if going_on else "not analysed, by an older version, or damaged"
        st.markdown(f":gray[{names} {word} {why}: until then figures, test images and simple methods are missing.]")
        return
    total = sum(job.total_steps or 30 for job in jobs)
    share = min(1.0, sum(job.step for job in jobs) / total)
    st.progress(share, f"Analysing {names}")


def _failed(found: Sequence[tuple[Compared, queue.Job]]) -> None:
    for run, job in found[:4]:
        st.warning(
            f"{plain(run.label)} could not be analysed: {plain(job.reason.splitlines()[0])}", icon=":material/info:"
        )


def _submit(run_ids: Sequence[str]) -> None:
    """Queue what is missing; the same again is the same job."""
    try:
        for run_id in run_ids:
            queue.submit_job(lab(), run_id, "analyse", who())
    except LabError as error:
        st.session_state["analyse-failed"] = str(error)
