"""Is every attempt to unpickle refused and counted, in a process that still serves?"""

import gzip
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.serving import graphs
from tests.serving.asking import ROOT, Start, environment

# What the guard refuses runs in a process of its own: an audit hook cannot be taken off again.
SERVING = """
import io, pickle, sys
import numpy as np
from serving import guard
from serving.logs import log_to
from tests.serving import graphs
from tests.serving.asking import asker, question

class Payload:
    def __reduce__(self):
        return (print, ("the payload ran",))

stream = pickle.dumps(Payload())
array = io.BytesIO()
np.save(array, np.array([Payload()], object), allow_pickle=True)
log_to()
guard.refuse_unpickling()
guard.refuse_unpickling()
ask = asker(graphs.linear())

def attempt():
    {attempt}

try:
    attempt()
except guard.Refused as refusal:
    print("refused:", refusal)
answer = ask("POST", "/v2/models/test/infer", json=question([1, 2, 3]))
print("answers:", answer.json()["outputs"][0]["data"])
print([line for line in ask("GET", "/metrics").text.splitlines() if line.startswith('unjar_guard_refused_total{kind="unpick')])
"""


def run(tmp_path: Path, attempt: str) -> subprocess.CompletedProcess[str]:
    code = SERVING.replace("{attempt}", attempt)
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "attempt",
    [
        "pickle.loads(stream)",
        "pickle.load(io.BytesIO(stream))",
        "pickle.Unpickler(io.BytesIO(stream)).load()",
        "pickle._Unpickler(io.BytesIO(stream)).load()",
        "array.seek(0); np.load(array, allow_pickle=True)",
    ],
)
def test_nothing_can_be_unpickled_once_the_server_has_started(tmp_path: Path, attempt: str) -> None:
    done = run(tmp_path, attempt)
    assert done.returncode == 0, done.stderr
    assert "the payload ran" not in done.stdout
    assert "refused: a pickle asks for" in done.stdout
    assert "this process opens no pickle" in done.stdout
    assert "answers: [14.0, 140.0]" in done.stdout
    assert 'unpickling"} 1.0' in done.stdout
    assert '"event": "unpickling_refused"' in done.stderr


def test_without_an_attempt_nothing_is_counted(tmp_path: Path) -> None:
    done = run(tmp_path, "pass")
    assert 'unpickling"} 0.0' in done.stdout, done.stderr


def test_the_same_pickle_runs_where_there_is_no_guard(tmp_path: Path) -> None:
    code = SERVING.replace("{attempt}", "pickle.loads(stream)").replace("guard.refuse_unpickling()", "pass")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True, timeout=60
    )
    assert "the payload ran" in done.stdout, done.stderr


def test_the_server_process_has_the_guard_on(tmp_path: Path) -> None:
    """The very process of server.py: an attempt from inside it, as a signal handler, is refused and counted."""
    (tmp_path / "model.onnx").write_bytes(graphs.linear())
    code = (
        "import pickle, sys, uvicorn, fractions, serving.process as p\n"
        "stream = pickle.dumps(fractions.Fraction(1, 2))\n"
        "def run(self, sockets):\n"
        "    try:\n        pickle.loads(stream)\n        print('unpickled')\n"
        "    except p.guard.Refused:\n        print('refused')\n"
        "uvicorn.Server.run = run\n"
        "from serving.settings import Settings\n"
        "p.run(Settings.read({}, {'port': '0'}))\n"
    )
    env = environment(tmp_path)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout == "refused\n", done.stderr


SEALED = """
import ctypes, os, pty, subprocess, sys, threading
from serving import guard
from serving.logs import log_to

log_to()
guard.refuse_unpickling()
subprocess.run(["true"]); exec("1"); import colorsys
guard.seal()
attempts = {
    "subprocess.run": lambda: subprocess.run(["true"]),
    "os.system": lambda: os.system("true"),
    "os.posix_spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "os.execv": lambda: os.execv("/bin/true", ["true"]),
    "os.fork": lambda: os.fork() or os._exit(0),
    "os.forkpty": lambda: os.forkpty(),
    "pty.spawn": lambda: pty.spawn("true"),
    "compile": lambda: compile("1", "x", "eval"),
    "exec": lambda: exec("1"),
    "eval": lambda: eval("1"),
    "import": lambda: __import__("chunk"),
    "dlopen": lambda: ctypes.CDLL("libc.so.6"),
}
for name, attempt in attempts.items():
    try:
        attempt()
    except guard.Refused as refusal:
        print("refused", name)
    else:
        print("PASSED", name)
print(guard.attempts())
with guard.loading():
    import wave
    try:
        subprocess.run(["true"])
    except guard.Refused:
        print("still no process")
    other = []
    def load():
        try:
            import sndhdr
        except guard.Refused:
            other.append("refused")
    thread = threading.Thread(target=load)
    thread.start()
    thread.join()
    print("another thread:", other)
    def load_too():
        with guard.loading():
            import colorsys
    thread = threading.Thread(target=load_too)
    thread.start()
    thread.join()
    import sched
    print("two at once")
    with guard.loading():
        import chunk
    import tabnanny
    print("one in another")
for _ in range(100000):
    try:
        exec("1")
    except guard.Refused:
        pass
"""


def test_after_the_seal_no_process_starts_and_no_code_is_loaded(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SEALED], cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "PASSED" not in done.stdout
    assert done.stdout.count("refused ") == 12
    assert "'process': 7, 'code': 5" in done.stdout
    assert "still no process" in done.stdout
    assert "another thread: ['refused']" in done.stdout
    assert "two at once" in done.stdout
    assert "one in another" in done.stdout
    # A loop of attempts does not fill the disk.
    assert len(done.stderr.splitlines()) < 50


def test_a_sealed_server_does_all_it_has_to(start: Start) -> None:
    """Every address, good and bad, once and again, and a stop: nothing of it looks like an attempt."""
    server = start(graphs.table(), name="test")
    infer = "/v2/models/test/infer"
    column = {"name": "age", "datatype": "FP64", "shape": [1500, 1], "data": [1.5] * 1500}
    text = {"name": "city", "datatype": "BYTES", "shape": [1500, 1], "data": ["Ulm"] * 1500}
    with httpx.Client(base_url=server.url) as client:
        for _ in range(2):
            for path in (
                "/v2", "/v2/", "/v2/health/live", "/v2/health/ready", "/v2/models/test", "/v2/models/test/ready", "/docs",
                "/openapi.json", "/metrics", "/v2/models/stats", "/v2/models/test/stats", "/nowhere", "/v2/models/other",
            ):  # fmt: skip
                assert client.get(path).status_code in (200, 404)
            assert client.post("/v2").status_code == 405
            assert client.post(infer, json={"inputs": [column, text]}).status_code == 200
            assert client.post(infer, json={"inputs": [column]}).status_code == 400
            assert client.post(infer, content=gzip.compress(b"{"), headers={"content-encoding": "gzip"}).status_code == 400
            assert client.post(infer, content=b'{"inputs":[{"data":[-0, 1e400]}]}').status_code == 400
        figures = client.get("/metrics").text
    assert 'unjar_guard_refused_total{kind="code"} 0.0' in figures
    assert server.stop() == 0
    assert not [line for line in server.events() if line["event"].endswith("_refused")]
