"""Every route asks for a token, which is bound to who asks and to the runs that the address names: else it answers 403."""

from functools import wraps

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ui import tickets
from ui.api.live import RECORDED
from ui.lab import who, whole

SENTENCE = "This address holds for one person, what it names, and four weeks: open the page anew."
NEVER = {"Cache-Control": "no-store"}


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

    return Route(route.path, asked, methods=route.methods)


def named(request: Request) -> tuple[str, ...]:
    """The runs that an address names."""
    asked = (request.path_params.get("run"), request.query_params.get("run"), request.query_params.get("other"))
    return tuple(run for run in asked if run)
