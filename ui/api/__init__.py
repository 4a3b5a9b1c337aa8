"""The HTTP routes that the components read. Each module here names its own in ROUTES."""

from starlette.routing import Route

from ui.api import files, latent, live, moments, pulse

ROUTES: list[Route] = [*live.ROUTES, *latent.ROUTES, *moments.ROUTES, *pulse.ROUTES, *files.ROUTES]
