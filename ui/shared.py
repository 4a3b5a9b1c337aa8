"""What many viewers ask for at the same moment is found once for all of them."""

from collections.abc import Callable
from functools import wraps
from threading import Condition
from typing import Any, ParamSpec, TypeVar

from cachetools import TTLCache, cached

Asked = ParamSpec("Asked")
Found = TypeVar("Found")
_kept: list[TTLCache[Any, Any]] = []


def once_in(seconds: float, most: int = 256) -> Callable[[Callable[Asked, Found]], Callable[Asked, Found]]:
    """Keep what a function found for so long; who asks for the same while it is being looked for waits for that one answer.

    Whose eyes it is for is not among its arguments: whatever is found so is the same for everybody who may see it at all.
    """

    def once(find: Callable[Asked, Found]) -> Callable[Asked, Found]:
        kept: TTLCache[Any, Found] = TTLCache(most, seconds)
        _kept.append(kept)
        ask: Callable[Asked, Found] = cached(kept, condition=Condition())(find)
        return wraps(find)(ask)

    return once


def forget() -> None:
    """As if nobody had asked for anything."""
    for kept in _kept:
        kept.clear()
