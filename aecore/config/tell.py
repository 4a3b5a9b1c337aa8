"""How a lab tells people that a run has ended: by a webhook, by mail. What is secret in here is shown nowhere."""

import os
import re
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from aecore.config.base import ConfigError, Settings

PASSWORD = "AELAB_MAIL_PASSWORD"
"""Environment variable of the supervisor that is read where the settings hold no password."""


def _parts(address: str) -> SplitResult | None:
    """The parts of a web address; None for what is none."""
    try:
        parts = urlsplit(address)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # the port is no number
        return None
    return parts if known and address.isascii() and address.isprintable() and " " not in address else None


def _web(name: str) -> Any:
    def checked(address: str) -> str:
        if address and _parts(address) is None:
            raise ConfigError({name: f"{name} must begin with http:// or https:// and name a host, without spaces."})
        return address

    return AfterValidator(checked)


def _mailbox(text: str) -> str:
    if not re.fullmatch(r"[^@\s<>,;:\"()\[\]\\]+@[^@\s<>,;:\"()\[\]\\]+", text) or not text.isprintable():
        raise ConfigError({"tell.mail": f"tell.mail has {text!r}, which is no address such as ada@example.org."})
    return text


def _sender(text: str) -> str:
    return _mailbox(text) if text else text


def _secret(name: str) -> Any:
    def checked(value: object) -> object:
        if not isinstance(value, str):
            raise ConfigError({name: f"{name} must be text."})  # without the value
        return value

    return BeforeValidator(checked)


class MailSettings(Settings):
    """`tell.mail` in a lab's `settings.json`."""

    server: str = Field(
        "",
        pattern=r"^[\w.:-]*$",
        title="Mail server",
        description="Its name, such as smtp.example.org; empty: no mail.",
    )
    port: int = Field(
        587, ge=1, le=65535, title="Port", description="587 goes with starttls, 465 with tls, 25 with none."
    )
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", title="Security", description="How the connection is encrypted; none only inside one's own network."
    )
    user: str = Field("", title="User", description="To log in as; empty: without a login.")
    password: Annotated[str, _secret("tell.mail.password")] = Field(
        "", repr=False, title="Password", description=f"Better left to the supervisor's environment, as {PASSWORD}."
    )
    sender: Annotated[str, AfterValidator(_sender)] = Field(
        "", title="Sender", description="The address that mails come from."
    )
    addresses: dict[str, Annotated[str, AfterValidator(_mailbox)]] = Field(
        default_factory=dict,
        title="Addresses",
        description="Person → address. Whoever logs in with an address needs no entry.",
    )

    @model_validator(mode="after")
    def _complete(self) -> "MailSettings":
        if self.server and not self.sender:
            raise ConfigError(
                {"tell.mail.sender": "tell.mail.sender is missing: mail needs an address that it comes from."}
            )
        if self.user and self.security == "none":
            raise ConfigError(
                {
                    "tell.mail.security": "tell.mail.security is 'none', but a password must not travel in the clear: use starttls or tls."
                }
            )
        return self

    def address(self, person: str) -> str:
        """Where mail to a person goes; '' where that is not known."""
        return self.addresses.get(person) or (person if re.fullmatch(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", person) else "")

    @property
    def secret(self) -> str:
        """The password: of the settings, else of the environment."""
        return self.password or os.environ.get(PASSWORD, "")


class TellSettings(Settings):
    """`tell` in a lab's `settings.json`."""

    webhook: Annotated[str, _secret("tell.webhook"), _web("tell.webhook")] = Field(
        "",
        repr=False,  # whoever knows it can write there
        title="Webhook",
        description="An address that takes a POST of JSON with `text`, as Slack, Mattermost and others do; empty: none.",
    )
    mail: MailSettings = Field(default_factory=MailSettings, title="Mail", description="The server that sends mail.")
    dashboard: Annotated[str, _web("tell.dashboard")] = Field(
        "",
        title="Dashboard",
        description="Its address for links in messages, such as https://lab.example.org; empty: no links.",
    )
    tries: int = Field(5, ge=1, le=20, title="Tries", description="So often a message is sent before the lab gives up.")
    retry_seconds: float = Field(
        30,
        gt=0,
        le=3600,
        title="Retry after, s",
        description="Before the second try; twice as long before each further one.",
    )
    timeout_seconds: float = Field(
        10, gt=0, le=120, title="Timeout, s", description="So long a receiver may be silent."
    )

    @property
    def webhook_host(self) -> str:
        """The part of the webhook's address that may be shown; '' where there is none."""
        parts = _parts(self.webhook)
        return parts.netloc.rpartition("@")[2] if parts else ""
