"""Where a draft starts: a preset, a run that is cloned, a file that is uploaded; and what is known to be wrong with it."""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import streamlit as st

from aecore import data
from aecore.config import ConfigError, Preset, RunConfig, differences, override, presets, reads
from aecore.runs.lab import Lab, LabError
from aecore.runs.text import size
from ui import estimates, frame
from ui.draft import Draft
from ui.form import Form
from ui.words import escape, plain

DRAFT, BASE, NONCE, SENT, SHOWN, BOX, UPLOAD = (
    f"draft{part}" for part in ("", "-base", "-nonce", "-sent", "-shown", "-preset", "-upload")
)
"""Keys of the session: the draft, what it started from, the submit nonce, what was queued, the preset that the box shows, widgets."""

AGAIN = "as it was"
"""In the box of presets a clone or a file before anything was changed: no preset can be called that."""


class Asked(NamedTuple):
    """What a URL asks for: the run that is cloned, the preset, and assignments as `--set` takes them."""

    clone: str = ""
    preset: str = ""
    assignments: tuple[str, ...] = ()


class Base(NamedTuple):
    """What a draft started from; `asked` is empty for a file."""

    title: str
    config: RunConfig
    asked: Asked = Asked()

    @property
    def preset(self) -> str:
        """Its name; '' for a clone or a file."""
        return self.asked.preset

    def unchanged(self) -> "Base":
        """Without what its address changed."""
        return self._replace(asked=self.asked._replace(assignments=()))


def known_presets(lab: Lab) -> dict[str, Preset]:
    """The package's presets and one's own, read again where a file of one's own came or changed."""
    own = tuple((path.name, path.stat().st_mtime_ns) for path in sorted(lab.presets_folder.glob("*.json")))
    return _read_presets(lab.presets_folder, own)


@st.cache_resource(max_entries=16, show_spinner=False)
def _read_presets(folder: Path, own: tuple[tuple[str, int], ...]) -> dict[str, Preset]:
    return presets(folder)


def enter(lab: Lab) -> None:
    """On arrival: a new nonce, and the preset or the run that the URL asks for, unless the draft began with just that: Back brings
    the same URL once more, and is no wish to lose what was typed since."""
    boxes = [key for key in st.session_state if str(key).startswith(f"{BOX}-")]
    if not boxes:  # a widget's value is dropped on leaving the page, so this is an arrival
        new_run()
    if DRAFT not in st.session_state:
        known = known_presets(lab)
        begin(_preset(next(iter(known)), known))
    asked = Asked(
        st.query_params.get("clone", ""), st.query_params.get("preset", ""), tuple(st.query_params.get_all("set"))
    )
    if any(asked[:2]) and asked != base().asked:
        try:
            begin(_asked(lab, asked))
            _change(asked.assignments)
        except (ConfigError, LabError) as error:
            frame.problem(error)


def new_run() -> None:
    """Make the next click on the queue button a run of its own."""
    st.session_state[NONCE] = secrets.token_hex(8)
    st.session_state[SENT] = None


def begin(base: Base, name: str = "") -> None:
    """Fill everything from this configuration; without a name, so that it follows what is changed."""
    st.session_state[DRAFT] = Draft(base.config.model_dump(mode="json") | {"name": name})
    st.session_state[BASE] = base


def choose(base: Base) -> None:
    """Begin with what was chosen on the page: under the name that was typed, and the URL says what it is."""
    begin(base, st.session_state[DRAFT].content["name"])
    said = {key: value for key, value in zip(("clone", "preset", "set"), base.asked, strict=True) if value}
    st.query_params.from_dict(said)


def base() -> Base:
    found: Base = st.session_state[BASE]
    return found


def changes(draft: Draft) -> list[str]:
    """Paths of the fields in which the draft is no longer what it started from."""
    return [path for path in differences([draft.loose, base().config]) if path != "name"]


def preset_box(form: Form, lab: Lab) -> None:
    """The box of presets: the one that the form shows, or one's own architecture once anything is changed."""
    known, title = known_presets(lab), base().title
    changed = changes(form.draft)
    shown = base().preset if base().preset in known and not changed else ""
    key = f"{BOX}-{shown}"  # a box for each: what a browser still says of the last one is no choice, and must undo no change
    st.session_state[key] = st.session_state[SHOWN] = shown
    titles = {name: found.title for name, found in known.items()}
    if not shown:
        again = {AGAIN: f"{title}, as it was"} if changed and base().preset not in known else {}
        titles = {"": f"Own, from {title}" if changed else title} | again | titles

    def chosen() -> None:
        name = st.session_state[key]
        if name and st.session_state[SHOWN] == shown:
            choose(base().unchanged() if name == AGAIN else _preset(name, known))

    help = "A complete configuration to start from. Whatever you change below makes it your own."
    st.selectbox(
        "Preset or own architecture", list(titles), format_func=titles.__getitem__, key=key, help=help, on_change=chosen
    )


def lesson(lab: Lab) -> str:
    """What the preset teaches that the form shows, else what the page is for."""
    found = known_presets(lab).get(base().preset)
    shown = found and not changes(st.session_state[DRAFT])
    return plain(found.help) if found and shown else "Shape an autoencoder, and see what it will cost before it runs."


def notes(form: Form, lab: Lab, known: estimates.Data) -> None:
    """What a person should know of this start: a flaw with the way out of it, and data that is not there yet."""
    found = known_presets(lab).get(base().preset)
    if found and not changes(form.draft):
        _flaw(found, known_presets(lab))
    name = form.draft.content["data"]["name"]
    if (megabytes := known.missing(name)) is not None:
        _download(form, name, megabytes, found.stand_in if found else "")


def _flaw(found: Preset, known: dict[str, Preset]) -> None:
    if found.flaw:
        with _note("flaw", f"<b>Published flaw, kept.</b> {escape(found.flaw)}"):
            if found.twin:
                twin = _preset(found.twin, known)
                st.button(f"Take “{plain(twin.title)}”", key="twin", on_click=choose, args=[twin])


def _download(form: Form, name: str, megabytes: float, stand_in: str) -> None:
    text = f"<b>{escape(data.DATASETS[name].title)} is not on this machine.</b> Queueing downloads it first: {size(1e6 * megabytes)}."
    with _note("download", text):
        other = stand_in or ("patches" if name in COLOUR else "glyphs")
        label = f"Take “{data.DATASETS[other].title}”, no download"
        st.button(label, key="stand-in", on_click=_put, args=["data.name", other])


def _note(key: str, text: str) -> Any:
    """A sentence with room for a button behind it."""
    box = st.container(horizontal=True, vertical_alignment="center", key=key, gap="medium")
    box.html(f"<p>{text}</p>", width="stretch")
    return box


COLOUR = {"cifar10", "cifar100", "stl10", "svhn"}
"""Downloads in colour, for which `patches` stands in where the preset names nothing."""


def _put(path: str, value: Any) -> None:
    st.session_state[DRAFT] = st.session_state[DRAFT].put(path, value)


def upload() -> None:
    """Fill the form from a JSON file; an error stays below the box as a sentence."""

    def given() -> None:
        file = st.session_state[UPLOAD]
        if file is not None:
            try:
                choose(Base(file.name, reads(file.getvalue().decode("utf-8", "replace"))))
                st.session_state.pop("upload-error", None)
            except ConfigError as error:
                st.session_state["upload-error"] = f"{file.name} was not taken over. {error}"

    st.file_uploader("Upload a configuration", type="json", key=UPLOAD, on_change=given, max_upload_size=1)
    if error := st.session_state.get("upload-error"):
        frame.problem(error)


def _change(assignments: Sequence[str]) -> None:
    """Change the draft, so that the form shows what differs from where it began. Raises ConfigError."""
    if assignments:
        changed = override(base().config, assignments)
        st.session_state[DRAFT] = Draft(changed.model_dump(mode="json") | {"name": ""})


def _asked(lab: Lab, asked: Asked) -> Base:
    if not asked.clone:
        return _preset(asked.preset, known_presets(lab))._replace(asked=asked)
    config = lab.run(asked.clone).config()
    return Base(config.name or asked.clone, config, asked)


def _preset(name: str, known: Mapping[str, Preset]) -> Base:
    if name not in known:
        raise ConfigError({"preset": f"There is no preset {name!r}: the box below lists what there is."})
    return Base(known[name].title, known[name].config, Asked(preset=name))
