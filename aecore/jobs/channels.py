"""The ways on which news leaves the lab: a webhook, mail. Each sends one message, or says in words why it could not."""

import http.client
import json
import smtplib
import socket
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import localtime
from urllib.parse import urlsplit

from aecore.config.tell import TellSettings
from aecore.jobs.news import News, plain

CHANNELS = ("webhook", "mail")


class NotTold(Exception):
    """A message was not taken: a sentence that goes on from its receiver's name."""


def there(channel: str, settings: TellSettings, private: bool) -> bool:
    """Whether the lab has this channel for a run. What only its owner may see goes to no webhook, which others read."""
    return bool(settings.mail.server if channel == "mail" else settings.webhook and not private)


def receiver(channel: str, settings: TellSettings, owner: str) -> str:
    """Who gets it, in words that hold no secret."""
    return f"the webhook at {settings.webhook_host}" if channel == "webhook" else f"{owner}, by mail,"


def send(channel: str, settings: TellSettings, one: News) -> None:
    """Send one message. Raises NotTold."""
    try:
        WAYS[channel](settings, one)
    except (OSError, http.client.HTTPException, smtplib.SMTPException, ValueError) as error:
        raise NotTold(why(error, settings.timeout_seconds)) from None


def _webhook(settings: TellSettings, one: News) -> None:
    """POST it as JSON. A redirect is not followed: what it leads to was not chosen by the lab."""
    parts = urlsplit(settings.webhook)
    secure, content = parts.scheme == "https", {"text": _with_link(one, settings), "title": one.title, "run": one.run}
    content |= {"state": one.new, "link": one.link(settings), "id": one.id}
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=settings.timeout_seconds)
    headers = {"Content-Type": "application/json", "User-Agent": "autoencoder-lab", "Idempotency-Key": one.id}
    try:
        connection.request(
            "POST", (parts.path or "/") + "?" * bool(parts.query) + parts.query, json.dumps(content), headers
        )
        status = connection.getresponse().status
    finally:
        connection.close()
    if not 200 <= status < 300:
        raise NotTold(f"answered {status}" + ", a redirect" * (300 <= status < 400))


def _mail(settings: TellSettings, one: News) -> None:
    mail, to = settings.mail, settings.mail.address(one.owner)
    if not to:
        raise NotTold("has no address in this lab: see tell.mail.addresses in its settings")
    if mail.user and not mail.secret:
        raise NotTold("cannot be reached: tell.mail.user is set, but there is no password")
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = mail.sender, to, one.title
    message["Message-ID"] = f"<{one.id}@{mail.sender.rpartition('@')[2]}>"
    message["Date"] = localtime()
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_with_link(one, settings) + "\n")
    safe = ssl.create_default_context()
    with (
        smtplib.SMTP_SSL(mail.server, mail.port, timeout=settings.timeout_seconds, context=safe)
        if mail.security == "tls"
        else smtplib.SMTP(mail.server, mail.port, timeout=settings.timeout_seconds)
    ) as server:
        if mail.security == "starttls":
            server.starttls(context=safe)
        if mail.user:
            server.login(mail.user, mail.secret)
        server.send_message(message)


def _with_link(one: News, settings: TellSettings) -> str:
    return f"{one.text}\n{one.link(settings)}".strip()


WAYS: dict[str, Callable[[TellSettings, News], None]] = {"webhook": _webhook, "mail": _mail}


def why(error: Exception, seconds: float) -> str:
    """What went wrong, as the rest of a sentence that begins with the receiver."""
    if isinstance(error, TimeoutError):
        return f"did not answer within {seconds:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"has a certificate that is not trusted: {plain(error.verify_message)}"
    if isinstance(error, ssl.SSLError):
        return f"does not speak TLS as it should: {plain(error.reason or 'no reason given')}"
    if isinstance(error, socket.gaierror):
        return "cannot be reached: there is no such host"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return f"was refused by the mail server: {_first(next(iter(error.recipients.values())))}"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"was refused by the mail server: {_first((error.smtp_code, error.smtp_error))}"
    if isinstance(error, OSError) and error.strerror and not isinstance(error, smtplib.SMTPException):
        return f"cannot be reached: {error.strerror.lower()}"
    return f"did not answer as it should: {type(error).__name__}"


def _first(answer: tuple[int, bytes | str]) -> str:
    code, text = answer
    return f"{code} {plain(text.decode('utf-8', 'replace') if isinstance(text, bytes) else text)}".strip()
