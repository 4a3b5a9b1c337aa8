"""The figures of `quality`: their titles, how they are written, and one sentence on how to read each."""

from typing import NamedTuple

ASKED = 2_000
"""Test images whose codes are asked for their labels, or laid beside the prior, at most."""
GIVEN = "given are the images that the models should make, not what the models see"
"""Of methods without a network, where those differ."""


class Figure(NamedTuple):
    """How a figure is shown."""

    title: str
    read: str
    form: str = ".3f"
    share: bool = True
    """Whether it goes from 0 to 1."""
    chance: str = ""
    """Name of the figure that guessing reaches."""
    better: int = 1
    """Whether more is better (1), less (-1), or neither (0)."""


FIGURES = {
    "probe_accuracy": Figure("Linear probe", "Share of test images whose label a straight line through the code can tell.", chance="majority"),
    "knn_accuracy": Figure("10 nearest neighbours", "Share whose label most of their 10 nearest codes have: alike images lie together.", chance="majority"),
    "silhouette": Figure("Silhouette", "Near 1: each label is a tight group apart from the others; near 0: they overlap."),
    "nmi": Figure("Clusters, NMI", "How much clusters that know no labels tell of them: 1 all, 0 nothing."),
    "ari": Figure("Clusters, ARI", "How many pairs of images the clusters and the labels agree on: 1 all, 0 as by chance."),
    "effective_dimension": Figure("Effective dimension", "Directions along which the codes spread evenly; much less than the code's size: unused room.", ".1f", False, better=0),
    "used_dimensions": Figure("Used code units", "Code units whose spread is above a thousandth of the largest one's; the others say the same of every image.", ",.0f", False, better=0),
    "correlation": Figure("Correlation", "Mean strength of correlation between the code units: 0 if each tells something of its own.", better=-1),
    "active_units": Figure("Active units", "Units whose posterior mean differs from image to image; the others have collapsed to the prior and carry nothing.", ",.0f", False, better=0),
    "prior_distance": Figure("Distance from the prior", "0: codes are spread like the prior, as samples need, but also where they carry nothing; 1: they do not overlap.", better=0),
}  # fmt: skip
"""Names as in `aecore.analysis.quality`."""

FACTORS = {
    "mig": Figure("MIG", "How far the unit that knows most of a factor is ahead of the second: 1 if each factor has a unit of its own."),
    "sap": Figure("SAP", "The same gap by how well one unit alone predicts a factor: 1 one unit says all, 0 two say the same."),
    "dci_disentanglement": Figure("DCI disentanglement", "1: each unit serves one factor only; 0: every unit serves all of them."),
    "dci_completeness": Figure("DCI completeness", "1: each factor needs one unit only; 0: it is spread over all of them."),
    "dci_informativeness": Figure("DCI informativeness", "How well all units together predict the factors, whatever their order: 1 perfectly."),
    "factor_vae_score": Figure("FactorVAE score", "Share of groups that share one factor whose stillest unit names it: 1 all; by chance one over the number of factors."),
}  # fmt: skip
"""Names as in `aecore.analysis.disentanglement`: where the factors of the images are known."""
