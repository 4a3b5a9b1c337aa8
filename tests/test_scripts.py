"""Streamlit's own files from memory: the same bytes, compressed where the browser can, and nothing else is touched."""

import gzip
import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from streamlit import config
from streamlit.file_util import get_static_dir

from ui.scripts import LARGE, Scripts

PAGE = {"Accept": "text/html,*/*;q=0.8", "Accept-Encoding": "gzip"}
STATIC = Path(get_static_dir()) / "static"


STREAMLITS = '<head></head><script src="./static/js/index.x.js"></script><body><p></body>'
PAGES = dict.fromkeys(
    ("/", "/page", "/lab/", "/latent", "/compare", "/lab/latent", "/lab/latent/", "/page of nobody"), STREAMLITS
) | {"/report": "<head></head>a report"}


async def other(request: Request) -> Response:
    found = PAGES.get(request.url.path)
    same = "if-none-match" in request.headers
    return HTMLResponse(found, 304 if same else 200, {"etag": '"x"'}) if found else PlainTextResponse("the dashboard")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setattr("ui.scripts.opening", lambda: "<i>Home's</i>")
    routes = [Route("/{rest:path}", other, methods=["GET", "POST"])]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(Scripts)]))


def test_every_file_that_the_first_page_names_is_sent_as_it_is(client: TestClient) -> None:
    page = (STATIC.parent / "index.html").read_text()
    named = [word.split('"')[0] for word in page.split("./static/")[1:]]
    assert len(named) > 40
    for name in named:
        for coding in ("gzip, deflate", "identity"):
            answer = client.get(f"/static/{name}", headers={"Accept-Encoding": coding})
            assert answer.content == (STATIC / name).read_bytes()
            assert "immutable" in answer.headers["cache-control"]
            kinds = {".js": "javascript", ".css": "text/css", ".woff2": "font/woff2"}
            assert kinds[Path(name).suffix] in answer.headers["content-type"]


def test_scripts_travel_compressed_where_the_browser_can(client: TestClient) -> None:
    name = next(path.name for path in (STATIC / "js").glob("protobuf.*.js"))
    with client.stream("GET", f"/static/js/{name}", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == (STATIC / "js" / name).read_bytes()
    assert len(raw) == int(answer.headers["content-length"]) < 0.4 * (STATIC / "js" / name).stat().st_size


def test_a_page_names_the_scripts_of_its_elements_with_all_that_they_import(client: TestClient) -> None:
    said = client.get("/page", headers=PAGE).headers["link"]
    assert len(said) < 3_300, "with the other headers a page's answer would have more than nginx takes"
    needed = [word.split(">")[0] for word in said.split("<./static/js/")[1:]]
    first = (STATIC.parent / "index.html").read_text()
    assert {name.split(".")[0] for name in needed} > {"BidiComponent", "Selectbox", "ButtonGroup", "TextInput", "Html"}
    assert said.count("rel=modulepreload; crossorigin") == len(needed) == len(set(needed))
    for name in needed:
        assert f"./static/js/{name}" not in first
        for imported in re.findall(r'from"\./([^"]+)"', (STATIC / "js" / name).read_text()):
            assert imported in needed or f"./static/js/{imported}" in first
    assert "link" not in client.get("/api/x", headers=PAGE).headers
    for page in ("/latent", "/compare"):
        first = client.get(page, headers=PAGE).headers["link"]
        assert "BidiComponent." in first
        assert "Selectbox." not in first, "it comes when the map stands, or the wall"
        assert set(first.split(", ")) < set(said.split(", "))
    home = client.get("/", headers=PAGE).headers["link"]
    assert "PageLink." in home
    assert "Selectbox." not in home, "nothing to be chosen stands there"
    report = client.get("/report", headers=PAGE)
    assert report.text == PAGES["/report"]
    assert "link" not in report.headers
    assert "link" not in client.get("/page", headers={"Accept": "application/json"}).headers


WHERE = "<script>window.__streamlit={BACKEND_BASE_URL:location.origin+location.pathname.replace(/\\/+$/,'')}</script>"


def test_a_page_says_that_its_server_is_at_its_own_address_without_the_page(client: TestClient) -> None:
    for place, path, cut in (
        ("", "/latent", -6),
        ("lab", "/lab/latent", -6),
        ("lab", "/lab/latent/", -6),
        ("lab", "/lab/", 0),
    ):
        config.set_option("server.baseUrlPath", place)
        try:
            answer = client.get(path, headers=PAGE)
        finally:
            config.set_option("server.baseUrlPath", "")
        told = WHERE.replace("''", '""').replace('"")}', f'"").slice(0,{cut})}}' if cut else '"")}')
        assert answer.text.replace("<i>Home's</i>", "") == STREAMLITS.replace("<head>", f"<head>{LARGE.decode()}{told}")
        assert int(answer.headers["content-length"]) == len(answer.content)
    strange = client.get("/page%20of%20nobody", headers=PAGE).text
    assert strange == STREAMLITS.replace("<head>", f"<head>{LARGE.decode()}"), "nothing of an address stands in a page"


def test_home_alone_opens_with_something(client: TestClient) -> None:
    config.set_option("server.baseUrlPath", "lab")
    try:
        answer = client.get("/lab/", headers=PAGE)
        others = [client.get(path, headers=PAGE).text for path in ("/lab/latent", "/lab/?demo=a,b")]
    finally:
        config.set_option("server.baseUrlPath", "")
    assert "<body><i>Home's</i><p>" in answer.text
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert not any("<i>" in other for other in others)


def test_a_page_is_sent_anew_each_time(client: TestClient) -> None:
    answer = client.get("/page", headers={**PAGE, "If-None-Match": '"x"'})
    assert answer.status_code == 200
    assert "etag" not in answer.headers, "another version of this program adds something else"


@pytest.mark.parametrize(
    "path", ["/other", "/static/", "/static/js", "/static/js/none.js", "/static/../index.html", "/api/x"]
)
def test_everything_else_goes_on_to_the_dashboard(client: TestClient, path: str) -> None:
    assert client.get(path).text == "the dashboard"


def test_parts_of_a_file_and_what_is_sent_go_on_too(client: TestClient) -> None:
    name = next(path.name for path in (STATIC / "js").glob("protobuf.*.js"))
    assert client.get(f"/static/js/{name}", headers={"Range": "bytes=0-9"}).text == "the dashboard"
    assert client.post(f"/static/js/{name}").text == "the dashboard"


def test_they_lie_below_the_path_of_the_dashboard(client: TestClient) -> None:
    name = next(path.name for path in (STATIC / "js").glob("protobuf.*.js"))
    config.set_option("server.baseUrlPath", "lab")
    try:
        assert client.get(f"/lab/static/js/{name}").content == (STATIC / "js" / name).read_bytes()
        assert client.get(f"/static/js/{name}").text == "the dashboard"
    finally:
        config.set_option("server.baseUrlPath", "")
