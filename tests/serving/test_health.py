"""Does the container's health check tell ready, not ready and gone apart?"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.serving.asking import ROOT, Running, environment


def check(tmp_path: Path, *flags: str, **extra: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "serving.health", *flags]
    done = subprocess.run(command, cwd=ROOT, env=environment(tmp_path) | extra, capture_output=True, text=True, timeout=20)
    return done.returncode, done.stdout + done.stderr


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_ready_is_0(tmp_path: Path, linear: Running) -> None:
    assert check(tmp_path, "--url", linear.url) == (0, "ready\n")
    port = linear.url.rsplit(":", 1)[1]
    assert check(tmp_path, UNJAR_PORT=port, http_proxy="http://127.0.0.1:1") == (0, "ready\n")


@pytest.mark.parametrize(("status", "body"), [(503, {"error": "being loaded"}), (200, {"ready": False}), (200, {}), (404, {})])
def test_another_answer_is_1(tmp_path: Path, status: int, body: dict[str, object]) -> None:
    with answering(status, json.dumps(body).encode()) as url:
        code, text = check(tmp_path, "--url", url)
    assert code == 1
    assert text.startswith("not ready")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "http://127.0.0.1:99999"])
def test_no_answer_is_2(tmp_path: Path, url: str) -> None:
    code, text = check(tmp_path, "--url", url)
    assert code == 2
    assert "no answer" in text
    assert "Traceback" not in text


def test_a_port_above_65535_is_no_other_port(tmp_path: Path) -> None:
    """getaddrinfo keeps a port's lowest 16 bits: 65,536 too many would ask whoever listens there."""
    with answering(200, b'{"ready": true}') as url:
        host, port = url.rsplit(":", 1)
        code, text = check(tmp_path, "--url", f"{host}:{int(port) + 65536}")
    assert code == 2
    assert "no answer: Port out of range" in text


def test_an_answer_that_is_no_json_is_2(tmp_path: Path) -> None:
    with answering(200, b"<html>") as url:
        assert check(tmp_path, "--url", url)[0] == 2
