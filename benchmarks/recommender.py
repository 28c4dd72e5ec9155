"""python -m benchmarks.recommender [--times 300]: how long does each of the recommender's addresses take, and a drag?

One server, one connection, one question after the other; then chromium, headless, in which a control point is dragged in 300
moves: the page's own measure, from the pointer's move to the neighbours and the polar that belong to it. Then exact search
alone, among as many parts as nobody has. Results: benchmarks/results/recommender.json.
"""

import argparse
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from benchmarks.machine import described
from recommender.answers import dat
from recommender.catalogue import load
from recommender.search import Index

ROOT = Path(__file__).resolve().parent.parent
RESULT = ROOT / "benchmarks/results/recommender.json"
DRAWN = {"dat": dat("a section", load().contour[100].astype(np.float64))}
QUESTIONS: dict[str, dict[str, Any] | None] = {
    "/v1/encode": {"shape": DRAWN}, "/v1/similar": {"shape": DRAWN}, "/v1/polar": {"shape": DRAWN},
    "/v1/encode with neighbours and polar": {"shape": DRAWN, "similar": 5, "polar": {}},
    "/v1/decode": {"latent": [0.3] * 24}, "/v1/recommend": {"shape": DRAWN}, "/v1/generate": {"shape": DRAWN},
    "/v1/catalogue": None, "/v1/catalogue/naca2412": None,
}  # fmt: skip
SLOW = ("/v1/generate",)
MOVES = 300
PARTS, SEARCHES = (607, 20_000, 200_000, 1_000_000), 50


@contextmanager
def serving() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "server.py"), "--port", "0", "--model", str(ROOT / "model.onnx")]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "UNJAR_STATE": folder}
        with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            try:
                events = (json.loads(line) for line in process.stderr)
                ready = next(event for event in events if event["event"] == "ready")
                yield str(ready["docs"]).removesuffix("/docs")
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(20)


def asked(url: str, times: int) -> dict[str, Any]:
    connection, found = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60), {}
    for path, body in QUESTIONS.items():
        address, content = path.split()[0], None if body is None else json.dumps(body)
        took = []
        for _ in range(max(times // 10, 3) if path in SLOW else times):
            began = time.perf_counter()
            connection.request("GET" if content is None else "POST", address, content)
            answer = connection.getresponse()
            size = len(answer.read())
            took.append(1000 * (time.perf_counter() - began))
            assert answer.status == 200, (path, answer.status)
        # The first one may make what the others find.
        p50, p99 = np.percentile(took[1:], [50, 99])
        found[path] = {"times": len(took) - 1, "p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2), "bytes": size}
        print(f"{path:24}", found[path], flush=True)
    connection.close()
    return found


def dragged(url: str) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url)
        page.locator("#neighbours button").first.wait_for()
        page.locator("#matched tbody tr").first.wait_for()
        box = page.get_by_role("slider", name="Upper surface at 48 % chord").locator(".knob").bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        # What came before is the page's own beginning.
        page.evaluate("performance.clearMeasures('interaction')")
        for move in range(MOVES):
            page.mouse.move(x, y - 10 * np.sin(move / 5))
            page.wait_for_timeout(60)
        page.mouse.up()
        took = page.evaluate("performance.getEntriesByName('interaction').map(one => one.duration)")
        browser.close()
    p50, p99 = np.percentile(took, [50, 99])
    return {"moves": MOVES, "measured": len(took), "p50_ms": round(float(p50), 1), "p99_ms": round(float(p99), 1)}


def searched() -> dict[str, Any]:
    found: dict[str, Any] = {}
    rng = np.random.default_rng(0)
    for parts in PARTS:
        points = rng.standard_normal((parts, 24))
        index, took = Index(points), []
        for query in rng.standard_normal((SEARCHES, 24)):
            began = time.perf_counter()
            rows, _ = index.nearest(query, 10)
            took.append(1000 * (time.perf_counter() - began))
        every = np.linalg.norm(points - query, axis=1)
        assert rows.tolist() == np.argsort(every, kind="stable")[:10].tolist()
        p50, p99 = np.percentile(took, [50, 99])
        found[str(parts)] = {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)}
        print(f"{parts:9,} parts", found[str(parts)], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--times", type=int, default=300)
    times = parser.parse_args().times
    with serving() as url:
        found = {**described(), "addresses": asked(url, times), "drag": dragged(url)}
    found["search"] = searched()
    print(found["drag"])
    RESULT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
