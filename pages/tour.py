"""The first page of a kiosk: what this is, pictures of the chosen runs, and the tour."""

import streamlit as st

from ui import kiosk, tour
from ui.frame import header, problem
from ui.lab import lab
from ui.live import live_pictures, shown

header(
    "Autoencoders",
    "An autoencoder squeezes an image through a code of a few numbers and draws it again from them alone. "
    "Nothing here can be broken.",
)
if sentence := kiosk.why_not(lab()):
    problem(sentence)
    st.stop()
tour.start()
live_pictures(shown([(row.id, row.name) for row in kiosk.rows(lab())[:2]]), key="tour-film", loop=True)
tour.stops()
