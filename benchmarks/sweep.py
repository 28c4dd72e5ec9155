"""How are many models asked, some at a time, so that one that hangs or dies takes nothing with it?"""

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from benchmarks.case import BROKEN, CONVERTING, HANG, Outcome, outcome
from benchmarks.memory import descendants
from conversion.sandbox import Limits

GRACE_S, SLOWEST_STAGE_S = 60, 1800
"""`convert` ends a conversion itself; it is said to hang only when it has not returned that long after its own limit."""


@dataclass
class Running:
    """One model in a process of its own, and what it is at since when."""

    name: str
    process: Any
    said: Connection
    stage: str = "fitting"
    since: float = 0.0

    @property
    def overdue(self) -> bool:
        allowed = Limits().seconds + GRACE_S if self.stage == CONVERTING else SLOWEST_STAGE_S
        return time.monotonic() - self.since > allowed


def swept(names: Sequence[str], jobs: int, seed: int) -> Iterator[Outcome]:
    """One outcome for each, as they come."""
    waiting, running = list(names), list[Running]()
    while waiting or running:
        while waiting and len(running) < jobs:
            running.append(_started(waiting.pop(0), seed))
        ready = wait([one.said for one in running], timeout=1.0)
        for one in list(running):
            done = _heard(one) if one.said in ready else _late(one)
            if done is not None:
                running.remove(one)
                yield done


def _started(name: str, seed: int) -> Running:
    hear, say = get_context("fork").Pipe(duplex=False)
    process = get_context("fork").Process(target=_run, args=(name, seed, say))
    process.start()
    say.close()
    return Running(name, process, hear, since=time.monotonic())


def _run(name: str, seed: int, say: Connection) -> None:
    # onnxruntime prints every row that it refuses; the judge counts them.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    say.send(outcome(name, seed, say.send))


def _heard(one: Running) -> Outcome | None:
    """A stage that begins, or the end."""
    try:
        said = one.said.recv()
    except EOFError:
        one.process.join()
        return Outcome(one.name, BROKEN, said=f"its process ended with code {one.process.exitcode} while {one.stage}")
    if isinstance(said, Outcome):
        one.process.join()
        return said
    one.stage, one.since = said, time.monotonic()
    return None


def _late(one: Running) -> Outcome | None:
    if not one.overdue:
        return None
    for pid in (*descendants(one.process.pid), one.process.pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    one.process.join()
    seconds = round(time.monotonic() - one.since, 1)
    return Outcome(one.name, HANG if one.stage == CONVERTING else BROKEN, seconds, f"was still {one.stage}")
