"""Memory that a run will take, from its configuration alone: nothing is allocated to find out.

Held to the measured peak within 15 % for every preset by `python -m benchmarks.memory`.
"""

import math
from math import prod
from typing import NamedTuple

import torch
from torch import nn

from aecore.config import Facts, RunConfig
from aecore.models import Autoencoder, build
from aecore.models.summary import Traced, trace
from aecore.models.transformer import Attention
from aecore.training import device as devices
from aecore.training.data import most_watched
from aecore.training.engines import loops
from aecore.training.engines.chain import chain
from aecore.training.engines.fused import beside
from aecore.training.optimiser import MOMENTS

FLOAT = 4
RUNTIME = {"cpu": 610e6, "cuda": devices.CONTEXT + 68e6, "mps": 610e6}
"""Bytes before any model: the interpreter with PyTorch, resident in a training process, and on a GPU its context and what
cuBLAS works in.
Measured by `python -m benchmarks.memory`."""


class Memory(NamedTuple):
    """Bytes, by what they are for."""

    parameters: int
    gradients: int
    optimiser: int
    activations: int
    """What a batch leaves for the backward pass, or an evaluated batch takes, whichever is more."""
    data: int
    """The images on the device."""
    runtime: int
    total: int
    """The peak while training."""
    checkpoint: int
    """On the disk, for each checkpoint."""


def estimate(config: RunConfig, facts: Facts, streamed: bool = False) -> Memory:
    """Memory of a run on images of `facts`, on the device that it would go to; the training images are elsewhere if `streamed`.

    Raises:
        ConfigError: where the layers do not fit the images, or for a device that is not there.
    """
    device = devices.choose(config.training.device)
    with torch.device("meta"):
        model = build(config.model, facts)
        steps = trace(model, facts)
    parameters = FLOAT * sum(parameter.numel() for parameter in model.parameters())
    buffers = FLOAT * sum(buffer.numel() for buffer in model.buffers())
    # `Tiled` has them a second time, unless it clips gradients
    again = parameters if device.type == "cuda" and chain(model) else 0
    moments = len(MOMENTS[config.training.optimiser]) * parameters
    images = min(facts.n_train, config.training.subset or facts.n_train)
    watched = most_watched(images)
    training = _training(config, facts, model, steps, images) + _converting(config, steps, images, device)
    working = max(training, _evaluating(model, facts, steps, device, watched))
    data = (watched + (0 if streamed else images)) * prod(facts.shape)
    runtime = int(RUNTIME[device.type])
    # the optimiser's step needs no activations, the forward pass no gradients: they are freed after each step
    peak = 2 * parameters + again + buffers + moments + working + data + runtime
    checkpoint = parameters + buffers + moments
    return Memory(parameters + again + buffers, parameters, moments, working, data, runtime, peak, checkpoint)


KEEP_INPUT = (
    nn.Linear,
    nn.Conv2d,
    nn.ConvTranspose2d,
    nn.BatchNorm2d,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.MaxPool2d,
    nn.LeakyReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
)
KEEP_OUTPUT = (nn.ReLU, nn.Sigmoid, nn.Tanh)
INDEX = 2
"""Max pooling keeps 64 bits for each output: the place that it took it from."""


def _training(config: RunConfig, facts: Facts, model: Autoencoder, steps: list[Traced], images: int) -> int:
    """Bytes that one batch leaves for the backward pass, and the gradients of the largest layer in flight."""
    draws = model.objective.draws
    numbers = (1 + 3 * draws) * prod(facts.shape)  # target; x_hat, logits, and the loss of each pixel
    for before, step in zip([None, *steps[:-1]], steps, strict=True):
        kept_already = before is not None and isinstance(before.module, KEEP_OUTPUT)
        times = draws if step.path.startswith("decoder") else 1
        if isinstance(step.module, KEEP_INPUT) and not kept_already:
            numbers += times * prod(step.inputs)
        if isinstance(step.module, KEEP_OUTPUT):
            numbers += times * prod(step.output)
        if isinstance(step.module, nn.MaxPool2d):
            numbers += INDEX * prod(step.output)
        numbers += times * _inside(step)
    in_flight = max(2 * max(prod(step.output) for step in steps), _scratch(model, steps))
    batch = math.ceil(min(config.training.batch_size, images) / config.training.processes)
    return FLOAT * batch * (numbers + in_flight)


STATES = 4
"""Numbers of a recurrent unit in one step beside its gates: the cell, its tanh, the state, and the state among the outputs."""


def _inside(step: Traced) -> int:
    """Numbers that a module keeps of what it computes inside, which no other module's input or output is."""
    if isinstance(step.module, nn.RNNBase):
        gates = 4 if isinstance(step.module, nn.LSTM) else 3
        return prod(step.inputs) + (gates + STATES) * prod(step.output)
    return int(step.module.kept(step.inputs)) if isinstance(step.module, Attention) else 0


def _scratch(model: Autoencoder, steps: list[Traced]) -> int:
    """Numbers that one image needs for a moment, in the bottleneck or between tokens."""
    attention = (step.module.scratch(step.inputs) for step in steps if isinstance(step.module, Attention))
    return max(model.encoder.bottleneck.scratch, *attention, 0)


COPIES = 3
"""Of a convolution's input and output, that cuDNN works in on its way back: between 1.5 and 12 by the kernel it chooses, measured
layer by layer on an H100."""


def _converting(config: RunConfig, steps: list[Traced], images: int, device: torch.device) -> int:
    """Bytes that convolutions need beside what layers take and give: on the CPU that of the compiled ones, on a GPU that of its
    kernels in the largest one, for a moment."""
    convolutions = [step for step in steps if isinstance(step.module, (nn.Conv2d, nn.ConvTranspose2d))]
    if device.type == "mps":
        return 0
    if device.type == "cpu":
        batch = min(config.training.batch_size, images)
        compiled = [beside(step.module, step.output, batch) for step in convolutions] if loops.library() else []
        return max(compiled, default=0)
    largest = max((prod(step.inputs) + prod(step.output) for step in convolutions), default=0)
    return FLOAT * min(config.training.batch_size, images) * COPIES * largest


def _evaluating(model: Autoencoder, facts: Facts, steps: list[Traced], device: torch.device, watched: int) -> int:
    """Bytes of one evaluated batch: the input and output of the largest layer, and the images that are compared."""
    largest = max(*(prod(step.inputs) + prod(step.output) for step in steps), _scratch(model, steps))
    return FLOAT * min(devices.at_once(model, device), watched) * (largest + 4 * prod(facts.shape))
