"""What each backbone computes, against PyTorch's own layers or by hand, and what it refuses."""

import math
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from aecore.config import ConfigError, Facts, ModelConfig, parse
from aecore.models import Batch, Output, Progress, build, summary, unset
from aecore.models.transformer import Attention
from aecore.tasks import corrupt

DIGITS = Facts((1, 28, 28), (0, 1), 100, ("a", "b"))


def model_of(backbone: dict, facts: Facts = DIGITS, **values: object) -> nn.Module:
    torch.manual_seed(0)
    return build(ModelConfig.model_validate({"backbone": backbone, **values}), facts)


def test_attention_is_that_of_pytorch_with_and_without_hidden_tokens():
    torch.manual_seed(0)
    qkv = torch.randn(2, 7, 3 * 12, dtype=torch.float64)
    hidden = torch.tensor([[0, 1, 0, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0, 1]], dtype=torch.bool)
    q, k, v = qkv.view(2, 7, 3, 4, 3).permute(2, 0, 3, 1, 4)
    for told, mask in ((None, None), (hidden, ~hidden[:, None, None])):
        expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
        assert torch.allclose(Attention(4)(qkv, told), expected, rtol=1e-12, atol=1e-14)


def test_what_is_visible_becomes_the_same_whatever_the_hidden_patches_would_have_been():
    """The encoder of a masked autoencoder sees the visible patches only: so does this one."""
    model = model_of({"kind": "transformer", "width": 8, "heads": 2, "depth": 2}, bottleneck={"kind": "feature_map"})
    encoder = model.eval().encoder.layers
    task = parse({"task": {"kind": "masked_patches", "patch": 4, "share": 0.75}}).task
    seen = corrupt(task, torch.rand(3, 1, 28, 28), (0, 1), torch.Generator().manual_seed(1))
    hidden = encoder.hidden(seen.x)
    assert hidden.sum(1).tolist() == [37, 37, 37]  # round(0.75 * 49) in every image, and no others
    assert torch.equal(hidden, seen.mask[:, 0, ::4, ::4].flatten(1))

    rounded = (seen.x * 255).round() / 255  # as an analysis hands it over, with mid-grey between two values of a pixel
    assert torch.equal(encoder.hidden(rounded), hidden)
    visible = ~hidden[0]
    alone = encoder.embed(seen.x[:1])[:, visible]  # no other token exists at all
    for block in encoder.blocks:
        alone = block(alone)
    features = encoder(seen.x)[0].flatten(1).T  # (49, 8)
    assert torch.allclose(features[visible], encoder.norm(alone)[0], atol=1e-5)
    assert torch.equal(features[hidden[0]], encoder.unknown.token.expand(37, 8))


def test_an_image_that_is_hidden_altogether_is_attended_to():
    model = model_of({"kind": "transformer", "width": 8, "heads": 2, "depth": 1})
    assert torch.isfinite(model(Batch(torch.full((2, 1, 28, 28), 0.5), torch.rand(2, 1, 28, 28))).x_hat).all()


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3)])
def test_recurrent_layers_have_the_parameters_of_the_formula_and_the_states_of_pytorch(cell, gates):
    backbone = {"kind": "recurrent", "widths": [5, 4], "cell": cell, "bidirectional": True}
    config = ModelConfig.model_validate({"backbone": backbone, "bottleneck": {"kind": "vector", "latent_dim": 3}})
    layer = lambda inputs, units, ways: ways * gates * (units * (inputs + units) + 2 * units)
    down, up = layer(28, 5, 2) + layer(10, 4, 2), layer(8, 4, 1) + layer(4, 5, 1)
    assert summary(config, DIGITS).parameters == down + (8 * 3 + 3) + (3 * 8 + 8) + up + (5 * 28 + 28)

    model, x = build(config, DIGITS), torch.rand(2, 1, 28, 28)
    layers = [part for part in model.encoder.layers if isinstance(part, nn.RNNBase)]
    theirs = {"lstm": nn.LSTM, "gru": nn.GRU}[cell]
    steps = x[:, 0]
    for own in layers:
        other = theirs(own.input_size, own.hidden_size, batch_first=True, bidirectional=True)
        other.load_state_dict(own.state_dict())
        steps, last = other(steps)
    last = last[0] if cell == "lstm" else last  # (directions, B, units)
    assert torch.allclose(model.encoder.layers(x), torch.cat([last[0], last[1]], dim=1), atol=1e-6)


@pytest.mark.parametrize("over", ["rows", "columns"])
def test_what_is_written_backwards_is_the_same_with_its_steps_in_the_other_order(over):
    forwards, backwards = (
        model_of({"kind": "recurrent", "widths": [5], "over": over, "reverse": reverse}).eval()
        for reverse in (False, True)
    )
    x = torch.rand(2, 1, 28, 28)
    assert torch.equal(backwards.encode(x), forwards.encode(x)), "what reads does not change"
    written = [model.decode(model.encode(x)) for model in (forwards, backwards)]
    assert torch.equal(written[1], written[0].flip(2 if over == "rows" else 3))
    assert not torch.equal(written[1], written[0])


def test_group_norm_and_layer_norm_are_pytorchs_over_groups_of_channels():
    options = {"kind": "conv", "channels": [6, 4], "groups": 3}
    x = torch.randn(2, 6, 14, 14)
    for norm, groups in (("group", 3), ("layer", 1)):
        layer = model_of(options | {"norm": norm}).encoder.layers[0].norm
        parts = x.view(2, groups, -1)
        by_hand = (parts - parts.mean(2, keepdim=True)) / (parts.var(2, unbiased=False, keepdim=True) + 1e-5).sqrt()
        assert torch.allclose(layer(x), by_hand.view_as(x), atol=1e-5)


def test_a_residual_block_whose_convolutions_are_zero_changes_nothing():
    block = model_of({"kind": "conv", "residual": 1, "norm": "group"}).encoder.layers[0].residual1
    nn.init.zeros_(block.layers[-1].weight)
    nn.init.zeros_(block.layers[-1].bias)
    x = torch.randn(2, 16, 5, 7)
    assert torch.equal(block(x), x)


def test_a_tied_decoder_has_the_encoders_weights_also_after_a_step_and_when_it_is_loaded():
    config = ModelConfig.model_validate({"backbone": {"kind": "dense", "widths": [9, 7], "tied": True}})
    model = model_of({"kind": "dense", "widths": [9, 7], "tied": True})
    weights = 784 * 9 + 9 * 7 + 7 * 16
    assert sum(p.numel() for p in model.parameters()) == weights + (9 + 7 + 16) + (7 + 9 + 784)
    assert sum(layer.parameters for layer in summary(config, DIGITS).layers) == summary(config, DIGITS).parameters
    for one in (model, unset(config, DIGITS)):
        assert one.decoder.bottleneck[0].weight is one.encoder.bottleneck.dense.weight
        assert one.decoder.layers[0].weight is one.encoder.layers[3].weight
        assert one.decoder.layers[2].weight is one.encoder.layers[1].weight


def test_dropout_draws_from_the_runs_generator_and_only_in_training():
    model, x = model_of({"kind": "dense", "widths": [50], "dropout": 0.5}), torch.rand(4, 1, 28, 28)
    outputs = [model(Batch(x, x), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert isinstance(outputs[0], Output)
    assert torch.equal(outputs[0].x_hat, outputs[1].x_hat)
    assert not torch.equal(outputs[0].x_hat, outputs[2].x_hat)
    model.eval()
    assert torch.equal(model(Batch(x, x)).x_hat, model(Batch(x, x)).x_hat)


def test_what_is_in_no_file_is_there_when_a_model_is_loaded():
    for backbone, bottleneck in (({"kind": "conv"}, {"kind": "fsq"}), ({"kind": "transformer"}, {"kind": "vector"})):
        config = ModelConfig.model_validate({"backbone": backbone, "bottleneck": bottleneck})
        expected, found = (dict(make(config, DIGITS).named_buffers()) for make in (build, unset))
        assert list(expected) == list(found)
        for name in set(expected) - set(unset(config, DIGITS).state_dict()):
            assert torch.equal(found[name], expected[name])


REFUSED = [
    ({"kind": "transformer", "width": 30, "heads": 4}, "model.backbone.width is 30, but 4 heads share it"),
    ({"kind": "transformer", "width": 6, "heads": 3}, "use a multiple of 4"),
    ({"kind": "conv", "norm": "group", "channels": [6, 8]}, "model.backbone.groups is 4, but a layer has 6 channels"),
]


@pytest.mark.parametrize(("backbone", "sentence"), REFUSED)
def test_layers_that_cannot_be_are_refused_in_words(backbone, sentence):
    with pytest.raises(ConfigError, match=sentence):
        parse({"model": {"backbone": backbone}})
    with pytest.raises(ConfigError, match=sentence.replace("backbone", "decoder")) as error:
        parse({"model": {"decoder": backbone}})
    assert all(path.startswith("model.decoder.") for path in error.value.fields)


def test_a_sequence_model_on_colour_images_and_a_patch_that_is_the_image_are_refused_before_training():
    recurrent, whole = ({"kind": "recurrent"}, {"kind": "transformer", "patch": 16})
    for part in ("backbone", "decoder"):
        with pytest.raises(ConfigError, match=f"model.{part}.kind is 'recurrent'.*have 3 channels"):
            parse({"model": {part: recurrent}}).suits(Facts((3, 8, 8), (0, 1), 9, ()))
        with pytest.raises(ConfigError, match=f"model.{part}.patch is 16, .*Use at most 7"):
            parse({"model": {part: whole}}).suits(Facts((1, 8, 8), (0, 1), 9, ()))


def test_tied_weights_need_a_decoder_that_mirrors():
    with pytest.raises(ConfigError, match="only a decoder that mirrors its encoder can have its weights"):
        parse({"model": {"backbone": {"kind": "dense", "tied": True}, "decoder": {"kind": "conv"}}})


@pytest.mark.parametrize(
    ("size", "images", "said"), [(1, 40, "is 1,"), (13, 40, "leaves a last batch of one of 40 images")]
)
def test_a_batch_of_one_cannot_be_normalised_by_itself(size, images, said):
    content = {"model": {"backbone": {"kind": "conv", "norm": "batch"}}, "training": {"batch_size": size}}
    facts = Facts((1, 28, 28), (0, 1), images, ())
    with pytest.raises(ConfigError, match=said) as error:
        parse(content).suits(facts)
    assert list(error.value.fields) == ["training.batch_size"]
    better = int(str(error.value).partition("use ")[2].partition(",")[0])
    parse(content | {"training": {"batch_size": better}}).suits(facts)
    if size > 1:  # the last batch is never reached
        parse(content | {"training": {"batch_size": size, "max_steps": math.ceil(images / size) - 1}}).suits(facts)
    parse(content | {"model": {"backbone": {"kind": "conv", "norm": "layer"}}}).suits(facts)


def test_a_transformer_learns_from_hidden_patches():
    model = model_of({"kind": "transformer", "width": 8, "heads": 2, "depth": 1}, bottleneck={"kind": "feature_map"})
    x = torch.rand(2, 1, 28, 28)
    seen = x.clone()
    seen[:, :, :8] = 0.5
    (terms,) = model.training_step(Batch(seen, x), Progress(0, 1))
    terms["reconstruction"].backward()
    assert model.encoder.layers.unknown.token.grad.abs().sum() > 0


def test_a_model_is_loaded_without_importing_a_compiler():
    """`to_empty` of torch imports sympy to find out how a tensor lies: most of a second in each process that loads a model."""
    script = """import sys
from aecore.config import Facts, ModelConfig
from aecore.models import unset
unset(ModelConfig.model_validate({"backbone": {"kind": "conv"}}), Facts((1, 28, 28), (0, 1), 100, ()))
print({"sympy", "torch._dynamo"} & set(sys.modules))
"""
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
