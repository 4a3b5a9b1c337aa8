"""The data sets that there are. A new one is its module and one line here."""

from aecore.config import ConfigError, suggest
from aecore.data.base import Dataset
from aecore.data.digits import DIGITS
from aecore.data.folder import FOLDER
from aecore.data.glyphs import GLYPHS, GLYPHS_LETTERS
from aecore.data.patches import PATCHES
from aecore.data.published import PUBLISHED
from aecore.data.shapes import SHAPES
from aecore.data.waves import WAVES

DATASETS: dict[str, Dataset] = {
    found.name: found for found in (DIGITS, GLYPHS, GLYPHS_LETTERS, SHAPES, WAVES, PATCHES, FOLDER, *PUBLISHED)
}


def dataset(name: str) -> Dataset:
    """One data set by its name. Raises ConfigError that names what there is."""
    if name not in DATASETS:
        raise ConfigError({"data.name": f"There is no data set {name!r}: {suggest(name, DATASETS)}"})
    return DATASETS[name]
