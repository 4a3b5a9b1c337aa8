"""The script that Streamlit runs for each visitor: the look, the lab, and the page."""

from pathlib import Path

import streamlit as st

from aecore.runs import LabError
from ui import kiosk, telling, tour, warm
from ui.frame import PAGES, problem, visitor
from ui.lab import lab
from ui.notices import keeper, notices

HERE = Path(__file__).parent
TITLES = {
    "home": ("Home", ":material/home:"),
    "train": ("Train", ":material/tune:"),
    "runs": ("Runs", ":material/monitoring:"),
    "compare": ("Compare", ":material/compare:"),
    "latent": ("Latent space", ":material/scatter_plot:"),
    "server": ("Server", ":material/dns:"),
    "tour": ("Tour", ":material/tour:"),
}

st.set_page_config("Autoencoder Lab", page_icon=str(HERE / "assets/icon.png"), layout="wide")
st.logo(str(HERE / "assets/logo.svg"), size="large")
st.html(HERE / "assets/style.css")

names = kiosk.PAGES if kiosk.chosen() else [name for name in PAGES if name != "tour"]
hidden = "server" if not keeper() else ""
page = st.navigation(
    [
        st.Page(
            PAGES[name],
            title=TITLES[name][0],
            icon=TITLES[name][1],
            url_path=name,
            default=name == names[0],
            visibility="hidden" if name == hidden else "visible",  # a link that somebody sent says whom it is for
        )
        for name in names
    ],
    position="top",
)
try:
    lab()
except LabError as error:
    problem(error)
else:
    if kiosk.chosen():
        tour.bar(page.url_path or names[0])
    else:
        visitor()
        telling.listen()
    notices()
    page.run()
    warm.visited()
