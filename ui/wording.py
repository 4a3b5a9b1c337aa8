"""A config's errors as pages say them: with the titles of fields and the words of options, where the command line has paths and
values."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from aecore import data
from aecore.config import Config, members
from ui.widgets import choices_of, say

PATH = re.compile(r"\b([a-z_]+(?:\.[a-z_]+)+)(?:\.(\d+))?")
"""A field's path, and which of its numbers is meant."""
VALUE = re.compile(r"'([^'\s]+)'")


def worded(sentence: str, titles: Mapping[str, str], root: type[Config]) -> str:
    """A sentence about fields of `root`, whose titles are {path: title}. What is no field or no option of it stays as it is."""

    def title(found: re.Match[str]) -> str:
        path, place = found.groups()
        if path not in titles:
            return found[0]
        return f"“{titles[path]}”" if place is None else f"Number {int(place) + 1} of “{titles[path]}”"

    words = _words(root)
    return VALUE.sub(lambda found: f"“{words[found[1]]}”" if found[1] in words else found[0], PATH.sub(title, sentence))


@lru_cache
def _words(root: type[Config]) -> dict[str, str]:
    return {option: say(option) for option in _options(root)} | {name: one.title for name, one in data.DATASETS.items()}


def _options(root: type[Config]) -> Iterator[str]:
    """Whatever some field below `root` may be set to by name."""
    for info in root.model_fields.values():
        yield from filter(lambda option: isinstance(option, str), choices_of(info.annotation))
        for kind in members(info.annotation).values():
            yield from _options(kind)
