"""One of several kinds as a card with a drawing and a sentence. A click shows all of them; what cannot be chosen says why."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import streamlit as st

from ui.widgets import say
from ui.words import plain


class Kinds(NamedTuple):
    """What there is to choose from at one place of a configuration."""

    key: str
    """Of the button that shows them; `key=kind` is that of one of them."""
    part: str
    """Name of the place: backbone, bottleneck, objective or task."""
    title: str
    sentences: Mapping[str, str]
    """{kind: what it is}."""
    chosen: str


def card(kinds: Kinds, refusals: Callable[[], Mapping[str, str]], choose: Callable[[str], None]) -> None:
    """The chosen kind. `refusals` gives {kind: reason} of what cannot be, `choose` takes another one."""
    first = kinds.sentences[kinds.chosen].split(". ")[0].removesuffix(".")
    label = f"*{plain(kinds.title)}* **{plain(say(kinds.chosen))}** {plain(first)}."
    with st.container(key=f"shown-{kinds.part}-{kinds.chosen}"):
        look = {"icon": ":material/unfold_more:", "icon_position": "right", "wrap": True, "width": "stretch"}
        if st.button(label, key=kinds.key, **look):  # type: ignore[arg-type]
            st.dialog(kinds.title, width="large")(_all)(kinds, refusals(), choose)


def _all(kinds: Kinds, refused: Mapping[str, str], choose: Callable[[str], None]) -> None:
    """Every kind: first those that go with the rest of the configuration, then the others with their reasons."""
    with st.container(key="kinds", gap="small"):
        with st.grid(3, gap="small"):
            for kind in kinds.sentences:
                if kind not in refused:
                    _one(kinds, kind, "", choose)
        if refused:
            st.html("<p>Not possible with the rest of this configuration:</p>")
            with st.grid(3, gap="small"):
                for kind in kinds.sentences:
                    if kind in refused:
                        _one(kinds, kind, refused[kind], choose)


def _one(kinds: Kinds, kind: str, reason: str, choose: Callable[[str], None]) -> None:
    label = f"**{plain(say(kind))}** {plain(kinds.sentences[kind])}" + f" *{plain(reason)}*" * bool(reason)
    key, look = f"{kinds.key}={kind}", "primary" if kind == kinds.chosen else "secondary"
    with st.container(key=f"offered-{kinds.part}-{kind}"):
        told = {"disabled": bool(reason), "on_click": choose, "args": [kind], "wrap": True, "width": "stretch"}
        if st.button(label, key=key, type=look, **told):  # type: ignore[arg-type]
            st.rerun()  # all of the page: the dialog alone is a fragment of it
