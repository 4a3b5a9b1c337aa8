"""The dashboard's font: our own copy, so that no network is needed."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

FONT = Path(__file__).parents[1] / "fonts/inter.woff2"


def font(request: Request) -> FileResponse:
    """Inter, variable weight, Latin."""
    return FileResponse(FONT, media_type="font/woff2", headers={"Cache-Control": "public, max-age=31536000, immutable"})


ROUTES = [Route("/fonts/inter.woff2", font)]
