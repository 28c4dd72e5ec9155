"""Does memory that a burst needed go back, and is what an answered request held let go of?"""

import asyncio
import ctypes
import gc
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np

from serving.exchange import Bare, Desk, Exchange
from serving.front import INFER
from serving.heap import WORTH_BYTES, Heap
from serving.inference import Inference
from serving.metrics import Metrics
from serving.protocol import NOTHING
from serving.release import Opened
from tests.serving import graphs
from tests.serving.asking import Start, question

LOW = 50 << 20
HIGH = LOW + 2 * WORTH_BYTES


class Process:
    """What the heap sees and does; `left`: what it holds once all that can be was given back."""

    def __init__(self, left: int = LOW) -> None:
        self.heap = Heap()
        self.heap._trim, self.heap._resident = self.trim, lambda: self.resident
        self.left, self.resident, self.cpu_s, self.trims = left, left, 0.0, 0

    def trim(self, pad: int) -> int:
        self.trims += 1
        self.resident = self.left
        return 1

    def second(self, used_s: float, resident: int) -> int:
        """Returns how many times memory was given back so far."""
        self.resident = resident
        self.cpu_s += used_s
        self.heap.settle(self.cpu_s)
        return self.trims


def test_memory_goes_back_once_after_each_burst_and_not_in_its_midst() -> None:
    process = Process()
    seconds = (
        (0.4, LOW), (0, LOW), (0.9, HIGH), (0.2, HIGH), (0, HIGH), (0, LOW), (0.01, LOW), (0.3, HIGH), (0, HIGH), (0, LOW),
    )  # fmt: skip
    assert [process.second(*second) for second in seconds] == [0, 1, 1, 1, 2, 2, 2, 2, 3, 3]


def test_a_burst_before_the_first_quiet_second_is_given_back_too() -> None:
    process = Process()
    process.second(0.9, HIGH)
    assert process.second(0, HIGH) == 1
    process.second(0.9, HIGH)
    assert process.second(0, HIGH) == 2


def test_few_small_requests_do_not_hold_back_what_a_burst_left() -> None:
    process = Process()
    process.second(0.9, HIGH)
    assert process.second(0.01, HIGH) == 1


def test_what_is_in_use_is_asked_for_once() -> None:
    process = Process(left=HIGH)
    assert [process.second(used_s, HIGH) for used_s in (0.9, 0, 0, 0.9, 0, 0)] == [0, 1, 1, 1, 1, 1]


def test_what_was_in_use_while_memory_was_given_back_is_not_taken_for_needed() -> None:
    process = Process(left=HIGH)
    process.second(0, HIGH)
    process.left = LOW
    process.second(0, LOW)
    assert process.second(0, HIGH) == 2


def test_this_systems_allocator_is_found() -> None:
    assert Heap()._trim is not None


class Held(ctypes.Structure):
    """glibc's struct mallinfo2."""

    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
    )]  # fmt: skip


def in_use() -> int:
    """Bytes of the heap that somebody holds."""
    look = ctypes.CDLL(None).mallinfo2
    look.restype = Held
    found = look()
    return int(found.uordblks + found.hblkhd)


def test_the_model_gives_back_what_its_largest_run_needed() -> None:
    model = graphs.load(graphs.linear("FP64"))

    def run(rows: int) -> None:
        model.run({"X": np.ones((rows, 3))})

    run(1)
    gc.collect()
    before = in_use()
    run(1 << 20)
    model.give_back()
    gc.collect()
    # Its answer alone was 16 MB.
    assert in_use() - before < 1 << 20


def test_a_server_gives_back_what_its_first_requests_needed(start: Start) -> None:
    # As in the image: what is free below 64 MB stays, until it is given back.
    malloc = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}
    running = start(graphs.linear("FP64"), UNJAR_MAX_ROWS="100000", OMP_NUM_THREADS="1", **malloc)
    body = json.dumps(question((np.arange(3 << 15) / 7).tolist(), datatype="FP64", shape=[1 << 15, 3])).encode()

    def resident() -> int:
        pages = int(Path(f"/proc/{running.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def ask() -> int:
        return httpx.post(f"{running.url}/v2/models/test/infer", content=body, timeout=60, trust_env=False).status_code

    before, most = resident(), 0
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(ask) for _ in range(48)]
        while not all(one.done() for one in asked):
            most = max(most, resident())
    assert {one.result() for one in asked} == {200}
    assert most > before + 2 * WORTH_BYTES
    limit = time.monotonic() + 30
    while resident() > before + WORTH_BYTES and time.monotonic() < limit:
        time.sleep(0.1)
    assert resident() <= before + WORTH_BYTES


class Kept(Exchange):
    def on_reply(self, reply: Bare) -> None:
        self.status = reply[0]


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
