"""Real receivers of messages on this machine: a web server for webhooks, and a mail server."""

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope

USER, PASSWORD = "lab", "s3cret"


@dataclass
class Posted:
    """What came to the web server, and what it answers: a status after the other, then 200 for good; or it hangs."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    behaviour: str = "answer"
    """'answer'; 'hang': never; 'drip': a header line at a time, for ever."""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    ids: list[str | None] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def web() -> Iterator[Posted]:
    posted = Posted()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            posted.ids.append(self.headers["Idempotency-Key"])
            if posted.behaviour == "hang":
                posted.released.wait(60)
            elif posted.behaviour == "drip":
                with contextlib.suppress(OSError):
                    self.wfile.write(b"HTTP/1.1 200 OK\r\n")
                    while not posted.released.wait(0.05):
                        self.wfile.write(b"X-Slow: 1\r\n")
            else:
                self.send_response(posted.statuses.pop(0) if posted.statuses else 200)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    posted.url = f"http://127.0.0.1:{server.server_port}/hooks/T0K3N?a=b"
    try:
        yield posted
    finally:
        posted.released.set()
        server.shutdown()
        server.server_close()


@dataclass
class Mailbox:
    """What came to the mail server. It takes mail after STARTTLS and a login only, and knows nobody called nobody."""

    port: int = 0
    mails: list[Message] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)

    async def handle_RCPT(self, server: SMTP, session: Any, envelope: Envelope, address: str, options: Any) -> str:
        if address.startswith("nobody@"):
            return "550 <b>no such user</b>"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:
        self.mails.append(BytesParser(policy=default).parsebytes(envelope.content or b""))
        return "250 OK"

    def login(self, server: SMTP, session: Any, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        self.logins.append(data.login)
        return AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()))


@contextlib.contextmanager
def post_office(folder: Path) -> Iterator[Mailbox]:
    """A mail server with a certificate of an authority of its own, which lies in `folder/authority.pem`."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        box = Mailbox(probe.getsockname()[1])
    controller = Controller(
        box, hostname="localhost", port=box.port, tls_context=context, require_starttls=True, auth_required=True, authenticator=box.login
    )  # fmt: skip
    controller.start()
    try:
        yield box
    finally:
        controller.stop()
