"""Does client.py say PASS when, and only when, the server answers as scikit-learn did?"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE: dict[str, Any] = {
    "model": {"name": "m", "digest": "d" * 64, "source": "s" * 64},
    "inputs": [{"name": "X", "shape": [2, 2], "datatype": "FP64", "data": [1.0, 2.0, 3.0, 4.0]}],
    "outputs": [
        {"name": "predict", "shape": [2], "datatype": "INT64", "data": [0, 1], "atol": 0.0, "rtol": 0.0},
        {"name": "score", "shape": [2, 1], "datatype": "FP64", "data": [0.5, -100.0], "atol": 1e-5, "rtol": 1e-3},
    ],
}


def right(request: dict[str, Any]) -> tuple[int, Any]:
    rows = request["inputs"][0]["shape"][0]
    labels, scores = ([0, 1] * rows)[:rows], ([0.5, -100.0] * rows)[:rows]
    return 200, {
        "model_name": "m",
        "outputs": [
            {"name": "score", "shape": [rows, 1], "datatype": "FP64", "data": scores},
            {"name": "predict", "shape": [rows], "datatype": "INT64", "data": labels},
        ],
    }


def changed(output: int, **changes: Any) -> Callable[[dict[str, Any]], tuple[int, Any]]:
    def answer(request: dict[str, Any]) -> tuple[int, Any]:
        status, body = right(request)
        body["outputs"][output] |= changes
        return status, body

    return answer


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """Answers with `server.answer(request)`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body = self.server.answer(request) if self.path == "/v2/models/m/infer" else (404, {"error": "no"})  # type: ignore[attr-defined]
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("x-model-digest", "d" * 64)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        made.answer = right  # type: ignore[attr-defined]
        Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


Ask = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ask(server: ThreadingHTTPServer, tmp_path: Path) -> Ask:
    path = tmp_path / "example.json"
    path.write_text(json.dumps(EXAMPLE))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        command = [sys.executable, str(ROOT / "client.py"), "--url", url, "--example", str(path), *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)

    return run


def test_the_right_answers_pass(ask: Ask) -> None:
    done = ask()
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "PASS"), done.stdout + done.stderr
    assert "X FP64 [2, 2]" in done.stdout
    assert "by model dddddddddddd" in done.stdout
    assert "score FP64 [2, 1]: at most 0.0e+00 from scikit-learn, 0 wrong" in done.stdout


def test_a_proxy_in_the_environment_is_not_asked_for_this_machine(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert ask().returncode == 0


def test_a_batch_repeats_the_rows(ask: Ask) -> None:
    done = ask("--batch", "5")
    assert done.returncode == 0
    assert "X FP64 [5, 2]" in done.stdout


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (changed(0, data=[0.5, -100.2]), "score FP64 [2, 1]: at most 2.0e-01 from scikit-learn, 1 wrong"),
        (changed(0, data=[0.5, None]), "at most inf from scikit-learn, 1 wrong"),
        (changed(0, shape=[2]), "score: shape [2], scikit-learn's is [2, 1]"),
        (changed(0, name="proba"), "score: missing"),
        (changed(1, data=[0, 2]), "predict INT64 [2]: at most inf from scikit-learn, 1 wrong"),
        (changed(1, data=[0]), "predict: shape"),
        (lambda _: (400, {"error": "input 'X': shape does not fit"}), 'answered  400: {"error": "input \'X\''),
        (lambda _: (200, b"<html>"), "no Open Inference Protocol answer"),
        (lambda _: (200, {"outputs": None}), "no Open Inference Protocol answer"),
    ],
)
def test_a_wrong_answer_fails_and_says_how(server: Any, ask: Ask, answer: Any, said: str) -> None:
    server.answer = answer
    done = ask()
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "FAIL")
    assert said in done.stdout
    assert done.stderr == ""


def test_a_small_gap_within_the_tolerance_passes(server: Any, ask: Ask) -> None:
    server.answer = changed(0, data=[0.5 + 1e-6, -100.05])
    assert ask().returncode == 0


def test_another_model_than_the_examples_is_pointed_out(ask: Ask, tmp_path: Path) -> None:
    other = EXAMPLE | {"model": EXAMPLE["model"] | {"digest": "e" * 64}}
    (tmp_path / "example.json").write_text(json.dumps(other))
    assert "the example was made for model eeeeeeeeeeee" in ask().stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--url", "http://127.0.0.1:9"], "nobody answers at http://127.0.0.1:9"),
        (["--url", "nonsense"], "cannot ask: nonsense"),
        (["--example", "none.json"], "none.json: No such file or directory; convert.py writes it"),
        (["--batch", "0"], "--batch 0: at least one row is needed"),
    ],
)
def test_what_cannot_be_asked_is_exit_code_2(ask: Ask, arguments: list[str], said: str) -> None:
    done = ask(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"model": {"name": "m"}}'])
def test_an_example_that_is_none_is_exit_code_2(ask: Ask, tmp_path: Path, content: str) -> None:
    (tmp_path / "example.json").write_text(content)
    done = ask()
    assert done.returncode == 2
    assert "not an example that convert.py wrote" in done.stderr


def test_a_server_that_does_not_answer_in_time_is_exit_code_2(server: Any, ask: Ask) -> None:
    import time

    def slow(request: dict[str, Any]) -> tuple[int, Any]:
        time.sleep(2)
        return right(request)

    server.answer = slow
    done = ask("--timeout", "0.2")
    assert done.returncode == 2
    assert "did not answer within 0.2 s" in done.stderr
