"""May a new release answer? It is asked what users ask, and nobody hears its answers; then it answers a few; then all.

Each step has its rule, and a release that breaks one is gone before the next. The first steps need no traffic: signature,
verification rows, the same inputs and outputs, and speed. Where no user asks anything, time passes instead.
"""

import asyncio
import logging
import math
import time
from concurrent.futures import Executor
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from serving.errors import ModelRefused, Refusal
from serving.logs import event
from serving.signature import Array, Signature

if TYPE_CHECKING:
    from serving.inference import Served

TICK_S = 0.05
# A run this short is too short to compare times by.
SHORT_S = 20e-6


class Stage(IntEnum):
    """In the order in which a release goes through them."""

    NONE, LOADING, SHADOW, CANARY, SPREADING, ACTIVE, ROLLED_BACK = range(7)


LIMITS: dict[str, tuple[float, float]] = {
    "shadow_rows": (0, 1_000_000), "shadow_s": (0, 86_400), "canary_percent": (0, 100), "canary_requests": (0, 1_000_000),
    "canary_s": (0, 86_400), "max_difference": (0, math.inf), "slower": (1, 1000),
}  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """When a step has seen enough, and what ends it.

    max_difference: largest |new - old| of any number in shadow; a retrained model differs, so there is no limit unless given.
    slower: how many times the active model's time of the processor a run may take.
    """

    shadow_rows: int = 200
    shadow_s: float = 5.0
    canary_percent: int = 10
    canary_requests: int = 100
    canary_s: float = 5.0
    max_difference: float = math.inf
    slower: float = 4.0

    @classmethod
    def from_parameters(cls, given: dict[str, Any]) -> "Plan":
        """Raises Refusal: which parameter, what was found, what was expected."""
        kept: dict[str, Any] = {}
        for name, value in given.items():
            if name not in LIMITS:
                raise Refusal(f"parameter {name[:40]!r} is not one of {', '.join(LIMITS)}")
            low, high = LIMITS[name]
            whole = name in ("shadow_rows", "canary_percent", "canary_requests")
            if type(value) not in ((int,) if whole else (int, float)) or not low <= value <= high:
                raise Refusal(f"parameter {name!r}: expected a {'whole ' if whole else ''}number from {low:g} to {high:g}")
            kept[name] = value
        return cls(**kept)


def same_interface(old: Signature, new: Signature) -> str | None:
    """Why a client of the old release could not ask the new one; None when it can."""
    for side in ("inputs", "outputs"):
        before = [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in getattr(old, side)]
        after = [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in getattr(new, side)]
        if before != after:
            return f"its {side} are {after}, the active release has {before}: clients would break; it needs a server of its own"
    return None


class Rollout:
    """One release on its way. Lives on the loop's thread; only `_compare` runs elsewhere."""

    def __init__(self, active: "Served", candidate: "Served", plan: Plan, worker: Executor) -> None:
        """Raises ModelRefused when it breaks a rule that needs no traffic."""
        self.active, self.candidate, self.plan = active, candidate, plan
        self.stage, self.reason = Stage.SHADOW, ""
        self.rows = self.requests = 0
        self.difference = 0.0
        self._asked = 0
        self._old_s = self._new_s = 0.0
        self._worker = worker
        self._comparing = False
        self._since = time.monotonic()
        if (reason := same_interface(active.model.signature, candidate.model.signature)) is not None:
            raise ModelRefused(reason)
        before, after = active.batcher.pace.first_s, candidate.batcher.pace.first_s
        if after > plan.slower * max(before, SHORT_S):
            raise ModelRefused(
                f"one row takes it {after * 1e6:.0f} µs, {before * 1e6:.0f} µs the active release; at most {plan.slower:g}"
                " times as much is accepted"
            )

    def begin(self) -> None:
        self.active.batcher.witness = self._see
        self.candidate.batcher.witness = self._count
        self.candidate.batcher.mourner = self._fail

    def end(self) -> None:
        for served in (self.active, self.candidate):
            served.batcher.witness = served.batcher.mourner = None

    def pick(self) -> "Served":
        """Who answers the next request: evenly spread, never at random."""
        if self.stage != Stage.CANARY:
            return self.active
        self._asked += 1
        percent = self.plan.canary_percent
        return self.candidate if self._asked * percent // 100 > (self._asked - 1) * percent // 100 else self.active

    def look(self) -> Stage:
        """Goes on to the next step when this one has seen enough, or its time is over."""
        passed_s = time.monotonic() - self._since
        plan = self.plan
        if self.stage == Stage.SHADOW and (self.rows >= plan.shadow_rows or passed_s >= plan.shadow_s):
            self._enter(Stage.CANARY if plan.canary_percent else Stage.SPREADING)
        elif self.stage == Stage.CANARY and (self.requests >= plan.canary_requests or passed_s >= plan.canary_s):
            self._enter(Stage.SPREADING)
        return self.stage

    def roll_back(self, reason: str) -> None:
        if self.stage not in (Stage.ROLLED_BACK, Stage.ACTIVE):
            self.reason = reason
            self._enter(Stage.ROLLED_BACK, logging.ERROR)

    def _enter(self, stage: Stage, level: int = logging.INFO) -> None:
        self.stage = stage
        self._since = time.monotonic()
        candidate = self.candidate
        event(
            "rollout", level=level, stage=stage.name.lower(), release=candidate.number, version=candidate.model.version,
            rows=self.rows, requests=self.requests, difference=self.difference, reason=self.reason or None,
        )  # fmt: skip

    def _see(self, feeds: dict[str, Array], answers: dict[str, Array], rows: int, seconds: float) -> None:
        """The active release has answered; on whatever thread its batches run."""
        if self.stage != Stage.SHADOW or self._comparing or rows == 0:
            return
        self._comparing = True
        self._worker.submit(self._compare, feeds, answers, rows, seconds)

    def _compare(self, feeds: dict[str, Array], answers: dict[str, Array], rows: int, seconds: float) -> None:
        try:
            # Of the processor, as the active release's: under load a thread waits for the other, which is nobody's fault.
            started = time.thread_time()
            found = self.candidate.model.run(feeds)
            self._new_s += time.thread_time() - started
            self._old_s += seconds
            self.difference = max(self.difference, *(difference(answers[name], found[name]) for name in answers))
            self.rows += rows
            if self.difference > self.plan.max_difference:
                self.roll_back(f"an answer differs by {self.difference:g}, at most {self.plan.max_difference:g} is accepted")
            elif self.rows >= 20 and self._new_s > self.plan.slower * max(self._old_s, SHORT_S * self.rows):
                self.roll_back(
                    f"it takes {self._new_s / self._old_s:.1f} times as long, at most {self.plan.slower:g} is accepted"
                )
        except Exception as error:
            # The active release answered these rows.
            self.roll_back(f"it fails on rows that the active release answers: {type(error).__name__}: {_first_line(error)}")
        finally:
            self._comparing = False

    def _count(self, feeds: dict[str, Array], answers: dict[str, Array], rows: int, seconds: float) -> None:
        self.requests += 1

    def _fail(self, error: BaseException) -> None:
        if not isinstance(error, Refusal) or error.status >= 500:
            self.roll_back(f"it fails on a user's rows: {type(error).__name__}")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]


def difference(old: Array, new: Array) -> float:
    """The largest distance of two numbers; labels and texts are 0 or infinity apart. Equal NaN and infinity are equal."""
    if old.shape != new.shape:
        return math.inf
    if old.dtype.kind not in "fiu":
        return 0.0 if np.array_equal(old, new) else math.inf
    if old.size == 0:
        return 0.0
    with np.errstate(invalid="ignore"):
        gap = np.abs(old.astype(np.float64) - new.astype(np.float64))
    gap[(old == new) | (np.isnan(old.astype(np.float64)) & np.isnan(new.astype(np.float64)))] = 0.0
    largest = float(gap.max())
    return math.inf if math.isnan(largest) else largest


async def watch(rollout: Rollout) -> Stage:
    """Until it may spread or was rolled back."""
    while rollout.look() in (Stage.SHADOW, Stage.CANARY):
        await asyncio.sleep(TICK_S)
    return rollout.stage
