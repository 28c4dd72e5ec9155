"""Does the server, in a minute of serving, ever try to connect to anything?"""

import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests.serving import graphs
from tests.serving.asking import ROOT, Start, environment, question

FILTERED = (sys.executable, str(ROOT / "tests" / "serving" / "no_egress.py"))
MINUTE_S = 60
TELEMETRY = """
import os, sys, time
os.environ.pop("ORT_DISABLE_TELEMETRY", None)
import onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
time.sleep(60)
"""


def test_the_server_makes_no_connection_attempt_and_no_file_in_a_minute(start: Start, tmp_path: Path) -> None:
    server = start(graphs.linear(), before=FILTERED)
    (tmp_path / "model.onnx").write_bytes(graphs.linear())
    # The proof that the detector detects, in the same minute: onnxruntime left to itself reports home from C++.
    with subprocess.Popen(
        [*FILTERED, sys.executable, "-c", TELEMETRY, "model.onnx"], cwd=tmp_path, env=environment(tmp_path)
    ) as left:
        until = time.monotonic() + MINUTE_S
        with httpx.Client() as client:
            while time.monotonic() < until:
                assert client.post(server.url + "/v2/models/test/infer", json=question([1, 2, 3])).status_code == 200
                assert client.get(server.url + "/metrics").status_code == 200
                time.sleep(0.5)
        assert left.poll() == -signal.SIGSYS
    assert server.process.poll() is None
    assert server.stop() == 0
    assert not list((server.log.parent / "home").iterdir())
    assert list((tmp_path / ".cache").iterdir())


def test_one_connection_attempt_is_noticed() -> None:
    connect = "import socket; socket.socket().connect(('127.0.0.1', 9))"
    assert subprocess.run([*FILTERED, sys.executable, "-c", connect], check=False).returncode == -signal.SIGSYS
    assert subprocess.run([*FILTERED, sys.executable, "-c", "pass"], check=False).returncode == 0
