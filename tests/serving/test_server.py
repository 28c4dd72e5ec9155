"""Does the process start, answer, and stop as an operator expects?"""

import http.client
import json
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest

from tests.serving import graphs
from tests.serving.asking import ROOT, Running, Start, environment, question

INFER = "/v2/models/linear/infer"
BODY = json.dumps(question([1, 2, 3])).encode()


def run(tmp_path: Path, *flags: str, **extra: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "server.py"), *flags]
    return subprocess.run(command, cwd=tmp_path, env=environment(tmp_path) | extra, capture_output=True, text=True, timeout=30)


def connect(server: Running) -> socket.socket:
    where = urlsplit(server.url)
    return socket.create_connection((str(where.hostname), int(where.port or 0)), timeout=20)


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_it_says_where_it_listens_and_which_model_and_nothing_worse(linear: Running) -> None:
    listening, ready = linear.wait_for("listening"), linear.wait_for("ready")
    assert listening["url"].startswith("http://127.0.0.1:")
    assert (listening["loop"], listening["http"]) == ("uvloop", "httptools")
    assert (ready["model"], ready["version"], ready["verified_rows"]) == ("linear", ready["digest"][:12], 3)
    assert {event["event"] for event in linear.events() if event["level"] != "info"} == {"development_mode"}
    assert len(linear.events()) == len(linear.log.read_text().splitlines())


def test_json_and_binary_answers_are_the_same(linear: Running) -> None:
    data = np.array([[0.1, -0.0, 1e-45]], np.float32)
    entry = {"name": "X", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": 12}}
    text = json.dumps({"inputs": [entry], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))}
    raw = httpx.post(linear.url + INFER, content=text + data.tobytes(), headers=headers)
    plain = httpx.post(linear.url + INFER, json=question(data.ravel().tolist()))
    size = int(raw.headers["inference-header-content-length"])
    assert raw.headers["content-type"] == "application/octet-stream"
    assert json.loads(raw.content[:size])["outputs"][0]["parameters"] == {"binary_data_size": 8}
    assert raw.content[size:] == np.array(plain.json()["outputs"][0]["data"], np.float32).tobytes()


@pytest.mark.parametrize("path", ["/v2", "/v2/health/ready", "/v2/models/linear", "/metrics", "/docs", "/nowhere"])
def test_head_answers_as_get_without_a_body(linear: Running, path: str) -> None:
    with connect(linear) as connection:
        connection.sendall(f"HEAD {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert answer.endswith(b"\r\n\r\n")
    assert answer.count(b"\r\n\r\n") == 1
    assert int(answer.split()[1]) == httpx.get(linear.url + path).status_code


def test_a_connection_survives_refusals(linear: Running) -> None:
    where = urlsplit(linear.url)
    connection = http.client.HTTPConnection(str(where.hostname), where.port)
    connection.connect()
    kept = connection.sock
    for body, status in [(b"{", 400), (b"x" * 10, 400), (BODY, 200), (b"[" * 10**5, 400), (BODY, 200)]:
        connection.request("POST", INFER, body)
        answer = connection.getresponse()
        assert answer.status == status
        answer.read()
    connection.request("DELETE", "/v2")
    assert connection.getresponse().read()
    assert connection.sock is kept
    connection.close()


def test_an_oversized_body_is_refused_before_it_is_sent(linear: Running) -> None:
    with connect(linear) as connection:
        connection.sendall(
            f"POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-length: {1 << 30}\r\nexpect: 100-continue\r\n\r\n".encode()
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_a_missing_model_is_status_2(tmp_path: Path) -> None:
    done = run(tmp_path, "--model", "none.onnx")
    assert done.returncode == 2
    assert last_line(done).startswith("server.py: none.onnx: cannot be read: No such file or directory")


@pytest.mark.parametrize("content", [b"", b"no model", graphs.linear()[:200]])
def test_a_file_that_is_no_model_is_status_1(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    done = run(tmp_path, "--model", "m.onnx", "--port", "0")
    assert done.returncode == 1
    assert last_line(done).startswith("server.py: m.onnx: ")


def test_a_model_that_answers_otherwise_here_is_status_1(tmp_path: Path) -> None:
    wrong = {"predict": np.array([[14, 140], [0, 0], [3, 30]], np.float32)}
    (tmp_path / "m.onnx").write_bytes(graphs.linear(answers=wrong))
    done = run(tmp_path, "--model", "m.onnx", "--port", "0")
    assert done.returncode == 1
    assert last_line(done).startswith("server.py: verification row 1, output 'predict': scikit-learn answered")


def test_bad_settings_are_status_2_all_at_once(tmp_path: Path) -> None:
    done = run(tmp_path, "--port", "http", UNJAR_MODLE="x")
    assert done.returncode == 2
    assert "UNJAR_MODLE: there is no such setting; did you mean UNJAR_MODEL; --port='http': expected" in last_line(done)


def test_a_taken_port_is_status_2(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(graphs.linear())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run(tmp_path, "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "cannot listen: Address already in use; give another with --host or --port" in last_line(done)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_exits_0_and_leaves_nothing(start: Start, number: signal.Signals) -> None:
    server = start(graphs.linear())
    idle = http.client.HTTPConnection(server.url.removeprefix("http://"))
    idle.request("GET", "/v2")
    idle.getresponse().read()
    server.process.send_signal(number)
    assert server.process.wait(5) == 0
    idle.close()
    assert server.events()[-1]["event"] == "stopped"
    assert not list((server.log.parent / "home").iterdir())


def test_what_is_in_flight_at_sigterm_is_answered(start: Start) -> None:
    server = start(graphs.slow(40), name="slow")
    body = json.dumps(question([1.0] * 600, [1, 600])).encode()
    head = f"POST /v2/models/slow/infer HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    asking = [connect(server) for _ in range(3)]
    for connection in asking:
        connection.sendall(head + body)
    # Answered later than those three were read, and the model takes longer than this.
    assert httpx.get(server.url + "/v2/health/live").status_code == 200
    server.process.terminate()
    answers = [connection.makefile("rb").read() for connection in asking]
    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * 3
    assert all(b'"shape":[1,600]' in answer for answer in answers)
    assert server.process.wait(5) == 0
    for connection in asking:
        connection.close()


def test_a_client_that_hangs_delays_a_stop_no_longer_than_the_grace_time(start: Start) -> None:
    server = start(graphs.linear(), UNJAR_GRACE_S="1")
    with connect(server) as connection:
        connection.sendall(b"POST /v2/models/test/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\nhalf")
        time.sleep(0.2)
        started = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - started < 4


def test_health_answers_at_once_while_the_model_runs_long(start: Start) -> None:
    server = start(graphs.slow(24), name="slow")
    body = question([1.0] * 600, [1, 600])
    asking = threading.Thread(target=lambda: [httpx.post(server.url + "/v2/models/slow/infer", json=body) for _ in range(5)])
    with httpx.Client() as client:
        began = time.perf_counter()
        client.post(server.url + "/v2/models/slow/infer", json=body)
        run_s = time.perf_counter() - began
        asking.start()
        waits_s = []
        while asking.is_alive():
            began = time.perf_counter()
            assert client.get(server.url + "/v2/health/live").status_code == 200
            waits_s.append(time.perf_counter() - began)
    assert sorted(waits_s)[len(waits_s) // 2] < run_s / 3
    server.stop()


def test_it_is_live_before_it_is_ready(start: Start) -> None:
    server = start(graphs.slow(40), name="slow", ready=False)
    live = httpx.get(server.url + "/v2/health/live")
    ready = httpx.get(server.url + "/v2/health/ready")
    assert live.json() == {"live": True}
    assert (ready.status_code, ready.json()["code"]) == (503, "not_ready")
    server.wait_for("ready")
    assert httpx.get(server.url + "/v2/health/ready").json() == {"ready": True}
    server.stop()


def test_the_log_holds_counts_of_refusals_and_no_input(start: Start) -> None:
    server = start(graphs.linear())
    for _ in range(3):
        httpx.post(server.url + "/v2/models/test/infer", content=b'{"inputs":"4711-secret"}')
    server.stop()
    assert server.wait_for("refused")["counts"] == {"invalid_request": 3}
    assert "4711" not in server.log.read_text()


def test_an_ipv6_address_is_listened_on(start: Start) -> None:
    server = start(graphs.linear(), "--host", "::1")
    assert server.url.startswith("http://[::1]:")
    assert httpx.get(server.url + "/v2/health/live").status_code == 200
    assert server.stop() == 0


def test_the_entry_point_is_a_page() -> None:
    assert len((ROOT / "server.py").read_text().splitlines()) <= 40


def test_the_server_is_one_process(linear: Running) -> None:
    children = [(task / "children").read_text() for task in Path(f"/proc/{linear.process.pid}/task").iterdir()]
    assert "".join(children) == ""


def test_a_stop_while_it_is_still_importing_is_a_clean_stop() -> None:
    """As the first process of a container it would not even notice the signal without a handler."""
    code = """
        import os, runpy, signal, sys

        class StopHere:
            def find_spec(self, name, path=None, target=None):
                if name == "serving.process":
                    os.kill(os.getpid(), signal.SIGTERM)

        sys.meta_path.insert(0, StopHere())
        runpy.run_path("server.py", run_name="__main__")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
