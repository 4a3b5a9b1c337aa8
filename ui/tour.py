"""The tour of a kiosk: three minutes through the pages with real data, by hand or by itself."""

import streamlit as st

from ui import kiosk
from ui.frame import go, page_link
from ui.kiosk import SECONDS, STEP, STOPS, WALKING
from ui.lab import lab

CAME = "tour-came"
"""In the session: whether a page was shown already."""


def go_to(place: int) -> None:
    """Leave for a stop; after the last comes the first."""
    place %= len(STOPS)
    go(STOPS[place].page, **kiosk.query(lab(), place))


def bar(page: str) -> None:
    """At the bottom of each page while somebody is on the tour: what this page is, and the way on.

    Who comes by the address of a stop is led to its page, once: a browser's Back passes by addresses of other pages with it.
    """
    named, place = kiosk.place(), [stop.page for stop in STOPS].index(page)
    comes = not st.session_state.get(CAME)
    st.session_state[CAME] = True
    if named is None:
        return
    if comes and named != place:
        go_to(named)
    stop, walking = STOPS[place], st.session_state.get(WALKING, False)
    with st.bottom, st.container(key="tour-bar", horizontal=True, vertical_alignment="center", gap="medium"):
        st.html(f"<b>{place + 1} of {len(STOPS)} · {stop.title}</b> <span>{stop.words}</span>")
        if st.button("Back", key="tour-back", icon=":material/arrow_back:", disabled=place == 0):
            go_to(place - 1)
        if st.button("Next", key="tour-next", icon=":material/arrow_forward:", type="primary"):
            go_to(place + 1)
        label, icon = ("Stay here", "pause") if walking else ("Walk by itself", "play_arrow")
        if st.button(label, key="tour-walk", icon=f":material/{icon}:", type="tertiary"):
            st.session_state[WALKING] = not walking
            st.rerun()
        if walking:
            _walk(place)


def _walk(place: int) -> None:
    """Go on when nobody has touched this stop for long enough."""
    looks = [0]

    @st.fragment(run_every=SECONDS)
    def clock() -> None:
        looks[0] += 1
        if looks[0] > 1:  # the first time is now
            go_to(place + 1)

    clock()


def stops() -> None:
    """All stops side by side, each a way in."""
    for place, column in enumerate(st.columns(len(STOPS) - 1, gap="medium")):
        stop = STOPS[place]
        with column.container(key=f"stop-{place}", border=True, height="stretch"):
            st.markdown(f"**{place + 1}. {stop.title}**\n\n{stop.words}")
            page_link(stop.page, "Go there", ":material/arrow_forward:", **kiosk.query(lab(), place))


def start() -> None:
    """The buttons that begin it."""
    with st.container(key="next", horizontal=True, vertical_alignment="center"):
        for label, key, icon, walking in (
            ("Take the tour", "tour-start", "tour", False),
            ("Let it walk by itself", "tour-alone", "play_arrow", True),
        ):
            if st.button(label, key=key, type="secondary" if walking else "primary", icon=f":material/{icon}:"):
                st.session_state[WALKING] = walking
                go_to(0)
    st.caption(f"By itself it stays {SECONDS} seconds at each stop, and begins again. `?{STEP}=1` is its address.")
