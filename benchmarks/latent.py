"""Maps of 70,000 codes of 16 numbers: seconds of what the lab does, and of scikit-learn's t-SNE and umap-learn's defaults.

    python -m benchmarks.latent [--n 70000] [--sklearn 5000] [--umap-learn] [--part both|ours|theirs]

The codes are the first 16 principal components of MNIST's images, train and test. Each line has the processor's seconds of one
thread and, in brackets, the clock's; in turn in one process. scikit-learn's t-SNE is measured at two smaller sizes and
extrapolated as n log n (--sklearn 0 leaves it out). umap-learn must be installed by hand, and asked for.
"""

import argparse
import math
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from aecore import data
from aecore.analysis import latent
from aecore.analysis.layouts import lay_out
from aecore.analysis.neighbours import nearest
from aecore.analysis.projection import fit_pca
from aecore.analysis.trust import trust
from aecore.config import DataConfig, preset
from aecore.config.projection import TsneConfig, UmapConfig
from aecore.models import build
from aecore.runs import Lab


def digits(n: int) -> tuple[np.ndarray, np.ndarray]:
    """MNIST's first n images, train then test, and their labels."""
    roots, config = Lab.open().data_roots, DataConfig(name="mnist", validation=0)
    parts = [data.load(config, split, roots) for split in ("train", "test")]
    return np.concatenate([part.images for part in parts])[:n], np.concatenate([part.labels for part in parts])[:n]


def principal(images: np.ndarray, dims: int) -> np.ndarray:
    """(N, dims) float32: their first principal components."""
    flat = images.reshape(len(images), -1).astype(np.float32) / 255
    return fit_pca(flat, dims).project(flat).astype(np.float32)


def timed(name: str, work: Callable[[], Any], note: Callable[[Any], str] = lambda result: "") -> tuple[Any, float]:
    """Do it, say how long it took, and return its result and the processor's seconds."""
    clock, cpu = time.perf_counter(), time.process_time()
    result = work()
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    print(f"{name:<52} {cpu:8.1f} s  ({clock:7.1f} s)  {note(result)}", flush=True)
    return result, cpu


def kept(codes: np.ndarray) -> Callable[[np.ndarray], str]:
    """How far to trust a map of the codes."""

    def said(places: np.ndarray) -> str:
        found = trust(codes, np.asarray(places, np.float32))
        return (
            "" if found is None else f"trustworthiness {found.trustworthiness:.3f}, {found.kept:.1%} of neighbours kept"
        )

    return said


def ours(codes: np.ndarray) -> None:
    """PCA, and t-SNE and UMAP from exact neighbours."""
    timed("PCA, two axes", lambda: fit_pca(codes, 2).project(codes), kept(codes))
    for config in (UmapConfig(), TsneConfig()):
        name = {"tsne": "t-SNE", "umap": "UMAP"}[config.kind]
        around, _ = timed(
            f"{config.neighbours} nearest neighbours, exact",
            lambda c=config: nearest(codes, codes, c.neighbours, same=True),
        )
        timed(f"{name} from them", lambda c=config, a=around: lay_out(c, codes, a, lambda share: None), kept(codes))


def theirs(codes: np.ndarray, few: int, with_umap: bool) -> None:
    """scikit-learn's t-SNE at `few` and twice as many codes, and umap-learn."""
    from sklearn.manifold import TSNE

    if with_umap:
        umap, _ = timed("umap-learn: import", lambda: __import__("umap"))
        timed(
            "umap-learn's defaults, one thread, compiling too",
            lambda: umap.UMAP(random_state=0, n_jobs=1).fit_transform(codes),
            kept(codes),
        )
    if not few:
        return
    seconds = {}
    for n in (few, 2 * few):
        part = codes[:n]
        _, seconds[n] = timed(
            f"scikit-learn's t-SNE, {n:,} codes",
            lambda p=part: TSNE(random_state=0, n_jobs=1).fit_transform(p),
            kept(part),
        )
    growth = len(codes) * math.log(len(codes)) / (2 * few * math.log(2 * few))
    print(
        f"{'  the same at ' + format(len(codes), ',') + ', extrapolated as n log n':<52} {seconds[2 * few] * growth:8.1f} s",
        flush=True,
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=70_000)
    parser.add_argument("--sklearn", type=int, default=5_000)
    parser.add_argument("--umap-learn", action="store_true")
    parser.add_argument("--part", choices=("both", "ours", "theirs"), default="both")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    images, _ = digits(asked.n)
    facts = data.facts(DataConfig(name="mnist", validation=0), Lab.open().data_roots)
    model = build(preset("conv-16").config.model, facts)
    print(f"{len(images):,} images; load of the machine {os.getloadavg()[0]:.1f}", flush=True)
    if asked.part != "theirs":
        timed("encode, conv-16", lambda: latent.encode(model, images, facts))
    codes = principal(images, 16)
    if asked.part != "theirs":
        ours(codes)
    if asked.part != "ours":
        theirs(codes, asked.sklearn, asked.umap_learn)
    print(f"load of the machine {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
