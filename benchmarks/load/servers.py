"""Which servers stand side by side, how is each asked, and which answers are right?"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.load.peers import PEERS
from benchmarks.running import MALLOC, ROOT

SERVER_CORE, CLIENT_CORE = 0, 1
HEADER = "Inference-Header-Content-Length"
TICKS = os.sysconf("SC_CLK_TCK")
START_S = 90


@dataclass(frozen=True)
class Contender:
    name: str
    formats: tuple[str, ...]
    path: dict[str, str]


V2 = "/v2/models/model/infer"
CONTENDERS = (
    Contender("unjar", ("v2json", "v2binary"), {"v2json": V2, "v2binary": V2}),
    Contender("unjar-asgi", ("v2json", "v2binary"), {"v2json": V2, "v2binary": V2}),
    Contender("naive-sklearn", ("native",), {"native": "/predict"}),
    Contender("naive-onnxruntime", ("native",), {"native": "/predict"}),
    Contender("asgi-echo", ("native",), {"native": "/"}),
    Contender("bare", ("v2json", "v2binary"), {"v2json": V2, "v2binary": V2}),
    *(
        Contender(peer.name, peer.formats, {kind: "/predict" if kind == "native" else V2 for kind in peer.formats})
        for peer in PEERS
    ),
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass
class Running:
    contender: Contender
    process: subprocess.Popen[bytes]
    port: int
    started: float
    live_s: float = 0.0
    answered_s: float = 0.0
    idle_kb: int = 0

    def pids(self) -> list[int]:
        found, waiting = [], [self.process.pid]
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                waiting += map(int, children.read_text().split())
        return found

    def cpu_s(self) -> float:
        """Of the whole tree; utime and stime stand behind the name, which may hold anything."""
        fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self.pids()]
        return sum(int(field[11]) + int(field[12]) for field in fields) / TICKS

    def pss_kb(self) -> int:
        rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines() for pid in self.pids()]
        return sum(int(line.split()[1]) for lines in rollups for line in lines if line.startswith("Pss:"))

    def peak_kb(self) -> int:
        """The most each process of the tree was seen to hold, added up."""
        states = [Path(f"/proc/{pid}/status").read_text().splitlines() for pid in self.pids()]
        return sum(int(line.split()[1]) for lines in states for line in lines if line.startswith("VmHWM:"))


@contextlib.contextmanager
def running(
    contender: Contender, model: str, python: str = sys.executable, extra: dict[str, str] | None = None
) -> Iterator[Running]:
    """extra: settings beside those of production; an empty one is left out."""
    port = free_port()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("UNJAR_")} | {"OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        peer = next((peer for peer in PEERS if peer.name == contender.name), None)
        if peer is not None:
            command, given = peer.prepare(Path(folder), model, port)
        elif contender.name.startswith("unjar"):
            command = [python, str(ROOT / "server.py"), "--model", model, "--name", "model", "--port", str(port)]
            given = MALLOC | {"UNJAR_STATE": f"{folder}/state"} | ({"UNJAR_FRONT": "asgi"} if "asgi" in contender.name else {})
            given = {name: value for name, value in (given | (extra or {})).items() if value}
        elif contender.name == "bare":
            command = [python, "-m", "benchmarks.load.bare", model, str(port)]
            given = MALLOC | {"PYTHONPATH": str(ROOT)}
        else:
            kind = {"naive-sklearn": "sklearn", "naive-onnxruntime": "ort", "asgi-echo": "echo"}[contender.name]
            command, given = [python, "-m", "benchmarks.load.naive", kind, model, str(port)], {"PYTHONPATH": str(ROOT)}
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(
                ["taskset", "-c", str(SERVER_CORE), *command], cwd=folder, env=kept | given, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        found = Running(contender, process, port, time.monotonic())
        try:
            yield found
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            # What it started itself and left behind is in the group it was given.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def post(port: int, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body, headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=60) as answer:
        return bytes(answer.read())


def wait_until_answered(server: Running, kind: str, body: bytes, headers: dict[str, str]) -> None:
    """Cold start: until the port is open, and until the first answer. Raises RuntimeError when it never comes."""
    limit = time.monotonic() + START_S
    while True:
        if server.process.poll() is not None or time.monotonic() > limit:
            raise RuntimeError(f"{server.contender.name} does not start")
        try:
            with socket.create_connection(("127.0.0.1", server.port), 0.2):
                server.live_s = server.live_s or time.monotonic() - server.started
            post(server.port, server.contender.path[kind], body, headers)
            break
        except (OSError, urllib.error.URLError):
            time.sleep(0.005)
    server.answered_s = time.monotonic() - server.started


@dataclass(frozen=True)
class Questions:
    """Bodies, and the numbers onnxruntime answers to each."""

    kind: str
    rows: int
    bodies: list[bytes]
    answers: list[Any]
    json_size: int | None

    @property
    def headers(self) -> dict[str, str]:
        named = {"Content-Type": "application/json" if self.json_size is None else "application/octet-stream"}
        return named | ({} if self.json_size is None else {HEADER: str(self.json_size)})


def questions(kind: str, rows: int, different: int, session: Any, X: Any) -> Questions:
    bodies, answers = [], []
    size: int | None = None
    for i in range(different):
        part = np.ascontiguousarray(X[np.arange(i * rows, (i + 1) * rows) % len(X)])
        answers.append(session.run(["predict"], {"X": part})[0])
        tensor: dict[str, Any] = {"name": "X", "datatype": "FP64", "shape": list(part.shape)}
        if kind == "native":
            bodies.append(json.dumps({"data": part.tolist()}).encode())
        elif kind == "v2json":
            bodies.append(json.dumps({"id": "q", "inputs": [tensor | {"data": part.reshape(-1).tolist()}]}).encode())
        else:
            tensor["parameters"] = {"binary_data_size": part.nbytes}
            asked = {"id": "q", "inputs": [tensor], "outputs": [{"name": "predict", "parameters": {"binary_data": True}}]}
            text = json.dumps(asked).encode()
            size = len(text)
            bodies.append(text + part.tobytes())
    return Questions(kind, rows, bodies, answers, size)


def expected(server: Running, asked: Questions) -> list[bytes]:
    """What this server's answers look like, byte for byte; each is the right one, or it is an error here."""
    texts = []
    for body, wanted in zip(asked.bodies, asked.answers, strict=True):
        text = post(server.port, server.contender.path[asked.kind], body, asked.headers)
        if server.contender.name != "asgi-echo":
            found = numbers(text, asked.kind, wanted.shape)
            if found.shape != wanted.shape or not np.allclose(found, wanted, rtol=1e-9, atol=1e-9):
                raise RuntimeError(f"{server.contender.name} answers wrongly: {text[:200]!r}")
        texts.append(text)
    return texts


def numbers(text: bytes, kind: str, shape: tuple[int, ...]) -> Any:
    if kind == "native":
        return np.array(json.loads(text)["predict"])
    if kind == "v2json":
        return np.array(json.loads(text)["outputs"][0]["data"]).reshape(shape)
    return np.frombuffer(text[-8 * shape[0] * shape[1] :], "<f8").reshape(shape)
