"""Labels in the decoder: told it, or a decoder for each; and a sentence where there are none."""

from pathlib import Path

import numpy as np
import pytest
import torch

import aecore
from aecore import data, training
from aecore.analysis import latent, reconstruction
from aecore.analysis.trained import Trained
from aecore.config import ConfigError, Facts, ModelConfig, parse
from aecore.jobs import analyse, queue
from aecore.jobs.foreground import train_here
from aecore.models import Batch, Progress, build
from aecore.runs import Lab
from tests.conftest import tiny

FACTS = Facts((1, 5, 6), (0, 1), 10, ("a", "b", "c"))


def model(labels: str, **parts: object):
    torch.manual_seed(0)
    content = {"backbone": {"kind": "dense", "widths": [7]}, "labels": labels, **parts}
    return build(ModelConfig.model_validate(content), FACTS).eval()


@pytest.mark.parametrize("labels", ["conditional", "swap"])
def test_the_same_code_is_another_image_for_another_label(labels):
    one = model(labels)
    z = torch.randn(1, 16, generator=torch.Generator().manual_seed(0)).expand(3, 16)
    images = one.decode(z, torch.tensor([0, 1, 2]))
    assert not torch.allclose(images[0], images[1])
    assert not torch.allclose(images[1], images[2])
    assert one.labels == 3


def test_swap_decodes_each_code_by_its_own_labels_decoder_in_the_order_of_the_batch():
    swap = model("swap")
    z, label = torch.randn(5, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([2, 0, 2, 1, 0])
    images = swap.decode(z, label)
    for i, number in enumerate(label.tolist()):
        alone = swap.decoder.output(swap.decoder.decoders[number].logits(z[i : i + 1]))
        assert torch.allclose(images[i], alone[0], atol=1e-6)


def test_a_decoder_whose_label_is_not_in_the_batch_has_a_gradient_of_zero():
    swap, x = model("swap").train(), torch.rand(4, 1, 5, 6)
    (terms,) = swap.training_step(Batch(x, x, torch.tensor([0, 2, 0, 0])), Progress(0, 1))
    sum(terms.values()).backward()
    assert all((p.grad == 0).all() for p in swap.decoder.decoders[1].parameters())
    assert any((p.grad != 0).any() for p in swap.decoder.decoders[2].parameters())


def test_analysis_decodes_with_the_labels_of_the_images_whatever_the_batch():
    conditional = model("conditional")
    conditional.evaluation_batch = 3
    images = np.random.default_rng(0).integers(0, 256, (7, 1, 5, 6), dtype=np.uint8)
    labels = np.array([0, 1, 2, 0, 1, 2, 0])
    codes = latent.encode(conditional, images, FACTS)
    whole = reconstruction.reconstruct(conditional, images, FACTS, labels)
    assert np.array_equal(whole, latent.decode(conditional, codes, FACTS, labels))
    one = reconstruction.reconstruct(conditional, images[4:5], FACTS, labels[4:5])
    assert np.array_equal(whole[4:5], one)
    with pytest.raises(ValueError, match="say which label"):
        latent.decode(conditional, codes, FACTS)


def test_new_images_are_of_one_label_after_another_or_of_those_that_are_asked_for():
    vae = model("conditional", bottleneck={"kind": "gaussian", "latent_dim": 2}, objective={"kind": "elbo"})
    noise = lambda: torch.Generator().manual_seed(3)
    assert torch.equal(vae.sample(4, noise()), vae.sample(4, noise(), torch.tensor([0, 1, 2, 0])))
    assert not torch.equal(vae.sample(4, noise()), vae.sample(4, noise(), torch.tensor([1, 1, 1, 1])))


def test_missing_labels_are_a_sentence_before_anything_is_queued(lab: Lab):
    content = {"data": {"name": "digits"}, "model": {"labels": "swap"}, "training": {"classes": ["3"]}}
    with pytest.raises(
        ConfigError, match=r"model\.labels is 'swap', but the images have one label: at least two are needed"
    ):
        queue.submit(lab, parse(content), "ada")
    assert queue.pending(lab) == []
    conditional = parse({"model": {"labels": "conditional"}})
    with pytest.raises(ConfigError, match="the images have no labels"):
        conditional.suits(Facts((1, 8, 8), (0, 1), 10, ()))


def test_swap_with_batch_norm_is_refused_in_words():
    backbone = {"kind": "conv", "norm": "batch"}
    with pytest.raises(ConfigError, match="only its own label's part of a batch"):
        parse({"model": {"backbone": backbone, "labels": "swap"}})
    assert parse({"model": {"backbone": backbone, "labels": "conditional"}})


def test_a_run_with_a_decoder_for_each_label_is_trained_analysed_and_loaded(tmp_path):
    here = Lab.open(tmp_path / "lab")
    config = tiny(model__labels="swap", training__classes=("3", "8"), training__epochs=2)
    folder = here.run(train_here(here, config, "ada"))
    metrics, trained = folder.analysis_metrics(), aecore.load(folder)
    test = data.load(config.data, "test", here.data_roots)
    chosen = test.take(np.flatnonzero(np.isin(test.labels, [3, 8])))
    x_hat = trained.reconstruct(chosen.images, chosen.labels)
    assert metrics["test"]["mse"] == pytest.approx(reconstruction.mse(chosen.images, x_hat).mean(), rel=1e-5)
    exchanged = trained.decode(trained.encode(chosen.images), 11 - chosen.labels)
    assert not np.array_equal(exchanged, x_hat)


def drawn(labels: np.ndarray, places: np.ndarray) -> torch.Tensor:
    """(n, 1, 12, 12) uint8: a disc for label 0, a ring for 1, around places (n, 2) as y and x."""
    at, (y, x) = np.arange(12), places.T[:, :, None, None]
    far = np.hypot(at[:, None] - y, at - x)
    ring = np.clip(1.6 - np.abs(far - 2.2), 0, 1) * np.clip(far - 0.6, 0, 1)
    cover = np.where((labels == 0)[:, None, None], np.clip(3 - far, 0, 1), ring)
    return torch.from_numpy(np.rint(255 * cover)[:, None].astype(np.uint8))


def middles(images: torch.Tensor) -> torch.Tensor:
    """(n, 2): where the light is, as y and x."""
    light, at = images[:, 0] / images[:, 0].sum((1, 2), keepdim=True), torch.arange(12.0)
    return torch.stack([light.sum(2) @ at, light.sum(1) @ at], 1)


def test_a_decoder_that_is_told_the_label_finds_no_strange_ones():
    training = {"classes": ["2", "7"]}
    for labels, found in (("none", True), ("swap", False), ("conditional", False)):
        config = parse({"data": {"name": "digits"}, "model": {"labels": labels}, "training": training})
        facts = data.facts(config.data, [])
        trained = Trained(build(config.model, facts), config, facts, Path())
        assert bool(analyse._anomalies(trained, [])) is found


def test_a_swap_exchanges_the_form_and_keeps_the_place() -> None:
    random, n = np.random.default_rng(0), 2000
    labels = random.integers(2, size=n)
    images, given = drawn(labels, random.uniform(3, 8, (n, 2))), torch.from_numpy(labels)
    backbone = {"kind": "dense", "widths": [128], "output": "sigmoid"}
    part = {"backbone": backbone, "bottleneck": {"kind": "vector", "latent_dim": 8}, "labels": "swap"}
    train = {"epochs": 20, "batch_size": 100, "learning_rate": 0.005, "device": "cpu"}
    config = parse({"model": part | {"objective": {"kind": "reconstruction", "loss": "bce"}}, "training": train})
    facts = Facts((1, 12, 12), (0.0, 1.0), n, ("disc", "ring"))
    held = training.Data(images, given, images[:50], given[:50], np.arange(50), "val", facts)
    state = training.start(config, facts, 1)
    for _ in training.train(state, held, config):
        pass

    places = random.uniform(3, 8, (300, 2))
    real = [drawn(np.full(300, label), places) / 255 for label in (0, 1)]
    for label, other in ((0, 1), (1, 0)):
        with torch.inference_mode():
            exchanged = state.model.eval().decode(state.model.encode(real[label]), torch.full((300,), other))
        errors = [(exchanged - images).square().mean((1, 2, 3)) for images in real]
        assert (errors[other] < errors[label]).float().mean() > 0.99, "no two of a place were ever shown together"
        moved = middles(exchanged) - torch.from_numpy(places)
        assert moved.abs().mean() < 0.6, "of five pixels: 0.3 were measured"
