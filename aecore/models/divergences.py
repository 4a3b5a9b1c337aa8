"""How far codes are from what they should be distributed like: pure, over tensors, each with its formula."""

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor

IMQ_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def kl_per_unit(mu: Tensor, log_var: Tensor) -> Tensor:
    """(B, latent_dim) KL(N(mu, exp log_var) || N(0, 1)) in nats. Kingma & Welling 2014, appendix B.

    -1/2 (1 + log_var - mu^2 - exp log_var).
    """
    return -0.5 * (1 + log_var - mu.square() - log_var.exp())


def kl_to_standard_normal(mu: Tensor, log_var: Tensor) -> Tensor:
    """(B,) KL(N(mu, exp log_var) || N(0, I)) in nats: the sum of `kl_per_unit`, for mu and log_var (B, latent_dim)."""
    return -0.5 * (1 + log_var - mu.square() - log_var.exp()).sum(1)


def log_normal(z: Tensor, mu: Tensor, log_var: Tensor) -> Tensor:
    """log N(z; mu, exp log_var) of each number, in nats."""
    return -0.5 * (math.log(2 * math.pi) + log_var + (z - mu).square() * torch.exp(-log_var))


class Decomposed(NamedTuple):
    """The three parts of the KL, (B,) each, in nats. Chen et al. 2018, equation 2."""

    mutual_information: Tensor
    total_correlation: Tensor
    dimension_kl: Tensor


def decomposed_kl(z: Tensor, mu: Tensor, log_var: Tensor, n_train: int) -> Decomposed:
    """Parts of KL(q(z|x) || N(0, I)) from z drawn from N(mu, exp log_var), (B, latent_dim) each; their sum is
    log q(z|x) - log p(z). Densities of all codes are estimated by minibatch weighted sampling: Chen et al. 2018, appendix C.1,

    log q(z_i) = log 1/(B n_train) sum_j q(z_i | x_j).
    """
    pairs = log_normal(z[:, None], mu[None], log_var[None])  # (B, B, latent_dim)
    weight = math.log(len(z) * n_train)
    posterior = log_normal(z, mu, log_var).sum(1)
    prior = log_normal(z, torch.zeros_like(z), torch.zeros_like(z)).sum(1)
    joint = pairs.sum(2).logsumexp(1) - weight
    product = (pairs.logsumexp(1) - weight).sum(1)
    return Decomposed(posterior - joint, joint - product, product - prior)


def mmd(a: Tensor, b: Tensor, kernel: Literal["imq", "rbf"], bandwidth: float) -> Tensor:
    """Squared maximum mean discrepancy of codes a and b, (B, latent_dim) each: Gretton et al. 2012, lemma 6, unbiased within
    a and within b. With one code each, what is within is left out.

    Mean of k(a_i, a_j) for i != j, plus the same of b, minus twice the mean of k(a_i, b_j). With C = 2 latent_dim bandwidth^2
    and d = |a - b|^2: 'imq' sum over s of s C / (s C + d) for seven scales s (Tolstikhin et al. 2018), 'rbf' exp(-d / C).
    """
    n, base = len(a), 2 * a.shape[1] * bandwidth**2
    distances = _squared_distances(torch.cat([a, b]))  # (2 B, 2 B)
    if kernel == "rbf":
        kernels = torch.exp(-distances / base)
    else:
        kernels = sum((s * base / (s * base + distances) for s in IMQ_SCALES), torch.zeros_like(distances))
    off = 1 - torch.eye(n, device=a.device, dtype=a.dtype)
    within = ((kernels[:n, :n] + kernels[n:, n:]) * off).sum() / max(1, n * (n - 1))
    return within - 2 * kernels[:n, n:].mean()


def _squared_distances(codes: Tensor) -> Tensor:
    """(N, N) |a - b|^2 of codes (N, latent_dim); rounding never makes it negative."""
    squares = codes.square().sum(1)
    return (squares[:, None] + squares[None] - 2 * codes @ codes.T).clamp(min=0)


def covariance(codes: Tensor) -> Tensor:
    """(latent_dim, latent_dim) of codes (B, latent_dim), divided by B."""
    centred = codes - codes.mean(0)
    return centred.T @ centred / len(codes)


def distance_from_identity(matrix: Tensor, off_diagonal: float, diagonal: float) -> Tensor:
    """off_diagonal sum_(i != j) m_ij^2 + diagonal sum_i (m_ii - 1)^2. Kumar et al. 2018, equations 6 and 7."""
    on = matrix.diagonal()
    return off_diagonal * (matrix.square().sum() - on.square().sum()) + diagonal * (on - 1).square().sum()


def kl_of_activities(activities: Tensor, target: float) -> Tensor:
    """Sum over units of KL(Bernoulli(target) || Bernoulli(mean activity)), for activities (B, latent_dim) in (0,1). Ng 2011."""
    mean = activities.mean(0).clamp(1e-6, 1 - 1e-6)
    return (target * (target / mean).log() + (1 - target) * ((1 - target) / (1 - mean)).log()).sum()
