"""What nobody expected, in a page's script or a route: the log has the traceback under a number, and the visitor reads that alone."""

import logging
import secrets

import streamlit as st

from aecore.runs import LabError

log = logging.getLogger("aelab")


def told(error: Exception) -> bool:
    """Show a page's error: one of the lab's as it is, of any other the number under which the log has it.

    Returns: True, which says to Streamlit that nothing else need be shown.
    """
    from ui.words import plain  # not before it is needed: the launcher imports this

    st.error(plain(str(error)) if isinstance(error, LabError) else sentence(noted(error)), icon=":material/error:")
    return True


def noted(error: Exception) -> str:
    """Log an error; the number under which it stands there."""
    number = secrets.token_hex(4)
    log.error("Error %s", number, exc_info=error)
    return number


def sentence(number: str) -> str:
    """What the visitor reads."""
    return (
        f"Something failed here that was not foreseen; runs go on, and nothing of them is lost. Its number is {number}: "
        "the dashboard's log says more under it."
    )
