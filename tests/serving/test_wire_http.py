"""Is HTTP spoken as it should be, however the bytes come?"""

import os
import socket
import time
from pathlib import Path

import httpx
import pytest

from tests.serving import graphs
from tests.serving.asking import Running, Start
from tests.serving.test_metrics import read
from tests.serving.wire import GOOD, Wire, asked, is_good, request, wire

LIVE = request(b"", path="/v2/health/live", method="GET", length=False)
COLD = request(b"", path="/v2", method="GET", length=False)


@pytest.fixture(scope="session", params=["fast", "asgi"])
def server(request: pytest.FixtureRequest, start: Start) -> Running:
    return start(graphs.linear(), UNJAR_FRONT=request.param)


@pytest.fixture(scope="session")
def quiet(fast: Running) -> int:
    """How many descriptors the server has with no client."""
    return descriptors(fast)


@pytest.fixture(scope="session")
def fast(start: Start) -> Running:
    return start(graphs.linear(), UNJAR_REQUEST_TIMEOUT_S="1", UNJAR_KEEP_ALIVE_S="2", UNJAR_MAX_CONNECTIONS="20")


def rows(server: Running) -> float:
    return read(httpx.get(f"{server.url}/metrics").text)["unjar_rows_total"]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_request_in_pieces_is_one_request(server: Running, size: int) -> None:
    with wire(server) as client:
        whole = request(GOOD)
        client.send(*(whole[at : at + size] for at in range(0, len(whole), size)))
        assert is_good(client.answer())


@pytest.mark.parametrize("size", [1, 5, 10**6])
def test_a_chunked_body_is_answered(server: Running, size: int) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(GOOD[at : at + size]), GOOD[at : at + size]) for at in range(0, len(GOOD), size))
    with wire(server) as client:
        for _ in range(2):
            client.send(request(b"", "transfer-encoding: chunked", length=False) + chunks + b"0\r\n\r\n")
            assert is_good(client.answer())


def test_many_requests_in_one_packet_are_answered_in_order(server: Running) -> None:
    with wire(server) as client:
        client.send(b"".join(request(asked([i, 0, 0], id=str(i))) for i in range(100)))
        for i in range(100):
            answer = client.answer()
            assert (answer.json()["id"], is_good(answer, first=i)) == (str(i), True)


def test_hot_and_cold_and_bad_ones_keep_their_order(server: Running) -> None:
    bad = request(b'{"inputs":1}')
    with wire(server) as client:
        client.send(COLD + request(GOOD) + LIVE + bad + COLD + bad + request(GOOD) + COLD)
        assert client.answer().json()["name"] == "unjar"
        assert is_good(client.answer())
        assert client.answer().json() == {"live": True}
        assert client.answer().code == "invalid_request"
        assert client.answer().json()["name"] == "unjar"
        assert client.answer().code == "invalid_request"
        assert is_good(client.answer())
        assert client.answer().json()["name"] == "unjar"


def test_what_is_no_http_behind_good_requests_does_not_cost_their_answers(fast: Running) -> None:
    with wire(fast) as client:
        client.send(request(GOOD) + request(GOOD) + b"\0\0 nonsense\r\n\r\n" + request(GOOD))
        assert is_good(client.answer())
        assert is_good(client.answer())
        assert client.answer().code == "invalid_http"
        assert client.ended()


@pytest.mark.parametrize(
    "raw",
    [
        b"\0\0\0\0\r\n\r\n",
        b"POST /v2/models/test/infer HTTP/9.9\r\n\r\n",
        b"post /v2 HTTP/1.1\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\n\r\n",
        b"GET /v2/health/live HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        b"POST /v2/models/test/infer HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}",
        b"GET /v2 HTTP/1.1\r\nhost: a\r\n bad fold\0\r\n\r\n",
        b"POST /v2 HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"POST /v2 HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"POST /v2 HTTP/1.1\r\nhost: a\r\ncontent-length: 1e3\r\n\r\n",
        b"POST /v2 HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"POST /v2/models/test/infer HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v2/models/test/infer HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"SSH-2.0-client\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_http_is_refused_in_the_one_shape(fast: Running, raw: bytes) -> None:
    with wire(fast) as client:
        client.send(raw)
        answer = client.answer()
        assert (answer.status, answer.code) == (400, "invalid_http")
        assert answer.headers["connection"] == "close"
        assert client.ended()


@pytest.mark.parametrize(
    ("header", "status"),
    [("x: " + "a" * 70_000, 431), ("\r\n".join(f"x{i}: {'a' * 90}" for i in range(1000)), 431), ("x: y", 200)],
)
def test_a_flood_of_headers_is_refused(fast: Running, header: str, status: int) -> None:
    with wire(fast) as client:
        client.send(request(GOOD, header))
        answer = client.answer()
        assert answer.status == status
        if status == 431:
            assert answer.code == "headers_too_large"
            assert client.ended()


def test_an_endless_header_is_cut_off(fast: Running) -> None:
    with wire(fast) as client:
        client.send(b"GET /v2 HTTP/1.1\r\nx: ")
        with pytest.raises(ConnectionError):
            client.send(*[b"a" * 10_000] * 10_000)


def test_http_1_0_is_answered_and_closed(server: Running) -> None:
    with wire(server) as client:
        client.send(request(GOOD).replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert is_good(client.answer())
        assert client.ended()


def test_a_client_that_wants_the_connection_closed_gets_it_closed(server: Running) -> None:
    with wire(server) as client:
        client.send(request(GOOD, "Connection: close"))
        answer = client.answer()
        assert is_good(answer)
        assert answer.headers["connection"] == "close"
        assert client.ended()


def test_keep_alive_that_is_asked_for_is_kept(server: Running) -> None:
    with wire(server) as client:
        for _ in range(3):
            client.send(request(GOOD, "Connection: keep-alive", "Content-Type: application/json", "X-More: 1"))
            assert is_good(client.answer())


def test_expect_is_answered_before_the_body_comes(server: Running) -> None:
    with wire(server) as client:
        head, _, body = request(GOOD, "Expect: 100-continue").partition(b"\r\n\r\n")
        client.send(head + b"\r\n\r\n")
        assert client.answer().status == 100
        client.send(body)
        assert is_good(client.answer())


@pytest.mark.parametrize(
    "path",
    ["http://test/v2/models/test/infer", "/v2/models/t%65st/infer", "/v2/models/test/infer?x=1", "/v2/models/test%2Finfer"],
)
def test_other_spellings_of_the_address(server: Running, path: str) -> None:
    with wire(server) as client:
        client.send(request(GOOD, path=path))
        assert is_good(client.answer())


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2/models/../models/test/infer", 404), ("//v2/models/test/infer", 404), ("/v2/models//infer", 404),
        ("/v2/models/test/infer/", 404), ("/../../etc/passwd", 404), ("/v2/models/%00/infer", 404), ("/%ff", 404),
        ("/v2/models/" + "a" * 5000 + "/infer", 404),
    ],
)  # fmt: skip
def test_addresses_nobody_has(server: Running, path: str, status: int) -> None:
    with wire(server) as client:
        client.send(request(GOOD, path=path))
        answer = client.answer()
        assert answer.status == status
        assert answer.code in ("not_found", "unknown_model")
        client.send(request(GOOD))
        assert is_good(client.answer())


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE"])
def test_other_methods_are_refused_and_the_connection_kept(server: Running, method: str) -> None:
    with wire(server) as client:
        client.send(request(GOOD, method=method))
        answer = client.answer(method)
        assert answer.status == 405
        assert answer.headers["allow"] == "POST"
        client.send(request(GOOD))
        assert is_good(client.answer())


def test_head_has_the_headers_and_no_body(server: Running) -> None:
    with wire(server) as client:
        client.send(request(b"", path="/v2/health/live", method="HEAD", length=False) + LIVE)
        assert client.answer("HEAD").headers["content-length"] == "13"
        assert client.answer().json() == {"live": True}


@pytest.mark.parametrize("upgrade", ["websocket", "h2c"])
def test_a_change_of_protocol_is_not_offered(fast: Running, upgrade: str) -> None:
    with wire(fast) as client:
        client.send(
            request(b"", "Connection: Upgrade", f"Upgrade: {upgrade}", path="/v2/health/live", method="GET", length=False)
        )
        assert client.answer().json() == {"live": True}


def test_a_missing_length_is_an_empty_body(server: Running) -> None:
    with wire(server) as client:
        client.send(request(b"", length=False))
        assert client.answer().code == "invalid_json"
        client.send(request(GOOD))
        assert is_good(client.answer())


def test_a_header_that_decides_is_not_there_twice(server: Running) -> None:
    with wire(server) as client:
        client.send(request(GOOD, "Inference-Header-Content-Length: 5", "Inference-Header-Content-Length: 9"))
        answer = client.answer()
        assert (answer.status, answer.code) == (400, "invalid_request")
        assert "is there twice" in answer.json()["error"]


@pytest.mark.parametrize("tail", [b"", request(GOOD)[:30]])
def test_a_client_that_has_closed_its_half_gets_its_answer(fast: Running, tail: bytes) -> None:
    for _ in range(30):
        with wire(fast) as client:
            client.send(request(GOOD) + tail)
            client.socket.shutdown(socket.SHUT_WR)
            assert is_good(client.answer())
            assert client.ended()


def descriptors(server: Running) -> int:
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def test_no_descriptor_stays_behind(fast: Running) -> None:
    with wire(fast) as client:
        client.send(COLD)
        client.answer()
    time.sleep(0.2)
    before = descriptors(fast)
    for tail in (b"", b"\0", request(GOOD)[:40]):
        for _ in range(10):
            client = Wire(fast)
            client.send(request(GOOD) + tail)
            client.socket.shutdown(socket.SHUT_WR)
            client.answer()
            client.close()
    limit = time.monotonic() + 5
    while descriptors(fast) > before:
        assert time.monotonic() < limit, f"{descriptors(fast)} descriptors, {before} before"
        time.sleep(0.05)


@pytest.mark.parametrize("part", [20, len(request(GOOD)) - 5])
def test_a_request_that_does_not_arrive_in_time_is_refused(fast: Running, part: int) -> None:
    before = rows(fast)
    with wire(fast) as client, wire(fast) as other:
        client.send(request(GOOD)[:part])
        other.send(request(GOOD))
        assert is_good(other.answer())
        answer = client.answer()
        assert (answer.status, answer.code) == (408, "request_timeout")
        assert client.ended()
    assert rows(fast) == before + 1


def test_a_silent_connection_is_closed_after_its_time(fast: Running) -> None:
    with wire(fast) as silent, wire(fast) as idle:
        idle.send(request(GOOD))
        idle.answer()
        assert silent.ended()
        assert idle.ended()


def test_more_connections_than_allowed_are_told_so(fast: Running, quiet: int) -> None:
    limit = time.monotonic() + 5
    while descriptors(fast) > quiet:
        assert time.monotonic() < limit
        time.sleep(0.05)
    clients = [Wire(fast) for _ in range(20)]
    for client in clients:
        client.send(request(GOOD))
        assert is_good(client.answer())
    with wire(fast) as late:
        answer = late.answer()
        assert (answer.status, answer.code) == (503, "overloaded")
    clients[0].send(request(GOOD))
    assert is_good(clients[0].answer())
    for client in clients:
        client.close()


def test_a_body_too_large_is_refused_and_the_connection_survives(server: Running) -> None:
    with wire(server) as client:
        client.send(request(b"", "content-length: 67108865", length=False))
        answer = client.answer()
        assert (answer.status, answer.code) == (413, "too_large")


def test_the_log_holds_no_traceback(server: Running, fast: Running) -> None:
    for log in (server.log, fast.log):
        assert "Traceback" not in Path(log).read_text()
        assert "request_failed" not in Path(log).read_text()
