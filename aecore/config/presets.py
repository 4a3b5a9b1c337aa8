"""Named, complete configurations: one JSON file each, the package's and one's own."""

import re
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from aecore.config.base import SHORT, Config, ConfigError, from_json, sentences, suggest
from aecore.config.run import RunConfig

FOLDER = Path(__file__).parents[1] / "presets"
LONGEST = 60
"""Letters of a preset's name."""


class Preset(Config):
    """A configuration with a name, what it teaches, and what is known to be wrong with it."""

    title: str = Field(description="One line for lists.")
    help: str = Field(description="What it is and what it teaches, in a sentence or two.")
    source: str = Field("", description="Where the numbers are from: a tutorial, a paper, or ours.")
    flaw: str = Field("", description="A flaw that was published and is kept, in a sentence.")
    twin: str = Field("", description="The preset without the flaw.")
    stand_in: str = Field("", description="A data set of the same kind that needs no download.")
    owner: str = Field("", description="Who kept it; empty where that is not known, and of the package's own.")
    config: RunConfig

    @property
    def name(self) -> str:
        return self.config.name


def presets(*folders: Path) -> dict[str, Preset]:
    """All presets by name, the package's first, then those of `folders` (one's own). A file that cannot be read is left out."""
    found: dict[str, Preset] = {}
    for folder in (FOLDER, *folders):
        for path in sorted(folder.glob("*.json")):
            if folder == FOLDER or _readable(path):
                found[path.stem] = read_preset(path)
    return dict(sorted(found.items(), key=lambda item: ORDER.index(item[0]) if item[0] in ORDER else len(ORDER)))


ORDER = [
    "demo",
    "conv-16",
    "vae-2",
    "linear-pca",
    "compress-32",
    "scatter-2",
    "stacked-9",
    "stacked-9-tuned",
    "stacked-9-conv",
]
"""What a newcomer should meet first; the rest follows by name."""


def read_preset(path: Path) -> Preset:
    """A preset from its file. Raises ConfigError with a sentence that names the file."""
    try:
        content: Any = from_json(path.read_text(encoding="utf-8"))
        content["config"]["name"] = path.stem
        return Preset.model_validate(content)
    except ValidationError as error:
        raise ConfigError({at: f"{path.name}: {text}" for at, text in sentences(error, Preset).items()}) from None
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ConfigError({"": f"{path.name} is not a preset: {str(error).rstrip('.')}."}) from None


def preset(name: str, *folders: Path) -> Preset:
    """One preset by its name. Raises ConfigError that names what there is."""
    known = presets(*folders)
    if name not in known:
        raise ConfigError({"preset": f"There is no preset {name!r}: {suggest(name, known)}"})
    return known[name]


def save_preset(folder: Path, name: str, config: RunConfig, owner: str = "") -> Path:
    """Keep a configuration as somebody's own preset, in place of an older one of that name.

    Raises:
        ConfigError: where the name is one of the package's, or cannot be one.
        OSError: where the file cannot be written.
    """
    if not re.fullmatch(rf"[^\W_][\w-]{{0,{LONGEST - 1}}}", name):
        rule = f"is at most {LONGEST} letters, digits, '-' and '_', a letter or digit first"
        raise ConfigError({"preset": f"A preset's name {rule}, but this is {SHORT.repr(name)}."})
    if name in presets():
        raise ConfigError({"preset": f"The name {name!r} belongs to a preset that comes with the lab: choose another."})
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    kept = Preset(title=name, help="One's own.", source="own", owner=owner, config=config)
    path.write_text(kept.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return path


def _readable(path: Path) -> bool:
    try:
        read_preset(path)
    except ConfigError:
        return False
    return True
