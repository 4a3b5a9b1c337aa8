"""The autoencoder: a backbone, a bottleneck and an objective, composed."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from aecore.models.batch import Batch, Output, Progress, Sums
from aecore.models.bottlenecks import Code, Enter, EnterGaussian
from aecore.models.heap import without_holes
from aecore.models.noise import Dropout
from aecore.models.objectives import Objective, Opponent, Parts

SMALLEST_BATCH, LARGEST_BATCH = 32, 256
WIDEST_BATCH = 1 << 20
"""Numbers in the largest layer's output for one evaluated batch: 4 MB. Larger ones are no faster, and leave
holes in the C library's heap that take hundreds of MB."""


class Encoder(nn.Module):
    """Images (B, C, H, W) to codes (B, *code_shape), deterministic: the posterior's mean for Gaussian bottlenecks."""

    def __init__(self, layers: nn.Module, enter: Enter):
        super().__init__()
        self.layers, self.bottleneck = layers, enter

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.bottleneck(self.layers(x))
        return z

    def code(self, x: Tensor, generator: torch.Generator | None = None) -> Code:
        """As `forward`, but drawn from the posterior in training mode, and with the posterior's parameters."""
        return self.bottleneck.code(self.layers(x), generator)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """mu and log_var (B, latent_dim). Raises ValueError where the bottleneck is not Gaussian."""
        if not isinstance(self.bottleneck, EnterGaussian):
            raise ValueError("Only a gaussian bottleneck has a posterior.")
        return self.bottleneck.posterior(self.layers(x))


class Decoder(nn.Module):
    """Codes (B, *code_shape) to images (B, C, H, W)."""

    def __init__(self, leave: nn.Module, layers: nn.Module, output: nn.Module):
        super().__init__()
        self.bottleneck, self.layers, self.output = leave, layers, output

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """`label` (B,) int64 for decoders that ask for it. Raises ValueError where it is missing there."""
        x_hat: Tensor = self.output(self.logits(z, label))
        return x_hat

    labels = 0
    """How many labels it asks for; 0 where it asks for none."""
    recordable = True
    """Whether no number on a GPU decides what it does, so that a step can be recorded there."""

    def logits(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """(B, C, H, W) before the last non-linearity."""
        logits: Tensor = self.layers(self.bottleneck(z))
        return logits


class Autoencoder(nn.Module):
    """Works in model space: x (B, C, H, W) in the data's value range."""

    def __init__(
        self, encoder: Encoder, decoder: Decoder, objective: Objective, code_shape: tuple[int, ...], widest: int
    ):
        super().__init__()
        self.encoder, self.decoder, self.objective = encoder, decoder, objective
        self.code_shape = code_shape
        self.evaluation_batch = min(LARGEST_BATCH, max(SMALLEST_BATCH, WIDEST_BATCH // widest))
        """Images that are evaluated at once: few enough that evaluating never needs more memory than training."""
        self.dropouts = [layer for layer in self.modules() if isinstance(layer, Dropout)]

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation mode without gradients; the mode that was is restored, so that training goes on undisturbed."""
        training = self.training
        self.eval()
        try:
            with torch.inference_mode(), without_holes():
                yield
        finally:
            self.train(training)

    def encode(self, x: Tensor) -> Tensor:
        """The code that analysis uses, (B, *code_shape); deterministic."""
        z: Tensor = self.encoder(x)
        return z

    def decode(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """(B, *code_shape) -> (B, C, H, W), as images of `label` (B,) where `labels` is not 0; Raises ValueError without one there."""
        x_hat: Tensor = self.decoder(z, label)
        return x_hat

    @property
    def labels(self) -> int:
        """How many labels the decoder asks for; 0 where it asks for none."""
        return self.decoder.labels

    @property
    def opponent(self) -> Opponent | None:
        """The network that is trained against it, where there is one."""
        return self.objective.opponent

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Output:
        """Encode and decode; noise is drawn from `generator`, and only in training mode."""
        for layer in self.dropouts:
            layer.generator = generator
        code = self.encoder.code(batch.x, generator)
        logits = self.decoder.logits(
            code.z, batch.label
        ).float()  # a loss is computed in 32 bits, whatever the layers use
        return Output(self.decoder.output(logits), code.z, logits, *code[1:])

    def loss_terms(
        self, batch: Batch, output: Output, progress: Progress, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """Named, already weighted scalars; their sum is exactly what is minimised. What is estimated draws from `generator`."""
        terms: dict[str, Tensor] = self.objective(batch, output, progress, self.parts(generator))
        return terms if output.commitment is None else terms | {"commitment": output.commitment.mean()}

    def parts(self, generator: torch.Generator | None) -> Parts:
        """What an objective may use of this model."""
        return Parts(
            self.encode, self.decoder, self.encoder.bottleneck.prior, generator, lambda x: self.encoder.posterior(x)
        )

    def training_step(self, batch: Batch, progress: Progress, generator: torch.Generator | None = None) -> Sums:
        """The terms of one step, to be summed and differentiated, for each optimiser. Overridden only where training is unusual."""
        return (self.loss_terms(batch, self(batch, generator), progress, generator),)

    @property
    def has_prior(self) -> bool:
        """Whether new images can be made from codes of a prior."""
        return self.encoder.bottleneck.has_prior or self.objective.samples_prior

    def prior(self, like: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Codes of the prior, as many as, and of the shape of, `like` (B, *code_shape)."""
        return self.objective.prior(like, self.parts(generator))

    def sample(self, n: int, generator: torch.Generator | None = None, label: Tensor | None = None) -> Tensor:
        """n images (n, C, H, W) decoded from the prior, as images of `label` (n,), or of one label after another.

        Raises ValueError where there is no prior.
        """
        if not self.has_prior:
            raise ValueError(
                "This model has no prior to sample from: only a gaussian bottleneck has one, or the objectives 'wae' and 'aae' "
                "make one."
            )
        like = torch.empty(n, *self.code_shape, device=self.device)
        if label is None and self.labels:
            label = torch.arange(n, device=self.device) % self.labels
        return self.decode(self.prior(like, generator), label)
