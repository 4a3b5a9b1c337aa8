"""The widget that a field's declaration asks for: its kind, range, help and the words of its options."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import streamlit as st
from pydantic.fields import FieldInfo

from aecore.config import ConfigError
from aecore.config.base import from_json
from ui.words import plain as as_typed

WORDS = {
    "mse": "MSE", "l1": "L1", "l2": "L2", "bce": "BCE", "ssim": "SSIM", "ms_ssim": "MS-SSIM", "elbo": "ELBO", "kl": "KL",
    "tc": "Beta-TC", "dip": "DIP", "info": "InfoVAE", "iwae": "IWAE", "wae": "WAE", "aae": "AAE", "vamp": "VampPrior", "factor": "FactorVAE", "rae": "RAE", "imq": "IMQ", "rbf": "RBF",
    "II": "II", "vq": "VQ", "fsq": "FSQ", "relu": "ReLU", "leaky_relu": "Leaky ReLU",
    "elu": "ELU", "gelu": "GELU", "silu": "SiLU", "adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "rgb": "RGB",
    "cpu": "CPU", "cuda": "CUDA", "mps": "MPS", "fp32": "32 bit", "tf32": "TF32", "bf16": "bfloat16", "conv": "Convolutional", "lstm": "LSTM", "gru": "GRU",
}  # fmt: skip
"""Names that are not just a capital letter away from their option."""


class Numeric(NamedTuple):
    """A number's type and the range that its declaration allows; None where it is open."""

    type: type
    low: float | None
    high: float | None
    optional: bool


class Ask(NamedTuple):
    """Everything that a widget needs, whatever its kind."""

    label: str
    key: str
    help: str
    change: Callable[[], None]
    hidden: bool = False

    def common(self) -> dict[str, Any]:
        visibility = "collapsed" if self.hidden else "visible"
        return {"key": self.key, "help": self.help or None, "on_change": self.change, "label_visibility": visibility}


def say(option: Any) -> str:
    """An option in words: 'feature_map' -> 'Feature map', 'mse' -> 'MSE', '[0,1]' as it is."""
    text = str(option)
    return WORDS.get(text, text.replace("_", " ").capitalize() if text[:1].isalpha() else text)


def numeric(annotation: Any, metadata: Sequence[Any] = ()) -> Numeric | None:
    """The number that an annotation declares, `int | None` and Annotated included; None where it is not a number."""
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        return numeric(
            inner, [*metadata, *(m for x in more for m in (x.metadata if isinstance(x, FieldInfo) else [x]))]
        )
    if get_origin(annotation) in (Union, UnionType):
        rest = [choice for choice in get_args(annotation) if choice is not NoneType]
        found = numeric(rest[0], metadata) if len(rest) == 1 else None
        return found and found._replace(optional=True)
    if annotation not in (int, float):
        return None
    return Numeric(annotation, *_range(annotation, metadata), False)


def _range(kind: type, metadata: Sequence[Any]) -> tuple[float | None, float | None]:
    found: dict[str, float] = {
        name: value
        for item in metadata
        for name in ("ge", "gt", "le", "lt")
        if (value := getattr(item, name, None)) is not None
    }
    whole = 1 if kind is int else 0  # an open bound of a float stays: its edge is refused by the config's own sentence
    low = found.get("ge", found["gt"] + whole if "gt" in found else None)
    high = found.get("le", found["lt"] - whole if "lt" in found else None)
    return low, high


def number(ask: Ask, what: Numeric, default: Any = None) -> None:
    """A number, an empty one where the field is optional. One beyond the range of its declaration is the config's to refuse, with a
    sentence: Streamlit would keep it to itself, and leave the number before it in force."""
    options: dict[str, Any] = {}
    if what.type is float:
        options |= {"step": 10.0 ** math.floor(math.log10(default or 1e-3)), "format": "%g"}
    else:
        options |= {"step": 1}
    if what.optional:
        options |= {"value": None, "placeholder": "Empty"}
    st.number_input(ask.label, **options, **ask.common())


PADDING, NARROW = 5, 32
"""Of a button, and of half a form on a laptop: in letters."""


def choice(
    ask: Ask, options: Sequence[Any], refused: Mapping[Any, str], words: Mapping[Any, str] | None = None
) -> None:
    """One of several: side by side for two or three short words, else a list. Impossible ones are marked, with the reason in the help."""
    named = words or {}

    def text(option: Any) -> str:
        return named.get(option) or say(option)

    if refused:
        ask = ask._replace(
            help="\n\n".join(
                [
                    ask.help,
                    *(f"**{as_typed(text(o))}** is not possible here: {as_typed(s)}" for o, s in refused.items()),
                ]
            )
        )
    if len(options) <= 3 and sum(len(text(option)) + PADDING for option in options) <= NARROW:
        shown = {option: f":gray[~~{text(option)}~~]" if option in refused else text(option) for option in options}
        st.segmented_control(
            ask.label,
            options,
            required=True,
            format_func=shown.__getitem__,
            width="stretch",
            wrap=False,
            **ask.common(),
        )
    else:
        listed = {
            option: f"{text(option)} (not possible here)" if option in refused else text(option) for option in options
        }
        st.selectbox(ask.label, options, format_func=lambda option: listed.get(option, text(option)), **ask.common())


def words_of(ask: Ask, options: Sequence[str] | None) -> None:
    """Several words: of a list where it is known, else one's own."""
    st.multiselect(ask.label, options or [], accept_new_options=not options, placeholder="All", **ask.common())


def plain(ask: Ask, annotation: Any) -> None:
    """A switch for a truth value, else a line of text."""
    if annotation is bool:
        st.toggle(ask.label, **ask.common())
    else:
        st.text_input(ask.label, **ask.common())


def choices_of(annotation: Any) -> tuple[Any, ...]:
    """The options of a Literal; none for anything else."""
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def item_of(annotation: Any) -> Any:
    """X of tuple[X, ...], else None."""
    arguments = get_args(annotation)
    return arguments[0] if get_origin(annotation) is tuple and len(arguments) == 2 and arguments[1] is ... else None


def as_text(value: Any, annotation: Any) -> str:
    """What a line of text shows of a value that has no widget of its own: its JSON."""
    return value if annotation is str else json.dumps(value)


def from_text(text: str, annotation: Any) -> Any:
    """The inverse of `as_text`; the text itself where it is not JSON, so that the config can refuse it with its sentence."""
    try:
        return text if annotation is str else from_json(text)
    except ConfigError:
        return text
