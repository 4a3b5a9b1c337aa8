"""Every backbone with every bottleneck and objective keeps the same contract."""

from itertools import product

import pytest
import torch
from safetensors.torch import load, save

from aecore.config import ConfigError, Facts, ModelConfig, TrainingConfig
from aecore.models import BACKBONES, BOTTLENECKS, OBJECTIVES, Autoencoder, Batch, Progress, build, summarise, summary
from aecore.models.convolutional import TransposedConvolution
from aecore.training.optimiser import optimisers

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
CODES = {
    "feature_map": {},
    "top_k": {"latent_dim": 4, "k": 2},
    "vq": {"codes": 6, "dimension": 3, "vectors": 2},
    "fsq": {"levels": (3, 4), "vectors": 2},
}
SHORT = {"aae": {"discriminator": (6, 5)}, "factor": {"discriminator": (6,)}, "vamp": {"components": 3}}
COMBINATIONS = [
    (backbone, options, bottleneck, objective)
    for backbone, bottleneck, objective in product(BACKBONES, BOTTLENECKS, OBJECTIVES)
    for options in SMALL[backbone]
]


def model_config(
    backbone: str,
    options: dict,
    bottleneck: str,
    objective: str,
    code: dict | None = None,
    labels: str = "none",
    **values: object,
) -> ModelConfig:
    """The combination, or a ConfigError with its sentence."""
    loss = "mse" if options.get("output") == "tanh" else "bce"
    return ModelConfig.model_validate(
        {
            "backbone": {"kind": backbone, **options},
            "bottleneck": {"kind": bottleneck, **CODES.get(bottleneck, {"latent_dim": 4}), **(code or {})},
            "objective": {"kind": objective, "loss": loss, **SHORT.get(objective, {}), **values},
            "labels": labels,
        }
    )


def forbidden(backbone: str, options: dict, bottleneck: str, objective: str) -> str:
    """A piece of the sentence that refuses the combination; '' where it is allowed."""
    if objective == "vamp" and options.get("norm") == "batch":
        return "its own image only"
    if objective in ("elbo", "tc", "dip", "info", "iwae", "vamp", "factor") and bottleneck != "gaussian":
        return "has no posterior to compare with the prior"
    if bottleneck in ("vq", "fsq") and objective != "reconstruction":
        return "from a finite set" if not (objective == "contractive" and options.get("norm")) else "its own image only"
    if bottleneck == "feature_map" and backbone == "dense":
        return "has no feature map"
    if bottleneck == "feature_map" and options.get("hidden"):
        return "dense layers lose the map"
    if objective == "contractive" and options.get("norm") == "batch":
        return "on its own image only"
    return ""


def identifier(value: object) -> str:
    return ",".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


def losses_of(model: Autoencoder, x: torch.Tensor) -> list[torch.Tensor]:
    """The sum of each optimiser's terms."""
    sums = model.training_step(batch_of(x), Progress(0, 1), torch.Generator().manual_seed(1))
    return [torch.stack(list(terms.values())).sum() for terms in sums]


def batch_of(x: torch.Tensor) -> Batch:
    """Images of the labels 0, 1, 0, ..."""
    return Batch(x, x, torch.arange(len(x)) % 2)


@pytest.mark.parametrize(("backbone", "options", "bottleneck", "objective"), COMBINATIONS, ids=identifier)
def test_every_combination_keeps_the_contract_or_says_why_not(backbone, options, bottleneck, objective):
    reason = forbidden(backbone, options, bottleneck, objective)
    if reason:
        with pytest.raises(ValueError, match=reason):
            model_config(backbone, options, bottleneck, objective)
        return
    config = model_config(backbone, options, bottleneck, objective)
    for shape in SHAPES if objective in ("reconstruction", "elbo") else SHAPES[2:4]:
        keeps_the_contract(config, Facts(shape, (0, 1), 10, ()))


VARIANTS = [
    ("gaussian", {}, "elbo", {"free_bits": 0.1}),
    ("gaussian", {}, "elbo", {"capacity": 5, "capacity_steps": 10, "kl_warmup": 10}),
    ("gaussian", {}, "dip", {"variant": "II"}),
    ("gaussian", {}, "info", {"kernel": "rbf", "beta": 0}),
    ("gaussian", {}, "iwae", {"samples": 1}),
    ("gaussian", {}, "rae", {"smooth": "gradient"}),
    ("vector", {"activation": "sigmoid"}, "sparse", {"penalty": "kl"}),
    ("vector", {}, "contractive", {"probes": 0}),
    ("feature_map", {}, "rae", {"smooth": "gradient"}),
    ("vector", {}, "rae", {"smooth": "none"}),
    ("vq", {"restart": 0, "decay": 0}, "reconstruction", {}),
    *(("vector", {}, "reconstruction", {"loss": loss}) for loss in ("huber", "gaussian", "ssim", "ms_ssim", "l1")),
    *(("gaussian", {}, "iwae", {"loss": loss}) for loss in ("gaussian", "ssim")),
]


@pytest.mark.parametrize(("bottleneck", "code", "objective", "values"), VARIANTS, ids=identifier)
def test_every_variant_keeps_the_contract(bottleneck, code, objective, values):
    for backbone in ("conv",) if bottleneck == "feature_map" else BACKBONES:
        config = model_config(backbone, {}, bottleneck, objective, code, **values)
        for shape in SHAPES[2:4]:
            keeps_the_contract(config, Facts(shape, (0, 1), 10, ()))
            trains_on_one_image(config, Facts(shape, (0, 1), 10, ()))


LABELLED = [
    (labels, bottleneck, objective)
    for labels in ("conditional", "swap")
    for bottleneck, objective in [
        *((bottleneck, "reconstruction") for bottleneck in BOTTLENECKS),
        *(("gaussian", objective) for objective in OBJECTIVES if objective != "reconstruction"),
    ]
]


@pytest.mark.parametrize(("labels", "bottleneck", "objective"), LABELLED, ids=identifier)
def test_decoders_that_ask_for_labels_keep_the_contract(labels, bottleneck, objective):
    for backbone in ("conv",) if bottleneck == "feature_map" else BACKBONES:
        config = model_config(backbone, {}, bottleneck, objective, labels=labels)
        facts = Facts((3, 8, 9), (0, 1), 10, ("a", "b", "c"))
        keeps_the_contract(config, facts)  # no image is a 'c': its decoder's gradient is 0
        trains_on_one_image(config, facts)
        with pytest.raises(ValueError, match="say which label"):
            build(config, facts).decode(torch.zeros(2, *config.code_shape(facts.shape)))


def test_the_walk_says_how_far_it_went():
    allowed = [combination for combination in COMBINATIONS if not forbidden(*combination)]
    print(f"{len(allowed)} combinations keep the contract, {len(COMBINATIONS) - len(allowed)} are refused in words.")
    assert len(allowed) > 200


def keeps_the_contract(config: ModelConfig, facts: Facts) -> None:
    torch.manual_seed(0)
    model = build(config, facts)
    x = torch.rand(2, *facts.shape)
    assert model.code_shape == config.code_shape(facts.shape)

    losses = losses_of(model.train(), x)
    for optimiser, loss in zip(optimisers(model, TrainingConfig()), losses, strict=True):
        assert loss.shape == ()
        assert torch.isfinite(loss)
        gradients = torch.autograd.grad(loss, optimiser.parameters, retain_graph=True, allow_unused=True)
        found = dict(zip(optimiser.named, gradients, strict=True))
        assert [name for name, g in found.items() if g is None or not torch.isfinite(g).all()] == []
        others = [p for p in model.parameters() if all(p is not own for own in optimiser.parameters)]
        foreign = torch.autograd.grad(loss, others, retain_graph=True, allow_unused=True) if others else ()
        assert all(gradient is None for gradient in foreign)

    model.eval()
    with model.evaluating():
        batch = batch_of(x)
        terms = model.loss_terms(batch, model(batch), Progress(1, 1), torch.Generator().manual_seed(1))
        assert all(torch.isfinite(term) and not term.requires_grad for term in terms.values())
        assert set(terms) <= {"reconstruction", "commitment", *config.objective.terms}
    for n in (1, 2):
        batch = batch_of(x[:n])
        output = model(batch)
        assert output.x_hat.shape == (n, *facts.shape)
        assert output.z.shape == (n, *model.code_shape)
        assert torch.isfinite(output.x_hat).all()
        assert torch.equal(output.z, model.encode(x[:n]))
        assert torch.equal(output.x_hat, model.decode(output.z, batch.label))
        assert torch.equal(output.x_hat, model(batch).x_hat)

    other = build(config, facts).eval()
    other.load_state_dict(load(save(model.state_dict())))
    assert torch.equal(other(batch).x_hat, model(batch).x_hat)
    assert summarise(other, facts) == summary(config, facts)


def test_a_batch_of_one_trains():
    for combination in COMBINATIONS:
        if not forbidden(*combination):
            trains_on_one_image(model_config(*combination), Facts((1, 17, 13), (0, 1), 1, ()))


def trains_on_one_image(config: ModelConfig, facts: Facts) -> None:
    model = build(config, facts).train()
    for loss in losses_of(model, torch.rand(1, *facts.shape)):
        loss.backward()
        assert torch.isfinite(loss)
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())


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
