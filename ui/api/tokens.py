"""Every route asks for a token, which is bound to who asks and to the runs that the address names: else it answers 403."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import wraps

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ui import tickets
from ui.caching import NEVER
from ui.lab import who, whole
from ui.samples import RECORDED
from ui.shared import NotAtHandError, at_hand

SENTENCE = "This address holds for one person, what it names, and four weeks: open the page anew."
QUICK = ("/api/metrics", "/api/samples", "/api/pulse", "/api/pulse/{run}", "/api/notices")
"""What open pages ask for all the time."""


def guarded(route: Route) -> Route:
    """The route, which answers to whoever has a token for what they ask."""
    answer = route.endpoint

    @wraps(answer)
    def asked(request: Request) -> Response:
        about = named(request) or (route.path.split("/")[2],)
        given = request.query_params.get("token", "")
        if not RECORDED.keys() >= set(about) and not tickets.holds(whole(), who(), given, *about):
            return JSONResponse({"problem": SENTENCE}, 403, NEVER)
        return answer(request)  # type: ignore[no-any-return]

    return Route(route.path, _quick(asked) if route.path in QUICK else asked, methods=route.methods)


def _quick(answer: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
    """An answer that somebody else has just been given costs no thread. A database across the network is never waited for here."""

    async def asked(request: Request) -> Response:
        if whole().engine.dialect.name == "sqlite":
            with at_hand(), suppress(NotAtHandError):
                return answer(request)
        return await run_in_threadpool(answer, request)

    return asked


def named(request: Request) -> tuple[str, ...]:
    """The runs that an address names."""
    asked = (request.path_params.get("run"), request.query_params.get("run"), request.query_params.get("other"))
    return tuple(run for run in asked if run)
