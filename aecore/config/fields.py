"""Walking over a config's fields: for forms, overrides and tables of differences."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic.fields import FieldInfo

from aecore.config.base import Config, ConfigError, from_json, members, suggest
from aecore.config.run import RunConfig, parse


class FieldAt(NamedTuple):
    """A leaf field of a config: where it is, what it holds, and its one declaration."""

    path: str
    value: Any
    info: FieldInfo

    @property
    def basic(self) -> bool:
        """Whether a newcomer sets it: shown large, above "More"."""
        return bool(_extra(self.info).get("basic"))

    @property
    def role(self) -> str:
        """'code_size' where the field is the number of code units, else ''."""
        return str(_extra(self.info).get("role", ""))


def _extra(info: FieldInfo) -> dict[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def walk(config: Config, prefix: str = "") -> Iterator[FieldAt]:
    """Every leaf field with its path, in the order of declaration; a union's `kind` is a leaf of its own."""
    for name, info in type(config).model_fields.items():
        value, path = getattr(config, name), f"{prefix}{name}"
        if isinstance(value, Config):
            yield from walk(value, f"{path}.")
        else:
            yield FieldAt(path, value, info)


def flat(config: Config) -> dict[str, Any]:
    """{path: value} of every leaf."""
    return {field.path: field.value for field in walk(config)}


def short(path: str) -> str:
    """The last word of a path, or the one before where that says nothing by itself.

    >>> short("training.learning_rate"), short("model.objective.kind"), short("data.name")
    ('learning_rate', 'objective', 'data')
    """
    first, _, last = path.rpartition(".")
    return first.rpartition(".")[2] if first and last in ("kind", "name") else last


def differences(configs: Sequence[Config]) -> dict[str, list[Any]]:
    """{path: one value a config} of the fields in which the configs differ; None where a config has no such field."""
    columns = [flat(config) for config in configs]
    paths = dict.fromkeys(path for column in columns for path in column)
    rows = {path: [column.get(path) for column in columns] for path in paths}
    return {path: values for path, values in rows.items() if any(value != values[0] for value in values)}


def code_size_path(config: RunConfig) -> str | None:
    """Path of the field that sets the number of code units; None where the code's size follows from the layers."""
    return next((field.path for field in walk(config) if field.role == "code_size"), None)


def with_values(config: RunConfig, values: dict[str, Any]) -> RunConfig:
    """A copy with the fields at these paths replaced. A new `kind` starts from that kind's defaults, keeping shared names.

    Raises:
        ConfigError: for a path that does not exist or a value that is not allowed.
    """
    content = config.model_dump(mode="json")
    for path, value in sorted(values.items(), key=lambda item: not item[0].endswith(".kind")):
        _put(content, path, value)
    return parse(content)


def override(config: RunConfig, assignments: Sequence[str]) -> RunConfig:
    """Apply `model.bottleneck.latent_dim=8` and the like, as the command line's --set gives them. Raises ConfigError."""
    return with_values(config, assigned(config, assignments))


def assigned(config: Config, assignments: Sequence[str]) -> dict[str, Any]:
    """{path: value} of assignments as texts, each read as its field of the config needs it. Raises ConfigError where one is none."""
    infos = {field.path: field.info for field in walk(config)}
    values = {}
    for assignment in assignments:
        path, equals, text = (part.strip() for part in assignment.partition("="))
        if not equals:
            raise ConfigError(
                {assignment: f"{assignment!r} is not an assignment: write a field's path, '=', and its value."}
            )
        values[path] = _value(text, infos[path].annotation if path in infos else None)
    return values


def _value(text: str, annotation: Any) -> Any:
    """Text for a field of text, a list where there are commas or the field is a tuple, with or without its brackets, None for
    nothing, else JSON."""
    if annotation is str or _all_text(annotation):
        return text
    if get_origin(annotation) is tuple and text.startswith("[") and text.endswith("]"):
        text = text[1:-1].strip()
    if not text:
        return () if get_origin(annotation) is tuple else None
    for form in (f"[{text}]",) if get_origin(annotation) is tuple else (text, f"[{text}]"):
        with contextlib.suppress(ConfigError):
            found = from_json(form)
            if annotation != tuple[str, ...] or all(isinstance(part, str) for part in found):
                return found
    if annotation == tuple[str, ...]:
        return [part.strip().strip("'\"") for part in text.split(",")]
    return text  # the field says what it must be


def _all_text(annotation: Any) -> bool:
    return get_origin(annotation) is Literal and all(isinstance(choice, str) for choice in get_args(annotation))


def _put(content: dict[str, Any], path: str, value: Any) -> None:
    owner: type[Config] = RunConfig
    *parents, name = path.split(".")
    for depth, parent in enumerate(parents):
        if parent not in owner.model_fields or not isinstance(content.get(parent), dict):
            raise ConfigError(
                {path: f"{'.'.join(parents[: depth + 1])} is not a known field: {suggest(parent, owner.model_fields)}"}
            )
        content = content[parent]
        inner = members(owner.model_fields[parent].annotation)
        owner = inner.get("") or inner.get(content.get("kind", ""), owner)
        if name == "kind" and depth == len(parents) - 1 and value in inner:
            for stale in set(content) - set(inner[value].model_fields):
                del content[stale]
    content[name] = value
