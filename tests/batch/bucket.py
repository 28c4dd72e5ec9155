"""What object store do the tests ask, and what stands between it and who asks? moto, in a process of its own, and a gate.

The gate passes everything on, and can hold uploads until several have come, or stop one in its middle.
"""

import http.client
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

from batch.places import Place
from tests.batch.working import LIMIT_S, ROOT

NAME = "tables"


def address(port: int, path: str, bucket: str = NAME) -> str:
    return f"s3://{bucket}/{quote(path)}?scheme=http&endpoint_override=127.0.0.1:{port}&region=us-east-1"


@contextmanager
def moto() -> Iterator[int]:
    """Its port. One bucket is there."""
    subprocess.run([ROOT / "scripts" / "tool", "moto"], check=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command: list[str | Path] = [ROOT / ".venv-moto" / "bin" / "moto_server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            _make_bucket(port)
            yield port
        finally:
            process.kill()


def _make_bucket(port: int) -> None:
    limit = time.monotonic() + LIMIT_S
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
        try:
            connection.request("PUT", f"/{NAME}")
            assert connection.getresponse().status == 200
            return
        except ConnectionRefusedError:
            assert time.monotonic() < limit, "moto does not start"
            time.sleep(0.05)
        finally:
            connection.close()


def contents(place: Place) -> dict[str, bytes]:
    return {name: place.read(name) or b"" for name in place.names()}


class Gate(ThreadingHTTPServer):
    """`statuses`: of the uploads whose names `pattern` finds, in the order in which the store took them."""

    daemon_threads = True

    def __init__(self, behind: int, pattern: str) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.behind, self.pattern = behind, re.compile(pattern)
        self.statuses: list[int] = []
        # All these have come before the first is passed on.
        self.meeting: threading.Barrier | None = None
        # The first is held in its middle until it is told to go on, or cut off.
        self.holds = threading.Semaphore(0)
        self.stuck, self.goes_on = threading.Event(), threading.Event()
        self.cut = False
        self.one_at_a_time = threading.Lock()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @contextmanager
    def open(self) -> Iterator["Gate"]:
        serving = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})
        serving.start()
        try:
            yield self
        finally:
            self.goes_on.set()
            self.shutdown()
            serving.join()
            self.server_close()

    def let_go(self, cut: bool) -> None:
        self.cut = cut
        self.goes_on.set()

    def handle_error(self, request: object, client_address: object) -> None:
        """Who was killed asks no more."""


class _Passing(BaseHTTPRequestHandler):
    server: Gate
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._pass(b"")

    def do_HEAD(self) -> None:
        self._pass(b"")

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        gate = self.server
        if not gate.pattern.search(self.path):
            self._pass(body)
            return
        if gate.meeting is not None:
            gate.meeting.wait(LIMIT_S)
        if gate.holds.acquire(blocking=False) and not self._reaches_its_end(body):
            self.close_connection = True
            return
        # moto looks and writes in two steps; a store that knows If-None-Match does not.
        with gate.one_at_a_time:
            gate.statuses.append(self._pass(body))

    def _reaches_its_end(self, body: bytes) -> bool:
        """Half of it goes to the store on a line of its own, which is then cut; the other line begins anew."""
        with socket.create_connection(("127.0.0.1", self.server.behind)) as line:
            line.sendall(f"PUT {self.path} HTTP/1.1\r\n{self.headers}".encode() + body[: len(body) // 2])
            self.server.stuck.set()
            assert self.server.goes_on.wait(LIMIT_S)
        return not self.server.cut

    def _pass(self, body: bytes) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=LIMIT_S)
        try:
            connection.request(self.command, self.path, body or None, dict(self.headers.items()))
            reply = connection.getresponse()
            content = reply.read()
        finally:
            connection.close()
        self.send_response_only(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        self.send_header("content-length", reply.getheader("content-length") or str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        return reply.status

    def log_message(self, *_: object) -> None:
        pass
