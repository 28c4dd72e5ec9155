"""Is the short way taken only where it gives the bytes of the common way?"""

import asyncio
from typing import Any

import pytest

from serving.connection import Connection, Place
from serving.exchange import Bare
from serving.inference import Inference, Served
from serving.metrics import Metrics
from serving.release import Opened
from serving.self_check import difference
from tests.serving import graphs
from tests.serving.asking import Running, Start, question


@pytest.fixture
def served() -> Served:
    inference = Inference("test", Metrics(), max_rows=100, max_waiting=10)
    inference.load(Opened(graphs.linear(), "test.onnx"))
    assert inference.served is not None
    return inference.served


def test_the_two_ways_do_not_differ(served: Served) -> None:
    assert asyncio.run(difference("test", served)) is None


@pytest.mark.parametrize("content", [graphs.table(), graphs.echo("BYTES"), graphs.echo("BOOL"), graphs.echo("UINT64")])
def test_they_do_not_differ_for_other_datatypes(content: bytes) -> None:
    inference = Inference("test", Metrics(), max_rows=100, max_waiting=10)
    inference.load(Opened(content, "test.onnx"))
    assert inference.served is not None
    assert asyncio.run(difference("test", inference.served)) is None


def test_a_byte_too_many_is_noticed(served: Served) -> None:
    class Longer(Connection):
        def write_reply(self, place: Place, reply: Bare) -> None:
            status, lines, body = reply
            super().write_reply(place, (status, lines + b"x-more: 1\r\n", body))

    assert asyncio.run(difference("test", served, Longer)) == "the two ways answer the same question with different bytes"


def test_a_way_that_fails_is_noticed(served: Served) -> None:
    class Broken(Connection):
        def on_headers_complete(self) -> None:
            raise KeyError("x")

        def refuse_connection(self, *_: Any) -> None:
            raise OSError

    assert asyncio.run(difference("test", served, Broken)) == "the short way fails: OSError"


def test_another_uvicorn_is_not_trusted(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uvicorn.__version__", "0.99.0")
    assert "uvicorn is 0.99.0, the connection was made for" in (asyncio.run(difference("test", served)) or "")


def test_the_pinned_uvicorn_is_the_one_the_connection_was_made_for(linear: Running) -> None:
    assert not [line for line in linear.events() if line["event"] == "front_is_asgi"]


def test_the_server_counts_no_request_of_its_own(start: Start) -> None:
    import httpx

    server = start(graphs.linear())
    assert httpx.post(f"{server.url}/v2/models/test/infer", json=question([1, 2, 3])).status_code == 200
    text = httpx.get(f"{server.url}/metrics").text
    assert 'unjar_requests_total{code="200",route="/v2/models/{name}/infer"} 1.0' in text
