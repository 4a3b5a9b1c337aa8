"""What people type is text: in Streamlit's markdown, in tables, in messages, at the door and on a terminal."""

import csv
import io
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from aecore.__main__ import main
from aecore.jobs import queue
from aecore.jobs.news import News
from aecore.runs import Lab, runs
from aecore.runs.text import END, ISOLATE, isolated
from tests.conftest import tiny
from ui import access, comparison, live, pick
from ui.spreadsheet import as_csv
from ui.words import JOINER, MEANT, escape, plain

RAW = [
    "<img src=x onerror=fired(1)>",
    "<script>fired(2)</script>",
    "<svg onload=fired(3)>",
    '"><img src=x onerror=fired(4)>',
    "' onmouseover=fired(5) x='",
    "</script><script>fired(6)</script>",
    "</title><svg onload=fired(7)>",
    "<iframe src=javascript:fired(8)>",
    "<style>*{display:none}</style>",
    "<base href=//fired.test>",
    "<a href=//fired.test>x</a>",
    "<b>bold</b> <i>it</i>",
    "[x](javascript:fired(13))",
    "![x](//fired.test/14.png)",
    "[x]: http://fired.test",
    "https://fired.test/16",
    "www.fired.test ada@fired.test",
    "**bold** _it_ ~~gone~~ `code`",
    "# heading",
    "- item",
    "1. item",
    "> quote | a | b |",
    "$x^2$ $$y$$ (z) <!-- c -->",
    ":smile: :material/home: :red[x]",
    "a -> b -- c >= d",
    "&lt;b&gt; &#60;u&#62;",
    '=HYPERLINK("http://fired.test")',
    "+1+cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "{{7*7}} ${7*7} %3Cb%3E __proto__",
    "../../../../etc/passwd",
    "..\\..\\%2e%2e%2f%00.png",
    "file:///etc/passwd",
    "\uff1cb\uff1e\uff1d1 \ufe64script\ufe65",
    "a\u0336b\u0301 \U0001f600 \u05d0\u05d1 \u0661",
]


@pytest.mark.parametrize("text", RAW)
def test_in_markdown_every_sign_is_itself(text: str) -> None:
    made = plain(text)
    assert re.sub(r"\\(.)", r"\1", made).replace(JOINER, "").strip(ISOLATE + END) == text
    assert not re.search(r"(?<!\\)[`*_\[\]<>#|~:$&]", made)
    seen = re.sub(r"\\(.)", r"\1", made)  # what Streamlit looks through after the markup
    assert all(seen[found.end()] == JOINER for found in MEANT.finditer(seen) if found[0] != "-->")
    assert not re.match(r"[-+=#>]|\d+[.)]", made)


STEER = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize("say", [isolated, plain, escape])
def test_a_text_cannot_turn_the_reading_direction_of_what_stands_around_it(say: Callable[[str], str]) -> None:
    for sign in STEER:
        assert say(f"x{sign}y") == "x\ufffdy", f"U+{ord(sign):04X} steers and shows nothing"
    hebrew = "\u05e9\u05dc\u05d5\u05dd 12"
    assert say(hebrew) == say(say(hebrew)) == f"{ISOLATE}{hebrew}{END}", (
        "its own direction ends with it, and once is enough"
    )
    assert say(f"{hebrew}{END}") == f"{ISOLATE}{hebrew}\ufffd{END}", "it cannot end the isolate itself"
    assert say("na\u00efve \u65e5\u672c 12") == "na\u00efve \u65e5\u672c 12", "nothing to turn"


def test_names_in_sentences_and_boxes_keep_their_direction_to_themselves(lab: Lab) -> None:
    for name in ("\u05e9\u05dc\u05d5\u05dd", "x\u202etxt.exe"):
        queue.submit(lab, tiny(name=name), "ada")
    rows = runs(lab)
    assert sorted(comparison.labels(rows)) == ["x\ufffdtxt.exe", f"{ISOLATE}\u05e9\u05dc\u05d5\u05dd{END}"]
    assert all(label in said for label, said in zip(comparison.labels(rows), map(pick.label, rows), strict=True))
    assert [one.label for one in live.shown([(row.id, row.name) for row in rows])] == comparison.labels(rows)


def test_a_text_of_several_lines_is_one_line() -> None:
    assert plain("a\n\n# b\r\n- c") == "a \\# b - c"


def test_nothing_in_a_table_is_a_formula() -> None:
    typed = [*RAW, " =1", "\t@x", "＝1"]
    [head, row] = list(csv.reader(io.StringIO(as_csv(typed, [typed]))))
    assert head == row
    assert [cell for cell in head if cell.strip()[:1] in tuple("=+-@＝")] == []
    assert [cell.removeprefix("'") for cell in head[:4]] == [text.removeprefix("'") for text in typed[:4]]
    assert as_csv(["n"], [[-1.5]]) == "n\n-1.5\n"


@pytest.mark.parametrize("text", RAW)
def test_no_word_that_leaves_the_lab_can_mean_anything_to_its_receiver(text: str) -> None:
    one = News(1, 1, "typed-2-0000", text, text, "failed", text, f"It says {text}", False)
    for said in (one.title, one.text):
        assert not set(said) & set('<>*_`[]|~@#$&\\{}/"\n\r'), said
        assert not re.search(r"www\.|\w\.\w|:\w", said)
        assert said.startswith("Run ")


@pytest.mark.parametrize("text", RAW)
def test_a_name_at_the_door_is_text(text: str) -> None:
    problem = access._page("login", 403, problem=text, name=text, action="login")
    said: list[str] = []
    reader = HTMLParser()
    reader.handle_data = said.append  # type: ignore[method-assign]
    reader.handle_starttag = lambda tag, attributes: said.extend(value or "" for _, value in attributes)  # type: ignore[method-assign]
    reader.feed(bytes(problem.body).decode())
    assert said.count(text) == 2  # in the sentence, and in the box


def test_what_steers_a_terminal_is_a_box_there(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    run = queue.submit(lab, tiny(), "ada")
    evil = "\x1b]0;fired\x07\x1b[31m \u202egnp.exe"
    for verb in (["note", run, "--text", evil], ["note", run], ["show", run]):
        assert main([*verb, "--lab", str(lab.path), "--user", "ada"]) == 0
    assert not set(capsys.readouterr().out) & set("\x1b\x07\u202e")
