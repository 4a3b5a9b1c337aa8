"""What every config shares: frozen values, unknown names refused, and errors that are sentences."""

import difflib
import json
import reprlib
from collections.abc import Iterable
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError


class ConfigError(ValueError):
    """A configuration that cannot be used. `fields` maps a field's path to its sentence; `str` is one sentence a line."""

    def __init__(self, fields: dict[str, str]):
        self.fields = fields
        super().__init__("\n".join(fields.values()))


class Config(BaseModel):
    """Base of all configs. A field's type, range, default and description are its only declaration."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Settings(Config):
    """Of a lab, as people write them by hand: true and false are no numbers."""

    @field_validator("*", mode="before")
    @classmethod
    def _no_number(cls, value: Any, info: ValidationInfo) -> Any:
        annotation = cls.model_fields[info.field_name or ""].annotation
        wanted = {annotation, *get_args(annotation)}
        if isinstance(value, bool) and bool not in wanted and wanted & {int, float}:
            raise PydanticKnownError("int_type" if int in wanted else "float_type")
        return value


def from_json(text: str, what: str = "This") -> Any:
    """What a text that somebody gave says as JSON. Raises ConfigError with a sentence on `what`, without the text: it may be secret."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        why = f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg}"
    except RecursionError:
        why = "cannot be used: its brackets are thousands deep"
    except ValueError:  # Python reads no whole number of more than 4,300 digits
        why = "cannot be used: a number in it has thousands of digits"
    raise ConfigError({"": f"{what} {why}."})


def suggest(word: str, allowed: Iterable[str]) -> str:
    """A half sentence that names the nearest allowed word, or all of them.

    >>> suggest("epoch", ["epochs", "seed"])
    'did you mean epochs?'
    """
    allowed = list(allowed)
    near = difflib.get_close_matches(word, allowed, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"allowed: {', '.join(allowed)}."


def members(annotation: Any) -> dict[str, type[Config]]:
    """The configs that a field may hold by their `kind`: several for a discriminated union, one (under '') for a plain config."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    choices = get_args(annotation) or (annotation,)
    configs = [choice for choice in choices if isinstance(choice, type) and issubclass(choice, Config)]
    return {get_args(c.model_fields["kind"].annotation)[0] if "kind" in c.model_fields else "": c for c in configs}


def moved(fields: dict[str, str], old: str, new: str) -> dict[str, str]:
    """The same problems of a config that lies at another path."""
    return {path.replace(old, new): sentence.replace(old, new) for path, sentence in fields.items()}


def sentences(error: ValidationError, root: type[Config]) -> dict[str, str]:
    """Turn pydantic's errors into {path: sentence}, each with the name, the value and what is allowed."""
    found: dict[str, str] = {}
    items = error.errors()
    for item in items:
        if item["type"] == "too_short" and any(_within(other["loc"], item["loc"]) for other in items):
            continue  # pydantic counts those that are right
        cause = item.get("ctx", {}).get("error")
        if isinstance(cause, ConfigError):
            inside_decoder = "decoder" in item["loc"]  # whose kinds are the backbone's, and speak of themselves as such
            found.update(moved(cause.fields, "model.backbone", "model.decoder") if inside_decoder else cause.fields)
        else:
            path, owner = _locate(root, item["loc"])
            found[path] = _sentence(path, owner, item)
    return found


def _within(place: tuple[int | str, ...], whole: tuple[int | str, ...]) -> bool:
    return len(place) > len(whole) and place[: len(whole)] == whole


def _locate(root: type[Config], location: tuple[int | str, ...]) -> tuple[str, type[Config]]:
    """The dotted path of an error without pydantic's union tags, and the config class that owns its last name."""
    path: list[str] = []
    owner = root
    tagged: dict[str, type[Config]] = {}
    for part in map(str, location):
        if part in tagged:  # pydantic names the chosen member of a union between the field and its content
            owner, tagged = tagged[part], {}
            continue
        path.append(part)
        if part in owner.model_fields:
            inner = members(owner.model_fields[part].annotation)
            owner, tagged = inner.get("", owner), ({} if "" in inner else inner)
    return ".".join(path), owner


def _sentence(path: str, owner: type[Config], item: Any) -> str:
    field, context = owner.model_fields.get(path.rpartition(".")[2]), item.get("ctx", {})
    shown = SHORT.repr(item["input"]) if field is None or field.repr else "not shown, as it may hold a secret"
    match item["type"]:
        case "extra_forbidden":
            return f"{path} is not a known field: {suggest(path.rpartition('.')[2], owner.model_fields)}"
        case "union_tag_invalid":
            tags = context["expected_tags"].replace("'", "").split(", ")
            return f"{path}.kind is {context['tag']!r}, which is unknown: {suggest(context['tag'], tags)}"
        case "union_tag_not_found":
            return f"{path} has no kind, which says which {path.rpartition('.')[2]} it is."
        case "literal_error":
            return f"{path} is {shown}, but must be {context['expected']}."
        case "missing":
            return f"{path} is missing."
        case "model_type" | "model_attributes_type":
            return f"{path} must hold fields in braces, not {type(item['input']).__name__}."
        case "tuple_type":
            return f"{path} is {shown}, but must be a list: several with commas between them, or []."
        case "value_error":
            return str(context["error"])
        case kind if kind in PLAIN:
            return f"{path} is {shown}, but must be {PLAIN[kind].format(**context)}."
        case _ if bound := next((key for key in BOUNDS if key in context), None):
            return f"{path} is {shown}, but must be {BOUNDS[bound]} {context[bound]}."
        case _:
            return f"{path} is {shown}, but {item['msg'][0].lower()}{item['msg'][1:]}."


SHORT = reprlib.Repr()
"""Shows a value, of a long or deep one enough to know it again."""
SHORT.maxlist = SHORT.maxtuple = SHORT.maxdict = 20
SHORT.maxstring = SHORT.maxlong = SHORT.maxother = 100

PLAIN = dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "a whole number")
PLAIN |= dict.fromkeys(("float_type", "float_parsing"), "a number") | {"finite_number": "a finite number"}
PLAIN |= {"int_parsing_size": "a whole number of fewer digits"}
PLAIN |= dict.fromkeys(("bool_type", "bool_parsing"), "true or false") | {"string_type": "text"}
PLAIN |= {
    "string_too_long": "at most {max_length} letters long",
    "string_too_short": "at least {min_length} letters long",
}
PLAIN |= {"too_long": "at most {max_length} long", "too_short": "at least {min_length} long"}
"""What a value must be, by pydantic's names of what is wrong with it."""
BOUNDS = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}
