"""What the encoder sees: the statistics of each task, the same again with the same seed, the mask, and the shapes that are refused."""

import numpy as np
import pytest
import torch
from torch import Tensor

from aecore.config import ConfigError, Facts, RunConfig, members, parse
from aecore.tasks import TARGETS, TASKS, Seen, corrupt, identity, wanted
from aecore.training import Data, start, train


def task(**options: object):
    return parse({"task": options}).task


TASK_KINDS = members(RunConfig.model_fields["task"].annotation)
OPTIONS = [{"kind": kind} for kind in TASK_KINDS] + [
    {"kind": "denoise", "sigma": 0.1, "sigma_to": 0.9},
    {"kind": "salt_and_pepper", "share": 0.1, "share_to": 0.5},
    {"kind": "masking", "share": 0.1, "share_to": 0.5},
    {"kind": "inpaint", "hole": "half"},
    {"kind": "inpaint", "hole": "pixels"},
    {"kind": "super_resolve", "factor": 4, "enlarge": "nearest"},
    {"kind": "super_resolve", "enlarge": "bilinear"},
    {"kind": "down_sample", "factor": 4, "enlarge": "bicubic"},
    {"kind": "masked_patches", "patch": 3, "share": 0.5},
]
EACH = pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))
SHAPES = [(1, 28, 28), (3, 32, 32), (3, 16, 8), (1, 11, 9), (3, 9, 12)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def see(x: Tensor, value_range: tuple[float, float] = (0, 1), seed: int = 0, **options: object) -> Seen:
    return corrupt(task(**options), x, value_range, generator(seed))


def rand(*shape: int) -> Tensor:
    return torch.rand(shape, generator=generator(9))


def test_every_kind_of_the_configuration_is_registered():
    assert set(TASKS) == set(TASK_KINDS)
    assert set(TARGETS) == {kind for kind in TASK_KINDS if task(kind=kind).target}, "who has a target says so in words"
    assert all(TASKS[kind] is identity for kind in TARGETS), (
        "their encoder sees the images: the Compare page relies on it"
    )


@pytest.mark.parametrize(
    ("options", "shape"), [(o, s) for o in OPTIONS for s in SHAPES if not task(**o).refusal(s)], ids=str
)
@pytest.mark.parametrize("value_range", [(0, 1), (-1, 1)], ids=str)
def test_shape_and_value_range_stay_and_the_seed_decides(options, shape, value_range):
    config, (low, high) = task(**options), value_range
    x = rand(7, *shape) * (high - low) + low
    kept = x.clone()
    seen, again = (corrupt(config, x, value_range, generator()) for _ in range(2))
    assert (seen.x.shape, seen.x.dtype) == (x.shape, x.dtype)
    assert low <= seen.x.min() <= seen.x.max() <= high
    assert torch.equal(seen.x, again.x)
    assert torch.equal(x, kept), "the clean images stay as they are"
    if seen.mask is not None:
        assert (seen.mask.shape, seen.mask.dtype) == ((7, 1, *shape[1:]), torch.bool)
        assert torch.equal((seen.x != x).any(dim=1, keepdim=True), seen.mask), "nothing else is changed"
    other = corrupt(config, x, value_range, generator(1))
    drawn = config.kind not in ("identity", "colourise", "grey", "super_resolve", "down_sample", "deblur")
    assert torch.equal(seen.x, other.x) != drawn
    target = wanted(config, x, value_range)
    assert (target.shape, target.dtype) == (x.shape, x.dtype)
    assert low <= target.min() <= target.max() <= high
    assert (target is x) == (not config.target)


def test_the_identity_is_the_image_itself():
    x = rand(2, 1, 4, 4)
    assert see(x, kind="identity").x is x


def test_denoising_adds_seeded_noise_to_the_input_and_clips_it():
    x = torch.full((200, 1, 8, 8), 0.5)
    noisy = see(x, kind="denoise", sigma=0.1).x
    assert (noisy - x).std().item() == pytest.approx(0.1, rel=0.02)
    wide = see(x * 2 - 1, (-1, 1), kind="denoise", sigma=0.1).x
    assert (wide - (x * 2 - 1)).std().item() == pytest.approx(0.2, rel=0.02)
    assert see(torch.ones(9, 1, 8, 8), kind="denoise").x.max() == 1


def test_a_range_gives_each_image_a_level_of_its_own():
    x = torch.full((500, 1, 32, 32), 0.5)
    found = (see(x, kind="denoise", sigma=0.02, sigma_to=0.1).x - x).std(dim=(1, 2, 3))
    assert 0.018 < found.min() < 0.026
    assert 0.094 < found.max() < 0.108
    assert found.mean().item() == pytest.approx(0.06, abs=0.003)
    for kind in ("masking", "salt_and_pepper"):
        shares = see(x, kind=kind, share=0.2, share_to=0.6).mask.float().mean(dim=(1, 2, 3))
        assert shares.mean().item() == pytest.approx(0.4, abs=0.02)
        assert 0.15 < shares.min() < 0.23
        assert 0.57 < shares.max() < 0.65


def test_a_range_that_ends_below_its_begin_is_a_sentence():
    with pytest.raises(ConfigError, match=r"task.sigma_to is 0.1, but must be at least task.sigma, 0.5."):
        task(kind="denoise", sigma_to=0.1)
    with pytest.raises(ConfigError, match=r"task.share_to is 0.1, but must be at least task.share, 0.25."):
        task(kind="masking", share_to=0.1)


def test_salt_and_pepper_are_as_many_and_masking_noise_is_black():
    x = torch.full((100, 3, 20, 20), 0.5)
    seen = see(x, kind="salt_and_pepper", share=0.3)
    assert [(seen.x == value).float().mean().item() for value in (0, 1, 0.5)] == pytest.approx(
        [0.15, 0.15, 0.7], abs=0.01
    )
    assert torch.equal(seen.x[:, 0], seen.x[:, 2]), "all channels of a pixel together"
    seen = see(x, (-1, 1), kind="masking", share=0.3)
    assert set(seen.x.unique().tolist()) == {-1, 0.5}
    assert seen.mask.float().mean().item() == pytest.approx(0.3, abs=0.01)


def test_a_box_has_its_share_of_the_area_and_reaches_every_pixel():
    seen = see(rand(2000, 1, 9, 12), kind="inpaint", share=0.25)
    assert seen.mask.sum(dim=(1, 2, 3)).unique().tolist() == [round(4.5) * 6]
    assert seen.mask.any(dim=0).all()
    rows, columns = seen.mask.any(dim=3).sum(dim=(1, 2)), seen.mask.any(dim=2).sum(dim=(1, 2))
    assert (rows.unique().tolist(), columns.unique().tolist()) == ([4], [6])
    first = seen.mask[:, 0].float().argmax(dim=1).amax(dim=1)  # the topmost row of each box
    assert torch.bincount(first, minlength=6).float().std() / 2000 < 0.02
    assert (seen.x[seen.mask] == 0.5).all()


def test_a_half_is_one_of_four_and_of_an_odd_side_the_smaller():
    seen = see(rand(4000, 1, 5, 8), kind="inpaint", hole="half")
    kinds, counts = seen.mask.unique(dim=0, return_counts=True)
    assert len(kinds) == 4
    assert (counts / 4000).tolist() == pytest.approx([0.25] * 4, abs=0.03)
    assert sorted(kinds.sum(dim=(1, 2, 3)).tolist()) == [2 * 8, 2 * 8, 5 * 4, 5 * 4]


def test_single_pixels_go_with_their_chance():
    mask = see(rand(200, 3, 16, 16), kind="inpaint", hole="pixels", share=0.4).mask
    assert mask.float().mean().item() == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize(("shape", "patch", "share", "hidden"), [((8, 8), 4, 0.75, 3), ((9, 7), 3, 0.5, 4)])
def test_as_many_patches_are_hidden_in_every_image(shape, patch, share, hidden):
    mask = see(rand(3000, 1, *shape), kind="masked_patches", patch=patch, share=share).mask[:, 0]
    corners = mask[:, ::patch, ::patch]  # one pixel of every patch
    assert corners.sum(dim=(1, 2)).unique().tolist() == [hidden]
    grown = corners.repeat_interleave(patch, 1).repeat_interleave(patch, 2)[:, : shape[0], : shape[1]]
    assert torch.equal(grown, mask)
    chance = corners.float().mean(dim=0)
    assert torch.allclose(chance, torch.full_like(chance, hidden / chance.numel()), atol=0.04)


def test_grey_is_the_luma_of_the_colours_on_all_channels():
    x = rand(4, 3, 5, 6)
    grey = see(x, kind="colourise").x
    expected = 0.299 * x[:, 0] + 0.587 * x[:, 1] + 0.114 * x[:, 2]
    assert torch.allclose(grey, expected[:, None].expand_as(x), atol=1e-6)
    assert torch.allclose(see(x * 2 - 1, (-1, 1), kind="colourise").x, grey * 2 - 1, atol=1e-6)
    assert torch.equal(wanted(task(kind="grey"), x, (0, 1)), grey), "one way is asked for what the other is given"
    assert torch.equal(see(x, kind="grey").x, x)


@pytest.mark.parametrize("factor", [2, 4])
def test_the_small_image_is_the_mean_of_the_pixels(factor):
    x = rand(3, 3, 8, 12)
    seen = see(x, kind="super_resolve", factor=factor, enlarge="nearest").x
    blocks = x.view(3, 3, 8 // factor, factor, 12 // factor, factor).mean(dim=(3, 5))
    assert torch.allclose(seen[:, :, ::factor, ::factor], blocks, atol=1e-6)
    assert torch.equal(seen[:, :, ::factor, ::factor], seen[:, :, factor - 1 :: factor, factor - 1 :: factor])
    flat = torch.full((1, 1, 8, 8), 0.3)
    for enlarge in ("nearest", "bilinear", "bicubic"):
        options = {"factor": factor, "enlarge": enlarge}
        assert torch.allclose(see(flat, kind="super_resolve", **options).x, flat, atol=1e-6)
        small = wanted(task(kind="down_sample", **options), x, (0, 1))
        assert torch.equal(small, see(x, kind="super_resolve", **options).x), (
            "one way is asked for what the other is given"
        )
        assert torch.equal(see(x, kind="down_sample", **options).x, x)


def test_a_blurred_point_is_a_gaussian_and_a_plane_stays_one_at_its_edges():
    point = torch.zeros(1, 1, 21, 15)
    point[0, 0, 10, 7] = 1
    blurred = see(point, kind="deblur", sigma=1.5).x[0, 0]
    ratio = blurred[10, 9] / blurred[10, 7]
    assert ratio.item() == pytest.approx(np.exp(-(2**2) / (2 * 1.5**2)), rel=1e-4)
    assert blurred.sum().item() == pytest.approx(1, abs=1e-3)  # each row of the filter sums to 1
    assert torch.allclose(see(torch.full((1, 3, 5, 9), 0.7), kind="deblur", sigma=4).x, torch.tensor(0.7), atol=1e-6)


REFUSED = [
    ({"kind": "colourise"}, (1, 8, 8), "these images have 1 channel: there is no colour to find"),
    ({"kind": "grey"}, (1, 8, 8), "task.kind is 'grey', but these images have 1 channel: they are grey already"),
    (
        {"kind": "down_sample"},
        (1, 8, 9),
        "task.kind is 'down_sample' with factor 2, .* both sides must be multiples of 2",
    ),
    ({"kind": "super_resolve"}, (1, 9, 8), "these images are 9x8 pixels: both sides must be multiples of 2"),
    ({"kind": "super_resolve", "factor": 4}, (3, 8, 10), "both sides must be multiples of 4"),
    ({"kind": "masked_patches", "patch": 8}, (1, 8, 8), "one patch would be all of it"),
]


@pytest.mark.parametrize(("options", "shape", "sentence"), REFUSED)
def test_images_that_cannot_have_a_task_are_refused_before_training(options, shape, sentence):
    config = parse({"task": options})
    with pytest.raises(ConfigError, match=sentence) as error:
        config.suits(Facts(shape, (0, 1), 4, ()))
    assert list(error.value.fields) == ["task.kind"]
    with pytest.raises(ConfigError, match=sentence):
        start(config, Facts(shape, (0, 1), 4, ()), 1)


@EACH
def test_a_model_trains_on_every_task(options):
    shape = (3, 8, 8)
    backbone = {"kind": "dense", "widths": [5]}
    config = parse({"model": {"backbone": backbone}, "task": options, "training": {"max_steps": 2, "device": "cpu"}})
    facts = Facts(shape, (0, 1), 12, ("a",))
    images = torch.randint(0, 256, (12, *shape), dtype=torch.uint8, generator=generator())
    labels = torch.zeros(12, dtype=torch.int64)
    data = Data(images[:8], labels[:8], images[8:], labels[8:], np.arange(4), "val", facts)
    first, second = ([*train(start(config, facts, 1), data, config)] for _ in range(2))
    assert first == second
    assert all(np.isfinite(row.value) for row in first)
