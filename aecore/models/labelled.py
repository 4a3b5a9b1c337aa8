"""Decoders that ask for the label of the image: one that is told it, and one for each label."""

import torch
from torch import Tensor, nn

from aecore.models.autoencoder import Decoder


def needed(label: Tensor | None) -> Tensor:
    """Raises ValueError where there is none."""
    if label is None:
        raise ValueError("This model decodes a code as an image of a label (model.labels): say which label.")
    return label


class ConditionalDecoder(Decoder):
    """Features are made of the code and of the label: a learnt vector for each label is added. Sohn et al. 2015.

    Where the code is a map, so that its layout is the image's, the vector is the same in all places.
    """

    def __init__(self, decoder: Decoder, feature_shape: tuple[int, ...], labels: int):
        super().__init__(decoder.bottleneck, decoder.layers, decoder.output)
        self.labels, self.feature_shape = labels, feature_shape
        self.told = nn.Linear(labels, torch.Size(feature_shape).numel(), bias=False)

    def logits(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        features = self.bottleneck(z)
        place = needed(label)[:, None]  # (B, 1)
        chosen = self.told.weight.new_zeros(len(place), self.labels).scatter(1, place, 1.0)  # (B, labels)
        told = self.told(chosen).view(-1, *self.feature_shape)
        logits: Tensor = self.layers(features + told)
        return logits


class SwapDecoder(Decoder):
    """A decoder for each label. The encoder is shared, so that a code can be decoded as the image of any label."""

    recordable = False  # how many images each decoder has, only the labels say

    def __init__(self, decoders: list[Decoder]):
        super().__init__(nn.Identity(), nn.Identity(), decoders[0].output)
        self.labels = len(decoders)
        self.decoders = nn.ModuleList(decoders)

    def each(self) -> list[Decoder]:
        return list(self.decoders)  # type: ignore[arg-type]

    def logits(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """Each code by its own label's decoder; the others' parameters get a gradient of 0."""
        if z.is_meta:  # a shape is all that is asked for
            return self.each()[0].logits(z)
        order, counts = needed(label).argsort(stable=True), needed(label).bincount(minlength=self.labels)
        parts = list(zip(self.each(), z[order].split(counts.tolist()), strict=True))
        decoded = torch.cat([decoder.logits(part) for decoder, part in parts if len(part)])
        idle = [p.sum() for decoder, part in parts if not len(part) for p in decoder.parameters()]
        return decoded[order.argsort()] + 0 * sum(idle)
