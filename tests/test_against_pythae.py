"""Loss terms equal pythae's on the same numbers."""

import pytest
import torch
from pythae import models
from pythae.models.base.base_utils import ModelOutput
from pythae.models.vq_vae.vq_vae_utils import QuantizerEMA

from aecore.config import Facts
from aecore.config.adversarial import AaeObjective, FactorObjective
from aecore.config.bottlenecks import VqBottleneck
from aecore.config.objectives import ElboObjective, InfoObjective, IwaeObjective, TcObjective, WaeObjective
from aecore.models import Batch, Output, Progress
from aecore.models.adversarial import Adversarial, Discriminator, Factor, exchanged
from aecore.models.divergences import mmd
from aecore.models.objectives import Parts
from aecore.models.quantised import EnterVq
from aecore.models.variational import Elbo, ImportanceWeighted, TotalCorrelation

B, D = 6, 3
FACTS = Facts((1, 4, 4), (0, 1), 100, ())
END = Progress(1, 1)
SETTING = {"input_dim": (1, 4, 4), "latent_dim": D, "reconstruction_loss": "bce"}


def numbers() -> tuple[Batch, Output]:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(B, 1, 4, 4, generator=generator)
    logits = torch.randn(B, 1, 4, 4, generator=generator)
    mu, log_var, noise = torch.randn(3, B, D, generator=generator)
    return Batch(x, x), Output(logits.sigmoid(), mu + (log_var / 2).exp() * noise, logits, mu, log_var)


BATCH, OUT = numbers()


def ours(objective: torch.nn.Module) -> dict[str, float]:
    return {name: term.item() for name, term in objective.train()(BATCH, OUT, END).items()}


def close(value: object) -> object:
    return pytest.approx(float(value.detach() if isinstance(value, torch.Tensor) else value), rel=1e-5)  # type: ignore[arg-type]


def test_vae_and_beta_vae() -> None:
    vae = models.VAE(models.VAEConfig(**SETTING))
    _, reconstruction, kl = vae.loss_function(OUT.x_hat, BATCH.target, OUT.mu, OUT.log_var, OUT.z)
    terms = ours(Elbo(ElboObjective(beta=4), FACTS))
    assert terms == {"reconstruction": close(reconstruction), "kl": close(4 * kl)}
    beta = models.BetaVAE(models.BetaVAEConfig(**SETTING, beta=4.0))
    loss, *_ = beta.loss_function(OUT.x_hat, BATCH.target, OUT.mu, OUT.log_var, OUT.z)
    assert sum(terms.values()) == close(loss)


def test_capacity() -> None:
    config = models.DisentangledBetaVAEConfig(**SETTING, beta=5.0, C=2.0, warmup_epoch=1)
    loss, *_ = models.DisentangledBetaVAE(config).loss_function(
        OUT.x_hat, BATCH.target, OUT.mu, OUT.log_var, OUT.z, epoch=2
    )
    assert sum(ours(Elbo(ElboObjective(beta=5, capacity=2), FACTS)).values()) == close(loss)


def test_beta_tc_vae() -> None:
    config = models.BetaTCVAEConfig(**SETTING, alpha=2.0, beta=3.0, gamma=4.0, use_mss=False)
    _, reconstruction, divergence = models.BetaTCVAE(config).loss_function(
        OUT.x_hat, BATCH.target, OUT.mu, OUT.log_var, OUT.z, FACTS.n_train
    )
    terms = ours(TotalCorrelation(TcObjective(alpha=2, beta=3, gamma=4), FACTS))
    assert terms.pop("reconstruction") == close(reconstruction)
    assert sum(terms.values()) == close(divergence)


@pytest.mark.parametrize("kernel", ["imq", "rbf"])
def test_mmd_of_info_vae_and_wae(kernel: str) -> None:
    prior = torch.randn(B, D, generator=torch.Generator().manual_seed(1))
    mine = mmd(OUT.z, prior, kernel, 1.0)  # type: ignore[arg-type]
    scales = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0]
    info = models.INFOVAE_MMD(models.INFOVAE_MMD_Config(**SETTING, kernel_choice=kernel, scales=scales))
    *_, theirs = info.loss_function(OUT.x_hat, BATCH.target, OUT.z, prior, OUT.mu, OUT.log_var)
    assert mine.item() == close(theirs)
    wae = models.WAE_MMD(models.WAE_MMD_Config(input_dim=(1, 4, 4), latent_dim=D, kernel_choice=kernel, scales=scales))
    *_, theirs = wae.loss_function(OUT.x_hat, BATCH.target, OUT.z, prior)
    assert mine.item() == close(theirs)
    assert InfoObjective().kernel == WaeObjective().kernel == "imq"


def test_iwae_with_one_code_and_the_gradient_with_several() -> None:
    """pythae gives sum_i w_i log w_i with its weights held, whose gradient is the bound's and whose value is not."""
    theirs = models.IWAE(models.IWAEConfig(**SETTING, number_samples=1))
    z, mu, log_var = (t[:, None] for t in (OUT.z, OUT.mu, OUT.log_var))
    loss, *_ = theirs.loss_function(OUT.x_hat.view(B, 1, -1), BATCH.target, mu, log_var, z)
    assert sum(ours(ImportanceWeighted(IwaeObjective(samples=1), FACTS)).values()) == close(loss)


def test_vq_vae() -> None:
    config = models.VQVAEConfig(input_dim=(1, 4, 4), latent_dim=D, num_embeddings=8, use_ema=True, decay=0.9)
    config.embedding_dim = D
    theirs = QuantizerEMA(config).train()
    enter = EnterVq((D, 4, 4), VqBottleneck(codes=8, dimension=D, decay=0.9, restart=0, commitment=0.25)).train()
    vectors = torch.randn(8, D, generator=torch.Generator().manual_seed(2))
    for book in (theirs.embeddings, enter.book.vectors):
        book.copy_(vectors)
    theirs.ema_embed.copy_(enter.book.sums)
    features = torch.randn(B, D, 4, 4, generator=torch.Generator().manual_seed(3))
    found = theirs(features.permute(0, 2, 3, 1))
    x = features.movedim(1, -1).flatten(0, -2)
    z, taken = enter.quantise(x)
    assert torch.equal(z.view(B, 4, 4, D).movedim(-1, 1), found.quantized_vector)
    assert enter.settle(x, taken, B, None).mean().item() == close(found.loss)
    assert torch.allclose(enter.book.vectors, theirs.embeddings, rtol=1e-4, atol=1e-5)


class Odds(torch.nn.Module):
    """Our discriminator in pythae's shape: two scores, of which the difference counts, or the chance of being true."""

    def __init__(self, ours: Discriminator, chance: bool = False):
        super().__init__()
        self.ours, self.chance = ours, chance

    def forward(self, z: torch.Tensor) -> object:
        odds = self.ours(z)
        if self.chance:
            return ModelOutput(embedding=odds.sigmoid()[:, None])
        return torch.stack([odds, 0 * odds], 1)


def prior(like: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    return torch.randn(like.shape, generator=generator)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(4)


def test_factor_vae() -> None:
    torch.manual_seed(0)
    factor = Factor(FactorObjective(gamma=7, discriminator=(5, 4)), FACTS).train()
    factor.meet(D)
    theirs = models.FactorVAE(models.FactorVAEConfig(**SETTING, gamma=7.0))
    theirs.discriminator = Odds(factor.opponent)
    permuted = exchanged(OUT.z, seeded())
    reconstruction, loss, against = theirs.loss_function(OUT.x_hat, BATCH.target, OUT.mu, OUT.log_var, OUT.z, permuted)
    parts = Parts(lambda x: x, torch.nn.Identity(), prior, seeded())
    terms = ours(factor)
    assert terms["reconstruction"] == close(reconstruction)
    assert sum(terms.values()) == close(loss)
    assert factor.opposing(OUT, parts)["discriminator"].item() == close(against)


def test_adversarial_autoencoder() -> None:
    """pythae takes half the squared error, and both halves of the discriminator's cross-entropy whole."""
    torch.manual_seed(0)
    aae = Adversarial(AaeObjective(loss="mse", weight=1, discriminator=(5, 4)), FACTS).train()
    aae.meet(D)
    config = models.Adversarial_AE_Config(input_dim=(1, 4, 4), latent_dim=D, adversarial_loss_scale=0.25)
    theirs = models.Adversarial_AE(config)
    theirs.discriminator = Odds(aae.opponent, chance=True)
    z_prior = prior(OUT.z, seeded())
    found = theirs.loss_function(OUT.x_hat, BATCH.target, OUT.z, z_prior)
    terms, parts = ours(aae), Parts(lambda x: x, torch.nn.Identity(), prior, seeded())
    assert terms["reconstruction"] / 2 + 0.25 * terms["adversarial"] == close(found[1])
    assert 2 * aae.opposing(OUT, parts)["discriminator"].item() == close(found[2])
