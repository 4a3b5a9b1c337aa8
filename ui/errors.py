"""What nobody expected in a page's script: the log has the traceback under a number, and the visitor reads the number alone."""

import logging
import secrets

import streamlit as st

log = logging.getLogger("aelab")


def told(error: Exception) -> bool:
    """Log an error and show its number; True says to Streamlit that nothing else need be shown."""
    number = secrets.token_hex(4)
    log.error("Error %s", number, exc_info=error)
    st.error(
        f"Something failed here that was not foreseen; runs go on, and nothing of them is lost. Its number is {number}: "
        "the dashboard's log says more under it.",
        icon=":material/error:",
    )
    return True
