"""Ways to train one network on the same images for the same number of steps: ours, and what a user would do otherwise.

Each function takes a `Case` and gives a `Burst`: called, it trains one epoch of `case.steps` steps and returns when it is done.
"""

import dataclasses
import itertools
import logging
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from aecore import training
from aecore.config import RunConfig, with_values
from aecore.data import normalise
from aecore.models import Batch, Progress, build

Burst = Callable[[], None]


class Case(NamedTuple):
    """What is trained. All ways start from the same weights and see each image once an epoch."""

    name: str
    config: RunConfig
    data: training.Data
    steps: int
    device: torch.device
    threads: int


class Missing(Exception):
    """A way that cannot be gone here; `str` says why."""


def ours(case: Case, engine: str = "auto") -> Burst:
    """`aecore.training.train`, with hardly anything to watch: what an evaluation costs is a line of its own."""
    few = {name: getattr(case.data, name)[:1] for name in ("watch_images", "watch_labels", "watch_indices")}
    config = case.config.model_copy(
        update={"training": case.config.training.model_copy(update={"engine": engine, "epochs": 100_000})}
    )
    state = training.start(config, case.data.facts, case.threads)
    rows = training.train(state, dataclasses.replace(case.data, **few), config)

    def burst() -> None:
        end = state.step + case.steps
        while state.step < end:
            next(rows)
        _wait(case)

    return burst


def our_eager(case: Case) -> Burst:
    return ours(case, "eager")


def our_rounded(case: Case) -> Burst:
    """Ours with `training.precision=bf16`."""
    from aecore.jobs.devices import has_bfloat16

    if case.device.type != "cpu" or not has_bfloat16():
        raise Missing("compared on processors that have bfloat16")
    return ours(case._replace(config=with_values(case.config, {"training.precision": "bf16"})))


def tutorial(case: Case) -> Burst:
    """As the tutorials have it: pictures one by one through transforms, a DataLoader, Adam, nothing said of speed."""
    try:
        from torchvision import transforms
    except ImportError:
        raise Missing("torchvision is not installed") from None
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    pictures, value_range = case.data.train_images.cpu().permute(0, 2, 3, 1).numpy(), case.data.facts.value_range

    parts = [transforms.ToTensor(), *([transforms.Normalize(0.5, 0.5)] if value_range == (-1, 1) else [])]
    transform = transforms.Compose(parts)

    class Pictures(Dataset[tuple[Tensor, int]]):
        def __len__(self) -> int:
            return len(pictures)

        def __getitem__(self, index: int) -> tuple[Tensor, int]:
            image = Image.fromarray(pictures[index].squeeze())  # as torchvision's MNIST gives it to its transforms
            return transform(image), 0

    loader = DataLoader(Pictures(), batch_size=case.config.training.batch_size, shuffle=True)
    loss = _loss(case)
    optimiser = torch.optim.Adam(_parameters(loss), lr=case.config.training.learning_rate)

    def burst() -> None:
        total = 0.0
        for x, _ in loader:
            value = loss(x.to(case.device))
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            total += value.item()
        _wait(case)

    return burst


def resident(case: Case, compiled: bool = False) -> Burst:
    """A plain loop of PyTorch with all images in memory as floats, and fused Adam."""
    x = normalise(case.data.train_images, case.data.facts.value_range)
    loss, size = _loss(case), case.config.training.batch_size
    optimiser = torch.optim.Adam(_parameters(loss), lr=case.config.training.learning_rate, fused=True)
    step = torch.compile(loss, dynamic=False) if compiled else loss

    def burst() -> None:
        order = torch.randperm(len(x), device=x.device)
        for chosen in order.split(size):
            value = step(x[chosen])
            value.backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        _wait(case)

    return burst


def compiled(case: Case) -> Burst:
    """The same with forward and backward pass through torch.compile; what compiling takes is not in it."""
    return resident(case, compiled=True)


def scanned(case: Case) -> Burst:
    """JAX: the whole epoch in one jitted `lax.scan`, the images in memory as uint8, Adam written out. Dense networks only."""
    try:
        import jax
        import jax.numpy as jnp
    except ImportError:
        raise Missing("JAX is not installed: pip install jax") from None
    links = _links(case)
    low, high = case.data.facts.value_range
    x_all = jnp.array(case.data.train_images.flatten(1).numpy())
    weights = [
        (jnp.array(link.layers[0].weight.detach().numpy().T), jnp.array(link.layers[0].bias.detach().numpy()))
        for link in links
    ]
    names = [type(link.activation).__name__.lower() for link in links]
    kinds: dict[str, Any] = {"relu": jax.nn.relu, "sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "nonetype": lambda a: a}
    if not set(names) <= set(kinds):
        raise Missing(f"the JAX loop has no {', '.join(set(names) - set(kinds))}")
    rate = case.config.training.learning_rate

    def loss(weights: Any, x: Any) -> Any:
        out = x
        for (weight, bias), name in zip(weights, names, strict=True):
            out = kinds[name](out @ weight + bias)
        return jnp.mean((out - x) ** 2)

    def step(state: Any, chosen: Any) -> Any:
        weights, first, second, count = state
        x = x_all[chosen].astype(jnp.float32) / 255 * (high - low) + low
        value, gradient = jax.value_and_grad(loss)(weights, x)
        count = count + 1
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
        a, b = 1 - 0.9**count, 1 - 0.999**count
        move = lambda p, m, v: p - rate * (m / a) / (jnp.sqrt(v / b) + 1e-8)
        return (jax.tree.map(move, weights, first, second), first, second, count), value

    epoch = jax.jit(lambda state, order: jax.lax.scan(step, state, order))
    zeros = jax.tree.map(jnp.zeros_like, weights)
    state: Any = (weights, zeros, zeros, jnp.zeros(()))

    def burst() -> None:
        nonlocal state
        order = torch.randperm(len(x_all)).view(case.steps, -1).numpy()
        state, values = epoch(state, jnp.array(order))
        values.block_until_ready()

    return burst


def pythae(case: Case) -> Burst:
    """pythae's own trainer on the same network: its data set, its loop."""
    try:
        from pythae.data.datasets import BaseDataset
        from pythae.models import AE, AEConfig
        from pythae.models.base.base_utils import ModelOutput
        from pythae.models.nn import BaseDecoder, BaseEncoder
        from pythae.trainers import BaseTrainer, BaseTrainerConfig
    except ImportError:
        raise Missing("pythae is not installed: pip install --no-deps pythae") from None
    logging.disable(logging.INFO)
    model = _model(case)
    if case.config.model.objective.kind != "reconstruction":
        raise Missing("compared on plain autoencoders")

    class Down(BaseEncoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.part = model.encoder

        def forward(self, x: Tensor) -> Any:
            return ModelOutput(embedding=self.part(x))

    class Up(BaseDecoder):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.part = model.decoder

        def forward(self, z: Tensor) -> Any:
            return ModelOutput(reconstruction=self.part(z))

    x = normalise(case.data.train_images, case.data.facts.value_range)
    setting = AEConfig(input_dim=case.data.facts.shape, latent_dim=model.code_shape[0])
    trainer = BaseTrainer(
        AE(setting, encoder=Down(), decoder=Up()),
        BaseDataset(x, torch.zeros(len(x))),
        training_config=BaseTrainerConfig(
            output_dir=tempfile.mkdtemp(),
            num_epochs=1,
            per_device_train_batch_size=case.config.training.batch_size,
            learning_rate=case.config.training.learning_rate,
            no_cuda=case.device.type == "cpu",
        ),
    )
    trainer.prepare_training()
    epochs = itertools.count(1)

    def burst() -> None:
        trainer.train_step(next(epochs))
        _wait(case)

    return burst


WAYS: dict[str, Callable[[Case], Burst]] = {
    "the tutorial's loop": tutorial,
    "resident eager PyTorch": resident,
    "torch.compile": compiled,
    "JAX lax.scan": scanned,
    "pythae's trainer": pythae,
    "our eager engine": our_eager,
    "ours in bfloat16": our_rounded,
}


def _model(case: Case) -> Any:
    torch.manual_seed(0)
    return build(case.config.model, case.data.facts).to(case.device).train()


def _links(case: Case) -> Any:
    from aecore.training.engines.chain import chain

    links = chain(_model(case))
    plain = case.config.model.objective.kind == "reconstruction" and case.config.model.objective.loss == "mse"
    if not links or not plain or case.device.type != "cpu":
        raise Missing("the JAX loop is written for dense networks with a plain code and MSE, on the CPU")
    return links


def _loss(case: Case) -> Callable[[Tensor], Tensor]:
    """From images to what is minimised: the network as a plain nn.Sequential where the objective is plain."""
    model = _model(case)
    if case.config.model.objective.kind == "reconstruction" and case.config.model.objective.loss == "mse":
        encoder, decoder = model.encoder, model.decoder
        net = nn.Sequential(encoder.layers, encoder.bottleneck, decoder.bottleneck, decoder.layers, decoder.output)
        loss: Callable[[Tensor], Tensor] = lambda x: nn.functional.mse_loss(net(x), x)
    else:
        net = model
        loss = lambda x: sum(model.training_step(Batch(x, x), Progress(1, 1))[0].values())  # type: ignore[assignment]
    loss.net = net  # type: ignore[attr-defined]
    return loss


def _parameters(loss: Callable[[Tensor], Tensor]) -> Any:
    return loss.net.parameters()  # type: ignore[attr-defined]


def _wait(case: Case) -> None:
    if case.device.type == "cuda":
        torch.cuda.synchronize()
