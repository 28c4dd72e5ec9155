"""Which requests share a run of the model, and where does it run?

What arrived in one turn of the event loop runs together at its end: nobody waits for company, and who has the only connection
not even for that end. Short runs stay on the loop's thread; long ones go to the one worker, and what arrives meanwhile is its
next batch.
"""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from serving.errors import DeadlineExceeded, ModelFailed, Overloaded, Refusal
from serving.metrics import Metrics
from serving.model import Model
from serving.protocol import Unclear
from serving.signature import Array
from serving.telemetry.ledger import Ledger

# Handing a run to the worker costs 50 to 100 µs and a fifth of the throughput; below this it is not worth it.
INLINE_S = 200e-6
# With nobody else there, a longer run makes nobody wait but the one who asked.
ALONE_S = 2e-3
# Rows that take this long are batch enough: who comes next should not wait for a crowd, and a larger one gains nothing but
# memory.
BATCH_S = 5e-3
# Batches that take longer are not tried at the start.
SLOW_S = 50e-3
MOST_ROWS = 1 << 30
# Arrays, or the body of the answer where it is written already.
Outcome = dict[str, Array] | bytes | Refusal
# What the lists of numbers hold that questions of this form left unread, one behind the other.
Reader = Callable[[Any, list[bytes]], dict[str, Array]]
# The bodies of so many answers of one form, or None where each has to be written by itself.
Writer = Callable[[Any, dict[str, Array], int], list[bytes] | None]


@dataclass(frozen=True)
class Pace:
    """How long a run takes on this machine: something once, something for each row."""

    first_s: float
    row_s: float

    def expected_s(self, rows: int) -> float:
        return self.first_s + self.row_s * max(rows - 1, 0)

    def rows_within(self, seconds: float) -> int:
        """How many rows one run may have to take no longer; 0 when not even one."""
        if self.first_s > seconds:
            return 0
        return 1 + int(min((seconds - self.first_s) / self.row_s, MOST_ROWS)) if self.row_s > 0 else MOST_ROWS

    @classmethod
    def measure(cls, model: Model) -> "Pace":
        rows = model.verification.rows
        row = {name: array[:1] for name, array in rows.items()}
        first_s = min(_timed(model, row) for _ in range(3))
        all_s = min(_timed(model, rows) for _ in range(3))
        return cls(first_s, max(all_s - first_s, 0.0) / max(model.verification.size - 1, 1))


def _timed(model: Model, feeds: Any) -> float:
    started = time.perf_counter()
    model.run(feeds)
    return time.perf_counter() - started


def same_alone(model: Model, pace: Pace) -> bool:
    """Does a row's answer keep its every bit whatever other rows share its run? If not, no requests are mixed."""
    batches = [batch for batch in (2, 3, 5, 8, 16, 17, 64) if pace.expected_s(batch) < SLOW_S]
    if not batches:
        return False
    rows, size = model.verification.rows, model.verification.size
    alone = [model.run({name: array[i : i + 1] for name, array in rows.items()}) for i in range(size)]
    for batch in batches:
        chosen = np.arange(batch) % size
        answers = model.run({name: array[chosen] for name, array in rows.items()})
        for name, together in answers.items():
            apart = np.concatenate([alone[i][name] for i in chosen])
            same = together == apart
            if together.dtype.kind == "f":
                same |= np.isnan(together) & np.isnan(apart)
            if together.shape != apart.shape or not np.all(same):
                return False
    return True


class Job(Protocol):
    """Rows that fit the signature, and who wants to know; `settle` is called once, on the loop's thread.

    `form`, `feeds`, `text`: a protocol.Question. `at_once`: nobody else can have asked in this turn of the loop.
    """

    form: Any
    feeds: dict[str, Array]
    text: bytes | None
    since: float
    deadline: float
    done: bool
    at_once: bool

    @property
    def rows(self) -> int: ...

    def settle(self, outcome: Outcome) -> None: ...


class Batcher:
    """The queue in front of one model."""

    def __init__(
        self, model: Model, read: Reader, write: Writer, pace: Pace, mixes: bool, worker: Executor, metrics: Metrics,
        max_waiting: int, ledger: Ledger,
    ) -> None:  # fmt: skip
        self.model = model
        self._read, self._write = read, write
        self.metrics = metrics
        self.ledger = ledger
        self.max_waiting = max_waiting
        self.keep(pace)
        self.mixes = mixes
        # Told of every run's feeds, answers, rows and the processor's seconds; of what failed. Set while a rollout looks on.
        self.witness: Callable[[dict[str, Array], dict[str, Array], int, float], None] | None = None
        self.mourner: Callable[[BaseException], None] | None = None
        self._worker = worker
        self._short: deque[Job] = deque()
        self._long: deque[Job] = deque()
        self._turn_is_due = False
        self._busy = False

    def keep(self, pace: Pace) -> None:
        self.pace = pace
        self._inline_rows, self._alone_rows = pace.rows_within(INLINE_S), pace.rows_within(ALONE_S)
        self._batch_rows = pace.rows_within(pace.first_s + BATCH_S)

    def put(self, job: Job, alone: bool) -> None:
        """Raises Overloaded when too many wait already."""
        if len(self._short) >= self.max_waiting > len(self._long):
            # One turn's crowd is no overload: the short ones are run at once.
            self._turn()
        waiting = len(self._short) + len(self._long)
        if waiting >= self.max_waiting:
            after_s = math.ceil(sum(self.pace.expected_s(job.rows) for job in self._long))
            raise Overloaded(
                f"{waiting} requests wait for the model already; send this one again in {max(after_s, 1)} s",
                {"retry-after": str(max(after_s, 1))},
            )
        if job.rows <= (self._alone_rows if alone and not waiting and not self._busy else self._inline_rows):
            self._short.append(job)
            if job.at_once and not self._turn_is_due:
                self._turn()
            elif not self._turn_is_due:
                self._turn_is_due = True
                asyncio.get_running_loop().call_soon(self._turn)
        else:
            self._long.append(job)
            # The short ones wait for the end of the turn, which nobody could see.
            self.metrics.waiting(waiting + 1)
            self._start()

    def _turn(self) -> None:
        self._turn_is_due = False
        batch = self._take(self._short, self._inline_rows)
        if self._short:
            # The loop reads its sockets in between.
            self._turn_is_due = True
            asyncio.get_running_loop().call_soon(self._turn)
        if batch:
            _deliver(batch, self._run(batch))

    def _take(self, queue: deque[Job], most_rows: int) -> list[Job]:
        """The oldest jobs that are still wanted, as many as the time allows and at least one."""
        batch: list[Job] = []
        rows, now = 0, time.perf_counter()
        while queue:
            job = queue[0]
            if job.done:
                queue.popleft()
            elif job.deadline <= now:
                late = DeadlineExceeded("the time this request allowed was over before its turn; the model was not run")
                queue.popleft().settle(late)
            elif batch and (not self.mixes or rows + job.rows > most_rows):
                break
            else:
                batch.append(queue.popleft())
                rows += job.rows
        self.metrics.waiting(len(self._short) + len(self._long))
        return batch

    def _start(self) -> None:
        if self._busy:
            return
        batch = self._take(self._long, self._batch_rows)
        if batch:
            self._busy = True
            loop = asyncio.get_running_loop()
            running = loop.run_in_executor(self._worker, self._run, batch)
            running.add_done_callback(lambda done: self._finished(batch, done))

    def _finished(self, batch: list[Job], done: "asyncio.Future[list[Outcome]]") -> None:
        self._busy = False
        if not done.cancelled():
            _deliver(batch, done.result())
        self._start()

    def _run(self, batch: list[Job]) -> list[Outcome]:
        """One outcome for each job; a job that fails takes nobody with it."""
        started = time.perf_counter()
        rows = batch[0].rows if len(batch) == 1 else sum(job.rows for job in batch)
        try:
            feeds = self._feeds(batch)
        except Refusal as refusal:
            # No run of the model, and none of its failures.
            return [refusal] if len(batch) == 1 else self._run_each(batch)
        try:
            answers = self._answers(batch, feeds)
        except Exception as error:
            if len(batch) > 1:
                return self._run_each(batch)
            if self.mourner is not None:
                self.mourner(error)
            answers, rows = [_refusal(error)], 0
        waited_s = started - batch[0].since if len(batch) == 1 else sum(started - job.since for job in batch)
        self.metrics.ran(rows, len(batch), time.perf_counter() - started, waited_s)
        self.ledger.ran(rows, len(batch))
        return answers

    def _run_each(self, batch: list[Job]) -> list[Outcome]:
        return [self._run([job])[0] for job in batch]

    def _answers(self, batch: list[Job], feeds: dict[str, Array]) -> list[Outcome]:
        if len(batch) == 1:
            return [self._answer(feeds, batch[0].rows)]
        together = self._answer(feeds, sum(job.rows for job in batch))
        form = batch[0].form
        if all(job.form is form for job in batch) and (bodies := self._write(form, together, len(batch))) is not None:
            return list(bodies)
        parts: list[Outcome] = []
        start = 0
        for job in batch:
            end = start + job.rows
            parts.append({name: array[start:end] for name, array in together.items()})
            start = end
        return parts

    def _feeds(self, batch: list[Job]) -> dict[str, Array]:
        if len(batch) == 1:
            return batch[0].feeds if batch[0].text is None else self._read(batch[0].form, [batch[0].text])
        form = batch[0].form
        texts = [job.text for job in batch if job.text is not None and job.form is form]
        if len(texts) == len(batch):
            with contextlib.suppress(Unclear):
                return self._read(form, texts)
        parts = [job.feeds if job.text is None else self._read(job.form, [job.text]) for job in batch]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _answer(self, feeds: dict[str, Array], rows: int) -> dict[str, Array]:
        self.model.signature.check(feeds)
        started = 0.0 if self.witness is None else time.thread_time()
        answers = self.model.run(feeds) if rows else _nothing(self.model)
        for array in answers.values():
            if len(array) != rows:
                raise ValueError("the graph answered another number of rows than it was asked")
        self.ledger.look(feeds, answers, rows)
        if self.witness is not None:
            self.witness(feeds, answers, rows, time.thread_time() - started)
        return answers


def _deliver(batch: list[Job], outcomes: list[Outcome]) -> None:
    for job, outcome in zip(batch, outcomes, strict=True):
        job.settle(outcome)


def _refusal(error: Exception) -> Refusal:
    if isinstance(error, Refusal):
        return error
    # onnxruntime's exceptions share no base but Exception.
    failed = ModelFailed("the model's graph failed on these rows; the server's log has this request id")
    failed.__cause__ = error
    return failed


def _nothing(model: Model) -> dict[str, Array]:
    """No rows in, no rows out: some graphs fail on an empty batch."""
    return {
        tensor.name: np.empty((0, *(max(size, 0) for size in tensor.shape[1:])), tensor.dtype)
        for tensor in model.signature.outputs
    }
