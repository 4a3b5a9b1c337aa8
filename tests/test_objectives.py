"""Every objective has the value that one computes by hand, or by another way."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torchmetrics.image import MultiScaleStructuralSimilarityIndexMeasure

from aecore.analysis.reconstruction import ssim
from aecore.config import ConfigError, Facts, ModelConfig, parse
from aecore.config.objectives import DipObjective, ElboObjective, IwaeObjective, RaeObjective, TcObjective
from aecore.models import Batch, Decoder, Output, Progress, build
from aecore.models.divergences import (
    covariance,
    decomposed_kl,
    distance_from_identity,
    kl_of_activities,
    log_normal,
    mmd,
)
from aecore.models.jacobian import squared_jacobian
from aecore.models.losses import PixelLoss, gaussian_loss, per_image, pixel_losses, summed
from aecore.models.noise import normal
from aecore.models.objectives import Parts, Regularised
from aecore.models.similarity import ms_ssim, number_of_scales, ssim_map
from aecore.models.variational import Dip, Elbo, TotalCorrelation, ramp

FACTS = Facts((1, 8, 8), (0, 1), 50, ())
START, END = Progress(0, 100), Progress(100, 100)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def model_of(bottleneck: str, objective: dict, **backbone: object):
    torch.manual_seed(0)
    config = {
        "backbone": {"kind": "dense", "widths": (6,), "activation": "tanh", **backbone},
        "bottleneck": {"kind": bottleneck, "latent_dim": 3},
        "objective": {"loss": "bce", **objective},
    }
    return build(ModelConfig.model_validate(config), FACTS)


def test_huber_is_half_a_square_up_to_one_and_then_a_line():
    x_hat, target = torch.tensor([0.0, 0.5, 1.0, -3.0]), torch.zeros(4)
    assert pixel_losses("huber", x_hat, x_hat, target).tolist() == [0, 0.125, 0.5, 2.5]


def test_the_gaussian_loss_is_the_negative_log_density_and_learns_its_noise_level():
    x_hat, target = torch.randn(2, 4, 1, 5, 5, generator=seeded())
    log_sigma = torch.tensor(0.3)
    floored = -6 + math.log1p(math.exp(6.3))
    expected = -torch.distributions.Normal(x_hat, math.exp(floored)).log_prob(target)
    assert torch.allclose(gaussian_loss(x_hat, target, log_sigma), expected, atol=1e-6)
    loss = PixelLoss("gaussian", FACTS)
    optimiser = torch.optim.Adam(loss.parameters(), 0.05)
    for _ in range(400):
        optimiser.zero_grad()
        loss(x_hat, x_hat, target).mean().backward()
        optimiser.step()
    assert loss.log_sigma.exp().item() == pytest.approx((x_hat - target).square().mean().sqrt().item(), rel=0.01)


@pytest.mark.parametrize(("side", "other"), [(28, 28), (17, 13), (9, 8), (4, 20), (3, 3)])
def test_ssim_is_the_number_of_the_analysis(side, other):
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 5, 3, side, other))
    b = 0.7 * a + 0.3 * b
    ours = ssim_map(torch.from_numpy(a).float(), torch.from_numpy(b).float()).mean((1, 2, 3))
    assert ours.tolist() == pytest.approx(ssim(a, b).tolist(), abs=2e-5)


def test_ssim_of_equal_images_is_one_and_the_loss_does_not_feel_the_value_range():
    image = torch.rand(2, 1, 16, 16, generator=seeded())
    other = torch.rand(2, 1, 16, 16, generator=seeded(1))
    assert ssim_map(image, image).mean().item() == pytest.approx(1, abs=1e-6)
    assert ms_ssim(image, image).flatten().tolist() == pytest.approx([1, 1], abs=1e-6)
    unit, signed = (PixelLoss("ssim", Facts((1, 16, 16), r, 1, ())) for r in ((0, 1), (-1, 1)))
    expected = unit(image, image, other)
    assert torch.allclose(signed(2 * image - 1, image, 2 * other - 1), expected, atol=1e-5)


def test_ms_ssim_takes_as_many_scales_as_leave_eleven_pixels_and_one_scale_is_ssim():
    assert [number_of_scales(side, 300) for side in (8, 11, 21, 22, 28, 32, 44, 176, 512)] == [
        1,
        1,
        1,
        2,
        2,
        2,
        3,
        5,
        5,
    ]
    a, b = torch.rand(2, 3, 1, 20, 20, generator=seeded())
    assert torch.allclose(ms_ssim(a, a + 0.1 * b), ssim_map(a, a + 0.1 * b).mean((2, 3)), atol=1e-6)


def test_ms_ssim_agrees_with_torchmetrics():
    a, b = torch.rand(2, 3, 1, 180, 180, generator=seeded())
    b = 0.6 * a + 0.4 * b
    theirs = MultiScaleStructuralSimilarityIndexMeasure(data_range=1.0, kernel_size=11, sigma=1.5)(b, a)
    assert ms_ssim(b, a).mean().item() == pytest.approx(
        theirs.item(), rel=2e-3
    )  # its edges are padded, ours are left out


def test_windows_count_for_each_pixel_where_losses_are_summed():
    target = torch.zeros(2, 3, 8, 8)
    assert per_image(torch.full((2, 3, 1, 1), 0.5), target).tolist() == [96, 96]
    assert summed(torch.full((2, 3, 2, 2), 0.25), target).item() == 48


def output_of(mu: torch.Tensor, log_var: torch.Tensor, z: torch.Tensor | None = None) -> tuple[Batch, Output]:
    x = torch.full((len(mu), 1, 8, 8), 0.5)
    return Batch(x, x), Output(x, mu if z is None else z, x, mu, log_var)


def kl_of(mu: torch.Tensor, progress: Progress, **values: object) -> float:
    objective = Elbo(ElboObjective(loss="mse", **values), FACTS)
    return objective(*output_of(mu, torch.zeros_like(mu)), progress)["kl"].item()


def test_the_options_of_the_elbo_are_what_their_papers_say():
    mu = torch.tensor([[2.0, 0.0], [0.0, 1.0]])  # KL per unit: 2, 0 and 0, 0.5; of the images 2 and 0.5
    assert kl_of(mu, END, beta=4) == pytest.approx(4 * 1.25)
    assert kl_of(mu, END, free_bits=0.6) == pytest.approx(1 + 0.6)  # means over the batch are 1 and 0.25
    assert kl_of(mu, END, capacity=1.0, beta=10) == pytest.approx(10 * (1 + 0.5) / 2)
    assert kl_of(mu, Progress(25, 100), capacity=4.0, capacity_steps=50) == pytest.approx((0 + 1.5) / 2)
    assert kl_of(mu, Progress(25, 100), kl_warmup=100, beta=4) == pytest.approx(1.25)
    assert [ramp(step, 10) for step in (0, 5, 10, 99)] == [0, 0.5, 1, 1]
    assert ramp(0, 0) == 1


def free(kind: str, nats: float, **values: object) -> tuple[dict[str, float], float]:
    """The terms where each of three units may use `nats` at no cost, and how strongly what is not reconstruction draws the encoder."""
    model = model_of("gaussian", {"kind": kind, "free_bits": nats, **values}).train()
    nn.init.constant_(model.encoder.bottleneck.log_var.bias, -5.0)  # narrow posteriors, far from any prior
    x = torch.rand(5, 1, 8, 8, generator=seeded())
    (terms,) = model.training_step(Batch(x, x), END, seeded(3))
    drawn = sum(term for name, term in terms.items() if name != "reconstruction")
    gradients = (
        torch.autograd.grad(drawn, list(model.encoder.parameters()), allow_unused=True) if drawn.requires_grad else ()
    )
    return {k: v.item() for k, v in terms.items()}, sum(float(g.abs().sum()) for g in gradients if g is not None)


FREE = [
    ("iwae", {"samples": 1, "beta": 2}),
    ("iwae", {"samples": 4}),
    ("vamp", {"components": 4, "beta": 2}),
    ("tc", {}),
]


@pytest.mark.parametrize(("kind", "values"), FREE)
def test_a_code_whose_kl_is_known_as_a_whole_may_use_what_all_its_units_may(kind, values):
    paid, drawn = free(kind, 0, **values)
    same, drawn_too = free(kind, 1e-9, **values)
    held, still = free(kind, 50, **values)
    assert (same, drawn_too) == (paid, drawn)
    assert drawn > 0
    assert still == 0
    assert held["reconstruction"] == paid["reconstruction"]
    if kind == "tc":  # its curves go on telling the three parts
        assert held == paid
    else:
        (cost,) = (held[name] for name in held if name != "reconstruction")
        assert cost == pytest.approx(values.get("beta", 1) * 50 * 3)


def test_mmd_of_two_small_samples_is_the_one_computed_by_hand():
    a, b = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [2.0]])
    k = lambda d: math.exp(-d / 2)  # C = 2 x 1 unit x bandwidth 1
    by_hand = k(1) + k(4) - 2 * (k(0) + k(4) + k(1) + k(1)) / 4
    assert mmd(a, b, "rbf", 1.0).item() == pytest.approx(by_hand, abs=1e-6)
    k = lambda d: sum(2 * s / (2 * s + d) for s in (0.1, 0.2, 0.5, 1, 2, 5, 10))
    by_hand = k(1) + k(4) - 2 * (k(0) + k(4) + k(1) + k(1)) / 4
    assert mmd(a, b, "imq", 1.0).item() == pytest.approx(by_hand, abs=1e-5)


def test_mmd_has_the_mean_zero_for_equal_distributions_and_is_positive_for_others():
    draws = torch.randn(300, 2, 20, 3, generator=seeded())
    same = torch.stack([mmd(a, b, "imq", 1.0) for a, b in draws])
    other = torch.stack([mmd(a, b + 1, "imq", 1.0) for a, b in draws])
    assert abs(same.mean()) < 3 * same.std() / 300**0.5
    assert other.mean() > 10 * same.std() / 300**0.5


def test_the_parts_of_the_kl_add_up_to_the_sampled_kl():
    mu, log_var, noise = torch.randn(3, 7, 4, generator=seeded())
    z = mu + (log_var / 2).exp() * noise
    parts = decomposed_kl(z, mu, log_var, 50)
    sampled = (log_normal(z, mu, log_var) - log_normal(z, 0 * z, 0 * z)).sum(1)
    assert torch.allclose(parts.mutual_information + parts.total_correlation + parts.dimension_kl, sampled, atol=1e-4)


def test_the_total_correlation_of_a_gaussian_is_minus_half_the_log_determinant_of_its_correlation():
    n, correlation, variance = 3000, 0.8, 0.05
    sigma = torch.tensor([[1.0, correlation], [correlation, 1.0]])
    chol = torch.linalg.cholesky(
        sigma - variance * torch.eye(2)
    )  # the means; with the posteriors' variance it is sigma
    mu = torch.randn(n, 2, generator=seeded()) @ chol.T
    z = mu + variance**0.5 * torch.randn(n, 2, generator=seeded(1))
    estimate = decomposed_kl(z, mu, torch.full_like(mu, math.log(variance)), n).total_correlation.mean()
    # with n of n images in the batch every density has a factor 1/n too many: once in the joint, twice in the product
    exact = -0.5 * math.log(1 - correlation**2)
    assert estimate.item() - math.log(n) == pytest.approx(exact, abs=0.03)


def test_the_weights_of_the_three_parts_are_alpha_beta_and_gamma():
    mu, log_var, noise = torch.randn(3, 7, 4, generator=seeded())
    batch, output = output_of(mu, log_var, mu + (log_var / 2).exp() * noise)
    parts = decomposed_kl(output.z, mu, log_var, FACTS.n_train)
    terms = TotalCorrelation(TcObjective(alpha=2, beta=3, gamma=4), FACTS).train()(batch, output, END)
    found = [terms[name].item() for name in ("mutual_information", "total_correlation", "dimension_kl")]
    assert found == pytest.approx([w * part.mean().item() for w, part in zip((2, 3, 4), parts, strict=True)])


def test_dip_measures_the_covariance_from_the_identity():
    codes = torch.tensor([[1.0, 1.0], [-1.0, -1.0]])
    assert covariance(codes).tolist() == [[1, 1], [1, 1]]
    assert distance_from_identity(covariance(codes), 10, 100).item() == 10 * 2
    batch, output = output_of(codes, torch.full_like(codes, math.log(0.5)))
    terms = {v: Dip(DipObjective(variant=v), FACTS)(batch, output, END)["covariance"].item() for v in ("I", "II")}
    assert terms == pytest.approx({"I": 20, "II": 20 + 100 * 2 * 0.25})


def test_the_kl_of_activities_is_that_of_coins():
    activities = torch.tensor([[0.2, 0.05], [0.4, 0.05]])
    by_hand = 0.05 * math.log(0.05 / 0.3) + 0.95 * math.log(0.95 / 0.7)
    assert kl_of_activities(activities, 0.05).item() == pytest.approx(by_hand, abs=1e-6)


def iwae_terms(samples: int, noise: int) -> dict[str, float]:
    model = model_of("gaussian", {"kind": "iwae", "samples": samples}).train()
    x = torch.rand(5, 1, 8, 8, generator=seeded())
    return {name: term.item() for name, term in model.training_step(Batch(x, x), END, seeded(noise))[0].items()}


def test_iwae_with_one_code_is_the_elbo_with_the_sampled_kl_on_the_same_noise():
    model = model_of("gaussian", {"kind": "elbo"}).train()
    x = torch.rand(5, 1, 8, 8, generator=seeded())
    output = model(Batch(x, x), seeded(3))
    sampled = log_normal(output.z, output.mu, output.log_var) - log_normal(output.z, 0 * output.z, 0 * output.z)
    expected = {
        "reconstruction": model.objective.reconstruction(Batch(x, x), output).item(),
        "importance": sampled.sum(1).mean().item(),
    }
    assert iwae_terms(1, noise=3) == pytest.approx(expected, rel=1e-5)


def test_the_bound_grows_with_the_number_of_codes():
    losses = {k: np.mean([sum(iwae_terms(k, noise).values()) for noise in range(100)]) for k in (1, 5, 50)}
    assert losses[1] > losses[5] > losses[50]


def test_iwae_is_the_log_of_the_mean_weight():
    model = model_of("gaussian", {"kind": "iwae", "samples": 4, "loss": "mse"}).train()
    x = torch.rand(2, 1, 8, 8, generator=seeded())
    mu, log_var = model.encoder.posterior(x)
    noise = seeded(7)
    z = torch.stack([mu + (log_var / 2).exp() * normal(mu, noise) for _ in range(4)])
    weights = -(model.decode(z.flatten(0, 1)).view(4, *x.shape) - x).square().sum((2, 3, 4))
    weights += (log_normal(z, 0 * z, 0 * z) - log_normal(z, mu, log_var)).sum(2)
    bound = weights.exp().mean(0).log().mean()
    (terms,) = model.training_step(Batch(x, x), END, seeded(7))
    assert sum(terms.values()).item() == pytest.approx(-bound.item(), rel=1e-5)


def test_the_jacobian_penalty_is_the_one_of_autograds_full_jacobian():
    model, x = model_of("vector", {"kind": "contractive"}), torch.rand(4, 1, 8, 8, generator=seeded())
    jacobian = torch.autograd.functional.jacobian(model.encode, x)  # (4, 3, 4, 1, 8, 8)
    expected = torch.stack([jacobian[i, :, i].square().sum() for i in range(4)])
    exact = squared_jacobian(model.encode, x, 0, None)
    assert torch.allclose(exact, expected, rtol=1e-5)
    guessed = squared_jacobian(model.encode, x, 3000, seeded())
    assert torch.allclose(guessed, expected, rtol=0.1)
    with torch.inference_mode():
        assert torch.allclose(squared_jacobian(model.encode, x, 0, None), expected, rtol=1e-5)


def test_the_gradient_of_the_jacobian_penalty_is_that_of_rifais_closed_form():
    torch.manual_seed(0)
    layer, x = nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.Sigmoid()), torch.rand(4, 1, 8, 8)
    h = layer(x)
    closed = ((h * (1 - h)).square() * layer[1].weight.square().sum(1)).sum(1)  # Rifai et al. 2011, section 5.1
    [expected] = torch.autograd.grad(closed.sum(), layer[1].weight)
    [found] = torch.autograd.grad(squared_jacobian(layer, x, 0, None).sum(), layer[1].weight)
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_rae_pays_for_the_code_and_for_the_decoders_weights():
    layer = nn.Linear(2, 3, bias=False)
    nn.init.constant_(layer.weight, 2.0)
    decoder = Decoder(nn.Identity(), layer, nn.Identity())
    z = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    x = torch.zeros(2, 1, 8, 8)
    objective = Regularised(RaeObjective(code=0.1, decoder=0.01), FACTS)
    terms = objective(Batch(x, x), Output(x, z, x), END, Parts(lambda x: z, decoder, normal, None))
    assert terms["code"].item() == pytest.approx(0.1 * 12.5 / 2)
    assert terms["decoder"].item() == pytest.approx(0.01 * 6 * 4)
    smooth = Regularised(RaeObjective(smooth="gradient", decoder=0.01), FACTS)
    terms = smooth(Batch(x, x), Output(x, z, x), END, Parts(lambda x: z, decoder, normal, seeded()))
    assert terms["decoder"].item() == pytest.approx(0.01 * 24, rel=2)  # one random direction of each image


def test_codes_on_the_sphere_have_length_one_and_a_uniform_prior():
    model = model_of("sphere", {"kind": "wae"})
    x = torch.rand(5, 1, 8, 8, generator=seeded())
    assert torch.allclose(model.encode(x).norm(dim=1), torch.ones(5), atol=1e-5)
    prior = model.encoder.bottleneck.prior(torch.empty(4000, 3), seeded())
    assert torch.allclose(prior.norm(dim=1), torch.ones(4000), atol=1e-5)
    assert prior.mean(0).abs().max() < 0.05
    assert torch.allclose(covariance(prior), torch.eye(3) / 3, atol=0.03)
    assert model.sample(2, seeded()).shape == (2, 1, 8, 8)


def test_top_k_keeps_the_largest_units_and_only_they_have_a_gradient():
    torch.manual_seed(0)
    config = {"bottleneck": {"kind": "top_k", "latent_dim": 6, "k": 2}}
    model = build(ModelConfig.model_validate(config), FACTS)
    features = torch.randn(3, 64)
    enter = model.encoder.bottleneck
    z, plain = enter(features), enter.dense(features)
    kept = torch.zeros_like(z).scatter(1, plain.topk(2, dim=1).indices, 1.0) == 1
    assert torch.equal(z, plain * kept)
    [gradient] = torch.autograd.grad(z.sum(), enter.dense.weight)
    assert torch.equal(gradient.abs().sum(1) > 0, kept.any(0))


REFUSED = [
    ({"bottleneck": {"kind": "top_k", "latent_dim": 4, "k": 5}}, "k is 5, but the code has 4 units: at most 4"),
    ({"bottleneck": {"kind": "fsq", "levels": [256, 257]}}, "levels"),
    ({"bottleneck": {"kind": "fsq", "levels": [256, 256, 2]}}, "131072 codes: at most 65536"),
    ({"bottleneck": {"kind": "vq"}, "objective": {"kind": "wae"}}, "from a finite set"),
    ({"objective": {"kind": "sparse", "penalty": "kl"}}, "an activity must lie in"),
    ({"objective": {"kind": "iwae"}}, "the bottleneck 'vector' has no posterior"),
    (
        {"objective": {"kind": "elbo", "beta": -1}},
        "beta is -1.0, but must be at least 0|beta is -1, but must be at least 0",
    ),
    (
        {"bottleneck": {"kind": "gaussian"}, "objective": {"kind": "elbo", "free_bits": 1, "capacity": 2}},
        "Set one of them to 0",
    ),
]


@pytest.mark.parametrize(("model", "sentence"), REFUSED)
def test_what_does_not_go_together_is_refused_in_a_sentence(model, sentence):
    with pytest.raises(ConfigError, match=sentence):
        parse({"model": model})


WHOLE_BATCH = [
    ({"objective": {"kind": "wae"}}, "compares the whole batch with the prior"),
    ({"bottleneck": {"kind": "vq"}}, "moves its code book by the whole batch"),
    ({"bottleneck": {"kind": "gaussian"}, "objective": {"kind": "tc"}}, "density of the codes from the whole batch"),
    ({"bottleneck": {"kind": "gaussian"}, "objective": {"kind": "elbo", "free_bits": 1}}, "the batch's mean KL"),
    ({"bottleneck": {"kind": "gaussian"}, "objective": {"kind": "vamp", "free_bits": 1}}, "the batch's mean KL"),
]


@pytest.mark.parametrize(("model", "sentence"), WHOLE_BATCH)
def test_what_needs_the_whole_batch_refuses_several_processes(model, sentence):
    assert parse({"model": model})
    with pytest.raises(ConfigError, match=f"training.processes is 2, but .*{sentence}"):
        parse({"model": model, "training": {"processes": 2}})
    assert parse({"model": {"bottleneck": {"kind": "fsq"}}, "training": {"processes": 2}})


def test_iwae_draws_are_shared_by_processes_like_those_of_one():
    assert IwaeObjective().whole_batch == ""


def test_the_vamp_prior_is_the_mixture_of_its_pseudo_inputs_posteriors():
    x, noise = torch.rand(4, 1, 3, 3, generator=seeded(1)), 5
    torch.manual_seed(0)
    content = {
        "bottleneck": {"kind": "gaussian", "latent_dim": 2},
        "objective": {"kind": "vamp", "components": 3, "beta": 2},
    }
    vamp = build(ModelConfig.model_validate(content), Facts((1, 3, 3), (0, 1), 10, ())).train()
    (terms,) = vamp.training_step(Batch(x, x), END, seeded(noise))
    mu, log_var = vamp.encoder.posterior(x)
    z = mu + (log_var / 2).exp() * torch.randn(4, 2, generator=seeded(noise))
    theirs = vamp.encoder.posterior(vamp.objective.pseudo_inputs.sigmoid())
    components = torch.distributions.Independent(torch.distributions.Normal(theirs[0], (theirs[1] / 2).exp()), 1)
    prior = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(torch.ones(3)), components)
    posterior = torch.distributions.Independent(torch.distributions.Normal(mu, (log_var / 2).exp()), 1)
    expected = 2 * (posterior.log_prob(z) - prior.log_prob(z)).mean()
    assert terms["kl"].item() == pytest.approx(expected.item(), rel=1e-4)
    like = torch.empty(20_000, 2)
    drawn = vamp.objective.prior(like, vamp.parts(seeded(2)))
    assert torch.allclose(drawn.mean(0), theirs[0].mean(0), atol=0.05)
    assert torch.allclose(drawn.var(0), prior.variance, rtol=0.05)
