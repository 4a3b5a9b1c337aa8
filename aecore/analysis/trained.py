"""A trained model with what it needs to be used on pictures."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from aecore import manifest
from aecore.analysis import latent, reconstruction
from aecore.analysis.seen import seen, wanted
from aecore.config import ConfigError, Facts, RunConfig, reads
from aecore.models import Autoencoder, Decoder, Encoder
from aecore.training.checkpoints import kept_facts, load_model


class Trained(NamedTuple):
    """A checkpoint of a run, on the CPU, in evaluation mode. Images are uint8 (N, C, H, W)."""

    model: Autoencoder
    config: RunConfig
    facts: Facts
    checkpoint: Path

    @property
    def encoder(self) -> Encoder:
        """A torch module of its own: x (N, C, H, W) in `facts.value_range` -> z (N, *code_shape)."""
        return self.model.encoder

    @property
    def decoder(self) -> Decoder:
        """A torch module of its own: z (N, *code_shape) -> x_hat (N, C, H, W) in the range of its last layer."""
        return self.model.decoder

    @property
    def code_bytes(self) -> int:
        """Bytes of a code, one for each number: what simple methods may keep of an image beside it, in numbers or in bytes."""
        return self.config.model.bottleneck.code_bytes(self.model.code_shape)

    def reconstruct(self, images: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """uint8 images -> uint8 images, as images of these labels (N,) where `model.labels` of the config is not 'none'.

        Raises ValueError for images of another shape, or where labels are missing.
        """
        return reconstruction.reconstruct(self.model, images, self.facts, labels)

    def see(self, images: np.ndarray) -> np.ndarray:
        """What the encoder sees of uint8 images under the run's task, as uint8 images: themselves for the identity."""
        return seen(self.config, images, self.facts)

    def wanted(self, images: np.ndarray) -> np.ndarray:
        """What the decoder should give for uint8 images, as uint8 images: themselves, unless the run's task says else."""
        return wanted(self.config, images, self.facts)

    def encode(self, images: np.ndarray) -> np.ndarray:
        """uint8 images -> codes (N, numbers of one code) float32. Raises ValueError for images of another shape."""
        return latent.encode(self.model, images, self.facts)

    def decode(self, codes: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """Codes (N, numbers of one code) -> uint8 images; labels as above. Raises ValueError for codes of another size."""
        return latent.decode(self.model, codes, self.facts, labels)


def load_trained(folder: Path, best: bool = False) -> Trained:
    """The trained model in a run's folder: the newest checkpoint, or the one of the lowest watched loss.

    Raises:
        ConfigError: where there is no run, nothing of it was saved yet, or what was saved is damaged.
    """
    try:
        config = reads((folder / "config.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            {"": f"There is no run in {folder}: config.json cannot be read ({error.strerror})."}
        ) from None
    checkpoint = (best and manifest.best(folder / "checkpoints")) or manifest.newest(folder / "checkpoints")
    if checkpoint is None and any((folder / "checkpoints").glob("*/MANIFEST.json")):
        raise ConfigError(
            {"": f"The checkpoints of run {folder.name} are damaged: a clone of it can be trained again."}
        )
    if checkpoint is None:
        raise ConfigError({"": f"Run {folder.name} has no checkpoint: a run is saved once a minute, and at its end."})
    facts = kept_facts(checkpoint)
    return Trained(load_model(checkpoint, config.model, facts), config, facts, checkpoint)
