"""Which runs the Compare page compares, what they are called there, and which of them learnt the same images."""

from collections import Counter
from collections.abc import Hashable, Sequence
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Literal, NamedTuple

from aecore import data
from aecore.config import ConfigError, DataConfig, Facts, RunConfig
from aecore.data import DataError
from aecore.runs import LabError, RunFolder, RunRow
from aecore.runs import runs as all_runs
from aecore.runs.lab import Lab
from aecore.runs.text import isolated
from ui.palette import run_colour

MOST = 24
"""Models that stand side by side as pictures and curves; more stand in the table and the plots."""


class Compared(NamedTuple):
    """A run among those that are compared."""

    row: RunRow
    folder: RunFolder
    config: RunConfig
    facts: Facts
    label: str
    colour: str

    @property
    def kind(self) -> Hashable:
        """Data set, shape and target: runs that agree in them should give the same images."""
        return self.config.data.name, *self.drawn_from, self.facts.shape, self.target

    @property
    def drawn_from(self) -> tuple[str, int]:
        """What decides beside its name which images a data set has: one's own folder, and the seed of what is drawn or cut from it."""
        seeded = data.dataset(self.config.data.name).kind in ("generated", "folder")
        return self.config.data.path, self.config.data.seed * seeded

    @property
    def learnt_from(self) -> Hashable:
        """Classes and subset of the images of its data set that it learns from and is measured on; what is held out is left aside."""
        training = self.config.training
        some = (training.subset, training.subset_order, training.seed) if training.subset else ()
        return frozenset(training.classes), some

    @property
    def what(self) -> str:
        """Data set, shape and target in words."""
        path, seed = self.drawn_from
        words = [self.config.data.name, path, f"of data seed {seed}" * (seed > 0)]
        target = f", target: {self.target}" if self.target else ""
        return f"{' '.join(filter(None, words))} at {'×'.join(map(str, self.facts.shape))}{target}"

    @property
    def target(self) -> str:
        """What its decoder should give, in words; '' where that is the image itself."""
        return self.config.task.target


def gather(here: Lab, rows: Sequence[RunRow]) -> tuple[list[Compared], list[str]]:
    """The runs that can be compared, and a sentence for each of the others."""
    runs: list[Compared] = []
    sentences: list[str] = []
    for row, label in zip(rows, labels(rows), strict=True):
        try:
            folder = here.run(row.id)
            known = _known(folder.path)
        except ValueError as error:
            sentences.append(str(error))
            continue
        except (KeyError, TypeError):
            sentences.append(f"{label} is left out: its model.json cannot be read.")
            continue
        if known is None:
            _known.cache_clear()
            sentences.append(f"{label} has not started yet: it will appear here once it has.")
            continue
        runs.append(Compared(row, folder, *known, label, run_colour(len(runs))))
    return by_seed(runs), sentences


def by_seed(runs: Sequence[Compared]) -> list[Compared]:
    """What only an id tells apart is called by its seed, where that does so, too."""
    names = [f"{isolated(run.row.name)}, seed {run.config.training.seed}" for run in runs]
    alone = Counter([*names, *(run.label for run in runs)])
    return [
        run._replace(label=name) if run.label == run.row.id and alone[name] == 1 else run
        for run, name in zip(runs, names, strict=True)
    ]


@lru_cache(maxsize=2048)
def _known(path: Path) -> tuple[RunConfig, Facts] | None:
    """Configuration and facts of a run, which do not change any more once they are there."""
    facts = RunFolder(path).facts()
    return None if facts is None else (RunFolder(path).config(), facts)


def missing(here: Lab, wanted: Sequence[str], rows: Sequence[RunRow]) -> list[str]:
    """A sentence for each run that a link names and that is not there to be compared."""
    known, said = {row.id for row in rows}, []
    for run_id in dict.fromkeys(wanted):
        if run_id in known:
            continue
        if all_runs(here, [run_id]):
            said.append(f"{run_id} has not started yet: it will appear here once it has.")
        else:
            said.append(str(here.missing(run_id)))
    return said


def groups(runs: Sequence[Compared]) -> list[list[Compared]]:
    """The runs that should give the same images together, in the order of the first of each."""
    found: dict[Hashable, list[Compared]] = {}
    for run in runs:
        found.setdefault(run.kind, []).append(run)
    return list(found.values())


def default(rows: Sequence[RunRow]) -> list[str]:
    """The latest two completed runs on the same data, the older one first; else the latest that has begun."""
    begun = [row for row in rows if row.state == "completed"] or [row for row in rows if row.step]
    if not begun:
        return []
    mates = [row.id for row in begun if row.dataset == begun[0].dataset]
    return mates[:2][::-1]


def labels(rows: Sequence[RunRow]) -> list[str]:
    """A short name for each run that no other of them has: its name, with the code size where needed, else its id."""
    names = Counter(row.name for row in rows)
    sized = Counter((row.name, row.code_size) for row in rows)
    same = _shared([row.name for row in rows]) if len({row.sweep or row.id for row in rows}) == 1 else 0
    return [
        isolated(row.name[same:])
        if names[row.name] == 1
        else f"{isolated(row.name[same:])}, {row.code_size:,}"
        if sized[row.name, row.code_size] == 1
        else row.id
        for row in rows
    ]


def _shared(names: Sequence[str]) -> int:
    """How many letters the runs of a sweep begin with alike, up to a comma: room is short, and what was varied stands behind it.

    >>> _shared(["demo, task grey, seed 0", "demo, task grey, seed 1"]), _shared(["demo"]), _shared(["demo", "demo, 2"])
    (17, 0, 0)
    """
    parts = [name.split(", ") for name in names]
    alike = takewhile(lambda column: len(set(column)) == 1, zip(*(part[:-1] for part in parts), strict=False))
    return sum(len(f"{column[0]}, ") for column in alike)


def others(run: Compared, here: Lab) -> dict[str, str]:
    """{name: title} of the data sets that can be shown at the shape of this run, and are there; among them the run's own, where
    classes were left out of its training."""
    found = {}
    if run.config.training.classes and data.dataset(run.config.data.name).kind != "folder":
        found[run.config.data.name] = "Test images of all classes"
    for name, known in data.DATASETS.items():
        try:
            config = converted(run.config.data, run.facts, name)
            same = name != run.config.data.name and known.kind != "folder" and data.is_present(config, here.data_roots)
            if same and data.facts(config, here.data_roots).shape == run.facts.shape:
                found[name] = known.title
        except (ConfigError, DataError):
            continue
    return found


def converted(config: DataConfig, facts: Facts, name: str) -> DataConfig:
    """The config that brings another data set to the shape of these facts."""
    channels, height, width = facts.shape
    colour: Literal["grey", "rgb"] = "grey" if channels == 1 else "rgb"
    size = width if data.dataset(name).sequence else height
    return DataConfig(name=name, size=size, colour=colour, value_range=config.value_range, seed=config.seed)


def epochs(runs: Sequence[Compared]) -> list[int]:
    """Epochs to choose from, 0 for the untrained model; at most about fifty."""
    last = max((run.row.epoch for run in runs), default=0)
    step = max(1, -(-last // 50))
    return list(range(0, last, step))


def sizes(runs: Sequence[Compared]) -> list[int]:
    """The code sizes of these runs, the first run's first."""
    return list(dict.fromkeys(run.row.code_size for run in runs))


__all__ = ["Compared", "LabError", "default", "epochs", "gather", "groups", "labels", "missing", "others", "sizes"]
