"""The HTTP routes that the components read. Each module here names its own in ROUTES."""

from importlib import import_module
from importlib.util import find_spec

from starlette.routing import BaseRoute

MODULES = ("fonts", "live", "latent")

ROUTES: list[BaseRoute] = [
    route
    for module in MODULES
    if find_spec(f"{__name__}.{module}")
    for route in import_module(f"{__name__}.{module}").ROUTES
]
