"""Does memory that a burst needed go back, and is what an answered request held let go of?"""

import asyncio
import json

from serving.exchange import Desk, Exchange, Reply
from serving.front import INFER
from serving.heap import WORTH_BYTES, Heap
from serving.inference import Inference
from serving.metrics import Metrics
from serving.protocol import NOTHING
from serving.release import Opened
from tests.serving import graphs
from tests.serving.asking import question


def test_it_trims_once_after_each_burst_and_not_in_its_midst() -> None:
    heap, trimmed = Heap(), []

    def trim(pad: int) -> int:
        trimmed.append(pad)
        return 1

    heap._trim = trim
    low = 50 << 20
    high = low + 2 * WORTH_BYTES
    for runs, resident, times in (
        (0, low, 0), (0, low, 0), (9, high, 0), (20, high, 0), (20, high, 1), (20, low, 1), (20, high, 1), (30, low, 1),
        (30, low, 1), (40, high, 1), (40, high, 2),
    ):  # fmt: skip
        heap.settle(resident, runs)
        assert len(trimmed) == times, (runs, resident)


def test_this_systems_allocator_is_found() -> None:
    assert Heap()._trim is not None


class Kept(Exchange):
    def on_reply(self, reply: Reply) -> None:
        self.status = reply.status


def test_an_answered_question_lets_go_of_its_numbers() -> None:
    inference = Inference("test", Metrics(), 100, max_waiting=100)
    inference.load(Opened(graphs.linear(), "test.onnx"))
    desk = Desk(inference, 1 << 20, 1 << 20)

    async def ask() -> Kept:
        asked = Kept(desk, INFER, "test", None, {})
        asked.complete(json.dumps(question([1, 2, 3])).encode())
        assert asked.feeds["X"].size == 3
        while not asked.done:
            await asyncio.sleep(0)
        return asked

    asked = asyncio.run(ask())
    assert asked.status == 200
    # A connection keeps its last exchange for as long as the client keeps the connection.
    assert asked.feeds is NOTHING
