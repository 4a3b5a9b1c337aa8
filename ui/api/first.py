"""What open pages ask for all the time, answered before the layers that Streamlit puts around its own: they take time of the one
interpreter that all visitors share (docs/LOG.md has the measure)."""

from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ui import ways
from ui.api import ROUTES
from ui.api.tokens import QUICK
from ui.asgi import Layer

LARGE = 20_000
"""Bytes from which on an answer is sent compressed: a whole curve."""


class First(Layer):
    """ASGI middleware, behind those that say who may ask."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app)
        self.routes = [Route(ways.base() + route.path, route.endpoint) for route in ROUTES if route.path in QUICK]

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        for route in self.routes if scope["type"] == "http" else ():
            match, found = route.matches(scope)
            if match is Match.FULL:
                answer = await route.endpoint(Request({**scope, **found}, receive))
                await GZipMiddleware(answer, minimum_size=LARGE)(scope, receive, send)
                return
        await self.app(scope, receive, send)
