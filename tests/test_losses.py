"""Loss terms have the values that one computes by hand."""

import math

import pytest
import torch

from aecore.config import Facts
from aecore.config.objectives import ElboObjective, ReconstructionObjective
from aecore.models import Batch, Output, Progress
from aecore.models.divergences import kl_to_standard_normal
from aecore.models.losses import pixel_losses
from aecore.models.objectives import Reconstruction
from aecore.models.variational import Elbo

FACTS = Facts((1, 2, 2), (0, 1), 10, ())
TARGET = torch.tensor([[[[0.0, 1.0], [1.0, 0.5]]]])
X_HAT = torch.tensor([[[[0.0, 0.5], [0.0, 0.0]]]])


def test_kl_to_the_standard_normal_is_the_closed_form():
    mu = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    variance = torch.tensor([[1.0, 1.0], [1.0, 1.0], [math.e, 0.5]])
    last = 0.5 * (math.e - 1 - 1) + 0.5 * (0.5 + 4 - 1 + math.log(2))
    assert kl_to_standard_normal(mu, variance.log()).tolist() == pytest.approx([0, 0.5, last], abs=1e-6)


def test_kl_agrees_with_torch_distributions():
    generator = torch.Generator().manual_seed(0)
    mu, log_var = torch.randn(2, 5, 3, generator=generator)
    posterior = torch.distributions.Normal(mu, (log_var / 2).exp())
    prior = torch.distributions.Normal(0.0, 1.0)
    expected = torch.distributions.kl_divergence(posterior, prior).sum(1)
    assert torch.allclose(kl_to_standard_normal(mu, log_var), expected, atol=1e-5)


def test_pixel_losses_are_squares_distances_and_nats():
    assert pixel_losses("mse", X_HAT, X_HAT, TARGET).flatten().tolist() == [0, 0.25, 1, 0.25]
    assert pixel_losses("l1", X_HAT, X_HAT, TARGET).flatten().tolist() == [0, 0.5, 1, 0.5]
    logits = torch.tensor([[[[0.0, math.log(3), -math.log(3), 2.0]]]])
    target = torch.tensor([[[[0.5, 1.0, 1.0, 0.0]]]])
    expected = [math.log(2), -math.log(0.75), -math.log(0.25), math.log(1 + math.e**2)]
    assert pixel_losses("bce", logits.sigmoid(), logits, target).flatten().tolist() == pytest.approx(expected)


def test_bce_of_a_saturated_output_is_finite_and_still_has_a_gradient():
    logits = torch.tensor([[[[200.0, -200.0]]]], requires_grad=True)
    target = torch.tensor([[[[0.0, 1.0]]]])
    losses = pixel_losses("bce", logits.sigmoid(), logits, target)
    losses.sum().backward()
    assert losses.flatten().tolist() == [200, 200]
    assert logits.grad.flatten().tolist() == [1, -1]


def test_reconstruction_is_the_mean_over_pixels_and_batch():
    batch = Batch(TARGET.repeat(3, 1, 1, 1), TARGET.repeat(3, 1, 1, 1))
    x_hat = torch.cat([X_HAT, X_HAT, TARGET])
    terms = Reconstruction(ReconstructionObjective(), FACTS)(batch, Output(x_hat, x_hat, x_hat), Progress(0, 1))
    assert {name: value.item() for name, value in terms.items()} == pytest.approx({"reconstruction": 1.5 / 4 * 2 / 3})


def test_elbo_is_a_sum_over_pixels_and_beta_kl_both_means_over_the_batch():
    batch = Batch(TARGET.repeat(2, 1, 1, 1), TARGET.repeat(2, 1, 1, 1))
    x_hat = torch.cat([X_HAT, TARGET])
    mu, log_var = torch.tensor([[1.0], [3.0]]), torch.zeros(2, 1)
    terms = Elbo(ElboObjective(loss="mse", beta=4), FACTS)(batch, Output(x_hat, mu, x_hat, mu, log_var), Progress(0, 1))
    assert {name: value.item() for name, value in terms.items()} == pytest.approx(
        {"reconstruction": 1.5 / 2, "kl": 4 * (0.5 + 4.5) / 2}
    )
