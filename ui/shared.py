"""What many viewers ask for at the same moment is found once for all of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from threading import Condition
from typing import Any, ParamSpec, TypeVar

from cachetools import TTLCache, cached
from cachetools.keys import hashkey

Asked = ParamSpec("Asked")
Found = TypeVar("Found")
_kept: list[TTLCache[Any, Any]] = []
_looks: ContextVar[bool] = ContextVar("looks", default=True)


class NotAtHandError(Exception):
    """It would have to be found first."""


@contextmanager
def at_hand() -> Iterator[None]:
    """Nothing is looked for meanwhile: what was not found by somebody else raises NotAtHandError."""
    token = _looks.set(False)
    try:
        yield
    finally:
        _looks.reset(token)


def once_in(seconds: float, most: int = 256) -> Callable[[Callable[Asked, Found]], Callable[Asked, Found]]:
    """Keep what a function found for so long; who asks for the same while it is being looked for waits for that one answer.

    Whose eyes it is for is not among its arguments: whatever is found so is the same for everybody who may see it at all.
    """

    def once(find: Callable[Asked, Found]) -> Callable[Asked, Found]:
        kept: TTLCache[Any, Found] = TTLCache(most, seconds)
        _kept.append(kept)
        turn = Condition()
        look: Callable[Asked, Found] = cached(kept, condition=turn)(find)

        @wraps(find)
        def ask(*args: Asked.args, **named: Asked.kwargs) -> Found:
            if _looks.get():
                return look(*args, **named)
            with turn:
                try:
                    return kept[hashkey(*args, **named)]  # type: ignore[arg-type]
                except KeyError:
                    raise NotAtHandError from None

        return ask

    return once


def forget() -> None:
    """As if nobody had asked for anything."""
    for kept in _kept:
        kept.clear()
