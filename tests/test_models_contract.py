"""Every backbone with every bottleneck and objective keeps the same contract."""

from itertools import product

import pytest
import torch
from safetensors.torch import load, save

from aecore.config import ConfigError, Facts, ModelConfig
from aecore.models import BACKBONES, BOTTLENECKS, OBJECTIVES, Autoencoder, Batch, Progress, build, summarise, summary
from aecore.models.convolutional import TransposedConvolution

SMALL = {"dense": [{"widths": (7, 5)}, {"widths": ()}]}
SMALL["conv"] = [
    {"channels": (3, 4), "kernel": 4, "hidden": (6,)},
    {"channels": (3, 4), "norm": "batch", "activation": "tanh"},
    {"channels": (3, 4), "kernel": 4, "stride": 1, "padding": 0, "output": "tanh"},
    {"channels": (3, 4), "kernel": 3, "stride": 1, "pool": "max", "norm": "batch", "norm_after_activation": True},
    {"channels": (4,), "kernel": 2, "stride": 2, "padding": 0},
    {"channels": (3,), "kernel": 3, "stride": 3, "padding": 2, "activation": "gelu"},
]
SHAPES = [(1, 28, 28), (3, 32, 32), (1, 17, 13), (3, 8, 9), (1, 15, 30)]
COMBINATIONS = [
    (backbone, options, bottleneck, objective)
    for backbone, bottleneck, objective in product(BACKBONES, BOTTLENECKS, OBJECTIVES)
    for options in SMALL[backbone]
]


def model_config(backbone: str, options: dict, bottleneck: str, objective: str) -> ModelConfig:
    """The combination, or a ConfigError with its sentence."""
    loss = "mse" if options.get("output") == "tanh" else "bce"
    code = {} if bottleneck == "feature_map" else {"latent_dim": 4}
    return ModelConfig.model_validate(
        {
            "backbone": {"kind": backbone, **options},
            "bottleneck": {"kind": bottleneck, **code},
            "objective": {"kind": objective, "loss": loss},
        }
    )


def forbidden(backbone: str, options: dict, bottleneck: str, objective: str) -> str:
    """A piece of the sentence that refuses the combination; '' where it is allowed."""
    if objective == "elbo" and bottleneck != "gaussian":
        return "has no posterior to compare with the prior"
    if bottleneck == "feature_map" and backbone == "dense":
        return "has no feature map"
    if bottleneck == "feature_map" and options.get("hidden"):
        return "dense layers lose the map"
    return ""


def identifier(value: object) -> str:
    return ",".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


def loss_of(model: Autoencoder, x: torch.Tensor) -> torch.Tensor:
    terms = model.training_step(Batch(x, x), Progress(0, 1), torch.Generator().manual_seed(1))
    return torch.stack(list(terms.values())).sum()


@pytest.mark.parametrize(("backbone", "options", "bottleneck", "objective"), COMBINATIONS, ids=identifier)
def test_every_combination_keeps_the_contract_or_says_why_not(backbone, options, bottleneck, objective):
    reason = forbidden(backbone, options, bottleneck, objective)
    if reason:
        with pytest.raises(ValueError, match=reason):
            model_config(backbone, options, bottleneck, objective)
        return
    config = model_config(backbone, options, bottleneck, objective)
    for shape in SHAPES:
        keeps_the_contract(config, Facts(shape, (0, 1), 10, ()))


def keeps_the_contract(config: ModelConfig, facts: Facts) -> None:
    torch.manual_seed(0)
    model = build(config, facts)
    x = torch.rand(2, *facts.shape)
    assert model.code_shape == config.code_shape(facts.shape)

    loss = loss_of(model.train(), x)
    loss.backward()
    assert loss.shape == ()
    assert torch.isfinite(loss)
    without = [name for name, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert without == []

    model.eval()
    for n in (1, 2):
        output = model(Batch(x[:n], x[:n]))
        assert output.x_hat.shape == (n, *facts.shape)
        assert output.z.shape == (n, *model.code_shape)
        assert torch.isfinite(output.x_hat).all()
        assert torch.equal(output.z, model.encode(x[:n]))
        assert torch.equal(output.x_hat, model.decode(output.z))
        assert torch.equal(output.x_hat, model(Batch(x[:n], x[:n])).x_hat)

    other = build(config, facts).eval()
    other.load_state_dict(load(save(model.state_dict())))
    assert torch.equal(other(Batch(x, x)).x_hat, model(Batch(x, x)).x_hat)
    assert summarise(other, facts) == summary(config, facts)


def test_a_batch_of_one_trains():
    for backbone, options, bottleneck, objective in COMBINATIONS:
        if not forbidden(backbone, options, bottleneck, objective):
            model = build(
                model_config(backbone, options, bottleneck, objective), Facts((1, 17, 13), (0, 1), 1, ())
            ).train()
            assert torch.isfinite(loss_of(model, torch.rand(1, 1, 17, 13)))


def test_a_kernel_larger_than_the_image_is_a_sentence():
    config = model_config("conv", {"channels": (3, 4), "kernel": 15, "padding": 0}, "vector", "reconstruction")
    with pytest.raises(ConfigError, match="use a smaller kernel or fewer layers"):
        build(config, Facts((1, 8, 8), (0, 1), 1, ()))


def test_a_decoder_that_ends_in_tiles_is_the_transposed_convolution():
    torch.manual_seed(0)
    fast = TransposedConvolution(5, 3, 4, 4)
    slow = torch.nn.ConvTranspose2d(5, 3, 4, 4)
    slow.load_state_dict(fast.state_dict())
    assert fast.tiles
    x = torch.randn(2, 5, 7, 6)
    assert torch.allclose(fast(x), slow(x), atol=1e-6)
    fast(x).square().sum().backward()
    slow(x).square().sum().backward()
    assert torch.allclose(fast.weight.grad, slow.weight.grad, rtol=1e-4, atol=1e-5)
    assert not TransposedConvolution(5, 3, 4, 2, 1).tiles


def test_only_a_gaussian_bottleneck_has_a_prior():
    facts = Facts((1, 8, 8), (0, 1), 1, ())
    vae = build(model_config("dense", {}, "gaussian", "elbo"), facts)
    images = vae.sample(3, torch.Generator().manual_seed(0))
    assert images.shape == (3, 1, 8, 8)
    assert torch.equal(images, vae.sample(3, torch.Generator().manual_seed(0)))
    with pytest.raises(ValueError, match="no prior"):
        build(model_config("dense", {}, "vector", "reconstruction"), facts).sample(3)


def test_a_gaussian_code_is_drawn_in_training_and_the_mean_in_evaluation():
    facts = Facts((1, 8, 8), (0, 1), 1, ())
    torch.manual_seed(0)
    vae, x = build(model_config("dense", {}, "gaussian", "elbo"), facts), torch.rand(2, 1, 8, 8)
    mu, log_var = vae.encoder.posterior(x)
    drawn = vae.train()(Batch(x, x), torch.Generator().manual_seed(5))
    noise = torch.randn(mu.shape, generator=torch.Generator().manual_seed(5))
    assert torch.allclose(drawn.z, mu + (log_var / 2).exp() * noise)
    assert torch.equal(vae.encode(x), mu)
    assert torch.equal(vae.eval()(Batch(x, x)).z, mu)
