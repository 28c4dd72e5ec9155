"""Is a body that comes in many pieces read as one, and what is behind it as the next request?"""

import asyncio
import time
from itertools import pairwise

import pytest

from tests.serving import graphs
from tests.serving.asking import Running, Start
from tests.serving.test_turns import House
from tests.serving.test_wire_framing import TIMEOUT_S, unharmed
from tests.serving.wire import GOOD, asked, is_good, request, wire

# JSON may have as much space around it as it likes; the parser of HTTP is not given most of it.
LONG = b" " * 700_000 + GOOD + b" " * 700_000
OTHER = request(asked([0, 0, 0]))
ENDS = len(request(LONG))


@pytest.fixture(scope="session", params=["fast", "asgi"])
def server(request: pytest.FixtureRequest, start: Start) -> Running:
    return start(graphs.linear(), UNJAR_FRONT=request.param, UNJAR_REQUEST_TIMEOUT_S=str(TIMEOUT_S))


def pieces(whole: bytes, *cuts: int) -> list[bytes]:
    return [whole[start:end] for start, end in pairwise((0, *cuts, len(whole)))]


@pytest.mark.parametrize(
    "cuts",
    [
        (),
        (200_000,),
        (ENDS,),
        (ENDS - 1,),
        (ENDS + 1,),
        (300_000, ENDS - 70_000, ENDS + 20),
        (10, 100, 1000, ENDS - 2, ENDS + 2),
    ],
)
def test_one_in_pieces_and_one_behind_it(server: Running, cuts: tuple[int, ...]) -> None:
    with unharmed(server), wire(server) as client:
        for _ in range(2):
            for piece in pieces(request(LONG) + OTHER, *cuts):
                client.send(piece)
                time.sleep(0.02)
            assert is_good(client.answer())
            assert is_good(client.answer(), first=0.0)


def test_what_is_behind_it_is_still_looked_at(server: Running) -> None:
    with unharmed(server), wire(server) as client:
        client.send(request(LONG), b"NO HTTP AT ALL\r\n\r\n")
        assert is_good(client.answer())
        assert client.answer().code == "invalid_http"
        assert client.ended()


def test_one_that_was_refused_is_passed_over_to_its_end(server: Running) -> None:
    with unharmed(server), wire(server) as client:
        client.send(request(LONG, "x-request-timeout-ms: 0"), OTHER)
        assert client.answer().status == 400
        assert client.answer().status == 200


def test_one_that_stops_coming(server: Running) -> None:
    with unharmed(server), wire(server) as client:
        client.send(request(LONG)[:-1])
        began = time.monotonic()
        assert client.answer().status == 408
        assert time.monotonic() - began < 20 * TIMEOUT_S
        assert client.ended()


def test_one_whose_client_leaves(server: Running) -> None:
    with unharmed(server):
        for end in (200_000, ENDS - 1):
            with wire(server) as client:
                client.send(request(LONG)[:end])
                time.sleep(0.05)


def test_a_failure_behind_one_is_answered_as_any(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the parser is not given fails as what it is: with a 500, and the connection is done with."""

    async def ask() -> None:
        made, transport = House().connect()
        head, _, body = request(LONG[700_000:]).partition(b"\r\n\r\n")
        made.data_received(head + b"\r\n\r\n" + body[:100])
        assert made.left == len(body) - 100, "the parser is given no more"

        def fails() -> None:
            raise ValueError("by the test")

        monkeypatch.setattr(made, "on_message_complete", fails)
        # The last byte comes alone, so that the failure is of the end and nothing else.
        made.data_received(body[100:-1])
        assert transport.answers == []
        made.data_received(body[-1:])
        assert b" 500 " in b"".join(transport.answers)[:20]
        assert made.broken
        made.connection_lost(None)

    asyncio.run(ask())
