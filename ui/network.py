"""The right-hand side of the Train page: the network as a drawing, as figures and as a table of layers."""

from typing import TYPE_CHECKING

import streamlit as st

from aecore.config import Facts, RunConfig
from aecore.runs.text import size
from ui import estimates, warm
from ui.hourglass import Stage, show, stages
from ui.words import escape

if TYPE_CHECKING:
    from aecore.models import Layer, Summary
    from aecore.training.memory import Memory

BEFORE = "network-stages"
"""Session key of what was drawn last, from which the drawing moves on."""
SKELETON = 330
"""Pixels that the drawing and its figures take."""
ASKING = 0.5
"""Seconds between looks while what counts the layers is imported."""


def draw(config: RunConfig | None, known: estimates.Data) -> None:
    """Drawing and figures of a config; the last drawing, greyed, where there is no config that holds."""
    before: list[Stage] = st.session_state.get(BEFORE, [])
    if config is None:
        if before:
            show(before, before, dim=True)
        return
    if warm.underway():
        st.fragment(_wait, run_every=ASKING)()
        return
    facts = known.facts(config.data)
    found = estimates.summary(config, facts)
    now = stages(found.layers, facts.shape, found.code_shape)
    show(now, before)
    st.session_state[BEFORE] = now
    memory = estimates.memory(config, facts)
    bits = config.model.bottleneck.bits(found.code_shape)
    st.html(_figures(found, bits, facts, memory, known.where(config)))
    if warning := heavy(memory):
        st.html(f'<p class="field-problem heavy">{escape(warning)}</p>')


def _wait() -> None:
    """In the place of the drawing, for a few seconds after the dashboard has started: the form can be used meanwhile."""
    if not warm.underway():
        st.rerun()
    st.skeleton(height=SKELETON)


def table(config: RunConfig, known: estimates.Data) -> None:
    """Every layer with its output and parameters; nothing while the drawing waits."""
    if warm.underway():
        return
    found = estimates.summary(config, known.facts(config.data))
    st.html(_table(found))


def heavy(memory: "Memory") -> str:
    """A sentence on a run that is large for the machine, '' for the usual ones."""
    if memory.checkpoint < estimates.BIG and memory.total < 2 * estimates.BIG:
        return ""
    return (
        f"This is a large model: {size(memory.total)} to train, {size(memory.checkpoint)} a checkpoint. "
        "Its checkpoints are made more rarely."
    )


def _figures(found: "Summary", bits: float | None, facts: Facts, memory: "Memory", where: str) -> str:
    ratio, numbers = estimates.compression(facts, found.code_size, bits)
    place, _, free = where.partition(":")[0].replace(" (", ", ").replace(")", "").partition(", ")
    cards = [
        ("Compression", ratio, numbers),
        ("Parameters", f"{found.parameters:,}", f"{size(4 * found.parameters)} of weights"),
        ("Memory to train", f"≈ {size(memory.total)}", f"{size(memory.checkpoint)} a checkpoint"),
        ("Runs on", place, free),
    ]
    inside = "".join(
        f"<div><dt>{name}</dt><dd{' class=warn' * value.startswith('no ')}>{escape(value)}</dd><small>{escape(more)}</small></div>"
        for name, value, more in cards
    )
    return f'<dl class="figures">{inside}</dl>'


def _table(found: "Summary") -> str:
    total, rows = found.parameters, "".join(_row(layer, found.parameters) for layer in found.layers)
    for name, count in found.beside.items():
        rows += f"<tr><td>Beside</td><td>{name}</td><td></td><td class=n>{count:,}</td><td class=share></td></tr>"
    head = "<tr><th>Part</th><th>Layer</th><th>Output</th><th class=n>Parameters</th><th>Share</th></tr>"
    foot = f"<tr><td></td><td>All layers</td><td></td><td class=n>{total:,}</td><td></td></tr>"
    return f'<table class="layers"><thead>{head}</thead><tbody>{rows}</tbody><tfoot>{foot}</tfoot></table>'


def _row(layer: "Layer", total: int) -> str:
    part, name, shape, parameters = layer
    share = 100 * parameters / max(1, total)
    bar = f'<i class="p-{part}" style="width:{share:.1f}%"></i>' if parameters else ""
    size = "×".join(f"{n:,}" for n in shape)
    return (
        f'<tr><td class="p-{part}">{part.capitalize()}</td><td>{escape(name)}</td><td>{size}</td>'
        f"<td class=n>{f'{parameters:,}' if parameters else '–'}</td><td class=share>{bar}</td></tr>"
    )
