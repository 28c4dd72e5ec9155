"""Where does one request end and the next begin, and is each answered exactly once, whatever the bytes try to say?"""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.serving import graphs
from tests.serving.asking import Running, Start
from tests.serving.test_metrics import read
from tests.serving.wire import GOOD, Answer, Wire, asked, is_good, request, wire

CHUNKED = "transfer-encoding: chunked"
LAST = b"0\r\n\r\n"
INFER = b"POST /v2/models/test/infer HTTP/1.1\r\nhost: a\r\n"
LENGTH = b"content-length: %d\r\n" % len(GOOD)
TIMEOUT_S = 1


@pytest.fixture(scope="session", params=["fast", "asgi"])
def server(request: pytest.FixtureRequest, start: Start) -> Running:
    return start(graphs.linear(), UNJAR_FRONT=request.param, UNJAR_REQUEST_TIMEOUT_S=str(TIMEOUT_S))


@contextmanager
def unharmed(server: Running) -> Iterator[None]:
    """A neighbour is answered while and after it happens, nothing failed, and nothing was logged as an error."""
    before = len(server.events())
    with wire(server) as neighbour:
        neighbour.send(request(GOOD))
        assert is_good(neighbour.answer())
        yield
        neighbour.send(request(GOOD))
        assert is_good(neighbour.answer())
    assert [event for event in server.events()[before:] if event["level"] != "info"] == []


def rows(server: Running) -> float:
    return read(httpx.get(f"{server.url}/metrics").text)["unjar_rows_total"]


def chunk(body: bytes, more: bytes = b"") -> bytes:
    return b"%x%b\r\n%b\r\n" % (len(body), more, body)


def chunked(body: bytes, *headers: str, end: bytes = LAST) -> bytes:
    return request(b"", CHUNKED, *headers, length=False) + chunk(body) + end


def until_closed(client: Wire) -> list[Answer]:
    """Every answer there is before the server closes."""
    answers = []
    try:
        while True:
            answers.append(client.answer())
    except ConnectionError:
        return answers


TARGETS = [
    ("GET", "http://test"), ("GET", "http://"), ("GET", "http://test?x=1"), ("GET", "http://[::1/v2"), ("GET", "/%zz"),
    ("CONNECT", "test:443"), ("CONNECT", "test"), ("POST", "http://test:99999999/v2/models/test/infer"), ("GET", "*"),
    ("OPTIONS", "*"), ("GET", "test"), ("GET", "?x"), ("GET", "/\xff"), ("GET", "//"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "target"), TARGETS)
@pytest.mark.parametrize("first", [True, False])
def test_a_target_that_names_nothing_is_refused(server: Running, method: str, target: str, first: bool) -> None:
    with unharmed(server), wire(server) as client:
        if not first:
            client.send(request(GOOD))
            assert is_good(client.answer())
        client.send(request(b"", method=method, path=target, length=False))
        answer = client.answer(method)
        assert 400 <= answer.status < 500
        assert answer.code in ("invalid_http", "invalid_request", "not_found", "method_not_allowed")


FRAMING = {
    "line feeds alone": (INFER + LENGTH + b"\r\n").replace(b"\r\n", b"\n") + GOOD,
    "a space before the colon": INFER + LENGTH.replace(b":", b" :") + b"\r\n" + GOOD,
    "a folded line": INFER + LENGTH + b"x: 1\r\n 2\r\n\r\n" + GOOD,
    "a space in a name": INFER + LENGTH + b"x y: 1\r\n\r\n" + GOOD,
    "no name": INFER + LENGTH + b": 1\r\n\r\n" + GOOD,
    "a NUL in a value": INFER + LENGTH + b"x: a\0b\r\n\r\n" + GOOD,
    "a carriage return in a value": INFER + LENGTH + b"x: a\rb\r\n\r\n" + GOOD,
    "tabs in the request line": INFER.replace(b" ", b"\t") + LENGTH + b"\r\n" + GOOD,
    "version 0.9": b"GET /v2\r\n",
    "version 1.2": INFER.replace(b"1.1", b"1.2") + LENGTH + b"\r\n" + GOOD,
    "a method of one's own": INFER.replace(b"POST", b"BREW") + LENGTH + b"\r\n" + GOOD,
    "a list of lengths": INFER + b"content-length: 5, 5\r\n\r\nabcde",
    "the same length twice": INFER + LENGTH + LENGTH + b"\r\n" + GOOD,
    "a signed length": INFER + b"content-length: +5\r\n\r\nabcde",
    "a length in hexadecimal": INFER + b"content-length: 0x5\r\n\r\nabcde",
    "no length at all": INFER + b"content-length: \r\n\r\n",
    "a length and chunks": INFER + LENGTH + b"transfer-encoding: chunked\r\n\r\n" + chunk(GOOD) + LAST,
    "chunks and a length": INFER + b"transfer-encoding: chunked\r\n" + LENGTH + b"\r\n" + chunk(GOOD) + LAST,
    "chunked twice": chunked(GOOD, CHUNKED),
    "nearly chunked": INFER + b"transfer-encoding: xchunked\r\n\r\n" + chunk(GOOD) + LAST,
    "chunked, then something": INFER + b"transfer-encoding: chunked, identity\r\n\r\n" + chunk(GOOD) + LAST,
    "an enormous chunk": INFER + b"transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    "a chunk of less than nothing": INFER + b"transfer-encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n",
    "a chunk longer than it says": INFER + b"transfer-encoding: chunked\r\n\r\n5\r\nabcdeX0\r\n\r\n",
    "a chunk of no hexadecimal": INFER + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    "no chunks, in a compressed body": INFER + b"transfer-encoding: chunked\r\ncontent-encoding: gzip\r\n\r\nzz\r\n",
}


@pytest.mark.parametrize("name", FRAMING)
def test_what_has_two_readings_is_refused_in_the_one_shape_and_the_connection_ends(server: Running, name: str) -> None:
    before = rows(server)
    with wire(server) as client:
        client.send(FRAMING[name], request(GOOD))
        answers = until_closed(client)
        assert [(answer.status, answer.code) for answer in answers] == [(400, "invalid_http")]
        assert answers[0].headers["connection"] == "close"
    assert rows(server) == before


def test_a_body_in_another_transfer_coding_is_not_taken_for_plain(server: Running) -> None:
    with wire(server) as client:
        client.send(INFER + b"transfer-encoding: gzip, chunked\r\n\r\n" + chunk(GOOD) + LAST)
        answer = client.answer()
        assert answer.status in (400, 415, 501)
        assert answer.code


@pytest.mark.parametrize(
    "trailer", ["inference-header-content-length: 5", "content-encoding: gzip", "x-request-timeout-ms: 0", "x: y"]
)
def test_what_follows_a_body_does_not_change_how_it_is_read(server: Running, trailer: str) -> None:
    with unharmed(server), wire(server) as client:
        for _ in range(2):
            client.send(chunked(GOOD, end=f"0\r\n{trailer}\r\n\r\n".encode()))
            assert is_good(client.answer())
        client.send(request(GOOD))
        assert is_good(client.answer())


def test_the_extension_of_a_chunk_is_passed_over(server: Running) -> None:
    with wire(server) as client:
        client.send(request(b"", "Transfer-Encoding: Chunked", length=False), chunk(GOOD, b';a="b;c"'), LAST, request(GOOD))
        assert is_good(client.answer())
        assert is_good(client.answer())


@pytest.mark.parametrize("cut", [1, 20, 40, 60, 95])
def test_the_second_half_of_a_request_is_no_request(server: Running, cut: int) -> None:
    """A connection that remembers what it has read must not take a piece of it for the whole."""
    whole = request(GOOD)
    with wire(server) as client:
        client.send(request(b"", method="GET", path="/v2/health/live", length=False))
        client.answer("GET")
        client.send(whole[:cut])
        # Answered later than the first piece was read.
        httpx.get(f"{server.url}/v2/health/live")
        client.send(whole[cut:])
        assert is_good(client.answer())
        client.send(whole[cut:])
        answer = client.answer()
        assert (answer.status, answer.code) == (400, "invalid_http")


@pytest.mark.parametrize("upgrade", ["h2c", "websocket", "h2c, HTTP/3.0"])
def test_an_offer_to_change_the_protocol_costs_nothing_that_was_sent(server: Running, upgrade: str) -> None:
    """`curl --http2` sends its first question so, body and all."""
    offer = ["Connection: Upgrade, HTTP2-Settings", f"Upgrade: {upgrade}", "HTTP2-Settings: AAMAAABkAAQAAP__"]
    with unharmed(server), wire(server) as client:
        client.send(request(asked([2, 0, 0]), *offer) + request(GOOD))
        assert is_good(client.answer(), first=2.0)
        assert is_good(client.answer())
        client.send(request(b"", *offer, method="GET", path="/v2/health/live", length=False) + request(GOOD))
        assert client.answer().json() == {"live": True}
        assert is_good(client.answer())


def test_a_client_told_not_to_send_its_body_is_told_the_connection_ends_too(server: Running) -> None:
    """Or its next question would be taken for that body."""
    with wire(server) as client:
        client.send(request(b"", "Expect: 100-continue", f"content-length: {1 << 40}", length=False))
        answer = client.answer()
        assert (answer.status, answer.code) == (413, "too_large")
        assert answer.headers.get("connection") == "close"
        assert client.ended()


@pytest.mark.parametrize("expect", ["100-CONTINUE", "100-continue", "200-ok"])
def test_a_client_that_expects_and_sends_at_once_is_answered(server: Running, expect: str) -> None:
    with wire(server) as client:
        client.send(request(GOOD, f"Expect: {expect}") + request(GOOD))
        answers: list[Answer] = []
        while sum(answer.status != 100 for answer in answers) < 2:
            answers.append(client.answer())
        assert [is_good(answer) for answer in answers if answer.status != 100] == [True, True]


def test_http_1_0_gets_no_interim_answer(server: Running) -> None:
    with wire(server) as client:
        client.send(request(GOOD, "Expect: 100-continue").replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert [answer.status for answer in until_closed(client)] == [200]


def test_what_follows_the_last_request_is_not_run(server: Running) -> None:
    before = rows(server)
    with wire(server) as client:
        client.send(request(GOOD, "Connection: close") + request(GOOD) + request(GOOD))
        assert [is_good(answer) for answer in until_closed(client)] == [True]
    assert rows(server) == before + 1


@pytest.mark.parametrize("path", ["/v2/models/other/infer", "/v2", "/nowhere", "/v2/models/test/infer"])
@pytest.mark.parametrize("rest", ["nothing", "nonsense"])
def test_one_request_gets_one_answer(server: Running, path: str, rest: str) -> None:
    """Refused before its body came, and then the body never comes or is none."""
    with wire(server) as client:
        client.send(request(b"", CHUNKED, "content-encoding: br", path=path, length=False))
        assert client.answer().status in (404, 405, 415)
        client.send(*([b"zz\r\n"] if rest == "nonsense" else []))
        assert until_closed(client) == []


@pytest.mark.parametrize(
    "headers", [[], ["content-encoding: gzip"], ["Expect: 100-continue"], ["Connection: keep-alive"]], ids=str
)
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_body_that_does_not_arrive_is_refused_in_time_and_said_so(server: Running, headers: list[str], version: str) -> None:
    before = rows(server)
    with unharmed(server), wire(server) as client:
        client.socket.settimeout(TIMEOUT_S + 3)
        client.send(
            request(GOOD[:-3], *headers, f"content-length: {len(GOOD)}", length=False).replace(b"1.1", version.encode())
        )
        (answer,) = [answer for answer in until_closed(client) if answer.status != 100]
        assert (answer.status, answer.code) == (408, "request_timeout")
    assert rows(server) == before + 2


def test_headers_that_may_come_in_several_lines_may(server: Running) -> None:
    """RFC 9110, 5.3: a list may be spread over lines. And a trace that is there twice is no trace, but no offence either."""
    with wire(server) as client:
        client.send(request(GOOD, "Accept-Encoding: br", "Accept-Encoding: gzip", "traceparent: 0", "traceparent: 1"))
        assert is_good(client.answer())


@pytest.mark.parametrize("space", ["", "  ", "\t", " \t "])
def test_space_around_a_value_is_not_its_value(server: Running, space: str) -> None:
    names = [f"x-request-timeout-ms:{space}5000{space}", f"Inference-Header-Content-Length:{space}{len(GOOD)}{space}",
             f"X-Request-Id:{space}mine{space}", f"Content-Encoding:{space}identity{space}"]  # fmt: skip
    with wire(server) as client:
        client.send(request(GOOD, *names))
        answer = client.answer()
        assert is_good(answer), answer
        assert answer.headers["x-request-id"] == "mine"


@pytest.mark.parametrize("host", ["[", '"><script>', "a b", "", "x:y:z", "\xff"])
def test_the_documentation_says_nothing_of_a_host_that_is_none(server: Running, host: str) -> None:
    with unharmed(server), wire(server) as client:
        client.send(b"GET /docs HTTP/1.1\r\nhost: %b\r\nconnection: close\r\n\r\n" % host.encode("latin-1"))
        answer = client.answer()
        assert answer.status in (200, 400)
        assert b"<script>" not in answer.body
