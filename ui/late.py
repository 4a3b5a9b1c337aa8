"""What waits for a word from the browser does not wait for ever: a component may fail before it says anything."""

import time
from collections.abc import Callable

import streamlit as st

PATIENCE = 5.0
"""Seconds."""


def after_a_while(key: str, call: Callable[[], object]) -> None:
    """Do `call` once, some seconds after this was first said in this session, as long as it is still said."""
    st.session_state.setdefault(key, time.monotonic())
    st.fragment(_look, run_every=PATIENCE)(key, call)


def _look(key: str, call: Callable[[], object]) -> None:
    if time.monotonic() - st.session_state[key] >= PATIENCE - 1:
        call()
