"""TensorBoard's projector on the codes of `benchmarks.latent`: seconds to its UMAP and t-SNE, and how far to trust them, beside ours.

    python -m benchmarks.projector --tensorboard VENV/bin/tensorboard [--kind umap|tsne] [--n 5000] [--seconds 150] [--plain]

TensorBoard is no dependency: install it in a virtual environment of its own. Its projector computes in the browser, here Chromium
with a software renderer, and draws after each step of t-SNE and every tenth of UMAP: "in its steps" leaves the drawing out. Its
t-SNE never ends and is left after so many seconds. It takes 1 - x·y for the distance, which is one of unit vectors only, so that
"Spherize data" (to the mean, to length 1) is ticked but for --plain; ours gets the vectors that it has, and the same
perplexity or neighbours.
"""

import argparse
import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

from aecore.analysis.layouts import lay_out
from aecore.analysis.neighbours import nearest
from aecore.config.projection import TsneConfig, UmapConfig
from benchmarks.latent import digits, kept, principal, timed
from tests.browser import CHROMIUM, HOW_TO_GET_ONE, QUIET, free_port, wait_for_health

SOFTWARE = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist"]
NAMES = {"umap": "UMAP", "tsne": "t-SNE"}
CONFIG = 'embeddings { tensor_name: "codes" tensor_path: "tensors.tsv" metadata_path: "metadata.tsv" }\n'
FIND = """window.find = (wanted, root = document) => {
  for (const one of root.querySelectorAll("*")) {
    const found = one.matches(wanted) ? one : one.shadowRoot && find(wanted, one.shadowRoot);
    if (found) return found;
  } return null; };
window.points = () => find("vz-projector")?.dataSet?.points;"""
"""An element in whatever component, and the points that the projector has."""
START = """(kind) => {
  const panel = find("vz-projector-projections-panel"), set = find("vz-projector").dataSet, began = performance.now();
  panel.umapIs3d = panel.tSNEis3d = false;
  window.told = { steps: 0, within: 0, first: null, last: 0 };
  const watch = () => {
    if (!set[kind]?.step) return void setTimeout(watch, 1);
    const step = set[kind].step.bind(set[kind]);
    set[kind].step = () => {
      const start = performance.now(), done = step(), end = performance.now();
      told.steps++; told.within += end - start; told.first ??= start - began; told.last = end - began;
      return done; };
  };
  watch();
  find(`.ink-tab[data-tab=${kind}]`).click(); }"""
TOLD = """(kind) => ({ ...told, ended: kind === "umap" && Boolean(find("vz-projector").dataSet.projections.umap) })"""
PLACES = "(kind) => points().map((p) => [p.projections[`${kind}-0`] ?? NaN, p.projections[`${kind}-1`] ?? NaN])"


@contextlib.contextmanager
def tensorboard(command: str, codes: np.ndarray, labels: np.ndarray) -> Iterator[str]:
    """TensorBoard with these codes; yields its address."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        np.savetxt(Path(folder) / "tensors.tsv", codes, fmt="%.6g", delimiter="\t")
        np.savetxt(Path(folder) / "metadata.tsv", labels, fmt="%d")
        (Path(folder) / "projector_config.pbtxt").write_text(CONFIG)
        asked = [command, "--logdir", folder, "--port", str(port), "--load_fast=false"]
        server = subprocess.Popen(asked, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for_health(f"http://127.0.0.1:{port}", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(60)


@contextlib.contextmanager
def projector(address: str, n: int, spherize: bool) -> Iterator[Page]:
    """Its projector with all points there."""
    with sync_playwright() as playwright:
        flags = [flag for flag in QUIET if flag != "--disable-gpu"] + SOFTWARE
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.add_init_script(FIND)
        start = time.perf_counter()
        page.goto(f"{address}/data/plugin/projector/projector_binary.html")
        page.wait_for_function("() => points()?.length", timeout=120_000)
        has, seconds = page.evaluate("() => points().length"), time.perf_counter() - start
        print(f"TensorBoard's projector, Chromium {browser.version}: {has:,} of {n:,} points after {seconds:.1f} s")
        if spherize:
            page.evaluate("find('#normalize-data-checkbox').click()")
            page.wait_for_function("() => Math.abs(Math.hypot(...points()[0].vector) - 1) < 1e-3")
        yield page
        browser.close()


def theirs(page: Page, kind: str, seconds: float, codes: np.ndarray) -> None:
    """Let the projector make the map, until it ends or for so many seconds, and say what came of it."""
    page.evaluate(START, kind)
    end, now = time.monotonic() + seconds, page.evaluate(TOLD, kind)
    while not now["ended"] and time.monotonic() < end:
        page.wait_for_timeout(500)
        now = page.evaluate(TOLD, kind)
    if not now["steps"]:
        print(f"{'  its ' + NAMES[kind]:<52} no step after {seconds:.0f} s")
        return
    how = "ended" if now["ended"] else "left"
    print(f"{'  its ' + NAMES[kind] + ': the first step began':<52} {'':12}({now['first'] / 1000:7.1f} s)")
    print(
        f"{'  ' + how + ' after ' + format(now['steps'], ',') + ' steps':<52} {'':12}({now['last'] / 1000:7.1f} s)",
        end="",
    )
    print(f"  {now['within'] / 1000:.1f} s in its steps, {now['within'] / now['steps'] / 1000:.3f} s each")
    places = np.array(page.evaluate(PLACES, kind), np.float32)
    there = np.isfinite(places).all(1)
    print(f"  {there.sum():,} points on its map: {kept(codes[there])(places[there])}", flush=True)


def ours(codes: np.ndarray, kind: str) -> None:
    """The same by the lab."""
    config = UmapConfig() if kind == "umap" else TsneConfig()
    found, _ = timed(
        f"ours: {config.neighbours} nearest neighbours", lambda: nearest(codes, codes, config.neighbours, same=True)
    )
    timed(f"ours: {NAMES[kind]} from them", lambda: lay_out(config, codes, found, lambda share: None), kept(codes))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tensorboard", required=True, help="the program")
    parser.add_argument("--kind", choices=("umap", "tsne"), default="umap")
    parser.add_argument("--n", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("--plain", action="store_true", help="leave the codes as they are")
    parser.add_argument("--without-ours", action="store_true")
    asked = parser.parse_args()
    if not Path(asked.tensorboard).is_file():
        parser.error(f"--tensorboard is {asked.tensorboard!r}: no such file. Say where a TensorBoard was installed.")
    if not CHROMIUM:
        parser.error(HOW_TO_GET_ONE)
    measure(asked)


def measure(asked: Any) -> None:
    """Theirs, then ours, on the vectors that theirs has."""
    version = subprocess.run(
        [asked.tensorboard, "--version_tb"], capture_output=True, text=True, check=True
    ).stdout.strip()
    print(f"TensorBoard {version}; load of the machine {os.getloadavg()[0]:.1f}", flush=True)
    images, labels = digits(asked.n)
    codes = principal(images, 16)
    with (
        tensorboard(asked.tensorboard, codes, labels) as address,
        projector(address, len(codes), not asked.plain) as page,
    ):
        has = np.array(page.evaluate("() => points().map((p) => [...p.vector])"), np.float32)
        theirs(page, asked.kind, asked.seconds, has)
    if not asked.without_ours:
        ours(has, asked.kind)
    print(f"load of the machine {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
