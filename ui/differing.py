"""Where the configurations of several runs differ, as a table."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from aecore.config import Config, FieldAt, differences, walk
from ui.comparison import Compared
from ui.draft import Draft
from ui.widgets import choices_of, say
from ui.words import escape, shown


class Change(NamedTuple):
    """A field in which configurations differ."""

    title: str
    path: str
    values: list[str]


def changes(runs: Sequence[Compared]) -> list[Change]:
    """The fields in which the configurations differ, in the order of the form; none where they agree in all of them."""
    rows = {path: values for path, values in differences([run.config for run in runs]).items() if path != "name"}
    fields: dict[str, FieldAt] = {}
    places: dict[str, list[int]] = {}
    for run in runs:
        if rows.keys() <= fields.keys():
            break  # the rest has no field that is not known
        mine = {field.path: field for field in walk(run.config) if field.path in rows}
        places = {path: _place(run.config, path) for path in mine} | places
        fields |= mine
    names = titles(runs, rows)
    return [
        Change(names[path], path, [_value(fields[path], value) for value in rows[path]])
        for path in sorted(rows, key=places.__getitem__)
    ]


def _place(config: Config, path: str) -> list[int]:
    """Where a field is declared, part by part."""
    name, _, rest = path.partition(".")
    return [list(type(config).model_fields).index(name), *(_place(getattr(config, name), rest) if rest else [])]


def titles(runs: Sequence[Compared], paths: Collection[str]) -> dict[str, str]:
    """{path: title}, as the form calls these fields of the runs."""
    found: dict[str, str] = {}
    for run in runs:
        if all(path in found for path in paths):
            break
        found |= {
            path: title for path, title in Draft(run.config.model_dump(mode="json")).titles().items() if path in paths
        }
    return found


def changes_table(runs: Sequence[Compared], found: Sequence[Change]) -> str:
    """The same as HTML, a column a run."""
    head = "<th>Field</th>" + "".join(
        f'<th class="who" style="--c:{run.colour}"><b>{escape(run.label)}</b></th>' for run in runs
    )
    body = "".join(map(_change, found))
    return f'<div class="wide"><table class="scores changes"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _change(found: Change) -> str:
    cells = "".join(f"<td>{escape(value)}</td>" for value in found.values)
    return f'<tr><td>{escape(found.title)} <small class="quiet">{escape(found.path)}</small></td>{cells}</tr>'


def _value(field: FieldAt, value: Any) -> str:
    return say(value) if value is not None and choices_of(field.info.annotation) else shown(value)
