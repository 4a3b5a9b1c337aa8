"""The figures of the Compare page's tables: what they are called, how they are written, and what they mean."""

from collections.abc import Callable
from typing import NamedTuple

from aecore.analysis import quality_words
from ui.wall import thousandths
from ui.words import many, span


class Figure(NamedTuple):
    """A column: its heading, how it is written, whether more is better (1), less (-1), or neither (0), and what it means."""

    head: str
    write: Callable[[float], str]
    better: int = 0
    help: str = ""


FIGURES = {
    "mse": Figure("MSE × 10⁻³", thousandths, -1, "Squared error per pixel, pixels in [0,1]"),
    "psnr": Figure("PSNR, dB", lambda v: f"{v:.2f}", 1, "Mean of the images' peak signal-to-noise ratios"),
    "ssim": Figure("SSIM", lambda v: f"{v:.3f}", 1, "Structural similarity, Wang et al. 2004"),
    "ms_ssim": Figure("MS-SSIM", lambda v: f"{v:.3f}", 1, "Structural similarity at several scales, Wang et al. 2003"),
    "gain": Figure(
        "Gain, dB", lambda v: f"{v:+.2f}", 1, "PSNR of the reconstructions above that of what the encoder saw"
    ),
    "auroc": Figure(
        "AUROC, left out",
        lambda v: f"{v:.3f}",
        1,
        "Chance that an image of a class that was left out has a larger error",
    ),
    "mig": Figure(
        "MIG",
        lambda v: f"{v:.3f}",
        1,
        "Mutual information gap: how far the unit that knows most of a factor is ahead of the second; 1 where each factor has a unit of its own",
    ),
    "elbo": Figure(
        "ELBO, nats", lambda v: f"{v:,.1f}", 1, "Evidence lower bound, one drawn code an image; log-likelihood minus KL"
    ),
    "log_likelihood": Figure("log p(x|z)", lambda v: f"{v:,.1f}", 0, "Log-likelihood of the pixels, nats an image"),
    "kl": Figure("KL", lambda v: f"{v:,.1f}", 0, "Of the posterior from N(0, I), nats an image"),
    "knn_accuracy": Figure(
        "kNN", lambda v: f"{v:.1%}", 1, "Share of labels that the 10 nearest training codes vote right"
    ),
    "probe_accuracy": Figure(
        "Probe", lambda v: f"{v:.1%}", 1, "Share of labels that a logistic regression on the code says right"
    ),
    "code_size": Figure("Code", lambda v: f"{v:,.0f}", 0, "Numbers in the code of one image"),
    "compression": Figure(
        "Ratio",
        lambda v: f"{v:.3g}×",
        0,
        "Numbers in an image over numbers in its code; bytes over bytes, where a code is one of finitely many",
    ),
    "bytes": Figure(
        "Bytes",
        lambda v: f"{v:,.0f}",
        0,
        "Of a file; of a code at 8 bits a number, or as many as tell it from finitely many others",
    ),
    "parameters": Figure("Parameters", many, 0, "Numbers that were learnt"),
    "operations": Figure("Operations", many, 0, "Multiplications and additions to encode and decode one image"),
    "seconds": Figure("Time", span, 0, "Of training"),
}
CODES = {
    name: Figure(word.title, ("{:" + word.form + "}").format, word.better, word.read)
    for name, word in (quality_words.FIGURES | quality_words.FACTORS).items()
    if name not in FIGURES
}
"""The same of the codes: a table of its own."""
OF_ALL = {"effective_dimension", "used_dimensions", "correlation"}
OF_PRIOR = {"prior_distance", "active_units"}
"""Figures of all test codes that are kept, and of those laid beside the prior; the rest is of those that are asked for their labels."""
ALL = FIGURES | CODES
