"""The figures of `quality`: their titles, how they are written, and one sentence on how to read each."""

from typing import NamedTuple


class Figure(NamedTuple):
    """How a figure is shown."""

    title: str
    read: str
    form: str = ".3f"
    share: bool = True
    """Whether it goes from 0 to 1."""
    chance: str = ""
    """Name of the figure that guessing reaches."""


FIGURES = {
    "probe_accuracy": Figure("Linear probe", "Share of test images whose label a straight line through the code can tell.", chance="majority"),
    "knn_accuracy": Figure("10 nearest neighbours", "Share whose label most of their 10 nearest codes have: alike images lie together.", chance="majority"),
    "silhouette": Figure("Silhouette", "Near 1: each label is a tight group apart from the others; near 0: they overlap."),
    "nmi": Figure("Clusters, NMI", "How much clusters that know no labels tell of them: 1 all, 0 nothing."),
    "ari": Figure("Clusters, ARI", "How many pairs of images the clusters and the labels agree on: 1 all, 0 as by chance."),
    "effective_dimension": Figure("Effective dimension", "Directions along which the codes spread evenly; much less than the code's size: unused room.", ".1f", False),
    "used_dimensions": Figure("Used numbers", "Numbers of the code whose variance is above 0.01; the others say the same of every image.", ".0f", False),
    "correlation": Figure("Correlation", "Mean strength of correlation between the numbers: 0 if each tells something of its own."),
    "prior_distance": Figure("Distance from the prior", "0: codes are spread like the prior, so that samples look like data; 1: they do not overlap."),
}  # fmt: skip
"""Names as in `aecore.analysis.quality`."""
