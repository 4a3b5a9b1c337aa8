"""How the codes of a run become a map: what a job of the kind `project` computes."""

import zlib
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from aecore.config.base import Config, ConfigError, sentences

FITTED, FITTED_TSNE_3D = 100_000, 10_000
"""Codes that a map is fitted to, at most; the others are placed into it. In three dimensions t-SNE has no fast approximation."""
SEED: dict[str, Any] = {
    "ge": 0,
    "le": 2**31 - 1,
    "title": "Seed",
    "description": "Chance of the map: the same gives the same map.",
}
LIKE: dict[str, Any] = {
    "pattern": r"^$|^[\w.-]+/[\w-]+$",
    "max_length": 200,
    "title": "Start",
    "description": "RUN/MAP: begin where that map of another run has the same images; empty: at the principal components.",
}


class TsneConfig(Config):
    """t-SNE: keeps who is whose neighbour; distances between groups mean little. van der Maaten & Hinton 2008."""

    kind: Literal["tsne"] = "tsne"
    dims: Literal[2, 3] = Field(2, title="Dimensions", description="Of the map.")
    perplexity: float = Field(
        30, ge=2, le=200, title="Perplexity", description="How many neighbours each code has, softly."
    )
    iterations: int = Field(
        500, ge=50, le=5000, title="Iterations", description="After 250 with exaggerated attraction."
    )
    seed: int = Field(0, **SEED)
    like: str = Field("", **LIKE)

    @property
    def neighbours(self) -> int:
        """Nearest codes that it needs of each code."""
        return round(3 * self.perplexity)


class UmapConfig(Config):
    """UMAP: keeps who is whose neighbour, with more of the whole than t-SNE. McInnes et al. 2018."""

    kind: Literal["umap"] = "umap"
    dims: Literal[2, 3] = Field(2, title="Dimensions", description="Of the map.")
    n_neighbors: int = Field(15, ge=2, le=200, title="Neighbours", description="More show the whole, fewer the detail.")
    min_dist: float = Field(
        0.1, ge=0, le=0.99, title="Smallest distance", description="How tightly points may be packed."
    )
    epochs: int | None = Field(
        None, ge=10, le=5000, title="Epochs", description="Empty: 200, and 500 for up to 10,000 codes."
    )
    seed: int = Field(0, **SEED)
    like: str = Field("", **LIKE)

    @property
    def neighbours(self) -> int:
        """Nearest codes that it needs of each code, itself not counted."""
        return self.n_neighbors - 1


class SurroundingsConfig(Config):
    """No map, but what the neighbours of each code tell: its density, its cluster, how many have its label."""

    kind: Literal["surroundings"] = "surroundings"
    neighbours: int = Field(
        15, ge=2, le=200, title="Neighbours", description="Nearest codes of each code that are asked."
    )
    clusters: int | None = Field(
        None, ge=2, le=200, title="Clusters", description="Empty: as many as there are labels."
    )
    seed: int = Field(0, **SEED)


ProjectionConfig = Annotated[TsneConfig | UmapConfig | SurroundingsConfig, Field(discriminator="kind")]
KINDS: dict[str, type[TsneConfig | UmapConfig | SurroundingsConfig]] = {
    "tsne": TsneConfig,
    "umap": UmapConfig,
    "surroundings": SurroundingsConfig,
}
_adapter: TypeAdapter[TsneConfig | UmapConfig | SurroundingsConfig] = TypeAdapter(ProjectionConfig)


def parse_projection(content: dict[str, Any]) -> TsneConfig | UmapConfig | SurroundingsConfig:
    """From plain data. Raises ConfigError, one sentence for each field that is wrong."""
    try:
        return _adapter.validate_python(content)
    except ValidationError as error:
        kind = KINDS.get(content.get("kind", ""), TsneConfig)
        try:
            return kind.model_validate(content)
        except ValidationError as inner:
            raise ConfigError(sentences(inner, kind)) from None
        finally:
            del error


def key_of(config: TsneConfig | UmapConfig | SurroundingsConfig) -> str:
    """The name of what a config asks for, for addresses and folders: 'tsne-1f2e3d4c'."""
    plain = (
        {"like"} if not getattr(config, "like", "") else None
    )  # maps that were made before there was a choice keep their names
    return f"{config.kind}-{zlib.crc32(config.model_dump_json(exclude=plain).encode()):08x}"


def most_fitted(config: TsneConfig | UmapConfig | SurroundingsConfig) -> int:
    """How many codes a map is fitted to, at most."""
    return FITTED_TSNE_3D if isinstance(config, TsneConfig) and config.dims == 3 else FITTED
