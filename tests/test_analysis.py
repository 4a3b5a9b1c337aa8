"""Figures of images and codes agree with closed forms and with scikit-image."""

import math
import shutil

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import aecore
from aecore import training
from aecore.analysis import anomalies, baselines, evaluation, generation, latent
from aecore.analysis.projection import fit_pca, largest_angle
from aecore.analysis.reconstruction import mse, psnr, reconstruct, ssim
from aecore.analysis.sampling import Sampler
from aecore.analysis.seen import seen, wanted
from aecore.config import ConfigError, Facts, RunConfig, parse, writes
from aecore.manifest import Mark
from aecore.models import build
from aecore.models.similarity import window_side

RANDOM = np.random.default_rng(0)


def pairs(shape: tuple[int, ...], n: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Smooth images and noisy copies: neither equal nor unrelated."""
    side = np.linspace(0, 4, shape[1])[:, None] + np.linspace(0, 3, shape[2])
    a = np.stack([127 + 120 * np.sin(side * RANDOM.uniform(0.5, 2) + RANDOM.normal()) for _ in range(n * shape[0])])
    a = a.reshape(n, *shape)
    b = a + RANDOM.normal(0, 25, a.shape)
    return tuple(images.clip(0, 255).round().astype(np.uint8) for images in (a, b))


def test_mse_is_per_image_and_per_pixel_in_image_units():
    a = np.array([[[[0, 255], [0, 0]]], [[[255, 255], [255, 255]]]], np.uint8)
    b = np.array([[[[0, 0], [0, 51]]], [[[255, 255], [255, 255]]]], np.uint8)
    assert mse(a, b) == pytest.approx([(1 + 0.04) / 4, 0])
    assert psnr(a, b)[0] == pytest.approx(-10 * math.log10(0.26))
    assert psnr(a, b)[1] == pytest.approx(10 * math.log10(12 * 255**2)), (
        "equal images count as rounded, so that a mean is a number"
    )
    assert mse(a / 255.0, (b / 255.0).astype(np.float32)) == pytest.approx([0.26, 0])


@pytest.mark.parametrize(
    ("shape", "side"),
    [((1, 8, 8), 7), ((1, 28, 28), 11), ((3, 32, 32), 11), ((1, 9, 20), 9), ((1, 11, 10), 9), ((3, 17, 13), 11)],
)
def test_psnr_and_ssim_agree_with_scikit_image(shape, side):
    a, b = pairs(shape)
    assert window_side(*shape[1:]) == side
    for i in range(len(a)):
        x, y = a[i] / 255, b[i] / 255
        expected = structural_similarity(
            x,
            y,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1.0,
            channel_axis=0,
            win_size=side,
        )
        assert 0.05 < expected < 0.99
        assert ssim(a, b)[i] == pytest.approx(expected, abs=1e-4)
        assert psnr(a, b)[i] == pytest.approx(peak_signal_noise_ratio(x, y, data_range=1.0), abs=1e-4)


def test_equal_images_have_an_ssim_of_one():
    a, _ = pairs((3, 16, 16))
    assert ssim(a, a) == pytest.approx([1, 1, 1])


def test_chunks_do_not_change_a_figure(monkeypatch):
    a, b = pairs((1, 12, 12), n=7)
    whole = ssim(a, b), mse(a, b)
    monkeypatch.setattr("aecore.analysis.reconstruction.CHUNK", 2 * 144)
    assert np.array_equal(ssim(a, b), whole[0])
    assert np.array_equal(mse(a, b), whole[1])


@pytest.mark.parametrize(("n", "d"), [(200, 30), (20, 60)])
def test_principal_components_are_those_of_the_singular_value_decomposition(n, d):
    points = (RANDOM.normal(size=(n, d)) * np.linspace(5, 0.5, d) + 3).astype(np.float32)
    pca = fit_pca(points, 4)
    _, sizes, rows = np.linalg.svd(points - points.mean(axis=0), full_matrices=False)
    assert np.abs(np.sum(pca.components * rows[:4], axis=1)) == pytest.approx(np.ones(4), abs=1e-6)
    assert pca.explained == pytest.approx((sizes**2 / (sizes**2).sum())[:4], rel=1e-5)
    assert np.allclose(pca.components @ pca.components.T, np.eye(4), atol=1e-9)
    assert (pca.components[np.arange(4), np.abs(pca.components).argmax(axis=1)] > 0).all()
    assert pca.project(points).var(axis=0).sum() == pytest.approx(
        pca.explained.sum() * points.var(axis=0).sum(), rel=1e-4
    )
    assert np.allclose(pca.lift(np.zeros((1, 4))), pca.mean)


def test_many_dimensions_give_the_same_components_by_iteration(monkeypatch):
    points = RANDOM.normal(size=(300, 80)) * 0.9 ** np.arange(80)
    exact = fit_pca(points, 3)
    monkeypatch.setattr("aecore.analysis.projection.LARGEST_EXACT", 50)
    found = fit_pca(points, 3)
    assert np.allclose(found.components, exact.components, atol=1e-3)
    assert found.explained == pytest.approx(exact.explained, rel=1e-5)


def test_bytes_are_centred_without_wrapping_around():
    points = RANDOM.integers(0, 256, (50, 6), dtype=np.uint8)
    assert np.allclose(fit_pca(points, 2).components, fit_pca(points.astype(float), 2).components)


def test_baselines_have_closed_forms():
    train = np.zeros((4, 1, 1, 2), np.uint8)
    train[:, 0, 0, 0] = [0, 0, 255, 255]
    mean = baselines.mean_of(train)
    given = lambda images: np.broadcast_to(mean, images.shape)
    assert mean.ravel().tolist() == [128, 0]
    assert baselines.reached(given, train)["mse"] == pytest.approx(
        0.125, rel=1e-4
    )  # half a pixel squared, over two pixels
    assert baselines.pca_mse(train, train, 1) == pytest.approx(0, abs=1e-12)
    test = np.full((1, 1, 1, 2), 255, np.uint8)
    assert baselines.reached(given, test)["mse"] == pytest.approx(((127 / 255) ** 2 + 1) / 2)
    assert baselines.pca_mse(train, test, 1) == pytest.approx(0.5)


def test_what_lies_beyond_black_and_white_counts_neither_for_a_model_nor_for_a_method():
    train = np.random.default_rng(0).integers(0, 2, (60, 1, 4, 4)).astype(np.uint8) * 255
    fitted = baselines.fit_images(train, 3)
    pictures = baselines.pca_of(fitted, train)
    found = baselines.reached(lambda images: baselines.pca_of(fitted, images), train)
    errors = np.square((pictures / 255) - (train / 255)).reshape(60, -1).mean(1)
    assert found["mse"] == pytest.approx(errors.mean())
    assert found["psnr"] == pytest.approx(-10 * np.log10(errors).mean())
    assert found["mse"] < baselines.pca_mse(train, train, 3)


def test_the_angle_between_subspaces_is_exact_for_small_ones_too():
    assert largest_angle(np.array([[1.0, 0, 0]]), np.array([[1.0, 1, 0]])) == pytest.approx(45)
    assert largest_angle(np.array([[1.0, 0, 0]]), np.array([[-2.0, 2e-7, 0]])) == pytest.approx(math.degrees(1e-7))
    plane = np.array([[1.0, 0, 0], [0, 1, 0]])
    assert largest_angle(plane, np.array([[1.0, 1, 0], [1, -1, 0]])) == pytest.approx(0, abs=1e-12)


def config(**parts: object) -> RunConfig:
    return parse({"data": {"name": "digits"}, "training": {"device": "cpu", "epochs": 1}} | parts)


FACTS = Facts((1, 8, 8), (-1, 1), 10, ("a", "b"))


def model(latent_dim: int = 2):
    torch.manual_seed(0)
    chosen = {
        "backbone": {"kind": "dense", "output": "tanh"},
        "bottleneck": {"kind": "vector", "latent_dim": latent_dim},
    }
    return build(config(model=chosen).model, FACTS)


def test_reconstructing_is_encoding_and_decoding_whatever_the_batch():
    images = RANDOM.integers(0, 256, (7, 1, 8, 8), dtype=np.uint8)
    trained = model()
    codes = latent.encode(trained, images, FACTS)
    x_hat = reconstruct(trained, images, FACTS)
    assert codes.shape == (7, 2)
    assert codes.dtype == np.float32
    assert np.array_equal(latent.decode(trained, codes, FACTS), x_hat)
    assert np.abs(reconstruct(trained, images, FACTS, batch=2).astype(int) - x_hat).max() <= 1
    assert evaluation.evaluate(trained, images, FACTS)["mse"] == pytest.approx(mse(images, x_hat).mean())
    assert reconstruct(trained, images[:0], FACTS).shape == (0, 1, 8, 8)


def test_a_picture_has_gone_through_the_inverse_of_the_normalisation_once():
    class Mirror(torch.nn.Linear):
        def forward(self, x, label=None):
            return x

    trained = model()
    trained.encoder = trained.decoder = Mirror(1, 1)
    trained.code_shape = (1, 8, 8)
    images = np.arange(256, dtype=np.uint8).reshape(4, 1, 8, 8)
    assert trained.training
    for value_range in ((0, 1), (-1, 1)):
        assert np.array_equal(reconstruct(trained, images, FACTS._replace(value_range=value_range)), images)
    assert trained.training


def test_images_and_codes_of_another_shape_are_refused_with_both_shapes():
    with pytest.raises(ValueError, match="These images are 1 x 9 x 9, but the model was trained on 1 x 8 x 8"):
        reconstruct(model(), np.zeros((2, 1, 9, 9), np.uint8), FACTS)
    with pytest.raises(ValueError, match="A code of this model is 2 numbers, but these are 5 x 3"):
        latent.decode(model(), np.zeros((5, 3), np.float32), FACTS)


@pytest.fixture(scope="module")
def data():
    return training.prepare(config(), [], torch.device("cpu"))


def test_a_sample_shows_the_watched_images_one_class_after_another(data):
    trained = training.start(config(), data.facts, 1).model
    sampler = Sampler(data, trained, config())
    inputs, sample = sampler.inputs, sampler.take(trained)
    watched = data.watch_images.numpy()
    assert inputs.labels[:10].tolist() == list(range(10))
    assert np.array_equal(inputs.images[0], watched[np.flatnonzero(data.watch_indices == inputs.indices[0])[0]])
    assert np.array_equal(sample.x_hat, reconstruct(trained, inputs.images, data.facts))
    assert np.allclose(sample.codes, latent.encode(trained, watched, data.facts)[: len(inputs.point_labels)], atol=1e-6)
    assert np.allclose(sample.errors, mse(watched, reconstruct(trained, watched, data.facts)), atol=1e-3)


def test_load_gives_a_trained_model_whose_halves_work_alone(tmp_path, data):
    chosen = config()
    (tmp_path / "config.json").write_text(writes(chosen))
    with pytest.raises(ConfigError, match="has no checkpoint: a run is saved"):
        aecore.load(tmp_path)
    state = training.start(chosen, data.facts, 1)
    list(training.train(state, data, chosen))
    training.commit(tmp_path / "checkpoints", state, Mark(), 1, data.facts)

    trained = aecore.load(str(tmp_path))
    shutil.copytree(tmp_path, tmp_path / "broken")
    for weights in (tmp_path / "broken").glob("checkpoints/*/*.safetensors"):
        weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ConfigError, match="The checkpoints of run broken are damaged"):
        aecore.load(tmp_path / "broken")
    images = data.watch_images[:5].numpy()
    x = torch.from_numpy(images).float() / 255
    with torch.no_grad():
        assert torch.equal(trained.encoder(x), state.model.eval().encode(x))
        assert torch.equal(trained.decoder(trained.encoder(x)), state.model.decode(state.model.encode(x)))
    assert np.array_equal(trained.reconstruct(images), trained.decode(trained.encode(images)))
    assert trained.facts == data.facts
    assert trained.config == chosen
    with pytest.raises(ConfigError, match="There is no run in"):
        aecore.load(tmp_path / "nothing")


def test_a_linear_autoencoder_finds_the_principal_subspace():
    k = 4
    linear = {"kind": "dense", "widths": [], "activation": "none", "output": "none"}
    chosen = config(
        data={"name": "digits", "validation": 0},
        model={"backbone": linear, "bottleneck": {"kind": "vector", "latent_dim": k}},
        training={"device": "cpu", "epochs": 200, "batch_size": 150, "learning_rate": 0.02, "schedule": "cosine"},
    )
    prepared = training.prepare(chosen, [], torch.device("cpu"))
    state = training.start(chosen, prepared.facts, 1)
    for _ in training.train(state, prepared, chosen):
        pass
    images = prepared.train_images.numpy()
    x = prepared.train_images.float() / 255
    with state.model.evaluating():
        error = float((state.model.decode(state.model.encode(x)) - x).square().mean())
    least = baselines.pca_mse(images, images, k)
    spanned = next(p for p in state.model.decoder.parameters() if p.dim() == 2).detach().numpy().T  # (k, pixels)
    angle = largest_angle(spanned, fit_pca(images.reshape(len(images), -1), k).components)
    print(f"error {error / least:.5f} of PCA's, largest principal angle {angle:.2f} degrees")
    assert 1 - 1e-6 < error / least < 1.01
    assert angle < 5


def test_the_gain_is_the_mean_of_what_each_image_gains_in_decibel():
    images = np.full((3, 1, 4, 4), 100, np.uint8)
    seen, x_hat = images.copy(), images.copy()
    seen[0] += 50
    seen[1] += 20  # the third was not changed: there is nothing to gain
    x_hat[0] += 5
    x_hat[1] += 4
    found = evaluation.gain(images, seen, x_hat)
    assert found["gain"] == pytest.approx((20 * math.log10(50 / 5) + 20 * math.log10(20 / 4)) / 2)
    assert found["psnr_seen"] == pytest.approx(20 * (math.log10(255 / 50) + math.log10(255 / 20)) / 2)
    assert evaluation.gain(images, images, x_hat) == {}
    assert evaluation.gain(images, seen, images)["gain"] + found["psnr_seen"] == pytest.approx(58.92, abs=0.01)


NOISY = {"task": {"kind": "denoise", "sigma": 0.3}}


def test_what_the_encoder_saw_repeats_and_the_figures_are_made_from_it(data):
    images = data.watch_images.numpy()
    noisy, again = (seen(config(**NOISY), images, data.facts) for _ in range(2))
    assert np.array_equal(noisy, again)
    assert (noisy.shape, noisy.dtype) == (images.shape, np.uint8)
    assert not np.array_equal(noisy, seen(config(**NOISY, training={"seed": 1}), images, data.facts))
    assert seen(config(), images, data.facts) is images
    trained = training.start(config(), data.facts, 1).model
    found = evaluation.evaluate(trained, images, data.facts, noisy)
    x_hat = reconstruct(trained, noisy, data.facts)
    assert found["psnr"] == pytest.approx(psnr(images, x_hat).mean())
    assert found["gain"] == pytest.approx(psnr(images, x_hat).mean() - psnr(images, noisy).mean())
    assert "gain" not in evaluation.evaluate(trained, images, data.facts, images)


def test_a_sample_of_a_task_is_made_from_what_the_encoder_saw(data):
    trained = training.start(config(), data.facts, 1).model
    sampler = Sampler(data, trained, config(**NOISY))
    inputs, sample = sampler.inputs, sampler.take(trained)
    assert inputs.seen is not None
    assert not np.array_equal(inputs.seen, inputs.images)
    assert np.array_equal(sample.x_hat, reconstruct(trained, inputs.seen, data.facts))
    watched = data.watch_images.numpy()
    x_hat = reconstruct(trained, seen(config(**NOISY), watched, data.facts), data.facts)
    assert np.allclose(sample.errors, mse(watched, x_hat), atol=1e-3)
    assert Sampler(data, trained, config()).inputs.seen is None


def test_what_the_decoder_should_give_is_what_errors_and_samples_are_against(data):
    asked = config(task={"kind": "down_sample", "factor": 2})
    watched = data.watch_images.numpy()
    n, c, h, w = watched.shape
    blocks = watched.reshape(n, c, h // 2, 2, w // 2, 2).mean(axis=(3, 5))
    targets = wanted(asked, watched, data.facts)
    assert targets.dtype == np.uint8
    assert abs(targets - blocks.repeat(2, axis=2).repeat(2, axis=3)).max() <= 0.501
    assert wanted(config(), watched, data.facts) is watched
    assert seen(asked, watched, data.facts) is watched

    trained = training.start(asked, data.facts, 1).model
    sampler = Sampler(data, trained, asked)
    inputs, sample = sampler.inputs, sampler.take(trained)
    shown = watched[np.searchsorted(data.watch_indices, inputs.indices)]
    assert np.array_equal(inputs.images, wanted(asked, shown, data.facts))
    assert np.array_equal(inputs.seen, shown)
    x_hat = reconstruct(trained, watched, data.facts)
    assert np.allclose(sample.errors, mse(targets, x_hat), atol=1e-3)
    assert abs(sample.errors - mse(watched, x_hat)).max() > 1e-3
    held_out = [
        row.value for row in training.loop.watch(training.start(asked, data.facts, 1), data, asked) if row.name == "mse"
    ]
    assert held_out == pytest.approx([sample.errors.mean()], rel=2e-3), "but for the rounding of a picture"
    assert held_out != pytest.approx([mse(watched, x_hat).mean()], rel=2e-3)


def test_strange_images_are_told_by_their_errors():
    errors, strange = np.array([1.0, 2, 3, 4]), np.array([False, False, True, True])
    perfect = anomalies.detection(errors, strange)
    assert {name: perfect[name] for name in ("auroc", "average_precision", "share", "n")} == {
        "auroc": 1,
        "average_precision": 1,
        "share": 0.5,
        "n": 4,
    }
    assert perfect["roc"] == [[0, 0], [0, 0.5], [0, 1], [1, 1]]
    found = anomalies.detection(errors, np.array([False, True, False, True]))
    assert found["auroc"] == 0.75  # three of the four pairs stand right
    assert found["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["roc"] == [[0, 0], [0, 0.5], [0.5, 0.5], [0.5, 1], [1, 1]]
    assert found["pr"] == [[0, 1], [0.5, 1], [0.5, 0.5], [1, 0.6667], [1, 0.5]]
    many = anomalies.detection(np.arange(5000.0), np.arange(5000) % 3 == 0)
    for name in ("roc", "pr"):
        assert len(many[name]) <= anomalies.MOST_POINTS
    assert (many["roc"][0], many["roc"][-1]) == ([0, 0], [1, 1])


def test_neighbours_agree_on_an_image_of_one_class_and_not_on_one_between_two():
    real = np.concatenate([np.zeros((5, 1, 2, 2), np.uint8), np.full((5, 1, 2, 2), 200, np.uint8)])
    real[:, 0, 0, 0] += np.tile(np.arange(5, dtype=np.uint8), 2)  # so that none is as near as another
    labels = np.repeat([3, 7], 5)
    between = np.full((1, 1, 2, 2), 101, np.uint8)
    images = np.concatenate([real[[0, 9]], between])
    labels[[0, 1, 5, 6]] = [3, 7, 7, 3]  # three of five at most for what lies at one side
    assert generation.agreement(images, real, np.repeat([3, 7], 5)).tolist()[:2] == [True, True]
    assert generation.agreement(images, real, np.tile([3, 7], 5)).tolist() == [False, False, False]
    assert generation.agreement(images[:1], real, labels, needed=4).tolist() == [True]
