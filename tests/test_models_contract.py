"""Every backbone with every bottleneck and objective keeps the same contract."""

from itertools import product

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load, save

from aecore.config import ConfigError, Facts, ModelConfig, TrainingConfig
from aecore.config.base import sentences
from aecore.models import (
    BACKBONES,
    BOTTLENECKS,
    OBJECTIVES,
    Autoencoder,
    Batch,
    Progress,
    build,
    summarise,
    summary,
    unset,
)
from aecore.models.convolutional import TransposedConvolution
from aecore.training.optimiser import optimisers

SMALL = {
    "dense": [{"widths": (7, 5)}, {"widths": ()}, {"widths": (6,), "tied": True, "dropout": 0.2}],
    "conv": [
        {"channels": (3, 4), "kernel": 4, "hidden": (6,)},
        {"channels": (3, 4), "norm": "batch", "activation": "tanh"},
        {"channels": (3, 4), "kernel": 4, "stride": 1, "padding": 0, "output": "tanh", "dropout": 0.2},
        {"channels": (3, 4), "stride": 1, "pool": "max", "norm": "batch", "norm_after_activation": True},
        {"channels": (4,), "kernel": 2, "stride": 2, "padding": 0},
        {"channels": (3,), "kernel": 3, "stride": 3, "padding": 2, "activation": "gelu"},
        {"channels": (4, 6), "norm": "group", "groups": 2, "residual": 1, "upsampling": "nearest"},
        {"channels": (3, 4), "kernel": 4, "pool": "max", "stride": 1, "norm": "layer", "upsampling": "nearest"},
    ],
    "recurrent": [
        {"widths": (5,)},
        {"widths": (5, 4), "cell": "gru", "bidirectional": True, "dropout": 0.2, "reverse": True},
    ],
    "transformer": [{"width": 8, "depth": 1, "heads": 2, "patch": 5}],
}
SHAPES = [(1, 17, 13), (3, 9, 11)]
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
    for options in SMALL.get(backbone, [{}])
]
PLAIN = {
    backbone: choices[0] | {"hidden": ()} if backbone == "conv" else choices[0] for backbone, choices in SMALL.items()
}
"""One of each kind that goes with everything its kind goes with."""
REFUSED = [
    ("conv", {}, "vector", "elbo", "has no posterior to compare with the prior"),
    ("dense", {}, "sphere", "iwae", "has no posterior to compare with the prior"),
    ("dense", {}, "vq", "wae", "from a finite set"),
    ("dense", {}, "feature_map", "reconstruction", "the backbone 'dense' has no feature map"),
    ("recurrent", {}, "feature_map", "reconstruction", "the backbone 'recurrent' has no feature map"),
    ("conv", {"hidden": (6,)}, "feature_map", "reconstruction", "dense layers lose the map"),
    ("conv", {"norm": "batch"}, "vector", "contractive", "on its own image only"),
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


def allowed(backbone: str, options: dict, bottleneck: str, objective: str) -> ModelConfig | None:
    """The combination; None where it is refused, which is done in sentences that name the field and its value."""
    try:
        return model_config(backbone, options, bottleneck, objective)
    except ValidationError as error:
        fields = sentences(error, ModelConfig)
    for path, sentence in fields.items():
        assert sentence.startswith(f"{path} ")
        assert sentence.endswith(".")
    return None


def mapped(bottleneck: str) -> list[str]:
    """The backbones that this bottleneck goes with."""
    return [backbone for backbone in BACKBONES if allowed(backbone, PLAIN[backbone], bottleneck, "reconstruction")]


def identifier(value: object) -> str:
    return ",".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


def batch_of(n: int, shape: tuple[int, int, int]) -> Batch:
    """Images of the labels 0, 1, 0, ..."""
    x = torch.rand(n, *shape)
    return Batch(x, x, torch.arange(n) % 2)


def facts_of(shape: tuple[int, int, int]) -> Facts:
    return Facts(shape, (0, 1), 10, ("even", "odd", "neither"))


def losses_of(model: Autoencoder, batch: Batch) -> list[torch.Tensor]:
    """The sum of each optimiser's terms."""
    sums = model.training_step(batch, Progress(0, 1), torch.Generator().manual_seed(1))
    return [torch.stack(list(terms.values())).sum() for terms in sums]


@pytest.mark.parametrize(("backbone", "options", "bottleneck", "objective"), COMBINATIONS, ids=identifier)
def test_every_combination_keeps_the_contract_or_says_why_not(backbone, options, bottleneck, objective):
    config = allowed(backbone, options, bottleneck, objective)
    for shape in SHAPES if config else ():
        if backbone == "recurrent" and shape[0] == 3:
            with pytest.raises(ConfigError, match="but these images have 3 channels"):
                build(config, facts_of(shape))
        else:
            keeps_the_contract(config, facts_of(shape))


@pytest.mark.parametrize(("backbone", "options", "bottleneck", "objective", "reason"), REFUSED, ids=identifier)
def test_what_mathematics_forbids_is_refused_with_the_reason(backbone, options, bottleneck, objective, reason):
    with pytest.raises(ValueError, match=reason):
        model_config(backbone, options, bottleneck, objective)


def test_the_walk_says_how_far_it_went(capsys):
    kept = [combination for combination in COMBINATIONS if allowed(*combination)]
    kinds = {(backbone, bottleneck, objective) for backbone, _, bottleneck, objective in kept}
    with capsys.disabled():
        print(
            f"\n{len(kept)} combinations of {len(kinds)} kinds keep the contract, with one channel and with three; "
            f"{len(COMBINATIONS) - len(kept)} are refused in words."
        )
    assert len(kept) > 400
    for backbone, bottleneck in product(BACKBONES, BOTTLENECKS):
        without_map = bottleneck == "feature_map" and backbone in ("dense", "recurrent")
        assert ((backbone, bottleneck, "reconstruction") in kinds) != without_map
    for backbone, objective in product(BACKBONES, OBJECTIVES):
        assert any((backbone, bottleneck, objective) in kinds for bottleneck in BOTTLENECKS)


SIDES = (8, 9, 13, 31, 64, 97, 255, 256)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_images_of_every_size_come_back_at_their_own_size(backbone):
    for options, (height, width) in product(SMALL[backbone], zip(SIDES, SIDES[::-1], strict=True)):
        config = model_config(backbone, options, "vector", "reconstruction")
        found = summary(config, facts_of((1, height, width)))  # on the meta device, where a forward pass costs nothing
        last = found.layers[-1].shape
        flat, steps = (height * width,), (height, width)
        assert last == {"dense": flat, "recurrent": steps}.get(backbone, (1, height, width))


PAIRS = list(product(("dense", "conv", "recurrent", "transformer"), repeat=2))


@pytest.mark.parametrize(("encoder", "decoder"), PAIRS)
def test_every_encoder_goes_with_every_decoder(encoder, decoder):
    other = {"dense": {"widths": (9,)}, "conv": {"channels": (5, 2)}, "recurrent": {"widths": (4,), "cell": "gru"}}
    other["transformer"] = {"width": 12, "depth": 1, "heads": 3, "patch": 5}
    for bottleneck in ("vector", "feature_map", "vq", "fsq"):
        content = {"backbone": {"kind": encoder, **SMALL[encoder][-1], "tied": False}, "decoder": other[decoder]}
        if bottleneck == "feature_map" and encoder in ("dense", "recurrent"):
            continue
        if encoder != "dense":
            del content["backbone"]["tied"]
        content["decoder"] = {"kind": decoder, **content["decoder"]}
        content["bottleneck"] = {"kind": bottleneck, **CODES.get(bottleneck, {"latent_dim": 4})}
        keeps_the_contract(ModelConfig.model_validate(content), facts_of((1, 17, 13)))


VARIANTS = [
    ("gaussian", {}, "elbo", {"free_bits": 0.1}),
    ("gaussian", {}, "elbo", {"capacity": 5, "capacity_steps": 10, "kl_warmup": 10}),
    ("gaussian", {}, "dip", {"variant": "II"}),
    ("gaussian", {}, "info", {"kernel": "rbf", "beta": 0}),
    ("gaussian", {}, "iwae", {"samples": 1}),
    *(("gaussian", {}, objective, {"free_bits": 9, "kl_warmup": 4}) for objective in ("tc", "iwae", "vamp")),
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
    for backbone in mapped(bottleneck):
        config = model_config(backbone, PLAIN[backbone], bottleneck, objective, code, **values)
        keeps_the_contract(config, facts_of(SHAPES[0]))


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
    for backbone in mapped(bottleneck):
        config = model_config(backbone, PLAIN[backbone], bottleneck, objective, labels=labels)
        facts = facts_of((1, 8, 9))
        keeps_the_contract(config, facts)  # no image is of the third label: its decoder's gradient is 0
        with pytest.raises(ValueError, match="say which label"):
            build(config, facts).decode(torch.zeros(2, *config.code_shape(facts.shape)))


def keeps_the_contract(config: ModelConfig, facts: Facts) -> None:
    torch.manual_seed(0)
    model = build(config, facts)
    batch = batch_of(2, facts.shape)
    assert model.code_shape == config.code_shape(facts.shape)
    learns_from(model, batch)
    if not (config.backbone.batch_norm or config.decoder_layers.batch_norm):
        learns_from(model, batch_of(1, facts.shape))

    other = as_loaded(model, config, facts)
    model.eval()
    with model.evaluating():
        terms = model.loss_terms(batch, model(batch), Progress(1, 1), torch.Generator().manual_seed(1))
        assert all(torch.isfinite(term) and not term.requires_grad for term in terms.values())
        assert set(terms) <= {"reconstruction", "commitment", *config.objective.terms}
        for n in (1, 2):
            part = Batch(batch.x[:n], batch.target[:n], batch.label[:n])
            output = model(part)
            assert output.x_hat.shape == (n, *facts.shape)
            assert output.z.shape == (n, *model.code_shape)
            assert torch.isfinite(output.x_hat).all()
            assert torch.equal(output.z, model.encode(part.x))
            assert torch.equal(output.x_hat, model.decode(output.z, part.label))
            assert torch.equal(output.x_hat, model(part).x_hat)
        assert torch.equal(other(batch).x_hat, output.x_hat)
    assert summarise(other, facts) == summary(config, facts)


def learns_from(model: Autoencoder, batch: Batch) -> None:
    """Each optimiser's loss is finite, and so is the gradient that it gives to all of its parameters, and to no others."""
    losses = losses_of(model.train(), batch)
    for optimiser, loss in zip(optimisers(model, TrainingConfig()), losses, strict=True):
        assert loss.shape == ()
        assert torch.isfinite(loss)
        gradients = torch.autograd.grad(loss, optimiser.parameters, retain_graph=True, allow_unused=True)
        found = dict(zip(optimiser.named, gradients, strict=True))
        assert [name for name, g in found.items() if g is None or not torch.isfinite(g).all()] == []
        others = [p for p in model.parameters() if all(p is not own for own in optimiser.parameters)]
        foreign = torch.autograd.grad(loss, others, retain_graph=True, allow_unused=True) if others else ()
        assert all(gradient is None for gradient in foreign)


def as_loaded(model: Autoencoder, config: ModelConfig, facts: Facts) -> Autoencoder:
    """The model again, from its weights in files, as a checkpoint keeps them."""
    other = unset(config, facts).eval()
    for name, part in model.named_children():
        if part.state_dict():
            other.get_submodule(name).load_state_dict(load(save(part.state_dict())))
    return other


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
