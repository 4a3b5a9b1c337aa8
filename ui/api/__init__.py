"""The HTTP routes that the components read. Each module here names its own in ROUTES."""

from starlette.routing import Route

from ui.api import files, latent, live, moments, pulse
from ui.api.tokens import guarded

ROUTES: list[Route] = [*map(guarded, [*live.ROUTES, *latent.ROUTES, *moments.ROUTES, *pulse.ROUTES]), *files.ROUTES]
"""Those of `files` ask for a ticket themselves, so that a program without a cookie can go on with a download."""
