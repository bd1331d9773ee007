"""The explorer in a real JupyterLab page, in a browser without a window."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from test_results import make, trial

from fearlib.sweeps.journal import append_to_journal

playwright = pytest.importorskip("playwright.sync_api")
NOTEBOOK = Path(__file__).parents[1] / "analysis" / "explore.ipynb"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 120_000  # ms, for a busy machine
TOKEN = "test"


@pytest.fixture
def lab(tmp_path):
    """A JupyterLab with the notebook and two small sweeps; gives the newer one's folder and the page's URL."""
    (tmp_path / "analysis").mkdir()
    shutil.copy(NOTEBOOK, tmp_path / "analysis")
    records = [
        trial(index, method, score=(index * step % 11 + 1) / 20, accuracy=60.0 + index)
        for method, step in (("shortreg(epochs=1)", 1), ("zero_cost", 7))
        for index in range(10)
    ]
    other = [trial(index, score=(index * 3 % 7 + 1) / 20, accuracy=40.0 + index) for index in range(2, 9)]
    make(tmp_path / "results" / "cifar100_compact", other)
    sweep = make(tmp_path / "results" / "cifar10_compact", records)
    manifest = json.loads((sweep / "manifest.json").read_text())
    manifest["sittings"] = [{"started": "2026-01-01T00:00:00Z"}]  # so that it is the newest
    (sweep / "manifest.json").write_text(json.dumps(manifest))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    command = [
        sys.executable,
        "-m",
        "jupyter",
        "lab",
        "--no-browser",
        "--allow-root",
        f"--ServerApp.token={TOKEN}",
    ]
    command += [f"--ServerApp.port={port}", f"--ServerApp.root_dir={tmp_path}", "--expose-app-in-browser"]
    with (tmp_path / "lab.log").open("w") as log:
        server = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log, cwd=tmp_path)
        try:
            wait_for(f"http://127.0.0.1:{port}/api?token={TOKEN}", tmp_path / "lab.log")
            yield sweep, f"http://127.0.0.1:{port}/lab/tree/analysis/explore.ipynb?token={TOKEN}"
        finally:
            server.terminate()
            server.wait(30)


def wait_for(url, log):
    deadline = time.monotonic() + PATIENCE / 1000
    while True:
        try:
            return urllib.request.urlopen(url, timeout=5)
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.3)


@pytest.mark.skipif(CHROMIUM is None, reason="needs the browser chromium (Debian's package of that name)")
def test_the_explorer_answers_in_jupyterlab(lab):
    sweep, url = lab
    playwright.expect.set_options(timeout=PATIENCE)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1500, "height": 1400})
        page.set_default_timeout(PATIENCE)
        page.goto(url)
        page.wait_for_function("window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.info")
        page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")

        said = page.locator(".widget-html", has_text="bootstrap interval")
        playwright.expect(said).to_contain_text("shortreg(epochs=1), all with test accuracy (%): Spearman 1.00")
        points = page.locator(".js-plotly-plot .scatterlayer .point")
        playwright.expect(points).to_have_count(10)
        playwright.expect(page.get_by_text("10 architectures, 3 methods, 30 rows")).to_be_visible()

        page.get_by_label("vertical axis").select_option("snip")
        playwright.expect(said).to_contain_text("snip, all with test accuracy (%): Spearman 0")
        before = said.inner_text()
        slider = page.locator(".widget-slider", has_text="top x%").locator(".noUi-handle")
        slider.focus()
        for _ in range(10):
            slider.press("ArrowLeft")
        playwright.expect(said).to_contain_text("snip, top 50% by test accuracy (%): Spearman")
        assert re.search(r"n = 5\b", said.inner_text()) and said.inner_text() != before

        best = points.last  # of those in the top, which are drawn last
        best.scroll_into_view_if_needed()
        box = best.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        playwright.expect(page.locator(".hovertext")).to_contain_text("nor_conv")
        page.mouse.down()
        page.mouse.up()
        shown = page.locator(".widget-html", has_text=re.compile(r"^9: \|.*\|$"))  # the label at the mouse is none
        playwright.expect(shown).to_be_visible()
        playwright.expect(page.locator(".widget-image")).to_have_count(2)
        playwright.expect(page.get_by_text("Rank 1 is the highest")).to_be_visible()

        append_to_journal(sweep, trial(10, score=0.9, accuracy=75.0))
        page.locator("button.widget-button", has_text="Refresh").click()
        playwright.expect(page.get_by_text("11 architectures, 3 methods, 31 rows")).to_be_visible()
        playwright.expect(page.get_by_text("1 new trial")).to_be_visible()

        page.get_by_label("beside it").select_option("cifar100_compact")
        playwright.expect(
            page.get_by_text("Spearman with test accuracy here and there, in cifar100_compact")
        ).to_be_visible()
        page.get_by_label("vertical axis").select_option("shortreg(epochs=1)")
        page.get_by_label("horizontal axis").select_option("cifar100_compact: shortreg(epochs=1)")
        playwright.expect(points).to_have_count(7)
        page.get_by_label("combine").select_option(["shortreg(epochs=1)", "snip"])
        playwright.expect(said).to_contain_text(
            "rank product of shortreg(epochs=1), snip, top 50% by cifar100_compact"
        )
        page.get_by_label("folder", exact=True).select_option("cifar100_compact")
        playwright.expect(page.get_by_text("7 architectures, 1 methods, 7 rows")).to_be_visible()
        if "FEARLIB_SCREENSHOT" in os.environ:
            page.locator(".jp-OutputArea").last.screenshot(path=os.environ["FEARLIB_SCREENSHOT"])
        browser.close()
