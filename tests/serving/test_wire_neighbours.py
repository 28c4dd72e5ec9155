"""Does one client's flood, silence or nonsense cost its neighbours, or the machine, anything?"""

import gzip
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.serving import graphs
from tests.serving.asking import Running, Start
from tests.serving.test_metrics import read
from tests.serving.wire import GOOD, Wire, asked, is_good, request, wire

CHUNKED = request(b"", "transfer-encoding: chunked", length=False)
LIVE = request(b"", path="/v2/health/live", method="GET", length=False)
MB = 1 << 20


@pytest.fixture(scope="session", params=["fast", "asgi"])
def server(request: pytest.FixtureRequest, start: Start) -> Running:
    return start(graphs.linear(), UNJAR_FRONT=request.param)


def memory_mb(server: Running, key: str) -> float:
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024
    raise AssertionError(key)


@contextmanager
def taking_at_most(server: Running, mb: float) -> Iterator[None]:
    """At no moment did it take so much more memory than at the beginning."""
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
    before = memory_mb(server, "VmRSS")
    yield
    grown = memory_mb(server, "VmHWM") - before
    assert grown < mb, f"{grown:.0f} MB more at the worst"


@contextmanager
def health_within(server: Running, seconds: float) -> Iterator[None]:
    """Asked again and again all the while, each time on a connection of its own."""
    waits: list[float] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            begun = time.monotonic()
            with wire(server) as client:
                client.socket.settimeout(60)
                client.send(LIVE)
                assert client.answer().json() == {"live": True}
            waits.append(time.monotonic() - begun)
            time.sleep(0.02)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()
    assert waits
    assert max(waits) < seconds


@contextmanager
def sending(client: Wire, *parts: bytes) -> Iterator[None]:
    """While the answers are read, or both sides would wait for each other."""

    def send() -> None:
        for part in parts:
            client.socket.sendall(part)

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    yield
    thread.join(10)


def rows(server: Running) -> float:
    return read(httpx.get(f"{server.url}/metrics").text)["unjar_rows_total"]


def errors(server: Running) -> list[str]:
    return [event["event"] for event in server.events() if event["level"] == "error"]


@pytest.mark.parametrize("count", [600, 3000])
def test_a_flood_of_pipelined_questions_is_answered_in_order_and_to_the_last(server: Running, count: int) -> None:
    before = len(errors(server))
    with wire(server) as client, wire(server) as neighbour, health_within(server, 2):
        with sending(client, b"".join(request(asked([i, 0, 0], id=str(i)), f"X-Request-Id: {i}") for i in range(count))):
            for i in range(count):
                if i % 100 == 0:
                    neighbour.send(request(GOOD))
                answer = client.answer()
                assert answer.headers["x-request-id"] == str(i)
                assert is_good(answer, first=i), answer
        for _ in range(count // 100):
            assert is_good(neighbour.answer())
    assert len(errors(server)) == before


def test_refused_and_good_pipelined_questions_keep_their_order_in_a_flood(server: Running) -> None:
    with wire(server) as client, sending(client, (request(b"{}") + request(GOOD) + LIVE) * 700):
        for _ in range(700):
            assert client.answer().code == "invalid_request"
            assert is_good(client.answer())
            assert client.answer().json() == {"live": True}


def test_bodies_that_were_only_announced_hold_nobody_up(server: Running) -> None:
    """A hundred bytes from each of eight clients, of which none sends more."""
    with ExitStack() as open_ones:
        for _ in range(8):
            silent = open_ones.enter_context(wire(server))
            silent.send(request(b"", f"content-length: {64 * MB}", length=False))
        client = open_ones.enter_context(wire(server))
        client.send(LIVE + request(GOOD))
        assert client.answer().json() == {"live": True}
        assert is_good(client.answer())


ENDLESS = {
    "a value": b"GET /v2 HTTP/1.1\r\nhost: a\r\nx: ",
    "a name": b"GET /v2 HTTP/1.1\r\nhost: a\r\nx",
    "an address": b"GET /",
    "a query": b"POST /v2/models/test/infer?",
    "a method": b"",
    "a trailer": CHUNKED + b"%x\r\n%b\r\n0\r\nx: " % (len(GOOD), GOOD),
    "a chunk's extension": CHUNKED + b"5;",
    "headers": b"GET /v2 HTTP/1.1\r\nhost: a\r\n",
    "trailers": CHUNKED + b"0\r\n",
}


@pytest.mark.parametrize("what", ENDLESS)
def test_what_has_no_end_is_cut_off_long_before_its_time_is_over(server: Running, what: str) -> None:
    piece = b"x: aaaaaaaaaaaa\r\n" * 3000 if what in ("headers", "trailers") else b"a" * 50_000
    with taking_at_most(server, 12), wire(server) as client:
        sent = 0
        try:
            client.send(ENDLESS[what])
            while sent < 10 * MB:
                client.send(piece)
                sent += len(piece)
        except ConnectionError:
            pass
        assert sent < 10 * MB


@pytest.mark.parametrize("size", [1, 2, 17])
def test_small_chunks_take_no_more_memory_than_one_large_body(server: Running, size: int) -> None:
    body = GOOD.ljust(2 * MB)
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(body[at : at + size]), body[at : at + size]) for at in range(0, len(body), size))
    with taking_at_most(server, 40), wire(server) as client:
        client.socket.settimeout(30)
        client.send(CHUNKED, chunks, b"0\r\n\r\n")
        assert is_good(client.answer())


def unanswerable(middle: bytes, mb: int, before: bytes = b'{"inputs":[', after: bytes = b"1]}") -> bytes:
    return before + middle * (mb * MB // len(middle)) + after


LARGE = {
    "lists": request(unanswerable(b"[],", 32)),
    "objects": request(unanswerable(b"{},", 32)),
    "numbers where none belong": request(unanswerable(b"1.5,", 32)),
    "a key written otherwise": request(
        unanswerable(b"1.5,", 32, b'{"inputs":[{"name":"X","datatype":"FP32","shape":[1,3],"d\\u0061ta":[', b"1]}]}")
    ),
    "keys": request(b'{"inputs":[{' + b",".join(b'"%07d":1' % i for i in range(3_000_000)) + b"}]}"),
    "lists, packed": request(gzip.compress(unanswerable(b"[],", 60), 6), "content-encoding: gzip"),
}


@pytest.mark.parametrize("what", LARGE)
def test_a_large_body_that_is_no_question_keeps_neither_health_nor_a_neighbour_waiting(server: Running, what: str) -> None:
    with health_within(server, 1), wire(server) as client:
        client.socket.settimeout(60)
        client.send(LARGE[what])
        assert 400 <= client.answer().status < 500


@pytest.mark.parametrize("what", LARGE)
def test_a_large_body_that_is_no_question_takes_no_more_than_bodies_may(server: Running, what: str) -> None:
    """The default of UNJAR_MAX_HELD_BYTES, and what the server itself needs meanwhile."""
    with taking_at_most(server, 256 + 64), wire(server) as client:
        client.socket.settimeout(60)
        client.send(LARGE[what])
        assert 400 <= client.answer().status < 500


def test_a_bomb_is_refused_and_nobody_notices(server: Running) -> None:
    bomb = gzip.compress(gzip.compress(b" " * (1 << 30), 9), 9)
    single = gzip.decompress(bomb)
    with health_within(server, 1), taking_at_most(server, 150), wire(server) as client:
        client.send(request(single, "content-encoding: gzip"))
        answer = client.answer()
        assert (answer.status, answer.code) == (413, "too_large")
        client.send(request(bomb, "content-encoding: gzip"))
        assert client.answer().code == "invalid_json"


def test_two_hundred_who_hang_in_the_middle_cost_one_who_does_not_nothing(server: Running) -> None:
    whole = request(GOOD)
    ends = [1 + i * len(whole) // 210 for i in range(200)]
    with ExitStack() as open_ones:
        hanging = [open_ones.enter_context(wire(server)).send(whole[:end]) for end in ends]
        client = open_ones.enter_context(wire(server))
        with health_within(server, 1):
            for _ in range(20):
                client.send(request(GOOD))
                assert is_good(client.answer())
        # And they are answered when they go on.
        for hung, end in zip(hanging, ends, strict=True):
            hung.send(whole[end:])
            assert is_good(hung.answer())


def descriptors(server: Running) -> int:
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


LEFT_BEHIND = {
    "nothing": b"",
    "half a line": b"GET /v",
    "half a body": request(GOOD)[:-3],
    "a question": request(GOOD),
    "three and a half": request(GOOD) * 3 + b"POST",
    "half a chunk": CHUNKED + b"5\r\nab",
    "a look at its health": LIVE,
    "nonsense": b"\0",
    "a bad question": request(b"{}"),
    "a question by the common way": request(GOOD, "content-encoding: identity"),
    "a question of HTTP/1.0": request(GOOD).replace(b"1.1", b"1.0"),
    "three looks at its health": LIVE * 3,
    "three by the common way": request(GOOD, "content-encoding: identity") * 3,
    "three bad ones and a good one": request(b"{}") * 3 + request(GOOD),
    "an expectation": request(GOOD, "Expect: 100-continue")[:-9],
}


@pytest.mark.parametrize("way", ["reset", "closed", "half closed"])
@pytest.mark.parametrize("sent", LEFT_BEHIND)
def test_clients_that_leave_leave_nothing_behind(server: Running, way: str, sent: str) -> None:
    with wire(server) as client:
        client.send(LIVE)
        client.answer()
        before, failures = descriptors(server), len(errors(server))
        for _ in range(5):
            leaving = Wire(server)
            leaving.send(LEFT_BEHIND[sent])
            if way == "half closed":
                leaving.socket.shutdown(socket.SHUT_WR)
                time.sleep(0.02)
            if way == "reset":
                leaving.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            leaving.close()
        limit = time.monotonic() + 5
        while descriptors(server) > before:
            assert time.monotonic() < limit, f"{descriptors(server)} descriptors, {before} before"
            time.sleep(0.02)
        client.send(request(GOOD))
        assert is_good(client.answer())
    assert errors(server)[failures:] == []


def slow_question(*headers: str) -> bytes:
    values = ",".join(["1"] * 600)
    return request(f'{{"inputs":[{{"name":"X","datatype":"FP32","shape":[1,600],"data":[{values}]}}]}}'.encode(), *headers)


@pytest.mark.parametrize("front", ["fast", "asgi"])
def test_questions_that_were_pipelined_by_a_client_who_left_are_not_run(start: Start, front: str) -> None:
    server = start(graphs.slow(), UNJAR_FRONT=front)
    before = rows(server)
    with wire(server) as client:
        leaving = Wire(server).send(slow_question() * 8)
        time.sleep(0.03)
        leaving.close()
        client.send(slow_question())
        assert client.answer().status == 200
    time.sleep(0.3)
    # The one that ran, those whose answers it took to notice, and the neighbour's.
    assert rows(server) <= before + 5
    assert errors(server) == []
    server.stop()


@pytest.mark.parametrize("front", ["fast", "asgi"])
def test_a_question_by_the_common_way_that_nobody_waits_for_is_not_run(start: Start, front: str) -> None:
    server = start(graphs.slow(40), UNJAR_FRONT=front)
    before = rows(server)
    with wire(server) as client:
        client.send(slow_question())
        time.sleep(0.03)
        for _ in range(4):
            with wire(server) as leaving:
                leaving.send(slow_question("content-encoding: identity"))
        assert client.answer().status == 200
        client.send(slow_question())
        assert client.answer().status == 200
    assert rows(server) == before + 2
    server.stop()


def test_a_client_that_closed_its_half_and_left_while_the_model_runs_is_let_go(start: Start) -> None:
    server = start(graphs.slow())
    with wire(server) as client:
        client.send(LIVE)
        client.answer()
        before = descriptors(server)
        for _ in range(6):
            leaving = Wire(server).send(slow_question())
            leaving.socket.shutdown(socket.SHUT_WR)
            leaving.close()
        limit = time.monotonic() + 10
        while descriptors(server) > before:
            assert time.monotonic() < limit
            time.sleep(0.05)
    server.stop()


def test_nothing_failed(server: Running) -> None:
    with wire(server) as client:
        client.send(request(GOOD))
        assert is_good(client.answer())
    assert errors(server) == []
    assert "Traceback" not in server.log.read_text()
