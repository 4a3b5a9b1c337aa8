"""Where the configurations of several runs differ, as a table."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from aecore.config import FieldAt, differences, walk
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
    """The fields in which the configurations differ; none where they agree in all of them."""
    rows = {path: values for path, values in differences([run.config for run in runs]).items() if path != "name"}
    fields: dict[str, FieldAt] = {}
    titles: dict[str, str] = {}
    for run in runs:
        if rows.keys() <= titles.keys():
            break  # the rest has no field that is not known
        mine = {field.path: field for field in walk(run.config)}
        parts = Draft(run.config.model_dump(mode="json")).parts()
        fields |= mine
        titles |= {path: (parts.get(path) or mine[path]).info.title or path for path in rows if path in mine}
    return [Change(titles[path], path, [_value(fields[path], v) for v in values]) for path, values in rows.items()]


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
