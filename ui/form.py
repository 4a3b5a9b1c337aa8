"""A form that is generated from the config classes: a field that is declared there appears here."""

import html
from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any, Protocol

import streamlit as st

from aecore.config import Config, FieldAt, RunConfig
from ui import kinds
from ui.draft import Draft, Part
from ui.widgets import (
    Ask,
    Numeric,
    as_text,
    choice,
    choices_of,
    from_text,
    item_of,
    number,
    numeric,
    plain,
    say,
    words_of,
)

APART = {"schema_version", "name"}
"""Fields that are not part of the form: the version is the program's, the name has its place beside the button."""

NUMBER, CARD = 140.0, 330.0
"""Pixels that a number with its buttons needs, and the card of a kind."""


class Known(Protocol):
    """What the form asks of whoever knows the data."""

    def check(self, config: RunConfig) -> None:
        """Raises ConfigError where the config does not go with the data that it names."""

    def options(self, path: str, draft: Draft) -> Mapping[str, str] | None:
        """{value: words} of a text field whose values are known, such as the data sets; None where any text will do."""

    def hints(self, draft: Draft) -> Mapping[str, str]:
        """{path: sentence} of advice that stands under a field."""


class Form:
    """The widgets of one draft, which lives in the session under `name` and so outlives a visit to another page."""

    def __init__(self, name: str, known: Known, start: RunConfig):
        self.name, self.known = name, known
        if name not in st.session_state:
            self.draft = Draft(start.model_dump(mode="json"), type(start))
        self.parts = self.draft.parts()
        self.at = {field.path: field for field in self.draft.fields()}
        self.titles = self.draft.titles()
        self.problems = self.draft.problems(known.check)
        self.hints = known.hints(self.draft)
        self.placed: set[str] = set()

    @property
    def draft(self) -> Draft:
        found: Draft = st.session_state[self.name]
        return found

    @draft.setter
    def draft(self, draft: Draft) -> None:
        st.session_state[self.name] = draft

    def basic(self) -> None:
        """What a newcomer sets, a row for each part of the config, but for the fields that the page has placed itself."""
        fields = [f for f in self.at.values() if self._is_basic(f) and f.path not in self.placed]
        for _, row in groupby(fields, lambda f: f.path.rpartition(".")[0]):
            self._row(list(row))

    def more(self) -> None:
        """All other fields, two in a row, under the headings of the config's own parts."""
        rest = (f for f in self.at.values() if f.path not in APART | self.placed and not self._is_basic(f))
        for name, group in groupby(rest, lambda f: f.path.partition(".")[0]):
            st.html(f'<h4 class="form-group">{html.escape(self.draft.root.model_fields[name].title or name)}</h4>')
            with st.grid(2, gap="small", key=f"{self.name}-grid-{name}"):
                for field in group:
                    self._cell(field)

    def folded(self) -> list[str]:
        """Paths of the problems that no basic field shows."""
        basic = {field.path for field in self.at.values() if self._is_basic(field)}
        return [path for path in self.problems if not any(_within(path, at) for at in basic | self.placed)]

    def unplaced(self) -> list[str]:
        """Sentences of the problems that belong to no field of the form."""
        return [text for path, text in self.problems.items() if not any(_within(path, at) for at in self.at)]

    def wrong(self) -> list[str]:
        """Titles of the fields at which a problem is said."""
        return [self.titles[at] for at in self.at if any(_within(path, at) for path in self.problems)]

    def field(self, path: str, alone: bool = True) -> None:
        """The widget of one field, and under it what is wrong with it, unless it shares a row that says it."""
        self.placed.add(path)
        field = self.at[path]
        part = self.parts.get(path)
        info = part.info if part else field.info
        self._widget(field, part, self.titles[path], info.description or "")
        if alone:
            self._say(path)

    def _say(self, path: str) -> None:
        """What is wrong with a field, else the advice for it."""
        wrong = [sentence for at, sentence in self.problems.items() if _within(at, path)]
        for sentence in wrong:
            st.html(f'<p class="field-problem" role="alert">{html.escape(sentence)}</p>')
        if path in self.hints and not wrong:
            st.html(f'<p class="field-hint">{html.escape(self.hints[path])}</p>')

    def _is_basic(self, field: FieldAt) -> bool:
        owner = self.parts.get(f"{field.path.rpartition('.')[0]}.kind")
        if owner and owner.folded:
            return False
        part = self.parts.get(field.path)
        return part.basic if part else field.basic

    def _row(self, fields: list[FieldAt]) -> None:
        """The kind of a part beside its one field, several below it; each as wide as its words; then the numbers of its layers."""
        cards = [field for field in fields if field.path in self.parts]
        others = [field for field in fields if field not in cards]
        for line in [cards + others] if len(others) < 2 else [cards, others]:
            for field, column in zip(line, st.columns([*map(self._breadth, line)], gap="small"), strict=True):
                with column:
                    if _layers(field):
                        self._count(field)
                    else:
                        self.field(field.path, alone=False)
        for field in filter(_layers, fields):
            self._numbers(field)
        for field in fields:
            self._say(field.path)

    def _breadth(self, field: FieldAt) -> float:
        """About how many pixels the widget needs."""
        if field.path in self.parts:
            return CARD
        options = choices_of(field.info.annotation)
        widths = [36 + 8.3 * len(say(option)) for option in options]
        return max(NUMBER, sum(widths) if len(options) <= 3 else 24 + max(widths))

    def _cell(self, field: FieldAt) -> None:
        with st.container(gap="xsmall"):
            if _layers(field):
                self._count(field)
                self._numbers(field)
                self._say(field.path)
            else:
                self.field(field.path)

    def _widget(self, field: FieldAt, part: Part | None, title: str, help: str) -> None:
        path, value, annotation = field.path, field.value, field.info.annotation
        ask = self._ask(path, title, help)
        options = self.known.options(path, self.draft)
        if part and part.basic:
            self._card(part, title, value)
        elif part:
            told = "\n\n".join(f"**{say(kind)}**: {_sentence(member)}" for kind, member in part.members.items())
            self._choice(path, ask._replace(help=f"{ask.help}\n\n{told}"), list(part.members), value, tested=True)
        elif choices := choices_of(annotation):
            self._choice(path, ask, list(choices), value, tested=field.basic)
        elif annotation is str and options is not None:
            _bind(ask.key, value)
            listed = list(options) if value in options else [*options, value]
            choice(ask, listed, {}, options)
        elif item_of(annotation) is str:
            _bind(ask.key, list(value))
            words_of(ask, list(options) if options else None)
        elif what := numeric(annotation, field.info.metadata):
            _bind(ask.key, value if value is None else what.type(value))
            number(ask, what, field.info.default)
        elif annotation is bool:
            _bind(ask.key, value)
            plain(ask, bool)
        else:
            _bind(ask.key, as_text(value, annotation))
            plain(self._ask(path, title, help, lambda _, shown: from_text(shown, annotation)), annotation)

    def _card(self, part: Part, title: str, value: str) -> None:
        def choose(kind: str) -> None:
            self.draft = self.draft.put(part.path, kind)

        told = {kind: _sentence(member) for kind, member in part.members.items()}
        name = part.path.split(".")[-2]
        found = kinds.Kinds(f"{self.name}:{part.path}", name, title, told, value)
        kinds.card(found, lambda: self.draft.forbidden(part, self.known.check), choose)

    def _choice(self, path: str, ask: Ask, options: list[Any], value: Any, tested: bool) -> None:
        _bind(ask.key, value)
        choice(ask, options, self.draft.refusals(path, options, self.known.check) if tested else {})

    def _count(self, field: FieldAt) -> None:
        """How many numbers a field holds: of layers, say."""
        title, what = self.titles[field.path], numeric(item_of(field.info.annotation))
        assert what, "a field of numbers"
        low, high = _lengths(field)
        label = "Layers" if _per_layer(title) else title
        ask = self._ask(
            f"{field.path}#", label, field.info.description or "", lambda now, count: _grown(now, count, what)
        )
        _bind(ask.key, len(field.value))
        st.number_input(ask.label, min_value=low, max_value=high, step=1, **ask.common())

    def _numbers(self, field: FieldAt) -> None:
        """The numbers themselves, side by side."""
        if field.value:
            with st.container(horizontal=True, gap="xsmall", key=f"{self.name}-numbers-{field.path}"):
                for place in range(len(field.value)):
                    self._number_at(field, place)

    def _number_at(self, field: FieldAt, place: int) -> None:
        title, what = self.titles[field.path], numeric(item_of(field.info.annotation))
        assert what, "a field of numbers"
        put = lambda now, shown: [*now[:place], shown, *now[place + 1 :]]
        label = title if _per_layer(title) else "Units"
        ask = self._ask(f"{field.path}#{place}", label if place == 0 else f"{label} {place + 1}", "", put)
        _bind(ask.key, field.value[place])
        options = ask.common() | {"label_visibility": "visible" if place == 0 else "hidden"}
        st.number_input(ask.label, step=1 if what.type is int else None, width=82, **options)

    def _ask(self, path: str, title: str, help: str, put: Callable[[Any, Any], Any] = lambda now, shown: shown) -> Ask:
        """`put` makes the field's new value of its present one and of what the widget shows."""
        key = f"{self.name}:{path}"

        def change() -> None:
            target, draft = path.partition("#")[0], self.draft
            now = next((field.value for field in draft.fields() if field.path == target), None)
            self.draft = draft.put(target, put(now, st.session_state[key]))

        return Ask(title, key, help, change)


def _bind(key: str, value: Any) -> None:
    """Let a widget show the draft's value. Touched only where they differ: else fast typing would be overwritten."""
    if key not in st.session_state or st.session_state[key] != value:
        st.session_state[key] = value


def _within(path: str, field: str) -> bool:
    return path == field or path.startswith(f"{field}.") or f"{path}.kind" == field


def _sentence(kind: type[Config]) -> str:
    """What a kind is: the first paragraph of its own words."""
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split())


def _layers(field: FieldAt) -> bool:
    """Whether a field is several numbers, as of layers."""
    return numeric(item_of(field.info.annotation)) is not None


def _per_layer(title: str) -> bool:
    return title.endswith(" per layer")


def _lengths(field: FieldAt) -> tuple[int, int]:
    low = next((m.min_length for m in field.info.metadata if hasattr(m, "min_length")), 0)
    high = next((m.max_length for m in field.info.metadata if hasattr(m, "max_length")), 64)
    return low, high


def _grown(values: tuple[Any, ...], count: int | None, what: Numeric) -> list[Any]:
    """The first `count` of the values; new ones go on in the ratio of the last two, as 128, 64 does with 32."""
    grown = list(values)[: count or 0]
    while len(grown) < (count or 0):
        ratio = grown[-1] / grown[-2] if len(grown) > 1 else 1
        following = what.type((grown[-1] if grown else 64) * ratio)
        grown.append(max(what.low or following, min(what.high or following, following)))
    return grown
