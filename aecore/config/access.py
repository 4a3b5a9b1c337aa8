"""Who may come into a lab, and who is what there."""

import re
from typing import Literal, Self

from pydantic import Field, model_validator

from aecore.config.base import Config, ConfigError

LONGEST_NAME = 60
A_NAME = f"1 to {LONGEST_NAME} printable characters are needed, with single blanks"
TAKEN = ("authorization", "cookie", "host", "origin", "x-aelab-secret")
"""Headers that mean something else."""


def is_name(name: str) -> bool:
    """Whether somebody can be called so."""
    return 0 < len(name) <= LONGEST_NAME and name == " ".join(name.split()) and name.isprintable()


class AccessSettings(Config):
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
        return self


def _wrong(field: str, sentence: str) -> ConfigError:
    return ConfigError({f"access.{field}": f"access.{field} {sentence}"})
