"""In which turn of the loop is a question answered: at once where nobody else is connected, else with the others?"""

import asyncio
from typing import Any

import orjson
import pytest
import uvicorn
from uvicorn.server import ServerState

from serving.batching import Pace
from serving.connection import Connection
from serving.exchange import Desk
from serving.front import Front
from serving.inference import Inference
from serving.metrics import Metrics
from serving.release import Opened
from tests.serving import graphs
from tests.serving.asking import question


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.answers.append(data)

    def close(self) -> None: ...

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def request(number: float) -> bytes:
    body = orjson.dumps(question([number, 0, 0]))
    return b"POST /v2/models/test/infer HTTP/1.1\r\nhost: here\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


class House:
    """Connections to one server, in this process."""

    def __init__(self) -> None:
        self.inference = Inference("test", Metrics(), max_rows=100, max_waiting=10)
        self.inference.load(Opened(graphs.linear(), "test.onnx"))
        assert self.inference.served is not None
        # However slow this machine is: nothing goes to the worker.
        self.inference.served.batcher.keep(Pace(1e-6, 1e-9))
        desk = Desk(self.inference, max_body_bytes=1 << 20, max_held_bytes=1 << 20)
        self.kind: Any = type("Here", (Connection,), {
            "desk": desk, "url_of_model": b"/v2/models/test/infer", "request_timeout_s": 10.0, "max_connections": 10,
        })  # fmt: skip
        front = Front(desk, self._no_other)
        self.config = uvicorn.Config(front, http=Connection, lifespan="off", ws="none", log_config=None, access_log=False)
        self.state = ServerState()

    def _no_other(self) -> Any:
        raise AssertionError("only the model is asked")

    def connect(self) -> tuple[Any, Wire]:
        made, wire = self.kind(self.config, self.state, {}), Wire()
        made.connection_made(wire)
        return made, wire

    @property
    def runs(self) -> int:
        return int(self.inference.metrics.statistics()["model_stats"][0]["execution_count"])


def first_of(answer: bytes) -> float:
    return float(orjson.loads(answer.partition(b"\r\n\r\n")[2])["outputs"][0]["data"][0])


async def asked_before(house: House) -> tuple[Any, Wire]:
    """A connection whose head is known, as that of any client that asks again."""
    made, wire = house.connect()
    made.data_received(request(1))
    await asyncio.sleep(0)
    assert len(wire.answers) == 1
    return made, wire


def test_the_only_client_has_its_answer_before_the_turn_is_over() -> None:
    async def ask() -> None:
        made, wire = await asked_before(House())
        made.data_received(request(2))
        assert len(wire.answers) == 2
        assert first_of(wire.answers[1]) == 2 * first_of(wire.answers[0])
        made.connection_lost(None)

    asyncio.run(ask())


@pytest.mark.parametrize("connections", [2, 3])
def test_questions_of_one_turn_share_a_run(connections: int) -> None:
    async def ask() -> None:
        house = House()
        all_made = [await asked_before(house) for _ in range(connections)]
        before = house.runs
        for number, (made, _) in enumerate(all_made):
            made.data_received(request(number + 2))
        assert [len(wire.answers) for _, wire in all_made] == [1] * connections, "nobody else could have come"
        await asyncio.sleep(0)
        assert house.runs == before + 1
        for number, (_, wire) in enumerate(all_made):
            assert first_of(wire.answers[1]) == (number + 2) * first_of(wire.answers[0])
        for made, _ in all_made:
            made.connection_lost(None)

    asyncio.run(ask())


def test_several_at_once_on_one_connection_share_a_run_and_keep_their_order() -> None:
    async def ask() -> None:
        house = House()
        made, wire = await asked_before(house)
        before = house.runs
        made.data_received(b"".join(request(number) for number in (2, 3, 4)))
        for _ in range(5):
            await asyncio.sleep(0)
        assert house.runs == before + 1
        numbers = [first_of(answer) for answer in wire.answers]
        assert numbers == [numbers[0] * times for times in (1, 2, 3, 4)]
        made.connection_lost(None)

    asyncio.run(ask())
