"""What do clients see of a stop: whole answers, or a clean end, and never half of anything?"""

import contextlib
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.serving import graphs
from tests.serving.asking import Running, Start
from tests.serving.wire import GOOD, Answer, Wire, asked, is_good, request, wire

LIVE = request(b"", path="/v2/health/live", method="GET", length=False)
VALUES = ",".join(["1"] * 600)
SLOW = f'{{"inputs":[{{"name":"X","datatype":"FP32","shape":[1,600],"data":[{VALUES}]}}]}}'.encode()
GRACE_S = 4


@pytest.fixture(params=["fast", "asgi"])
def front(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(start: Start, front: str) -> Iterator[Running]:
    running = start(graphs.linear(), UNJAR_FRONT=front, UNJAR_GRACE_S=str(GRACE_S))
    yield running
    if running.process.poll() is None:
        running.process.kill()


def look(server: Running) -> None:
    with wire(server) as client:
        client.send(LIVE)
        client.answer()


def stopped(server: Running, complaints: int = 0) -> float:
    """How long the stop took; how many complaints there may be in the log."""
    begun = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(GRACE_S + 10) == 0
    errors = [event["event"] for event in server.events() if event["level"] == "error"]
    assert len(errors) <= complaints, errors
    assert server.events()[-1]["event"] == "stopped"
    return time.monotonic() - begun


def last_words(client: Wire) -> list[Answer]:
    """All that still comes; half an answer is an error."""
    answers = []
    try:
        while True:
            answers.append(client.answer())
    except ConnectionError:
        assert client.unread == b""
    return answers


def test_under_load_every_answer_is_whole(server: Running) -> None:
    """Eight clients ask as fast as they can while it stops."""
    told: Counter[str] = Counter()

    def ask(number: int) -> None:
        try:
            with wire(server) as client:
                for i in range(1_000_000):
                    client.send(request(asked([number, i % 1000, 0])))
                    answer = client.answer()
                    # W = [[1, 10], [2, 20], [3, 30]]
                    right = answer.status == 200 and answer.json()["outputs"][0]["data"][0] == number + 2 * (i % 1000)
                    told["right" if right else f"{answer.status}"] += 1
        except ConnectionError:
            told["ended between two answers" if client.unread == b"" else "cut off"] += 1

    asking = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in asking:
        thread.start()
    time.sleep(0.5)
    assert stopped(server) < GRACE_S
    for thread in asking:
        thread.join(20)
    assert told.pop("right") > 100
    told.pop("503", None)
    assert told == {"ended between two answers": 8}


def test_who_comes_while_it_drains_is_turned_away(start: Start, front: str) -> None:
    server = start(graphs.slow(40), UNJAR_FRONT=front)
    with wire(server) as busy, wire(server) as idle:
        idle.send(LIVE)
        idle.answer()
        busy.send(request(SLOW))
        time.sleep(0.05)
        stopping = threading.Thread(target=stopped, args=(server,))
        stopping.start()
        time.sleep(0.1)
        with pytest.raises(ConnectionError):
            look(server)
        assert last_words(idle) == []
        answer = busy.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        stopping.join()
    assert server.process.returncode == 0


@pytest.mark.parametrize(
    "sent",
    [request(GOOD)[:-5], request(GOOD)[:10], request(GOOD, "content-encoding: gzip")[:-5], request(GOOD) + request(GOOD)[:50],
     request(b"", "transfer-encoding: chunked", length=False) + b"5\r\nab", b""],
    ids=["half a body", "half a head", "half a packed body", "one and a half", "half a chunk", "nothing"],
)  # fmt: skip
def test_who_hangs_does_not_hold_the_stop_up(server: Running, sent: bytes) -> None:
    with contextlib.ExitStack() as open_ones:
        hanging = [open_ones.enter_context(wire(server)).send(sent) for _ in range(20)]
        look(server)
        # That the grace is over is said once, not once for each of them.
        assert stopped(server, complaints=1) < GRACE_S + 2
        for client in hanging:
            assert all(is_good(answer) or answer.code for answer in last_words(client))


def test_who_does_not_read_does_not_hold_the_stop_up(start: Start, front: str) -> None:
    server = start(graphs.echo("FP64"), UNJAR_FRONT=front, UNJAR_GRACE_S=str(GRACE_S))
    data = ",".join(["0.12345678901234567"] * 400_000)
    body = f'{{"inputs":[{{"name":"X","datatype":"FP64","shape":[200000,2],"data":[{data}]}}]}}'.encode()
    with wire(server) as deaf:
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.send(request(body))
        time.sleep(1)
        assert stopped(server, complaints=1) < GRACE_S + 2


def test_a_second_signal_does_not_spoil_the_first(server: Running) -> None:
    with wire(server) as client:
        client.send(request(GOOD)[:-5])
        time.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(GRACE_S + 10) == 0
