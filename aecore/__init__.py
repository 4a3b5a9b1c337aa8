"""Autoencoder Lab without its pages.

How data flows: a `RunConfig` (aecore.config) names images, which `aecore.data` loads as uint8 (N, C, H, W) with labels;
`aecore.training` keeps them on the device, normalises them batch by batch into model space, and trains what `aecore.models`
composed of a backbone, a bottleneck and an objective, after `aecore.tasks` changed what the encoder sees; its rows, samples and
checkpoints lie in a run's folder (`aecore.runs`), which a process of `aecore.jobs` writes; `aecore.analysis` turns a trained
model and images into reconstructions, codes, errors and figures.

`aecore.load` gives a trained model. Importing this package imports nothing else.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aecore.analysis.trained import Trained
    from aecore.runs import RunFolder


def load(run: "str | Path | RunFolder", best: bool = False) -> "Trained":
    """The trained model of a run: `.model`, `.encoder`, `.decoder`, `.reconstruct(images)`, `.encode(images)`, `.decode(codes)`.

    Args:
        run: a run's folder, or the id of a run in the lab (AELAB_HOME, else `lab/` in the checkout).
        best: the checkpoint of the lowest watched loss among those that were kept, instead of the newest.

    Raises:
        ValueError: where there is no such run, or nothing of it was saved yet.
    """
    from aecore.analysis.trained import load_trained

    return load_trained(_folder(run), best)


def _folder(run: "str | Path | RunFolder") -> Path:
    if not isinstance(run, str | Path):
        return run.path
    if isinstance(run, Path) or (Path(run) / "config.json").is_file():
        return Path(run)
    from aecore.runs import Lab

    return Lab.open().run(run).path
