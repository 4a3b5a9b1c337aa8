"""Quantised codes: the nearest vectors, the gradient straight through, and a code book that follows and wakes its dead."""

import math

import numpy as np
import pytest
import torch

from aecore.config import Facts, ModelConfig
from aecore.config.bottlenecks import FsqBottleneck, VqBottleneck
from aecore.models import Autoencoder, Batch, Progress, build, use_of_codes
from aecore.models.quantised import AT_ONCE, CodeBook, EnterFsq, EnterVq
from aecore.training import memory, start, train
from aecore.training.data import Data
from tests.conftest import tiny

FACTS = Facts((1, 8, 8), (0, 1), 20, ())


def book_of(vectors: list[list[float]], **values: float) -> CodeBook:
    config = VqBottleneck(codes=len(vectors), dimension=len(vectors[0]), **values)
    book = CodeBook(config)
    book.vectors.copy_(torch.tensor(vectors))
    return book


def enter_with(book: CodeBook) -> EnterVq:
    enter = EnterVq((4,), VqBottleneck(codes=len(book.vectors), dimension=book.vectors.shape[1], vectors=2))
    enter.book = book
    return enter


def test_each_vector_is_replaced_by_the_nearest_and_its_gradient_passes_straight_through():
    enter = enter_with(book_of([[0.0, 0.0], [1.0, 1.0], [4.0, 0.0]]))
    x = torch.tensor([[0.6, 0.7], [3.0, 1.0], [-5.0, 0.0]], requires_grad=True)
    z, taken = enter.quantise(x)
    assert taken.tolist() == [1, 2, 0]
    assert torch.allclose(z, torch.tensor([[1.0, 1.0], [4.0, 0.0], [0.0, 0.0]]))
    weights = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    (z * weights).sum().backward()
    assert torch.equal(x.grad, weights)


def test_of_any_number_of_vectors_each_gets_its_nearest():
    x = torch.randn(AT_ONCE + 5, 3, generator=torch.Generator().manual_seed(0))
    book = book_of([[0.0, 0.0, 1.0], [1.0, 1.0, 0.0], [-1.0, 0.5, 0.0]])
    assert torch.equal(book.nearest(x), torch.cdist(x.double(), book.vectors.double()).argmin(1))


def test_commitment_is_the_weighted_mean_square_and_draws_only_the_encoder():
    enter = enter_with(book_of([[0.0, 0.0], [1.0, 1.0]])).eval()
    x = torch.tensor([[0.5, 0.9], [0.1, 0.0]], requires_grad=True)  # two vectors of one image
    commitment = enter.settle(x, enter.quantise(x)[1], 1, None)
    assert commitment.tolist() == pytest.approx([0.25 * (0.25 + 0.01 + 0.01) / 4])
    commitment.sum().backward()
    assert torch.allclose(x.grad, 0.25 * 2 * torch.tensor([[-0.5, -0.1], [0.1, 0.0]]) / 4)


def test_the_code_book_is_the_moving_average_of_what_takes_it():
    book = book_of([[0.0], [10.0]], decay=0.5, restart=0)
    x = torch.tensor([[1.0], [3.0], [9.0]])
    book.follow(x, book.nearest(x), None)
    assert book.counts.tolist() == [1, 0.5]
    assert book.sums.flatten().tolist() == [2, 4.5]
    assert book.vectors.flatten().tolist() == pytest.approx([2, 9], abs=1e-3)
    book.follow(x, book.nearest(x), None)
    assert book.counts.tolist() == [1.5, 0.75]
    assert book.vectors.flatten().tolist() == pytest.approx([2, 9], abs=1e-3)


def test_dead_vectors_restart_at_vectors_of_the_batch_and_the_others_do_not():
    book = book_of([[0.0], [100.0], [200.0]], decay=0.9, restart=0.05)
    book.counts.copy_(torch.tensor([5.0, 5.0, 0.1]))
    book.sums.copy_(torch.tensor([[0.0], [500.0], [20.0]]))
    x = torch.tensor([[0.0], [0.0], [98.0]])
    book.follow(x, book.nearest(x), torch.Generator().manual_seed(0))
    assert book.vectors[0].item() == pytest.approx(0, abs=0.1)
    assert book.vectors[1].item() == pytest.approx((0.9 * 500 + 0.1 * 98) / (0.9 * 5 + 0.1), rel=1e-3)
    assert min(abs(book.vectors[2].item() - near) for near in (0, 98)) < 0.1
    assert book.counts[2].item() == pytest.approx((0.9 * 10.1 + 0.1 * 3) / 3, rel=1e-3)


def test_fsq_rounds_each_number_to_its_levels():
    enter = EnterFsq((4,), FsqBottleneck(levels=(3, 4), vectors=1))
    x = torch.stack(torch.meshgrid(torch.linspace(-9, 9, 61), torch.linspace(-9, 9, 61), indexing="ij"), 2).view(-1, 2)
    z, taken = enter.quantise(x)
    assert sorted({round(v, 4) for v in z[:, 0].tolist()}) == [-1, 0, 1]
    assert sorted({round(v, 4) for v in z[:, 1].tolist()}) == [-1, -0.5, 0, 0.5]
    assert sorted(set(taken.tolist())) == list(range(12))
    assert len({(*(round(v, 4) for v in pair), n) for pair, n in zip(z.tolist(), taken.tolist(), strict=True)}) == 12


def test_the_gradient_of_fsq_is_that_of_its_squashing():
    enter = EnterFsq((4,), FsqBottleneck(levels=(5,), vectors=1))
    x = torch.tensor([[0.3], [-0.7]], requires_grad=True)
    enter.quantise(x)[0].sum().backward()
    expected = (1 - torch.tanh(x.detach()).square()) * 2 * 1.001 / 2  # half = 2 x 1.001, divided by 5 // 2
    assert torch.allclose(x.grad, expected)


def test_perplexity_and_use_are_exact():
    assert use_of_codes(torch.tensor([5, 5, 0, 0])) == pytest.approx({"perplexity": 2, "code_use": 0.5})
    assert use_of_codes(torch.tensor([1, 1, 2])) == pytest.approx(
        {"perplexity": math.exp(1.5 * math.log(2)), "code_use": 1}
    )


def vq_model() -> Autoencoder:
    torch.manual_seed(0)
    config = {"bottleneck": {"kind": "vq", "codes": 6, "dimension": 3, "vectors": 2}}
    return build(ModelConfig.model_validate(config), FACTS)


def test_the_code_book_moves_in_training_steps_only():
    model, x = vq_model(), torch.rand(5, 1, 8, 8)
    before = model.encoder.bottleneck.book.vectors.clone()
    with model.evaluating():
        model(Batch(x, x))
    model.encode(x)
    assert torch.equal(model.encoder.bottleneck.book.vectors, before)
    model.train().training_step(Batch(x, x), Progress(0, 1), torch.Generator().manual_seed(0))
    assert not torch.equal(model.encoder.bottleneck.book.vectors, before)


def test_a_code_has_one_vector_in_each_place_of_a_map_and_else_as_many_as_asked_for():
    bottleneck = VqBottleneck(dimension=3, vectors=2)
    assert bottleneck.code_shape((8, 5, 4)) == (3, 5, 4)
    assert bottleneck.code_shape((64,)) == (3, 2)


@pytest.mark.parametrize("kind", ["vq", "fsq"])
def test_training_reports_perplexity_and_use_of_the_held_out_images_and_minimises_neither(kind):
    config = tiny(model__bottleneck__kind=kind)
    images = torch.randint(0, 256, (20, 1, 8, 8), dtype=torch.uint8)
    labels, watched = (
        torch.zeros(20, dtype=torch.int64),
        torch.cat([images] * 2),
    )  # with as many places as there are codes
    data = Data(images, labels, watched, torch.cat([labels] * 2), np.arange(40), "val", FACTS)
    rows = list(train(start(config, FACTS, 1), data, config))
    last = {row.name: row.value for row in rows if row is not None and row.split == "val"}
    assert 1 <= last["perplexity"] <= 20 * 16
    assert 0 < last["code_use"] <= 1
    assert last["loss"] == pytest.approx(last["reconstruction"] + last.get("commitment", 0), rel=1e-5)
    assert {row.name for row in rows if row is not None and row.split == "train"}.isdisjoint({"perplexity", "code_use"})


def test_the_distances_from_a_large_code_book_are_counted_and_make_evaluated_batches_small():
    small, large = (
        tiny(model__bottleneck__kind="vq", model__bottleneck__codes=codes, training__batch_size=100)
        for codes in (2, 65536)
    )
    places = small.model.bottleneck.vectors
    assert build(small.model, FACTS).evaluation_batch == 256
    assert build(large.model, FACTS).evaluation_batch == 32
    known = FACTS._replace(n_train=1000)
    more = memory.estimate(large, known).activations - memory.estimate(small, known).activations
    assert more > 100 * places * 65536 * 4
