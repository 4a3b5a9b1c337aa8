"""A configuration while it is being written: plain data that may be wrong, and what is wrong with it. Knows no page."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from aecore.config import Config, ConfigError, FieldAt, RunConfig, members, walk
from aecore.config.base import sentences
from ui.wording import worded

Check = Callable[[RunConfig], Any]
"""Raises ConfigError, or another ValueError with a sentence, where a config cannot be used with the data that it names."""


class Part(NamedTuple):
    """A place in a config that holds one of several kinds, as `model.backbone` does."""

    path: str
    info: FieldInfo
    members: dict[str, type[Config]]

    @property
    def folded(self) -> bool:
        """Whether it belongs under "More", with all that its kinds have."""
        return isinstance(self.info.json_schema_extra, dict) and bool(self.info.json_schema_extra.get("folded"))

    @property
    def basic(self) -> bool:
        """Whether a newcomer chooses it: where some kind has a field that a newcomer sets, unless it is declared as folded."""
        if self.folded:
            return False
        fields = (info for kind in self.members.values() for info in kind.model_fields.values())
        return any(isinstance(f.json_schema_extra, dict) and f.json_schema_extra.get("basic") for f in fields)


class Draft:
    """The content of a RunConfig, wrong or not. Never changed in place: every edit gives a new draft."""

    def __init__(self, content: dict[str, Any], root: type[RunConfig] = RunConfig):
        self.root = root
        self.loose = _loose(root, content)
        self.content: dict[str, Any] = self.loose.model_dump(mode="json", warnings=False)

    def fields(self) -> Iterator[FieldAt]:
        """Every leaf field, a part's `kind` among them, in the order of declaration."""
        return walk(self.loose)

    def parts(self) -> dict[str, Part]:
        """{path of the kind: part} of every place that holds one of several kinds."""
        return {part.path: part for part in _parts(self.root, self.loose, "")}

    def put(self, path: str, value: Any) -> "Draft":
        """A copy with one field replaced. A new `kind` starts from that kind's defaults, keeping the fields of the same name."""
        *parents, name = path.split(".")
        content = deepcopy(self.content)
        place = content
        for parent in parents:
            place = place[parent]
        place[name] = value
        return Draft(content, self.root)

    def config(self) -> RunConfig:
        """The finished config. Raises ConfigError with a sentence for each field that is wrong."""
        try:
            return self.root.model_validate(self.content)
        except ValidationError as error:
            raise ConfigError(sentences(error, self.root)) from None

    def problems(self, check: Check) -> dict[str, str]:
        """{path: sentence} of everything that is wrong with the config, and of what `check` finds in the data it names."""
        try:
            check(self.config())
        except ConfigError as error:
            return self.said(error)
        except ValueError as error:  # the data cannot be read: DataError is a sentence of its own
            return {"data.name": str(error)}
        return {}

    def titles(self) -> dict[str, str]:
        """{path: title} of every field, as the form calls it."""
        infos = {at.path: at.info for at in self.fields()} | {path: part.info for path, part in self.parts().items()}
        last = lambda path: path.rpartition(".")[2].replace("_", " ").capitalize()
        return {path: info.title or last(path) for path, info in infos.items()}

    def said(self, error: ConfigError) -> dict[str, str]:
        """{path: sentence} of an error in this draft, as a page says it."""
        titles = self.titles()
        return {path: worded(sentence, titles, self.root) for path, sentence in error.fields.items()}

    def refusals(self, path: str, options: Iterable[Any], check: Check) -> dict[Any, str]:
        """{option: sentence} of those options of one field that would bring a problem which is not there now."""
        fresh = self._fresh({option: self.put(path, option) for option in options}, check)
        return {option: next(iter(problems.values())) for option, problems in fresh.items() if problems}

    def forbidden(self, part: Part, check: Check) -> dict[str, str]:
        """{kind: sentence} of the kinds that cannot stand with the rest, whatever their own fields: asked of their defaults."""
        place = part.path.removesuffix(".kind")
        fresh = self._fresh({kind: self.put(place, {"kind": kind}) for kind in part.members}, check)
        found = {
            kind: [text for path, text in problems.items() if path == part.path or not path.startswith(f"{place}.")]
            for kind, problems in fresh.items()
        }
        return {kind: texts[0] for kind, texts in found.items() if texts}

    def _fresh(self, others: Mapping[Any, "Draft"], check: Check) -> dict[Any, dict[str, str]]:
        """{option: {path: sentence}} of the problems of each other draft that are not there now."""
        now = self.problems(_anything)
        same_check = _anything if now else check  # what the data says is not known while the config itself is wrong
        said = {*now.values(), *self.problems(same_check).values()}
        found = {option: other.problems(same_check) for option, other in others.items()}
        return {option: {at: s for at, s in problems.items() if s not in said} for option, problems in found.items()}


def _anything(config: RunConfig) -> None:
    """The check that knows no data."""


def _loose(cls: type[Config], content: dict[str, Any]) -> Any:
    """An instance without validation: unknown names dropped, missing ones at their defaults, parts of the chosen kind."""
    values: dict[str, Any] = {}
    for name, info in cls.model_fields.items():
        value = content.get(name, info.get_default(call_default_factory=True))
        inner = members(info.annotation)
        if inner and isinstance(value, Config):
            value = value.model_dump(mode="json")
        if inner and isinstance(value, dict):
            kind = inner.get("") or inner.get(value.get("kind", "")) or next(iter(inner.values()))
            value = _loose(kind, {k: v for k, v in value.items() if k in kind.model_fields and k != "kind"})
        values[name] = tuple(value) if isinstance(value, list) else value
    return cls.model_construct(None, **values)


def _parts(cls: type[Config], config: Config, prefix: str) -> Iterator[Part]:
    for name, info in cls.model_fields.items():
        value, inner = getattr(config, name), members(info.annotation)
        if len(inner) > 1:
            yield Part(f"{prefix}{name}.kind", info, inner)
        if isinstance(value, Config):
            yield from _parts(type(value), value, f"{prefix}{name}.")
