"""The tables of the Compare page: figures with the lines to beat, and the differences of the configurations."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, NamedTuple

from aecore.config import FieldAt, differences, walk
from ui.comparison import Compared
from ui.draft import Draft
from ui.wall import thousandths
from ui.widgets import choices_of, say
from ui.words import shown, span

BASELINE = "#8a8f99"
GAIN = "PSNR of the reconstructions above that of what the encoder saw, mean over the images"
AUROC = "Chance that an image of a class that was left out of training has a larger error than one of the others"


class Score(NamedTuple):
    """A line of the table: a run, or a method that needs no network; None is not known."""

    label: str
    colour: str
    images: str
    mse: float | None
    psnr: float | None = None
    ssim: float | None = None
    parameters: int | None = None
    code_size: int | None = None
    seconds: float | None = None
    gain: float | None = None
    auroc: float | None = None
    mig: float | None = None


def scores(runs: Sequence[Compared]) -> list[Score]:
    """The runs, then what the mean image and PCA at the same code sizes reach on the same images, best first among the lines to beat."""
    found, beat = [], {}
    for run in runs:
        result, metrics = run.folder.result() or {}, run.folder.analysis_metrics() or {}
        seen = metrics.get("test") or result
        found.append(_score(run, seen, result, metrics))
        for line in _baselines(run, metrics):
            beat[line.label] = line
    return [*found, *sorted(beat.values(), key=lambda line: line.mse or 0)]


def _score(run: Compared, seen: dict[str, Any], result: dict[str, Any], metrics: dict[str, Any]) -> Score:
    where = (
        f"{int(seen['n']):,} test"
        if "n" in seen
        else {"val": "validation"}.get(seen.get("split", ""), seen.get("split", ""))
    )
    model = run.folder.model() or {}
    figures = (seen.get("mse"), seen.get("psnr"), seen.get("ssim"))
    return Score(
        run.label,
        run.colour,
        where or "not finished",
        *figures,
        model.get("parameters"),
        run.row.code_size,
        result.get("seconds"),
        seen.get("gain"),
        metrics.get("anomalies", {}).get("auroc"),
        metrics.get("disentanglement", {}).get("mig"),
    )


def _baselines(run: Compared, metrics: dict[str, Any]) -> Iterable[Score]:
    known = metrics.get("baselines", {})
    images = f"{int(metrics['test']['n']):,} test" if "test" in metrics else ""
    if "mean_image" in known:
        yield Score("Mean image", BASELINE, images, known["mean_image"]["mse"], code_size=0)
    if "pca" in known:
        numbers = known["pca"]["components"]
        name = f"PCA, {numbers} number{'s' * (numbers != 1)}"
        yield Score(name, BASELINE, images, known["pca"]["mse"], code_size=numbers)


def table(lines: Sequence[Score]) -> str:
    """The scores as HTML: units in the headings, a bar beside each error, the best of each column in bold."""
    heads = ["", "Images", "MSE per pixel, × 10⁻³", "", "PSNR, dB", "SSIM", "Code size", "Parameters", "Training time"]
    head = "".join(f'<th class="{"n" * (i > 3)}{" mse" * (i == 2)}">{text}</th>' for i, text in enumerate(heads))
    runs = [line for line in lines if line.colour != BASELINE]
    extra = [name for name in EXTRA if any(getattr(line, name) is not None for line in runs)]
    head += "".join(f'<th class="n" title="{EXTRA[name].help}">{EXTRA[name].head}</th>' for name in extra)
    best = (
        min((r.mse for r in runs if r.mse is not None), default=None),
        max((r.psnr for r in runs if r.psnr is not None), default=None),
        max((r.ssim for r in runs if r.ssim is not None), default=None),
    )
    largest = max((line.mse for line in lines if line.mse is not None), default=1.0) or 1.0
    body = "".join(_line(line, largest, best, extra) for line in lines)
    return f'<table class="scores"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


class Extra(NamedTuple):
    """A figure that only some runs have: its heading, what it means, and how it is written."""

    head: str
    help: str
    form: str


MIG = (
    "Mutual information gap: how far the unit that knows most of a factor is ahead of the second; 1 where each factor "
    "has a unit of its own"
)
EXTRA = {
    "mig": Extra("MIG", MIG, ".3f"),
    "gain": Extra("Gain, dB", GAIN, "+.2f"),
    "auroc": Extra("AUROC, left out", AUROC, ".3f"),
}
"""Field of a Score -> its column, which is there where some run has it."""


def _line(line: Score, largest: float, best: tuple[float | None, ...], extra: Sequence[str]) -> str:
    baseline = line.colour == BASELINE
    marked = [
        " best" * (not baseline and value is not None and value == top)
        for value, top in zip(line[3:6], best, strict=True)
    ]
    bar = "" if line.mse is None else f'<i style="width:{100 * line.mse / largest:.1f}%"></i>'
    cells = [
        f'<td class="who"><b>{escape(line.label)}</b></td>',
        f'<td class="quiet">{escape(line.images)}</td>',
        f'<td class="n{marked[0]}">{"–" if line.mse is None else thousandths(line.mse)}</td>',
        f'<td class="bar">{bar}</td>',
        f'<td class="n{marked[1]}">{"–" if line.psnr is None else f"{line.psnr:.2f}"}</td>',
        f'<td class="n{marked[2]}">{"–" if line.ssim is None else f"{line.ssim:.3f}"}</td>',
        f'<td class="n">{"–" if line.code_size is None else f"{line.code_size:,}"}</td>',
        f'<td class="n">{"–" if line.parameters is None else f"{line.parameters:,}"}</td>',
        f'<td class="n">{"–" if line.seconds is None else span(line.seconds)}</td>',
    ]
    for name in extra:
        value = getattr(line, name)
        cells.append(f'<td class="n">{"–" if value is None else format(value, EXTRA[name].form)}</td>')
    return f'<tr class="{"baseline" * baseline}" style="--c:{line.colour}">{"".join(cells)}</tr>'


def changes(runs: Sequence[Compared]) -> str:
    """The fields in which the configurations differ, a column a run; '' where they agree in all of them."""
    fields = {field.path: field for run in runs for field in walk(run.config)}
    parts = {path: part for run in runs for path, part in Draft(run.config.model_dump(mode="json")).parts().items()}
    rows = {path: values for path, values in differences([run.config for run in runs]).items() if path != "name"}
    if not rows:
        return ""
    head = "<th>Field</th>" + "".join(
        f'<th class="who" style="--c:{run.colour}"><b>{escape(run.label)}</b></th>' for run in runs
    )
    titles = {path: (parts[path] if path in parts else fields[path]).info.title or path for path in rows}
    body = "".join(
        _change(titles[path], path, [_value(fields[path], v) for v in values]) for path, values in rows.items()
    )
    return f'<table class="scores changes"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _change(title: str, path: str, values: Sequence[str]) -> str:
    cells = "".join(f"<td>{escape(value)}</td>" for value in values)
    return f'<tr><td>{escape(title)} <small class="quiet">{escape(path)}</small></td>{cells}</tr>'


def _value(field: FieldAt, value: Any) -> str:
    return say(value) if value is not None and choices_of(field.info.annotation) else shown(value)
