"""Which server and which browser do the page's tests use? Debian's chromium, and server.py as a process of its own.

Where there is no chromium these tests are not collected, and the run says so. In CI (CI=true) that is a failure instead.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.serving.asking import ROOT, Running, environment

DESK: ViewportSize = {"width": 1280, "height": 800}
REFUSAL = "error: Failed to load resource: the server responded with a status of "
Serve = Callable[..., Running]
Open = Callable[..., Page]


CHROMIUM = shutil.which("chromium")
collect_ignore_glob = ["test_*.py"] if CHROMIUM is None and os.environ.get("CI") != "true" else []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if collect_ignore_glob:
        terminalreporter.write_line("tests/recommender/web: not collected, there is no chromium (apt-get install -y chromium)")


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """serve(*flags, **settings) -> a server of the shipped model that is ready."""
    started: list[Running] = []

    def run(*flags: str, port: str = "0", **settings: str) -> Running:
        folder = tmp_path_factory.mktemp("page")
        (folder / "home").mkdir()
        command = [sys.executable, str(ROOT / "server.py"), "--model", str(ROOT / "model.onnx"), "--port", port, *flags]
        log = folder / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(command, cwd=folder, env=environment(folder / "home") | settings, stdout=out, stderr=out)
        running = Running(process, log)
        started.append(running)
        running.url = running.wait_for("listening")["url"]
        running.wait_for("ready")
        return running

    yield run
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()


@pytest.fixture(scope="session")
def server(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Running:
    return serve(UNJAR_STATE=str(tmp_path_factory.mktemp("state")))


# Not for the session: Playwright's event loop would run on beneath other tests, and asyncio.run refuses that.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """visit(url, **of the context) -> a page whose console may say nothing and which may ask no other origin.

    expected: how lines begin that are no fault; the browser notes each refusal in the console.
    """
    visits: list[tuple[Page, list[str], tuple[str, ...]]] = []

    def go(url: str, expected: tuple[str, ...] = (), **context: Any) -> Page:
        page = browser.new_context(**{"viewport": DESK, **context}).new_page()
        told: list[str] = []
        page.on("console", lambda message: told.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: told.append(f"error: {error}"))
        page.on("request", lambda request: told.append(request.url))
        origin = "/".join(url.split("/")[:3]) + "/"
        visits.append((page, told, (origin, f"blob:{origin}", "data:", *expected)))
        page.goto(url)
        return page

    yield go
    for page, told, expected in visits:
        page.context.close()
        assert [line for line in told if not line.startswith(expected)] == []


@pytest.fixture
def page(visit: Open, server: Running) -> Page:
    page = visit(server.url, expected=(REFUSAL,))
    ready(page)
    return page


def ready(page: Page) -> None:
    page.locator("#panel-better .card").first.wait_for()
    page.locator("#neighbours button").first.wait_for()
    page.locator("#matched tbody tr").first.wait_for()


def state(page: Page) -> dict[str, Any]:
    said: dict[str, Any] = page.evaluate("import('/web/store.js').then(({ state: { catalogue, ...kept } }) => kept)")
    return said


def drag(page: Page, label: str, pixels: int, steps: int = 8) -> None:
    box = page.get_by_role("slider", name=label).locator(".knob").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y - pixels, steps=steps)
    page.mouse.up()


def settled(page: Page) -> None:
    """The recommendations belong to what is drawn."""
    page.locator("#results[data-stale=false]:not([aria-busy])").wait_for()


def until(page: Page, expression: str, timeout_s: float = 10.0) -> None:
    """Not Playwright's own wait_for_function: that evaluates text within the page, which the page's policy forbids."""
    limit = time.monotonic() + timeout_s
    while not page.evaluate(expression):
        assert time.monotonic() < limit, expression
        page.wait_for_timeout(20)


def dat(name: str = "a part of ours") -> str:
    """A section that is in no catalogue: drawn at 250 mm chord and rotated by 3 degrees."""
    import numpy as np

    from recommender.catalogue import load
    from recommender.contour import outline

    points = outline(load().contour[100].astype(np.float64)) @ np.array([[1.0, 0.0], [0.0, 1.1]])
    angle = np.radians(3.0)
    turned = 250.0 * points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return "\n".join([name, *(f"{x:.5f} {y:.5f}" for x, y in turned)])


def written(folder: Path, text: str, name: str = "part.dat") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)
