"""Does an overloaded server say so, keep its health, and finish what it has begun when it is told to stop?"""

import json
import signal
import socket
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.serving import graphs
from tests.serving.asking import Running, Start
from tests.serving.test_metrics import read
from tests.serving.wire import GOOD, Wire, is_good, request, wire

SLOW = json.dumps({"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 600], "data": [1.0] * 600}]}).encode()


@pytest.fixture(params=["fast", "asgi"])
def server(request: pytest.FixtureRequest, start: Start) -> Iterator[Running]:
    """Takes 0.1 s for a row; three may wait."""
    running = start(graphs.slow(), UNJAR_FRONT=request.param, UNJAR_MAX_QUEUE="3")
    yield running
    if running.process.poll() is None:
        running.stop()


def rows(server: Running) -> float:
    return read(httpx.get(f"{server.url}/metrics").text)["unjar_rows_total"]


def started(server: Running, count: int, *headers: str) -> list[Wire]:
    clients = [Wire(server) for _ in range(count)]
    for client in clients:
        client.send(request(SLOW, *headers))
    return clients


def test_beyond_the_queue_it_is_503_at_once_and_health_answers_throughout(server: Running) -> None:
    clients = started(server, 12)
    for _ in range(3):
        begun = time.monotonic()
        assert httpx.get(f"{server.url}/v2/health/ready").status_code == 200
        assert time.monotonic() - begun < 5
    answers = [client.answer() for client in clients]
    refused = [answer for answer in answers if answer.status == 503]
    assert 5 <= len(refused) <= 8
    assert {answer.status for answer in answers} == {200, 503}
    for answer in refused:
        assert answer.code == "overloaded"
        assert int(answer.headers["retry-after"]) >= 1
    for client in clients:
        client.send(request(b"{}"))
        assert client.answer().code == "invalid_request"
        client.close()


@pytest.mark.parametrize("way", ["header", "parameter"])
def test_what_is_late_is_not_run(server: Running, way: str) -> None:
    before = rows(server)
    first = started(server, 1)
    time.sleep(0.03)
    body = SLOW[:-1] + b',"parameters":{"timeout":20000}}' if way == "parameter" else SLOW
    with wire(server) as late:
        late.send(request(body, *(["X-Request-Timeout-Ms: 20"] if way == "header" else [])))
        answer = late.answer()
        assert (answer.status, answer.code) == (504, "deadline_exceeded")
    assert first[0].answer().status == 200
    assert rows(server) == before + 1
    first[0].close()


@pytest.mark.parametrize("value", ["0", "-5", "1.5", "soon", ""])
def test_a_deadline_that_is_none_is_refused(server: Running, value: str) -> None:
    with wire(server) as client:
        client.send(request(SLOW, f"X-Request-Timeout-Ms: {value}"))
        answer = client.answer()
        assert (answer.status, answer.code) == (400, "invalid_request")


def test_what_nobody_waits_for_is_not_run(server: Running) -> None:
    before = rows(server)
    first, *others = started(server, 3)
    time.sleep(0.03)
    for other in others:
        other.close()
    assert first.answer().status == 200
    with wire(server) as client:
        client.send(request(SLOW))
        assert client.answer().status == 200
    assert rows(server) == before + 2
    first.close()


def test_sigterm_finishes_what_has_begun_and_closes_what_idles(server: Running) -> None:
    idle, *busy = Wire(server), *started(server, 3)
    time.sleep(0.05)
    server.process.send_signal(signal.SIGTERM)
    assert [client.answer().status for client in busy] == [200, 200, 200]
    assert idle.ended()
    assert server.process.wait(15) == 0
    with pytest.raises(ConnectionError):
        Wire(server)
    for client in (idle, *busy):
        client.close()
    assert server.events()[-1]["event"] == "stopped"


def test_half_a_request_holds_the_stop_up_no_longer_than_the_grace(start: Start) -> None:
    server = start(graphs.linear(), UNJAR_GRACE_S="2")
    with wire(server) as head, wire(server) as body:
        head.send(request(GOOD)[:20])
        body.send(request(GOOD)[:-5])
        time.sleep(0.1)
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(15) == 0
        assert head.ended()
        assert body.ended() or body.unread.startswith(b"HTTP/1.1 4")
        assert time.monotonic() - begun < 6


def test_a_client_that_closed_its_half_waits_for_a_long_run_too(start: Start) -> None:
    server = start(graphs.slow())
    with wire(server) as client:
        client.send(request(SLOW) + request(SLOW))
        client.socket.shutdown(socket.SHUT_WR)
        answers = [client.answer(), client.answer()]
        while answers[-1].status == 102 or [answer.status for answer in answers].count(200) < 2:
            answers.append(client.answer())
        assert {answer.status for answer in answers} == {102, 200}
        assert client.ended()


def test_pipelined_requests_that_were_sent_are_answered_before_the_stop(start: Start) -> None:
    server = start(graphs.slow())
    with wire(server) as client:
        client.send(request(SLOW) * 3)
        time.sleep(0.05)
        server.process.send_signal(signal.SIGTERM)
        assert [client.answer().status for _ in range(3)] == [200, 200, 200]
    assert server.process.wait(15) == 0


def test_bodies_of_unanswered_requests_take_no_more_memory_than_they_may(start: Start) -> None:
    server = start(graphs.linear(), UNJAR_MAX_BODY_BYTES="1000000", UNJAR_MAX_HELD_BYTES="2500000")
    head = request(b"", "content-length: 1000000", length=False)
    most = GOOD.ljust(999_999)
    holders = [Wire(server).send(head, most) for _ in range(2)]
    time.sleep(0.1)
    with wire(server) as client:
        client.send(head, most)
        answer = client.answer()
        assert (answer.status, answer.code) == (503, "overloaded")
    for holder in holders:
        holder.close()
    time.sleep(0.1)
    with wire(server) as client:
        client.send(head, GOOD.ljust(1_000_000))
        assert is_good(client.answer())


def test_a_client_that_does_not_read_its_answers_holds_up_nobody(start: Start) -> None:
    server = start(graphs.echo("FP64"), UNJAR_REQUEST_TIMEOUT_S="2")
    count = 20_000
    values = ",".join(["0.12345678901234567"] * count)
    body = f'{{"inputs":[{{"name":"X","datatype":"FP64","shape":[{count // 2},2],"data":[{values}]}}]}}'.encode()
    stuck = Wire(server)
    stuck.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stuck.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        stuck.send(*[request(body)] * 200)
    with wire(server) as client:
        client.send(request(body))
        assert client.answer().status == 200
    memory = read(httpx.get(f"{server.url}/metrics").text)["process_resident_memory_bytes 0"]
    assert memory < 400e6
    # It is cut off in the end.
    limit = time.monotonic() + 15
    while True:
        try:
            stuck.socket.send(b"x")
        except TimeoutError:
            pass
        except ConnectionError:
            break
        assert time.monotonic() < limit
    stuck.close()
