"""Who may come into a lab, and who is what there."""

import re
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from aecore.config.base import ConfigError, Settings

LONGEST_NAME = 60
A_NAME = f"1 to {LONGEST_NAME} printable characters are needed, with single blanks"
TAKEN = ("authorization", "cookie", "host", "origin", "x-aelab-secret")
"""Headers that mean something else."""


def is_name(name: str) -> bool:
    """Whether somebody can be called so."""
    return 0 < len(name) <= LONGEST_NAME and name == " ".join(name.split()) and name.isprintable()


class LoginSettings(Settings):
    """`access.login`: the identity provider, of OpenID Connect, that says who somebody is."""

    provider: str = Field(
        "",
        title="Identity provider",
        description="Its configuration's address, as https://id.example.org/.well-known/openid-configuration.",
    )
    client_id: str = Field("", title="Client", description="What the provider calls this dashboard.")
    address: str = Field(
        "", title="Address", description="Where browsers find this dashboard, as https://lab.example.org/lab."
    )
    claim: str = Field("email", title="Claim", description="The claim that is a person's name in the lab.")
    title: str = Field("your account", title="Title", description="What the button says: Sign in with ...")

    def problem(self) -> str:
        """Why nobody could sign in by it, '' where that is not so."""
        for name, example in (("provider", ".well-known/openid-configuration"), ("client_id", ""), ("address", "")):
            value = getattr(self, name)
            if not value or (name != "client_id" and not _is_address(value)) or not value.endswith(example):
                wanted = type(self).model_fields[name].description
                return f"access.login.{name} is {value!r}, but a login needs it. {wanted}"
        return ""


def _is_address(text: str) -> bool:
    """Whether this is an address of the web: encrypted, unless it is this machine."""
    parts = urlsplit(text)
    here = parts.hostname in ("localhost", "127.0.0.1")
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and here)) and not parts.query


class AccessSettings(Settings):
    """`access` in a lab's `settings.json`: how the dashboard knows who is there, and who is what."""

    way: Literal["password", "login", "proxy"] = Field(
        "password",
        title="Way in",
        description="A name and the shared password (`make serve`), an identity provider, or a reverse proxy's header.",
    )
    admins: tuple[str, ...] = Field(
        (), title="Admins", description="Names of those who keep the lab. While there is none, every member may do all."
    )
    members: tuple[str, ...] = Field((), title="Members", description="Names of those who train here.")
    guests: tuple[str, ...] = Field((), title="Guests", description="Names of those who only look.")
    others: Literal["member", "guest", "nobody"] = Field(
        "member", title="Everyone else", description="What those are whom no list names; nobody: they are not let in."
    )
    proxy_header: str = Field(
        "X-Remote-User", title="Proxy's header", description="The header in which a reverse proxy says who is there."
    )

    login: LoginSettings = Field(
        default_factory=LoginSettings, title="Login", description="The identity provider, where the way in is a login."
    )

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        seen: dict[str, str] = {}
        for role in ("admins", "members", "guests"):
            for name in getattr(self, role):
                if not is_name(name):
                    raise _wrong(role, f"has {name!r}, which is no name: {A_NAME}.")
                if other := seen.get(name.casefold()):
                    raise _wrong(role, f"has {name!r}, and so has access.{other}: one of them.")
                seen[name.casefold()] = role
        if self.others != "member" and not self.admins and not self.members:
            raise _wrong("others", f"is {self.others!r} while nobody is an admin or a member: all would be locked out.")
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", self.proxy_header) or self.proxy_header.casefold() in TAKEN:
            raise _wrong("proxy_header", f"is {self.proxy_header!r}: a header of its own is needed, as X-Remote-User.")
        if self.way == "login" and (problem := self.login.problem()):
            raise ConfigError({"access.login": problem})
        return self


def _wrong(field: str, sentence: str) -> ConfigError:
    return ConfigError({f"access.{field}": f"access.{field} {sentence}"})
