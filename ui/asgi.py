"""What our ASGI middlewares share: which requests concern them, and how a request or a connection is refused."""

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send


class Layer:
    """ASGI middleware: `answer` for requests and websockets; what else a server says (that it starts and ends) goes through."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        concerns = scope["type"] in ("http", "websocket")
        await (self.answer if concerns else self.app)(scope, receive, send)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError


async def refuse(scope: Scope, receive: Receive, send: Send, answer: Response) -> None:
    """This answer to a request; a websocket is closed."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    else:
        await answer(scope, receive, send)
