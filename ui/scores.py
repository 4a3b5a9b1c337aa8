"""The tables of the Compare page: figures beside the lines to beat."""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import groupby
from math import isfinite, prod
from types import MappingProxyType
from typing import Any, NamedTuple

from aecore.analysis import quality_words
from ui.columns import SIMPLE
from ui.comparison import Compared
from ui.figures import ALL, FIGURES, OF_ALL, OF_PRIOR, Figure
from ui.spreadsheet import as_csv
from ui.stored import simple_figures, told
from ui.words import escape


class Line(NamedTuple):
    """A line of the table: a run, or a method that needs no network; a figure that is not known is left out."""

    label: str
    colour: str
    images: str
    """What they were measured on, in words."""
    figures: dict[str, float]
    baseline: bool = False
    group: int = 0
    """Only lines of the same group saw the same images: the best is the best of them."""
    note: str = ""
    what: str = ""
    """What the images of its group are, where that is to be said."""
    counts: Mapping[str, float] = MappingProxyType({})
    """Of figures of which it is known: of how many test images they are."""
    sets: frozenset[Hashable] = frozenset()
    """Classes and subset of the images that it was fitted to and measured on, within its group; several where it reads the same."""

    def of(self, name: str) -> str:
        """What a figure was measured on, in words."""
        return _tests(self.counts[name]) if name in self.counts else self.images


def lines(groups: Sequence[Sequence[Compared]]) -> list[Line]:
    """The runs of each group, then what simple methods reach on the same images, best first."""
    found: list[Line] = []
    for place, runs in enumerate(groups):
        what = runs[0].what if len(groups) > 1 else f"target: {runs[0].target}" * bool(runs[0].target)
        found += [_run(run, what, place) for run in runs]
        found += sorted(_beat(runs, what, place), key=lambda line: line.figures["mse"])
    return found


def _run(run: Compared, what: str, group: int) -> Line:
    result, metrics, model = (told(run, name) for name in ("result.json", "analysis/metrics.json", "model.json"))
    seen = metrics.get("test") or result
    of_codes = (metrics.get(name, {}) for name in ("code", "anomalies", "disentanglement"))
    parts = [seen, simple_figures(run).get("model", {}), *of_codes]
    known = {name: value for part in parts for name, value in part.items()}
    shape, bottleneck = tuple(model.get("code_shape", (run.row.code_size,))), run.config.model.bottleneck
    bits = bottleneck.bits(shape)
    size = run.row.code_size if bits is None else bits / 8
    known |= {"code_size": run.row.code_size, "bytes": bottleneck.code_bytes(shape), "seconds": result.get("seconds")}
    known |= {"compression": prod(run.facts.shape) / max(1, size), "parameters": model.get("parameters")}
    where = _tests(seen["n"]) if "n" in seen else WHERE.get(seen.get("split", ""), "not finished")
    counts = _counted(parts, seen.get("n", 0))
    return Line(
        run.label, run.colour, where, _finite(known), group=group, note=likelihood(run), what=what, counts=counts,
        sets=frozenset({run.learnt_from}),
    )  # fmt: skip


def _counted(parts: Sequence[dict[str, Any]], whole: float) -> dict[str, float]:
    """Of how many test images the figures of these parts of an analysis are; `whole` are all of them."""
    counts = {name: part["n"] for part in parts if "n" in part for name in part if name in ALL}
    codes = next((part["codes"] for part in parts if "codes" in part), whole)
    counts |= dict.fromkeys(counts.keys() & OF_ALL, codes)
    return counts | dict.fromkeys(counts.keys() & OF_PRIOR, min(whole, quality_words.ASKED))


def likelihood(run: Compared) -> str:
    """What its bound is about, in words; '' where it has none. Of unlike ones neither is the better bound."""
    name = simple_figures(run).get("model", {}).get("likelihood", "")
    return f"{name} likelihood of pixels in {run.config.data.value_range}" if name else ""


def _tests(count: float) -> str:
    return f"{int(count):,} test images"


WHERE = {"val": "validation images", "test": "test images"}


def _simple(run: Compared, what: str, group: int) -> list[Line]:
    found = []
    components = told(run, "analysis/metrics.json").get("baselines", {}).get("pca", {}).get("components", 0)
    for name, known in simple_figures(run).items():
        if name in SIMPLE:
            values = _finite(known) | {"compression": 0.0}
            if name in ("pca", "mean"):
                values["code_size"] = float(components if name == "pca" else 0)
            values = {key: value for key, value in values.items() if value or key != "compression"}
            line = Line(str(known["label"]), "", _tests(known["n"]), values, True, group, what=what)
            found.append(line._replace(sets=frozenset({run.learnt_from})))
    return found


def _beat(runs: Sequence[Compared], what: str, group: int) -> Iterator[Line]:
    """The simple methods of a group, each once; with whose images they are of, where they read otherwise for several."""
    found: dict[tuple[str, str], dict[tuple[str, ...], tuple[str, Line]]] = {}
    for run in runs:
        for line in _simple(run, what, group):
            read = tuple(ALL[name].write(value) for name, value in line.figures.items())
            same = found.setdefault((line.label, line.images), {})
            whose, first = same.get(read, (run.label, line))
            same[read] = whose, first._replace(sets=first.sets | line.sets)
    for same in found.values():
        for whose, line in same.values():
            yield line._replace(label=f"{line.label}, images of {whose}") if len(same) > 1 else line


def _finite(known: dict[str, Any]) -> dict[str, float]:
    return {
        name: float(known[name]) for name in ALL if isinstance(known.get(name), int | float) and isfinite(known[name])
    }


def columns_of(found: Sequence[Line], among: Mapping[str, Figure] = ALL) -> list[str]:
    """The figures that some line has."""
    return [name for name in among if any(name in line.figures for line in found)]


MANY = 40
"""Lines that stand in full; more are scrolled, so that what lies below them is not far away."""


def table(found: Sequence[Line], among: Mapping[str, Figure] = FIGURES) -> str:
    """The lines as HTML: units in the headings, the best of each column in bold, a bar under each error; '' without a figure."""
    names = columns_of(found, among)
    if not names and among is not FIGURES:
        return ""
    groups = [list(part) for _, part in groupby(found, lambda line: line.group)]
    corner = _measured_on(groups[0], names) if len(groups) == 1 else ""
    head = f'<th class="who">{escape(corner)}</th>' + "".join(
        f'<th class="n" title="{escape(ALL[name].help)}">{escape(ALL[name].head)}</th>' for name in names
    )
    largest = max((line.figures.get("mse", 0.0) for line in found), default=1.0) or 1.0
    body = "".join(_part(part, names, largest, titled=len(groups) > 1) for part in groups)
    tall = " tall" * (len(found) > MANY)
    return f'<div class="wide{tall}"><table class="scores many"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _usual(part: Sequence[Line], names: Sequence[str]) -> str:
    """What most of these figures of the runs of a group were measured on, or of the simple methods where there is no run."""
    runs = [line for line in part if not line.baseline] or part
    words = [line.of(name) for line in runs for name in names if name in line.figures]
    return Counter(words or [line.images for line in runs]).most_common(1)[0][0]


def _measured_on(part: Sequence[Line], names: Sequence[str]) -> str:
    return ", ".join(filter(None, [part[0].what, _usual(part, names)]))


def _title(words: str, names: Sequence[str]) -> str:
    return f'<tr class="of"><th class="who" colspan="{len(names) + 1}"><span>{escape(words)}</span></th></tr>'


def _part(part: Sequence[Line], names: Sequence[str], largest: float, titled: bool) -> str:
    """The lines of a group, below what its images are where there are several groups."""
    best = {name: _best(part, name) for name in names}
    html = _title(_measured_on(part, names), names) * titled
    for simple, some in groupby(part, lambda line: line.baseline):
        lines, usual = list(some), _usual(part, names)
        if simple and (own := _usual(lines, names)) != usual:
            html, usual = html + _title(f"without a network, {own}", names), own
        html += "".join(_html(line, names, best, largest, usual) for line in lines)
    return html


def _best(found: Sequence[Line], name: str) -> tuple[str, str, str] | None:
    """What most of those runs of a group that have this figure were measured on, and the best value among these; None where nothing is
    to be won, as of unlike bounds."""
    runs = [line for line in found if not line.baseline and name in line.figures]
    if len(runs) < 2 or not ALL[name].better or (name == "elbo" and len({line.note for line in runs}) > 1):
        return None
    usual, many = Counter((line.images, line.of(name)) for line in runs).most_common(1)[0]
    value = (max if ALL[name].better > 0 else min)(
        line.figures[name] for line in runs if (line.images, line.of(name)) == usual
    )
    return (*usual, ALL[name].write(value)) if many > 1 else None


def _html(
    line: Line, names: Sequence[str], best: Mapping[str, tuple[str, str, str] | None], largest: float, usual: str
) -> str:
    """A line; with what it or a figure of it was measured on, where that is another thing than for most. Of two figures that read the
    same none is the better one."""
    own = _usual([line], names)
    small = f'<small class="quiet">{escape(own)}</small>' * (own != usual)
    cells = [f'<td class="who" title="{escape(line.note)}"><b>{escape(line.label)}</b>{small}</td>']
    for name in names:
        value = line.figures.get(name)
        if value is None:
            cells.append('<td class="n none">–</td>')
            continue
        written = ALL[name].write(value)
        top = not line.baseline and best[name] == (line.images, line.of(name), written)
        more = f'<i style="width:{100 * value / largest:.1f}%"></i>' if name == "mse" else ""
        if line.of(name) != own:
            more += f'<small class="quiet">of {line.counts.get(name, 0):,.0f}</small>'
        cells.append(f'<td class="n{" best" * top}">{escape(written)}{more}</td>')
    return f'<tr class="{"baseline" * line.baseline}" style="--c:{line.colour or QUIET}">{"".join(cells)}</tr>'


QUIET = "#8a8f99"


def lines_csv(found: Sequence[Line]) -> str:
    """All figures of all lines, in full precision."""
    names = columns_of(found)
    return as_csv(
        ["", "images", *names],
        [
            [line.label, ", ".join(filter(None, [line.what, _told(line)])), *(line.figures.get(name) for name in names)]
            for line in found
        ],
    )


def _told(line: Line) -> str:
    """What its figures were measured on, with the names of those that were measured on something else."""
    others: dict[str, list[str]] = {}
    for name in columns_of([line]):
        if line.of(name) != line.images:
            others.setdefault(line.of(name), []).append(name)
    return "; ".join([line.images, *(f"{', '.join(some)}: {words}" for words, some in others.items())])
