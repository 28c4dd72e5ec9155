"""python -m benchmarks.accepting: two processes on one listening socket, or on a socket each (SO_REUSEPORT): who gets the
connections, and what happens to those who connect after one process was killed?

Results: benchmarks/results/accepting.json. Needs wrk.
"""

import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.machine import described
from benchmarks.running import MALLOC, ROOT, Server
from benchmarks.traffic import model_of
from serving.supervisor import Inherited, Memory

CONNECTIONS, ROUNDS, BURSTS, KILLS, SECONDS = 64, 6, 20, 4, 2
PATH = "/v2/models/model/infer"


class Pair:
    """Two server processes as the supervisor starts them, on sockets of our choice."""

    def __init__(self, folder: Path, apart: bool) -> None:
        self.listeners = _apart() if apart else [socket.create_server(("127.0.0.1", 0), backlog=2048)] * 2
        self.port: int = self.listeners[0].getsockname()[1]
        self.memory = Memory.make(3)
        self.ends, self.lifeline = os.pipe()
        self.log = folder / f"log-{apart}"
        self.servers = [self.start(number) for number in (0, 1)]
        self.wait_for_ready(2)

    def start(self, number: int) -> Server:
        given = Inherited(self.listeners[number].fileno(), self.memory.descriptor, number + 1, self.ends)
        command = [sys.executable, str(ROOT / "server.py"), "--model", str(ROOT / "model.onnx"), "--inherit", str(given)]
        with self.log.open("ab") as out:
            handed = (given.listener, given.memory, given.lifeline)
            environment = os.environ | MALLOC | {"UNJAR_PROCESSES": "2"}
            process = subprocess.Popen(command, pass_fds=handed, env=environment, stdout=out, stderr=out)
        return Server(process, self.log, self.port)

    def wait_for_ready(self, count: int) -> None:
        self.servers[0].wait_for("ready", count)

    def held(self) -> list[int]:
        """How many connections each has."""
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        local = {line[9] for line in lines if line[3] == "01" and int(line[1].partition(":")[2], 16) == self.port}
        return [len(local & _sockets(server.process.pid)) for server in self.servers]

    def stop(self) -> None:
        for server in self.servers:
            server.process.terminate()
            server.process.wait(30)


def _apart() -> list[socket.socket]:
    first = socket.create_server(("127.0.0.1", 0), backlog=2048, reuse_port=True)
    return [first, socket.create_server(first.getsockname(), backlog=2048, reuse_port=True)]


def _sockets(pid: int) -> set[str]:
    found = set()
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            found.add(os.readlink(entry.path).removeprefix("socket:[").removesuffix("]"))
    return found


def loaded(pair: Pair, script: Path, seconds: float, meanwhile: Any) -> tuple[Any, str]:
    """What `meanwhile` says in the middle, and what wrk says at the end."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), f"http://127.0.0.1:{pair.port}{PATH}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as wrk:
        time.sleep(1)
        said = meanwhile(pair)
        return said, wrk.communicate()[0]


async def pool(pair: Pair, question: bytes, apart_s: float) -> list[int]:
    """Who has the connections of a pool that are opened so long after one another, each with a question."""

    async def one(number: int) -> asyncio.StreamWriter:
        await asyncio.sleep(number * apart_s)
        reader, writer = await asyncio.open_connection("127.0.0.1", pair.port)
        writer.write(question)
        await reader.readuntil(b"\r\n\r\n")
        return writer

    writers = await asyncio.gather(*(one(number) for number in range(CONNECTIONS)))
    held = pair.held()
    for writer in writers:
        writer.close()
    return held


def kill(pair: Pair) -> float:
    """The slowest of the connections made while a killed process comes back, in seconds."""
    ready = len(pair.servers[0].events("ready"))
    pair.servers[1].process.kill()
    pair.servers[1].process.wait()
    pair.servers[1] = pair.start(1)
    slowest, over = 0.0, False
    while not over:
        over = len(pair.servers[0].events("ready")) > ready
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", pair.port), timeout=10) as connection:
            connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            connection.recv(1000)
        slowest = max(slowest, time.monotonic() - began)
    return slowest


@contextlib.contextmanager
def pairs(folder: Path) -> Iterator[dict[str, Pair]]:
    made = {"one socket": Pair(folder, apart=False), "a socket each": Pair(folder, apart=True)}
    try:
        yield made
    finally:
        for pair in made.values():
            pair.stop()


def main() -> int:
    model = model_of(str(ROOT / "model.onnx"))
    tensor = model.signature.inputs[0]
    row = model.verification.rows[tensor.name][:1]
    body = json.dumps({"inputs": [{"name": tensor.name, "datatype": tensor.datatype, "shape": list(row.shape),
                                   "data": row.ravel().tolist()}]})  # fmt: skip
    question = f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
    with tempfile.TemporaryDirectory() as name, pairs(Path(name)) as made:
        script = Path(name) / "ask.lua"
        script.write_text(f"wrk.method = 'POST'; wrk.body = '{body}'")
        found: dict[str, dict[str, Any]] = {
            way: {
                "under load": [],
                "requests_per_s": [],
                "pool at once": [],
                "pool one by one": [],
                "slowest_connection_after_kill_s": [],
            }
            for way in made
        }
        # In turns, so that a neighbour's load falls on both.
        for _ in range(ROUNDS):
            for way, pair in made.items():
                held, said = loaded(pair, script, SECONDS, Pair.held)
                found[way]["under load"].append(held)
                found[way]["requests_per_s"].append(round(float(re.findall(r"Requests/sec:\s+(\S+)", said)[0])))
        for _ in range(BURSTS):
            for way, pair in made.items():
                found[way]["pool at once"].append(asyncio.run(pool(pair, question, 0)))
                found[way]["pool one by one"].append(asyncio.run(pool(pair, question, 0.005)))
        for _ in range(KILLS):
            for way, pair in made.items():
                slowest, _said = loaded(pair, script, SECONDS + 1, kill)
                found[way]["slowest_connection_after_kill_s"].append(round(slowest, 3))
    result = {**described(), "connections": CONNECTIONS, "processes": 2, "ways": found}
    Path(ROOT / "benchmarks/results/accepting.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
