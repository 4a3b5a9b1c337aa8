"""What a person types to find runs: `mnist code<=8 model.objective.kind=elbo tag=demo`. Every condition must hold."""

import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

TOKEN = re.compile(r"""\s*(?:([\w.]+)\s*(!=|<=|>=|=|<|>|~)\s*("[^"]*"|[^\s"]*)|("[^"]*"|[^\s"]+))""")
WORDS = ("name", "id", "data", "owner", "tag", "note")
"""Where a word alone is looked for."""


class FilterError(ValueError):
    """A filter that cannot be read, with a sentence."""


class Condition(NamedTuple):
    """One part of a filter: a field's name, how it is compared, with what. A word alone has no field."""

    field: str
    sign: str
    value: str


def parse(text: str, known: Collection[str]) -> list[Condition]:
    """The conditions of a filter; a field is named by its path or by the end of it that no other field has.

    >>> parse('digits latent_dim<=8 note~"first try"', ["note", "model.bottleneck.latent_dim"])[1:]
    [Condition(field='model.bottleneck.latent_dim', sign='<=', value='8'), Condition(field='note', sign='~', value='first try')]

    Raises:
        FilterError: for a field that no run has, one that several fields could be, or no value.
    """
    found, place = [], 0
    while text[place:].strip():
        match = TOKEN.match(text, place)
        if match is None:
            raise FilterError(f"{text[place:].strip()!r} cannot be read: a quotation mark is missing.")
        place = match.end()
        name, sign, value, word = match.groups()
        if word is not None:
            found.append(Condition("", "~", word.strip('"')))
        elif not value:
            raise FilterError(f"{name}{sign} needs a value, such as {name}{sign}8.")
        else:
            found.append(_checked(Condition(named(name, known), sign, value.strip('"'))))
    return found


def _checked(condition: Condition) -> Condition:
    if condition.sign in ("<", "<=", ">", ">=") and _number(condition.value) is None:
        raise FilterError(
            f"{condition.field} {condition.sign} {condition.value!r}: a number is needed; = and ~ compare text."
        )
    return condition


def named(name: str, known: Collection[str]) -> str:
    """The whole path of a field. Raises FilterError."""
    if name in known:
        return name
    ends = [path for path in known if path.endswith(f".{name}")]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise FilterError(f"{name} can be {' or '.join(sorted(ends))}: write one of them.")
    short = {path.rpartition(".")[2]: path for path in known}
    near = get_close_matches(name.rpartition(".")[2], short, n=1)
    hint = f"did you mean {short[near[0]]}?" if near else "the box of columns lists all fields."
    raise FilterError(f"No run has a field {name!r}: {hint}")


def holds(conditions: list[Condition], values: Mapping[str, Any]) -> bool:
    """Whether all of them hold for a run with these values."""
    return all(_holds(condition, values) for condition in conditions)


def _holds(condition: Condition, values: Mapping[str, Any]) -> bool:
    if not condition.field:
        return any(_contains(values.get(name), condition.value) for name in WORDS)
    value = values.get(condition.field)
    if isinstance(value, tuple | list) and condition.sign in ("=", "!="):
        return (condition.value in map(str, value)) == (condition.sign == "=")
    return SIGNS[condition.sign](value, condition.value)


def _contains(value: Any, text: str) -> bool:
    inside = " ".join(map(str, value)) if isinstance(value, tuple | list) else "" if value is None else str(value)
    return text.lower() in inside.lower()


def _equal(value: Any, text: str) -> bool:
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = _number(text)
        return number is not None and value == number
    return ("none" if value is None else str(value)).lower() == text.lower()


def _compared(compare: Callable[[float, float], bool]) -> Callable[[Any, str], bool]:
    def holds_for(value: Any, text: str) -> bool:
        limit = _number(text)
        return isinstance(value, int | float) and limit is not None and compare(value, limit)

    return holds_for


SIGNS: dict[str, Callable[[Any, str], bool]] = {
    "=": _equal,
    "!=": lambda value, text: not _equal(value, text),
    "~": _contains,
    "<": _compared(lambda a, b: a < b),
    "<=": _compared(lambda a, b: a <= b),
    ">": _compared(lambda a, b: a > b),
    ">=": _compared(lambda a, b: a >= b),
}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
