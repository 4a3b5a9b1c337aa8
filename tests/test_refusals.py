"""Models that cannot be: each is refused with a sentence before anything is queued."""

import pytest

from aecore.config import ConfigError, parse

WRONG = [
    (
        {"bottleneck": {"kind": "top_k", "latent_dim": 8, "k": 9}},
        r"bottleneck\.k is 9, but the code has 8 units: at most 8",
    ),
    (
        {"bottleneck": {"kind": "gaussian"}, "objective": {"kind": "elbo", "beta": -1}},
        r"objective\.beta is -1, but must be at least 0",
    ),
    (
        {"bottleneck": {"kind": "gaussian"}, "objective": {"kind": "factor", "gamma": -0.5}},
        r"objective\.gamma is -0\.5, but must be at least 0",
    ),
    ({"objective": {"kind": "aae", "discriminator_rate": 0}}, r"discriminator_rate is 0, but must be greater than 0"),
    ({"objective": {"kind": "vamp"}}, "a vector bottleneck has no posterior"),
    ({"bottleneck": {"kind": "vq"}, "objective": {"kind": "aae"}}, "a vq bottleneck picks its code from a finite set"),
    ({"labels": "exchange"}, r"model\.labels is 'exchange', but must be 'none', 'conditional' or 'swap'"),
]


@pytest.mark.parametrize(("model", "sentence"), WRONG)
def test_a_model_that_cannot_be_is_a_sentence(model, sentence):
    with pytest.raises(ConfigError, match=sentence):
        parse({"model": model})
