"""How do the tests speak HTTP by the byte: what a client may send that no client library would?"""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.serving.asking import Running

WAIT_S = 10.0


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The refusal's; every refusal has the one shape."""
        said = self.json()
        assert set(said) == {"error", "code", "request_id"}, said
        assert said["request_id"] == self.headers["x-request-id"]
        assert self.headers["content-type"] == "application/json"
        return str(said["code"])


class Wire:
    """One connection."""

    def __init__(self, server: Running) -> None:
        host, port = server.url.removeprefix("http://").rsplit(":", 1)
        self.socket = socket.create_connection((host.strip("[]"), int(port)), WAIT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""

    def send(self, *parts: bytes) -> "Wire":
        for part in parts:
            self.socket.sendall(part)
        return self

    def _more(self) -> bool:
        piece = self.socket.recv(1 << 16)
        self.unread += piece
        return bool(piece)

    def answer(self, method: str = "POST") -> Answer:
        """The next answer. Raises ConnectionError when there is none."""
        while b"\r\n\r\n" not in self.unread:
            if not self._more():
                raise ConnectionError(f"closed after {self.unread!r}")
        head, _, self.unread = self.unread.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        assert first.startswith("HTTP/1.1 ")
        pairs = [line.split(": ", 1) for line in lines]
        headers = {name.lower(): value for name, value in pairs}
        assert len(headers) == len(pairs), pairs
        size = 0 if method == "HEAD" or first.startswith("HTTP/1.1 1") else int(headers["content-length"])
        while len(self.unread) < size:
            if not self._more():
                raise ConnectionError("closed in the middle of a body")
        body, self.unread = self.unread[:size], self.unread[size:]
        return Answer(int(first.split()[1]), headers, body)

    def ended(self) -> bool:
        """Has the server closed, with nothing left unsaid?"""
        try:
            while self._more():
                pass
        except ConnectionResetError:
            pass
        return self.unread == b""

    def close(self) -> None:
        self.socket.close()


@contextmanager
def wire(server: Running) -> Iterator[Wire]:
    connection = Wire(server)
    try:
        yield connection
    finally:
        connection.close()


def request(
    body: bytes, *headers: str, path: str = "/v2/models/test/infer", method: str = "POST", length: bool = True
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: test", *headers]
    if length:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def asked(*rows: list[float], **more: Any) -> bytes:
    data = [value for row in rows for value in row]
    tensor = {"name": "X", "datatype": "FP32", "shape": [len(rows), 3], "data": data}
    return json.dumps({"inputs": [tensor], **more}).encode()


GOOD = asked([1, 2, 3])


def is_good(answer: Answer, *, first: float = 14.0) -> bool:
    return answer.status == 200 and answer.json()["outputs"][0]["data"][0] == first
