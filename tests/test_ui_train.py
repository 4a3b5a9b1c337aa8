"""The Train page: what it says of a configuration, and that five clicks make one run."""

import json
import math
import re
from html import unescape
from pathlib import Path
from unittest.mock import Mock

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Selectbox

from aecore.config import Facts, parse, preset, presets
from aecore.jobs import devices
from aecore.models import summary
from aecore.runs import Lab, runs
from tests.conftest import TrainedRun
from ui import estimates, network, start
from ui.hourglass import Stage, hourglass, stages

ROOT = Path(__file__).parents[1]


def open_page(lab: Lab, monkeypatch: pytest.MonkeyPatch, **query: str) -> AppTest:
    monkeypatch.setenv("AELAB_HOME", str(lab.path))
    monkeypatch.delenv("AELAB_DATA", raising=False)
    at = AppTest.from_file(str(ROOT / "ui/main.py"), default_timeout=120)
    for name, value in query.items():
        at.query_params[name] = value
    at.switch_page(str(ROOT / "pages/train.py"))
    return at.run()


def text(at: AppTest) -> str:
    return unescape(" ".join(block.proto.body for block in at.get("html") if "<style>" not in block.proto.body))


def content(at: AppTest) -> dict:  # type: ignore[type-arg]
    return at.session_state[start.DRAFT].content


def preset_box(at: AppTest) -> Selectbox:
    box: Selectbox = next(box for box in at.selectbox if str(box.key).startswith(f"{start.BOX}-"))
    return box


@pytest.fixture
def at(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    return open_page(lab, monkeypatch)


def test_the_page_opens_on_an_empty_lab_with_the_first_preset_and_its_figures(at: AppTest) -> None:
    assert not at.exception
    assert preset_box(at).value == "demo"
    said = text(at)
    counted = summary(preset("demo").config.model, Facts((1, 28, 28), (0.0, 1.0), 1, ()))
    assert f"{counted.parameters:,}" in said
    assert counted.layers[0].name in said
    for words in ("392 × smaller", "784 pixels → 2 numbers", "Memory to train", "Runs on"):
        assert words in said
    assert not at.button("queue-run").disabled


def test_a_flaw_is_said_with_the_way_out_of_it(at: AppTest) -> None:
    preset_box(at).set_value("conv-valid-5x5").run()
    said = text(at)
    assert "no compression: × 0.12" in said
    assert "Published flaw, kept." in said
    at.button("twin").click().run()
    assert preset_box(at).value == "conv-valid-5x5-tanh"


def test_every_preset_can_be_queued_as_it_is(at: AppTest) -> None:
    for name, found in presets().items():
        preset_box(at).set_value(name).run()
        assert not at.exception, name
        assert parse(content(at) | {"name": name}) == found.config
        assert not at.button("queue-run").disabled, name


def test_a_preset_opens_by_its_link(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_page(lab, monkeypatch, preset="vae-2")
    assert not at.exception
    assert preset_box(at).value == "vae-2"


def visit(at: AppTest, page: str, **query: str) -> None:
    """Go to another page of the same session, or back."""
    at.query_params.clear()
    at.query_params.update(query)
    at.switch_page(str(ROOT / f"pages/{page}.py")).run()


def test_what_was_typed_is_there_on_the_way_back_and_another_link_begins_anew(at: AppTest) -> None:
    preset_box(at).set_value("vae-2").run()
    assert at.query_params["preset"] == "vae-2"
    at.number_input("draft:model.bottleneck.latent_dim").set_value(7).run()
    at.text_input("draft:name").set_value("mine").run()
    visit(at, "runs")
    visit(at, "train", preset="vae-2")
    assert (content(at)["model"]["bottleneck"]["latent_dim"], content(at)["name"]) == (7, "mine")
    assert preset_box(at).value == ""
    visit(at, "runs")
    visit(at, "train", preset="conv-16")
    assert (preset_box(at).value, content(at)["name"]) == ("conv-16", "")


def test_what_was_changed_of_a_clone_is_there_on_the_way_back_and_the_box_has_the_clone_as_it_was(
    trained_run: TrainedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = open_page(trained_run.lab, monkeypatch, clone=trained_run.id)
    at.number_input("draft:training.epochs").set_value(37).run()
    visit(at, "home")
    visit(at, "train", clone=trained_run.id)
    assert content(at)["training"]["epochs"] == 37
    assert preset_box(at).options[:2] == ["Own, from tiny", "tiny, as it was"]
    preset_box(at).set_value(start.AGAIN).run()
    assert content(at)["training"]["epochs"] == trained_run.folder.config().training.epochs
    assert preset_box(at).options[:2] == ["tiny", "Demo"]


def test_a_typed_name_stays_when_another_preset_is_chosen(at: AppTest) -> None:
    at.text_input("draft:name").set_value("typed with care").run()
    preset_box(at).set_value("vae-2").run()
    assert at.text_input("draft:name").value == content(at)["name"] == "typed with care"
    preset_box(at).set_value("conv-valid-5x5").run()
    at.button("twin").click().run()
    assert (preset_box(at).value, content(at)["name"]) == ("conv-valid-5x5-tanh", "typed with care")
    assert at.query_params["preset"] == "conv-valid-5x5-tanh"


def test_the_box_of_presets_has_each_once(at: AppTest) -> None:
    assert preset_box(at).options == [found.title for found in presets().values()]


def test_data_that_is_not_there_is_said_with_a_stand_in(at: AppTest) -> None:
    preset_box(at).set_value("scatter-2").run()
    assert "MNIST is not on this machine." in text(at)
    at.button("stand-in").click().run()
    assert content(at)["data"]["name"] == "glyphs"
    assert "is not on this machine" not in text(at)


def test_a_change_makes_it_ones_own_and_moves_the_figures(at: AppTest) -> None:
    at.number_input("draft:model.bottleneck.latent_dim").set_value(49).run()
    assert preset_box(at).value == ""
    assert "16 × smaller" in text(at)
    assert at.text_input("draft:name").placeholder == "Name: glyphs-conv-49"


def test_what_a_slow_browser_still_says_of_the_preset_undoes_no_change(at: AppTest) -> None:
    heard = at._tree
    preset_box(at).set_value("demo")
    at.number_input("draft:training.epochs").set_value(37).run()
    at._tree = heard
    at.text_input("draft:name").set_value("typed with care").run()
    assert (content(at)["training"]["epochs"], content(at)["name"]) == (37, "typed with care")
    assert preset_box(at).value == ""


def test_a_layer_more_has_its_own_number(at: AppTest) -> None:
    preset_box(at).set_value("conv-valid-5x5").run()
    at.number_input("draft:model.backbone.channels#").set_value(3).run()
    assert content(at)["model"]["backbone"]["channels"] == [6, 16, 42]
    at.number_input("draft:model.backbone.channels#2").set_value(20).run()
    assert content(at)["model"]["backbone"]["channels"] == [6, 16, 20]


def test_what_cannot_be_is_said_and_cannot_be_queued(lab: Lab, at: AppTest) -> None:
    at.number_input("draft:model.backbone.kernel").set_value(31).run()
    assert text(at).count("“Kernel” is 31, but the input of convolution 1 is only 28x28") == 1
    assert "<b>This cannot be queued yet.</b> What is wrong is said at “Kernel”." in text(at)
    assert at.button("queue-run").disabled
    assert runs(lab) == []


def test_five_clicks_make_one_run_and_new_run_another(lab: Lab, at: AppTest) -> None:
    for _ in range(5):
        at.button("queue-run").click().run()
    assert not at.exception
    assert len(runs(lab)) == 1
    assert f"Queued as <b>{runs(lab)[0].id}</b>" in text(at)
    at.button("new-run").click().run()
    at.button("queue-run").click().run()
    assert len(runs(lab)) == 2


def test_a_changed_configuration_is_another_run_and_so_is_the_way_back(lab: Lab, at: AppTest) -> None:
    at.button("queue-run").click().run()
    for size, known in ((3, 2), (2, 3)):
        at.number_input("draft:model.bottleneck.latent_dim").set_value(size).run()
        at.button("queue-run").click().run()
        assert len(runs(lab)) == known


def test_a_run_is_cloned_into_the_form(trained_run: TrainedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_page(trained_run.lab, monkeypatch, clone=trained_run.id)
    assert not at.exception
    config = trained_run.folder.config()
    assert parse(content(at) | {"name": config.name}) == config
    assert at.text_input("draft:name").placeholder == "Name: tiny"


def test_a_link_to_nothing_is_a_sentence(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_page(lab, monkeypatch, clone="no-such-run")
    assert not at.exception
    assert "There is no run 'no-such-run'" in at.error[0].value


def test_a_configuration_is_kept_as_ones_own_preset(lab: Lab, at: AppTest) -> None:
    at.number_input("draft:model.bottleneck.latent_dim").set_value(5).run()
    at.text_input("own-name").set_value("five").run()
    at.button("own-save").click().run()
    assert presets(lab.presets_folder)["five"].config.model.bottleneck.latent_dim == 5  # type: ignore[union-attr]
    at.text_input("own-name").set_value("demo").run()
    at.button("own-save").click().run()
    assert "belongs to a preset that comes with the lab" in at.error[0].value
    lab.seen_by("bob").keep_preset("bobs", presets()["demo"].config)
    at.text_input("own-name").set_value("bobs").run()
    at.button("own-save").click().run()
    assert "There is a preset 'bobs' already, which is bob's\\: choose another name." in at.error[0].value


def test_a_member_is_not_told_where_the_lab_lies(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab.path / "settings.json").write_text('{"access": {"admins": ["cyd"]}}')
    at = open_page(lab, monkeypatch)
    monkeypatch.setattr(Path, "write_text", Mock(side_effect=OSError(30, "Read-only file system")))
    at.text_input("own-name").set_value("mine").run()
    at.button("own-save").click().run()
    assert at.error[0].value == "The preset could not be saved\\: Read-only file system."


def test_a_file_of_numbers_that_nothing_can_hold_is_a_sentence(at: AppTest) -> None:
    at.file_uploader(start.UPLOAD).upload("big.json", b'{"a": %s}' % (b"1" * 10_000)).run()
    assert not at.exception
    assert "a number in it has thousands of digits." in at.error[0].value


def test_a_file_is_taken_over_or_refused_with_a_sentence(at: AppTest) -> None:
    preset_box(at).set_value("vae-2").run()
    config = preset("halving-196").config.model_dump(mode="json")
    at.file_uploader(start.UPLOAD).upload("mine.json", json.dumps(config).encode()).run()
    assert content(at)["model"]["backbone"]["widths"] == [392]
    config["training"]["epoch"] = 3
    at.file_uploader(start.UPLOAD).upload("bad.json", json.dumps(config).encode()).run()
    assert "training.epoch is not a known field: did you mean epochs?" in at.error[0].value.replace("\\", "")
    assert content(at)["model"]["backbone"]["widths"] == [392]


def test_large_models_are_announced(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_page(lab, monkeypatch, preset="stl10-conv-100")
    said = text(at)
    assert "This is a large model: " in said
    assert " GB to train, 3.2 GB a checkpoint." in said


def test_compression_is_said_in_words() -> None:
    facts = Facts((1, 28, 28), (0.0, 1.0), 1, ())
    assert estimates.compression(facts, 16)[0] == "49 × smaller"
    assert estimates.compression(facts, 6400)[0] == "no compression: × 0.12"


def test_a_code_of_finitely_many_takes_the_bits_that_tell_it_from_the_others() -> None:
    for name, book in (("vq-vae", 512), ("fsq", 512)):
        config = presets()[name].config
        found = estimates.summary(config, Facts((1, 28, 28), (0.0, 1.0), 1, ()))
        bottleneck = config.model.bottleneck
        bits = bottleneck.bits(found.code_shape)
        assert bits == 49 * math.log2(book)
        assert bottleneck.code_bytes(found.code_shape) == 56
        assert estimates.compression(Facts((1, 28, 28), (0.0, 1.0), 1, ()), found.code_size, bits) == (
            "14.2 × smaller",
            "784 bytes → 441 bits",
        )
    plain = presets()["conv-16"].config.model.bottleneck
    assert (plain.bits((16,)), plain.code_bytes((16,))) == (None, 16)


def test_what_no_image_passes_has_a_row_so_that_the_parameters_add_up() -> None:
    words = {
        "vq-vae": "Code book",
        "aae": "Learnt by the objective",
        "swap": "Decoders of the other labels",
        "conv-16": "",
    }
    for name, beside in words.items():
        found = estimates.summary(presets()[name].config, Facts((1, 28, 28), (0.0, 1.0), 1, ("a", "b")))
        assert list(found.beside) == [beside] * bool(beside)
        numbers = [int(n.replace(",", "")) for n in re.findall(r"<td class=n>([\d,]+)</td>", network._table(found))]
        assert sum(numbers[:-1]) == numbers[-1] == found.parameters


def test_the_hourglass_shows_every_tensor_once_and_the_code_in_the_middle() -> None:
    layers = [
        ("encoder", "Convolution", (8, 14, 14), 9),
        ("encoder", "Batch norm", (8, 14, 14), 9),
        ("encoder", "Dense", (64,), 9),
        ("bottleneck", "Dense", (2,), 9),
        ("bottleneck", "Dense", (64,), 9),
        ("decoder", "Dense", (1568,), 9),
        ("decoder", "Transposed convolution", (1, 28, 28), 9),
    ]
    found = stages(layers, (1, 28, 28), (2,))
    assert [stage.label for stage in found] == ["1×28×28", "8×14×14", "64", "2", "64", "8×14×14", "1×28×28"]
    drawing = hourglass(found, [Stage("input", "", (784,)), Stage("code", "", (3,)), Stage("output", "", (784,))])
    assert drawing.count("<circle") == 2, "a small code is drawn as its numbers"
    assert drawing.count("<text") == len(found) + 1


def test_a_device_that_is_not_there_is_said_at_the_field(at: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aecore.jobs.devices.gpus", list)
    at.selectbox("draft:training.device").set_value("cuda").run()
    assert text(at).count("There is no CUDA GPU on this machine") == 1
    assert "What is wrong is said at “Device”." in text(at)
    assert at.button("queue-run").disabled


def test_a_precision_that_the_device_has_not_is_said_at_the_field(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aecore.jobs.devices.gpus", list)
    at, told = open_page(lab, monkeypatch), {}
    for precision, has in (("fp32", False), ("tf32", True), ("bf16", True), ("bf16", False)):
        monkeypatch.setattr("aecore.jobs.devices.has_bfloat16", lambda has=has: has)
        at.session_state[start.DRAFT] = at.session_state[start.DRAFT].put("training.precision", precision)
        at.run()
        assert not at.button("queue-run").disabled
        said = text(at)
        told[precision, has] = ("TF32 is of GPUs" in said, "processor has no bfloat16" in said)
    assert told == {
        ("fp32", False): (False, False),
        ("tf32", True): (True, False),
        ("bf16", True): (False, False),
        ("bf16", False): (False, True),
    }


@pytest.mark.parametrize(
    ("told", "has"),
    [("flags\t\t: fpu avx512_bf16 x", True), ("flags\t: avx512f", False), ("Features : fp bf16", True), ("", None)],
)
def test_whether_the_processor_has_bfloat16_is_what_linux_tells(
    told: str, has: bool | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nmodel name\t: One of avx512_bf16\n{told}\n")
    monkeypatch.setattr(devices, "CPUINFO", tmp_path / "cpuinfo")
    assert devices.has_bfloat16() is has


def test_a_folder_asks_for_its_path_at_the_top(at: AppTest) -> None:
    at.selectbox("draft:data.name").set_value("folder").run()
    assert not at.exception
    assert at.text_input("draft:data.path").value == ""
    assert at.button("queue-run").disabled
    sentence = "“Folder or zip” is empty, but the data set “One's own images” needs a folder or zip of class folders."
    assert text(at).count(sentence) == 1
    assert "This cannot be queued yet." in text(at)


def test_cuda_graphs_are_refused_where_there_is_no_gpu(at: AppTest, lab: Lab) -> None:
    at.session_state[start.DRAFT] = at.session_state[start.DRAFT].put("training.engine", "graphs")
    at.run()
    assert at.button("queue-run").disabled
    assert "“Engine” is “Graphs”, but the run would go to the CPU" in text(at)


def test_the_task_is_chosen_beside_the_others_with_its_control(lab: Lab, at: AppTest) -> None:
    at.button("draft:task.kind").click().run()
    assert at.button("draft:task.kind=colourise").disabled
    assert "there is no colour to find" in at.button("draft:task.kind=colourise").label
    at.button("draft:task.kind=denoise").click().run()
    assert content(at)["task"]["kind"] == "denoise"
    at.number_input("draft:task.sigma").set_value(0.3).run()
    at.button("queue-run").click().run()
    assert runs(lab)[0].id
    assert lab.run(runs(lab)[0].id).config().task.sigma == 0.3  # type: ignore[union-attr]


def test_what_was_forbidden_is_offered_once_the_other_choice_is_made(at: AppTest) -> None:
    at.button("draft:model.objective.kind").click().run()
    assert at.button("draft:model.objective.kind=elbo").disabled
    at.button("draft:model.bottleneck.kind").click().run()
    at.button("draft:model.bottleneck.kind=gaussian").click().run()
    at.button("draft:model.objective.kind").click().run()
    at.button("draft:model.objective.kind=elbo").click().run()
    assert not at.exception
    assert not at.button("queue-run").disabled
    assert parse(content(at)).model.objective.kind == "elbo"


def test_sequences_are_read_step_by_step_by_advice(at: AppTest) -> None:
    preset_box(at).set_value("lstm-waves").run()
    assert "In Waves time runs from left to right" not in text(at)
    at.session_state[start.DRAFT] = at.session_state[start.DRAFT].put("model.backbone.over", "rows")
    at.run()
    assert "In Waves time runs from left to right" in text(at)
