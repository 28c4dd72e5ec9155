"""What does one process note of one model while it answers?

Counts by addition, and some rows for the histograms: so many per second that they tell the distribution, whatever the traffic.
Rows are kept for as long as it takes to count them, two seconds, and nowhere but in memory.
"""

import math
import random
import secrets
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np

from serving.metrics import BATCH
from serving.model import Model
from serving.signature import Array
from serving.telemetry import tally
from serving.telemetry.histograms import Counts

ROWS_PER_S = 256
# Before the next count at most so many are kept; when there would be more, fewer are taken.
MOST_ROWS = 768
# Of identities that clients chose, for feedback.
MOST_ASKED = 4096
MARK = 8


class Ledger:
    """Written on the loop's thread and the worker's, read on the recorder's."""

    def __init__(self, model: Model, release: int = 0) -> None:
        self.digest = model.digest
        self.release = release
        # With which the identities of its answers begin: feedback names one, and so the model.
        self.mark = model.digest[:MARK] + secrets.token_hex(6)
        self.reference = model.reference
        self.counts = tally.new()
        # Rows until one is taken: none is, until a recorder reads them.
        self.left = math.inf
        self.step = 1
        self.asked: deque[str] | None = None
        self._picked: deque[tuple[dict[str, Array], dict[str, Array], int]] = deque()
        self._kept = 0
        self._seen = tally.new()

    def watch(self) -> None:
        """Somebody will read what is noted."""
        self.asked = deque(maxlen=MOST_ASKED)
        if self.reference is not None:
            self.left = 0

    def ran(self, rows: int, requests: int) -> None:
        """One run of the model answered these."""
        counts = self.counts
        counts[tally.AT_ROWS] += rows
        counts[tally.AT_BATCH + bisect_left(BATCH, requests)] += 1

    def look(self, feeds: Mapping[str, Array], answers: Mapping[str, Array], rows: int) -> None:
        """Rows that were answered: some of them are taken."""
        if self.left >= rows:
            self.left -= rows
            return
        if self._kept >= MOST_ROWS:
            self.step *= 2
            self.left = self.step
            return
        # A step of random length: what a client repeats at a beat of its own must not meet ours.
        chosen = np.arange(int(self.left), rows, self.step)[: MOST_ROWS - self._kept]
        self._picked.append(({n: a[chosen] for n, a in feeds.items()}, {n: a[chosen] for n, a in answers.items()}, len(chosen)))
        self._kept += len(chosen)
        self.left = random.randrange(2 * self.step - 1) if self.step > 1 else 0

    def read(self, seconds: float) -> tuple[Counts, Counts]:
        """What was noted since it was last read, so many seconds ago: tally and bins."""
        now = list(self.counts)
        counts = np.array(now, np.int64) - np.array(self._seen, np.int64)
        self._seen = now
        counts[tally.PLACES[tally.ANSWERED]] = counts[tally.AT_LATENCY : tally.AT_BATCH].sum()
        bins = self._count()
        counts[tally.AT_LOOKED_AT] = bins[1]
        self.step = max(1, math.ceil(counts[tally.AT_ROWS] / max(seconds * ROWS_PER_S, 1)))
        return counts, bins[0]

    def _count(self) -> tuple[Counts, int]:
        parts = [self._picked.popleft() for _ in range(len(self._picked))]
        self._kept = 0
        if not parts or self.reference is None:
            return np.zeros(0, np.int64), 0
        asked, said, rows = zip(*parts, strict=True)
        return self.reference.histograms.count(_joined(asked), _joined(said)), sum(rows)


def _joined(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
