"""What every page shares: its head, its links to the others, its empty state, its errors."""

from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote
from zlib import crc32

import streamlit as st

from aecore.runs.rights import Role
from ui import access, kiosk, ways
from ui.lab import lab, who
from ui.lab import visitor as lab_visitor
from ui.words import escape, plain

FOLDER = Path(__file__).parents[1] / "pages"
LOGO = Path(__file__).parent / "assets/logo.svg"
PAGES = {name: FOLDER / f"{name}.py" for name in ("home", "train", "runs", "compare", "latent", "server", "tour")}


def header(title: str, subtitle: str | None = None) -> None:
    """The head of a page: a title, and a line that says what the page is for."""
    with st.container(key="head", gap="xsmall"):
        st.title(title, anchor=False)
        if subtitle:
            st.markdown(subtitle)


def visitor() -> None:
    """The visitor's name in the bar at the top, and the way out; without any way in, that everyone is one user."""
    here, role = lab(), lab_visitor().role
    way = ways.way(here)
    kind = {Role.ADMIN: "admin", Role.GUEST: "guest, looks only"}.get(role, "")
    leave = f'<a href="{ways.base()}/{access.LOGOUT}">Leave</a>' if way in ("password", "login") else ""
    with st.container(key="visitor"):
        if way:
            st.html(f"<span>{escape(who())}</span> <small>{kind}</small> {leave}")
        else:
            st.html(f"<small>Everyone here is one user: {escape(who())}</small>")


def section(title: str, note: str = "") -> None:
    """A heading inside a page, with a quiet note behind it."""
    st.subheader(title + (f"&ensp;:gray[:small[{note}]]" if note else ""), anchor=False)


def empty(text: str, page: str | None = None, label: str | None = None, **query: Any) -> None:
    """What a page shows while there is nothing to show: a sentence, and a link to what to do next."""
    with st.container(key=f"empty-{crc32(text.encode())}", border=True, horizontal_alignment="center", gap="medium"):
        st.image(str(LOGO), width=72)
        st.markdown(text, text_alignment="center")
        if page:
            page_link(page, label or page.capitalize(), **query)


def problem(error: Exception | str) -> None:
    """An error as sentences, one a line, and never a traceback."""
    for line in str(error).splitlines() or [
        "Something failed, and left no message: the log of the dashboard has more."
    ]:
        st.error(plain(line), icon=":material/error:")


def page_link(page: str, label: str, icon: str | None = None, wide: bool = False, **query: Any) -> None:
    """A link to one of PAGES with this query, e.g. `page_link("compare", "Compare", runs="a,b")`; none to what a kiosk lacks."""
    if kiosk.chosen() and page not in kiosk.PAGES:
        return
    words = {name: str(value) for name, value in query.items()}
    st.page_link(PAGES[page], label=label, icon=icon, width="stretch" if wide else "content", query_params=words)


def go(page: str, **query: Any) -> NoReturn:
    """Leave for one of PAGES with this query."""
    st.switch_page(PAGES[page], query_params={name: str(value) for name, value in query.items()})


def href(page: str, **query: Any) -> str:
    """The address of one of PAGES, relative to the dashboard's, for HTML and tables."""
    place = "" if page == "home" else page
    return place + "?" * bool(query) + "&".join(f"{name}={quote(str(value))}" for name, value in query.items())
