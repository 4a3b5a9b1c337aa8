"""The files of a run's newest checkpoint, with what it takes to know that a download is whole."""

from urllib.parse import quote, urlencode

import streamlit as st

from aecore.runs import RunRow
from aecore.runs.text import size
from ui import tickets
from ui.api.files import kept
from ui.lab import lab, latest_stamp, who, whole
from ui.server_now import table
from ui.words import escape

WHAT = {
    "encoder.safetensors": "the encoder, usable alone",
    "decoder.safetensors": "the decoder, usable alone",
    "optimiser.safetensors": "the optimiser's state, to train on",
    "state.json": "where the training stands",
}


def panel(row: RunRow) -> None:
    """A line for each file: a link that resumes where it broke off, the size, and the sha256."""
    stamp = latest_stamp(row.id)
    try:
        found = kept(lab().run(row.id).checkpoints / stamp) if stamp else []
    except (OSError, ValueError):  # thinned out a moment ago, or damaged
        found = []
    lines = [
        [
            f'<a href="{escape(address(row.id, stamp, one.name))}" download target="_blank">{escape(one.name)}</a>',
            escape(WHAT.get(one.name, "")),
            size(one.size) if one.size >= 5e5 else f"{one.size:,} bytes",
            f"<code>{escape(one.sha256)}</code>",
        ]
        for one in found
    ]
    table(
        ["File", "What", "Size", "sha256"], lines, "The first checkpoint comes about a minute after the start.", "files"
    )
    if found:
        st.caption(
            f"Of the checkpoint of step {int(stamp.partition('-')[0]):,}. The links are yours, and hold for a day; a download that "
            "broke off goes on where it was, also with `curl -C - -o FILE ADDRESS`."
        )


def address(run: str, stamp: str, name: str) -> str:
    """Where this visitor gets a file, relative to the dashboard's address."""
    good_for = tickets.ticket(whole(), who(), run, stamp, name)
    return f"api/checkpoint/{quote(run)}/{quote(stamp)}/{quote(name)}?{urlencode({'ticket': good_for})}"
