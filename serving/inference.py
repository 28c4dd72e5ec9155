"""Which model answers, since when, and how does one request become one answer?

Knows nothing of HTTP: bytes in, bytes out, refusals raised, so any front can call it.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from serving import protocol
from serving.errors import ModelFailed, NotReady, Refusal, UnknownModel, shown
from serving.metrics import Metrics
from serving.model import Model
from serving.protocol import Answer, Question
from serving.signature import Array
from serving.verification import Gap

T = TypeVar("T")

# Handing a request to a thread costs 50 to 100 µs and a fifth of the throughput; below this it is run where it is.
INLINE_S = 200e-6
BIG_BODY = 1 << 20


@dataclass(frozen=True)
class Pace:
    """How long a run takes on this machine: something once, something for each row."""

    first_s: float
    row_s: float

    def expected_s(self, rows: int) -> float:
        return self.first_s + self.row_s * max(rows - 1, 0)

    @classmethod
    def measure(cls, model: Model) -> "Pace":
        rows = model.verification.rows
        row = {name: array[:1] for name, array in rows.items()}
        first_s = min(_timed(model, row), _timed(model, row))
        all_s = min(_timed(model, rows), _timed(model, rows))
        return cls(first_s, max(all_s - first_s, 0.0) / max(model.verification.size - 1, 1))


def _timed(model: Model, feeds: Any) -> float:
    started = time.perf_counter()
    model.run(feeds)
    return time.perf_counter() - started


class Inference:
    """The one model of this server. It answers once `load` has returned."""

    def __init__(self, name: str, max_rows: int, metrics: Metrics) -> None:
        self.name = name
        self.max_rows = max_rows
        self.metrics = metrics
        self.model: Model | None = None
        self.gaps: dict[str, Gap] = {}
        self.reason = "the model is being loaded and verified"
        self._pace = Pace(0.0, 0.0)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="model")

    def load(self, content: bytes, origin: str) -> Model:
        """Ready afterwards. Raises ModelRefused when the file is not one of ours or does not answer here as it did."""
        model = Model.from_bytes(content, origin)
        self.gaps = model.verify()
        self._pace = Pace.measure(model)
        self.model = model
        self.metrics.ready(self.name, model.version, model.digest)
        return model

    async def load_aside(self, content: bytes, origin: str) -> Model:
        return await self._call(True, self.load, content, origin)

    def find(self, name: str, version: str | None) -> Model:
        """Raises UnknownModel or NotReady."""
        if name != self.name:
            raise UnknownModel(f"model {shown(name)} is not here; this server has {self.name!r}")
        if self.model is None:
            raise NotReady(f"model {name!r} is not ready: {self.reason}")
        if version not in (None, self.model.version):
            raise UnknownModel(f"model {name!r} has no version {shown(version)}; it has {self.model.version!r}")
        return self.model

    async def answer(self, model: Model, body: bytes, header_length: str | None) -> Answer:
        """Raises Refusal. Long work leaves the event loop to others."""
        big = len(body) > BIG_BODY
        question, rows = await self._call(big, self._decode, model, body, header_length)
        slow = big or self._pace.expected_s(rows) > INLINE_S
        return await self._call(slow, self._finish, model, question, rows)

    async def _call(self, aside: bool, function: Callable[..., T], *arguments: Any) -> T:
        if aside:
            return await asyncio.get_running_loop().run_in_executor(self._worker, function, *arguments)
        return function(*arguments)

    def _decode(self, model: Model, body: bytes, header_length: str | None) -> tuple[Question, int]:
        question = protocol.decode(body, header_length, model.signature, self.max_rows)
        feeds = model.signature.accept(question.feeds)
        return Question(question.id, feeds, question.outputs), len(next(iter(feeds.values())))

    def _finish(self, model: Model, question: Question, rows: int) -> Answer:
        started = time.perf_counter()
        answers = self._run(model, question) if rows else _nothing(question)
        self.metrics.ran(rows, time.perf_counter() - started)
        return protocol.encode(question, answers, self.name, model.version)

    def _run(self, model: Model, question: Question) -> dict[str, Array]:
        try:
            return model.run(question.feeds, [tensor.name for tensor, _ in question.outputs])
        except Refusal:
            raise
        except Exception as error:  # onnxruntime's exceptions share no base but this one
            raise ModelFailed("the model's graph failed on these rows; the server's log has this request id") from error


def _nothing(question: Question) -> dict[str, Array]:
    """No rows in, no rows out: some graphs fail on an empty batch."""
    return {
        tensor.name: np.empty((0, *(max(size, 0) for size in tensor.shape[1:])), tensor.dtype) for tensor, _ in question.outputs
    }
