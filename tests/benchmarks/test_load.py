"""Does the load generator see it when a server answers wrongly, or the right thing to the wrong client?"""

import contextlib
import itertools
import socketserver
import threading
from collections.abc import Callable, Iterator

import pytest

from benchmarks.load import generator

Answers = Callable[[int, bytes], bytes]
SECONDS = 0.3
PAIRS = [(generator.whole("/", {}, b"question %d" % i), b"answer %d" % i) for i in range(8)]


def _told(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


def _right(body: bytes) -> bytes:
    return _told(b"answer" + body.removeprefix(b"question"))


@contextlib.contextmanager
def _server(answer: Answers) -> Iterator[int]:
    """`answer` is told how many were asked before, and the question; it returns the bytes to send, none to hang up."""
    number, lock = itertools.count(), threading.Lock()

    class One(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):
                while length := self._length():
                    body = self.rfile.read(length)
                    with lock:
                        sent = answer(next(number), body)
                    if not sent:
                        return
                    self.wfile.write(sent)

        def _length(self) -> int:
            length = 0
            while (line := self.rfile.readline()) not in (b"\r\n", b""):
                if line.startswith(b"Content-Length: "):
                    length = int(line[16:])
            return length

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), One) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_right_answers_are_counted_and_nothing_else() -> None:
    with _server(lambda _, body: _right(body)) as port:
        found = generator.load(port, PAIRS, 4, SECONDS)
    assert found["requests"] > 10
    assert (found["wrong"], found["refused"], found["broken"]) == (0, 0, 0)
    assert 0 < found["p50_us"] <= found["p99_us"]


def test_the_right_answer_to_somebody_elses_question_is_wrong() -> None:
    waiting: list[bytes] = []

    def swapped(_: int, body: bytes) -> bytes:
        waiting.append(body)
        return _right(waiting[-2] if len(waiting) > 1 else body)

    with _server(swapped) as port:
        found = generator.load(port, PAIRS, 4, SECONDS)
    # Two connections may be at the same question.
    assert found["wrong"] > found["requests"] / 2 > 10


@pytest.mark.parametrize(
    "spoilt", [lambda told: told[:-1] + b"!", lambda told: told + b"x", lambda told: told.replace(b"length: 8", b"length: 7")]
)
def test_one_byte_too_many_too_few_or_another_is_wrong(spoilt: Callable[[bytes], bytes]) -> None:
    with _server(lambda asked, body: spoilt(_right(body)) if asked == 5 else _right(body)) as port:
        found = generator.load(port, PAIRS, 1, SECONDS)
    assert found["wrong"] >= 1


def test_a_refusal_is_not_an_answer() -> None:
    with _server(lambda asked, body: _told(b"no", b"503 Busy") if asked % 2 else _right(body)) as port:
        found = generator.load(port, PAIRS, 2, SECONDS)
    assert found["refused"] >= found["requests"] // 2 - 2
    assert found["wrong"] == 0


def test_a_connection_that_ends_is_counted_and_opened_anew() -> None:
    with _server(lambda asked, body: b"" if asked == 5 else _right(body)) as port:
        found = generator.load(port, PAIRS, 2, SECONDS)
    assert found["broken"] == 1
    assert found["requests"] > 10


def test_an_answer_in_pieces_is_put_together() -> None:
    long = b"x" * 3_000_000
    with _server(lambda _, body: _told(long)) as port:
        found = generator.load(port, [(generator.whole("/", {}, long), long)], 2, SECONDS)
    assert found["requests"] >= 2
    assert found["wrong"] == 0


def test_without_a_server_nothing_is_measured() -> None:
    with pytest.raises(RuntimeError, match="Connection refused"):
        generator.load(9, PAIRS, 1, SECONDS)


def test_an_answer_of_unknown_length_is_said_to_be_one() -> None:
    with (
        _server(lambda _, body: b"HTTP/1.1 200 OK\r\n\r\nanswer") as port,
        pytest.raises(RuntimeError, match="without Content-Length"),
    ):
        generator.load(port, PAIRS, 1, SECONDS)
