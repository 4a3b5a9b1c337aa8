"""Discriminators: what they and the autoencoder minimise, and that each is trained by its own optimiser only."""

import math

import pytest
import torch

from aecore.config import ConfigError, Facts, ModelConfig, parse
from aecore.config.adversarial import AaeObjective, FactorObjective
from aecore.models import Autoencoder, Batch, Progress, build
from aecore.models.adversarial import Discriminator, Factor, cross_entropy, exchanged
from aecore.training import start

FACTS = Facts((1, 4, 4), (0, 1), 10, ("a",))
END = Progress(1, 1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def model(**objective: object) -> Autoencoder:
    torch.manual_seed(0)
    kind = "gaussian" if objective["kind"] == "factor" else "vector"
    content = {"bottleneck": {"kind": kind, "latent_dim": 3}, "objective": objective, "backbone": {"kind": "dense"}}
    return build(ModelConfig.model_validate(content), FACTS).train()


def test_the_cross_entropy_is_log_2_where_the_discriminator_cannot_tell():
    assert cross_entropy(torch.zeros(3), torch.zeros(3)).item() == pytest.approx(math.log(2))
    odds = torch.tensor([0.3, -2.0])
    expected = 0.5 * (-odds.sigmoid().log().mean() - (1 - (odds + 1).sigmoid()).log().mean())
    assert cross_entropy(odds, odds + 1).item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_held_discriminator_gives_the_same_odds_and_keeps_its_weights_out_of_the_gradient():
    torch.manual_seed(0)
    opponent = Discriminator(3, AaeObjective(discriminator=(5, 4)))
    z = torch.randn(6, 3, requires_grad=True)
    assert torch.equal(opponent(z, held=True), opponent(z))
    opponent(z, held=True).sum().backward()
    assert z.grad is not None
    assert all(parameter.grad is None for parameter in opponent.parameters())


def test_exchanged_codes_have_the_same_numbers_in_each_unit_and_no_dependence():
    z = torch.randn(4000, 1, generator=seeded()).expand(4000, 2)
    mixed = exchanged(z, seeded(1))
    assert torch.equal(mixed.sort(0).values, z.sort(0).values)
    assert torch.corrcoef(z.T)[0, 1].item() == pytest.approx(1)
    assert abs(torch.corrcoef(mixed.T)[0, 1].item()) < 0.05


def test_the_terms_of_an_adversarial_autoencoder_are_those_of_its_two_players():
    aae, x = model(kind="aae", weight=3, discriminator=(5,)), torch.rand(6, 1, 4, 4, generator=seeded())
    terms, against = aae.training_step(Batch(x, x), END, seeded(7))
    z = aae.encode(x)
    odds, true = aae.opponent(z), aae.opponent(torch.randn(6, 3, generator=seeded(7)))
    assert terms["adversarial"].item() == pytest.approx(3 * -odds.sigmoid().log().mean().item(), rel=1e-5)
    assert terms["reconstruction"].item() == pytest.approx((aae.decode(z) - x).square().sum().item() / 6, rel=1e-5)
    assert against["discriminator"].item() == pytest.approx(cross_entropy(true, odds).item(), rel=1e-5)


def test_a_perfect_discriminator_tells_the_total_correlation():
    """For a Gaussian of correlation 0.8 the log odds of a code are log q(z) - log q(z_1) q(z_2), whose mean is the total correlation."""
    rho = 0.8

    class Perfect(Discriminator):
        def forward(self, z: torch.Tensor, held: bool = False) -> torch.Tensor:
            joint = torch.distributions.MultivariateNormal(torch.zeros(2), torch.tensor([[1, rho], [rho, 1]]))
            alone = torch.distributions.Normal(0.0, 1.0)
            return joint.log_prob(z) - alone.log_prob(z).sum(1)

    config = FactorObjective(gamma=2)
    factor = Factor(config, FACTS).train()
    factor.opponent = Perfect(2, config)
    noise = torch.randn(40_000, 2, generator=seeded())
    z = torch.stack([noise[:, 0], rho * noise[:, 0] + math.sqrt(1 - rho**2) * noise[:, 1]], 1)
    from aecore.models import Output

    x = torch.zeros(len(z), 1, 1, 1)
    terms = factor(Batch(x, x), Output(x, z, x, z * 0, z * 0), END)
    assert terms["total_correlation"].item() == pytest.approx(2 * -0.5 * math.log(1 - rho**2), rel=0.03)


def test_each_optimiser_has_its_own_parameters_and_the_discriminator_its_own_rate():
    config = parse({"model": {"objective": {"kind": "aae", "discriminator": [4], "discriminator_rate": 0.25}}})
    state = start(config, FACTS, 1)
    own, opposed = state.optimisers
    assert all(name.startswith("objective.opponent.") for name in opposed.named)
    assert not any("opponent" in name for name in own.named)
    assert len(own.named) + len(opposed.named) == len(list(state.model.parameters()))
    assert (own.rate, opposed.rate) == (1.0, 0.25)
    assert set(own.tensors()).isdisjoint(opposed.tensors())


def test_new_images_come_from_the_prior_that_the_codes_were_drawn_to():
    aae = model(kind="aae")
    assert aae.sample(3, seeded()).shape == (3, 1, 4, 4)
    assert torch.equal(aae.sample(3, seeded()), aae.decode(torch.randn(3, 3, generator=seeded())))


def test_factor_is_refused_for_several_processes_and_aae_is_not():
    model = {"bottleneck": {"kind": "gaussian"}, "objective": {"kind": "factor"}}
    with pytest.raises(ConfigError, match="exchanges code units among the images of the whole batch, of which each"):
        parse({"model": model, "training": {"processes": 2}})
    assert parse({"model": {"objective": {"kind": "aae"}}, "training": {"processes": 2}})
