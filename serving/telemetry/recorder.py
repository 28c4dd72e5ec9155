"""Who writes down what was counted, and when?

A thread of its own, every two seconds. Whatever happens to it, the server goes on answering; what could not be written stays in
memory and is tried again. It also makes the report when one is due and, where the operator has said `auto`, sends it.
"""

import logging
import re
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from serving import guard
from serving.logs import event
from serving.settings import Settings
from serving.telemetry import tally
from serving.telemetry.capture import Capture
from serving.telemetry.feedback import identity
from serving.telemetry.histograms import Counts
from serving.telemetry.ledger import MARK, Ledger
from serving.telemetry.outbox import APPROVED, WAITING, Entry, Outbox, is_due, oldest_kept
from serving.telemetry.store import HOUR_S, Outcome, Store

# An identity of our own making, and the model of answers that nobody remembers.
OURS, NOBODY = re.compile("[0-9a-f]{32}"), "0" * 64
FLUSH_S, MINUTE_S, LONGEST_S = 2.0, 60.0, 3600.0
# What cannot be written is kept by hour and model; of more than these the oldest are counted together as missed.
MOST_PENDING, MOST_OUTCOMES = 96, 10_000
SETTLED_S = 2 * FLUSH_S
Bins = list[tuple[str, int]]
Pending = dict[tuple[int, str], tuple[Counts, Counts]]


class Recorder:
    """`ledgers`: of every model that this process has loaded."""

    def __init__(self, settings: Settings, ledgers: Callable[[], Iterable[Ledger]]) -> None:
        assert settings.state is not None
        self.settings = settings
        self.folder = settings.state
        self.outbox = Outbox(settings.state)
        self.capture: Capture | None = None
        if settings.capture != "off":
            self.capture = Capture(settings.state, settings.capture, settings.capture_mb << 20)
        self.problem: str | None = None
        self._ledgers = ledgers
        self._store: Store | None = None
        self._pending: Pending = {}
        self._said: deque[tuple[float, str, Bins]] = deque(maxlen=MOST_OUTCOMES)
        self._asked: list[tuple[bytes, str]] = []
        self._met: set[str] = set()
        self._wake = threading.Event()
        self._stopping = False
        self._read = time.monotonic()
        self._looked = -MINUTE_S
        self._send_approved: Callable[..., list[Entry]] = lambda *_, **__: []
        self._not_sent: type[Exception] = OSError
        self._sender: threading.Thread | None = None
        self._send_at, self._patience_s = 0.0, MINUTE_S
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    def start(self) -> None:
        """Loads what it will need, as later no code may be."""
        if self.settings.reports == "auto":
            from serving.telemetry import outgoing

            outgoing.rehearse()
            self._send_approved, self._not_sent = outgoing.send_approved, outgoing.NotSent
        self._thread.start()

    def stop(self, seconds: float = 3.0) -> None:
        """Writes down what is left, unless the disk takes longer than that."""
        self._stopping = True
        self._wake.set()
        self._thread.join(seconds)

    def learn(self, request_id: str, bins: Bins) -> None:
        """Feedback, as kind and bin; written a little later, once every process has written whom it answered."""
        self._said.append((time.monotonic(), request_id, bins))

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(FLUSH_S)
            self.flush()
        # Told to stop in the midst of the last one.
        self.flush()
        if self._store is not None:
            self._store.close()

    def flush(self, now: float | None = None) -> None:
        """Never raises: who answers requests has nothing to do with it."""
        clock = time.time() if now is None else now
        try:
            self._collect(int(clock // HOUR_S))
            store = self._store = self._store or Store(self.folder)
            self._write(store, int(clock // HOUR_S))
            if time.monotonic() - self._looked >= MINUTE_S:
                self._looked = time.monotonic()
                self._keep_house(store, clock)
        except Exception as error:
            self._say(error)
        else:
            if self.problem is not None:
                event("telemetry_kept_again")
            self.problem = None

    def _collect(self, hour: int) -> None:
        seconds, self._read = time.monotonic() - self._read, time.monotonic()
        for ledger in list(self._ledgers()):
            while ledger.asked:
                self._asked.append((identity(ledger.asked.popleft()), ledger.digest))
            counts, bins = ledger.read(seconds)
            if counts.any():
                _add(self._pending, (hour, ledger.digest), counts, bins)
        del self._asked[:-MOST_OUTCOMES]
        while len(self._pending) > MOST_PENDING:
            key = min(self._pending)
            lost = np.zeros(tally.SIZE, np.int64)
            dropped = self._pending.pop(key)[0]
            lost[tally.AT_MISSED] = dropped[: tally.AT_ROWS].sum() + dropped[tally.AT_MISSED]
            _add(self._pending, (min(self._pending)[0], key[1]), lost, np.zeros(0, np.int64))

    def _write(self, store: Store, hour: int) -> None:
        strange = [ledger for ledger in self._ledgers() if ledger.digest not in self._met]
        before = time.monotonic() - (0 if self._stopping else SETTLED_S)
        said = [one for one in list(self._said) if one[0] <= before]
        if self.capture is not None:
            # A user's no is worth keeping the request for.
            self.capture.keep_safe([request_id for _, request_id, bins in said if ("verdict", 1) in bins])
        if not (self._pending or said or self._asked or strange):
            return
        with store.change():
            for ledger in strange:
                store.met(ledger.digest, outline(ledger))
            store.add(self._pending)
            store.asked(self._asked)
            store.learn(list(_outcomes(store, said)), hour)
        self._met |= {ledger.digest for ledger in strange}
        self._pending = {}
        self._asked = []
        for _ in said:
            self._said.popleft()

    def _keep_house(self, store: Store, clock: float) -> None:
        before = oldest_kept(self.settings.keep_days, clock)
        with store.change():
            store.forget(int(before // HOUR_S))
            due = self.settings.reports != "off" and is_due(store, self.settings.report_hours, clock)
        self.outbox.forget(before)
        if self.capture is not None:
            self.capture.forget(before)
        if due:
            # What signs is loaded now, on this thread, once a day.
            with guard.loading():
                sequence = self.outbox.make(store, self.settings.fewest_rows, clock)
            with store.change():
                store.keep_fact("reported", str(int(clock // HOUR_S)))
            if sequence is not None:
                event("report_made", sequence=sequence, mode=self.settings.reports)
        if self.settings.reports == "auto" and self._sender is None and time.monotonic() >= self._send_at:
            # Not on this thread: who cannot be reached must not hold the counting up.
            self._sender = threading.Thread(target=self._send, name="reports", daemon=True)
            self._sender.start()

    def _send(self) -> None:
        try:
            with self.outbox.alone() as alone:
                if alone:
                    for entry in self.outbox.entries(WAITING):
                        self.outbox.move(entry, APPROVED)
                    for entry in self._send_approved(self.outbox, self.settings, pauses_s=()):
                        event("report_sent", sequence=entry.sequence)
        except (self._not_sent, OSError) as error:
            self._patience_s = min(2 * self._patience_s, LONGEST_S)
            event("report_not_sent", level=logging.ERROR, error=error, again_in_s=self._patience_s)
        else:
            self._patience_s = MINUTE_S
        self._send_at = time.monotonic() + self._patience_s
        self._sender = None

    def _say(self, error: Exception) -> None:
        """Once for each kind of trouble."""
        said = f"{type(error).__name__}: {error}"
        if isinstance(error, sqlite3.Error | OSError) and self._store is not None:
            # Opened again with the next try: the file may have been replaced, or the disk.
            self._store.close()
            self._store = None
        if said != self.problem:
            event("telemetry_not_kept", level=logging.ERROR, error=error, folder=str(self.folder))
        self.problem = said


def _add(pending: Pending, key: tuple[int, str], counts: Counts, bins: Counts) -> None:
    before = pending.get(key)
    if before is not None:
        counts = before[0] + counts
        bins = before[1] + bins if len(before[1]) == len(bins) else before[1] if not len(bins) else bins
    pending[key] = counts, bins


def _outcomes(store: Store, said: Iterable[tuple[float, str, Bins]]) -> Iterator[Outcome]:
    known = {digest[:MARK]: digest for digest in store.models()}
    for _, request_id, bins in said:
        own = identity(request_id)
        digest = known.get(request_id[:MARK]) if OURS.fullmatch(request_id) else None
        digest = digest or store.model_of(own) or NOBODY
        yield from (Outcome(own, kind, place, digest) for kind, place in bins)


def outline(ledger: Ledger) -> dict[str, Any]:
    """What its counts are of, for who reads them without the model."""
    bins = () if ledger.reference is None else ledger.reference.histograms.all
    return {"release": ledger.release, "columns": [(one.name, one.size) for one in bins]}
