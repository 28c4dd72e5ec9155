"""Which requests are kept, whole, so that a problem can be shown to the vendor? None, unless the operator says so.

They stay in the state folder until somebody exports one: failures and what a user has rejected last of all to go, the oldest
first, and never more bytes than the setting allows. Who may ask for one by its identity is who has the folder.
"""

import base64
import contextlib
import json
import logging
import sqlite3
import time
import zlib
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.logs import event
from serving.telemetry.store import opened, private

if TYPE_CHECKING:
    from serving.exchange import Bare, Exchange

NAME = "captures.db"
# Between two times of writing; of more the oldest of those that went well are not kept.
MOST_FAILED, MOST_GOOD, MOST_BYTES = 512, 256, 32 << 20
# What of a request's headers changes its answer. No other is kept: not who asked, nor with which token.
HEADERS = ("content-encoding", "inference-header-content-length", "accept-encoding", "x-request-timeout-ms")
TABLE = """
CREATE TABLE IF NOT EXISTS captures (request_id TEXT PRIMARY KEY, time REAL NOT NULL, status INTEGER NOT NULL,
    flagged INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL, document BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_worth ON captures (flagged, time);
"""


@dataclass(frozen=True)
class Kept:
    """One request and its answer, as they went over the wire."""

    request_id: str
    time: float
    route: str
    head: dict[str, str]
    body: bytes
    status: int
    reply_head: dict[str, str]
    reply: bytes
    digest: str

    def to_json(self) -> dict[str, Any]:
        parts = {"body": base64.b64encode(self.body).decode(), "reply": base64.b64encode(self.reply).decode()}
        return {**vars(self), **parts}

    @classmethod
    def from_json(cls, said: dict[str, Any]) -> "Kept":
        return cls(**said | {name: base64.b64decode(said[name]) for name in ("body", "reply")})


class Capture:
    """What the hot path hands over. `failures`: whether only these are kept, or good answers too."""

    def __init__(self, folder: Path, mode: str, most_bytes: int) -> None:
        self.folder = folder
        self.failures_only = mode == "failures"
        self.most_bytes = most_bytes
        self._failed: deque[Kept] = deque(maxlen=MOST_FAILED)
        self._good: deque[Kept] = deque(maxlen=MOST_GOOD)
        self._bytes = 0
        self._problem: str | None = None

    def keep(self, exchange: "Exchange", reply: "Bare") -> None:
        """On the loop's thread. Without its body a request that was refused early is no case."""
        body, exchange.body = exchange.body, None
        status, lines, answer = reply
        failed = status != 200
        if body is None or (self.failures_only and not failed) or self._bytes > MOST_BYTES:
            return
        self._bytes += len(body) + len(answer)
        head = {str(name, "latin-1"): str(value, "latin-1") for name, value in exchange.head.items()}
        kept = Kept(
            exchange.request_id, time.time(), exchange.route, {name: head[name] for name in HEADERS if name in head},
            bytes(body), status, _lines(lines), bytes(answer), exchange.digest,
        )  # fmt: skip
        (self._failed if failed else self._good).append(kept)

    def keep_safe(self, rejected: list[str]) -> None:
        """As `flush`; what the disk will not have is not kept, and counts do not wait for it."""
        try:
            self.flush(rejected)
            self._problem = None
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            if said != self._problem:
                event("requests_not_kept", level=logging.ERROR, error=error, folder=str(self.folder))
            self._problem = said

    def forget(self, before: float) -> None:
        """Those of before then, in seconds since 1970. Raises sqlite3.Error or OSError."""
        if (self.folder / NAME).exists():
            with contextlib.closing(open_captures(self.folder)) as base:
                base.execute("DELETE FROM captures WHERE time < ?", (before,))

    def flush(self, rejected: list[str]) -> None:
        """On the recorder's thread. Raises sqlite3.Error or OSError."""
        queues = (self._failed, self._good)
        if not any(queues) and not rejected:
            return
        new = [queue.popleft() for queue in queues for _ in range(len(queue))]
        self._bytes = 0
        base = open_captures(self.folder)
        try:
            base.execute("BEGIN IMMEDIATE")
            base.executemany("INSERT OR REPLACE INTO captures VALUES (?, ?, ?, ?, ?, ?)", [_row(kept) for kept in new])
            base.executemany("UPDATE captures SET flagged = 1 WHERE request_id = ?", [(one,) for one in rejected])
            evict(base, self.most_bytes)
            base.execute("COMMIT")
        finally:
            base.close()


def _row(kept: Kept) -> tuple[Any, ...]:
    document = zlib.compress(json.dumps(kept.to_json()).encode(), 1)
    return kept.request_id, kept.time, kept.status, int(kept.status != 200), len(document), document


def _lines(lines: bytes) -> dict[str, str]:
    pairs = (line.partition(": ") for line in str(lines, "latin-1").split("\r\n") if line)
    return {name: value for name, _, value in pairs}


def evict(base: sqlite3.Connection, most_bytes: int) -> None:
    """The oldest of those that went well first."""
    (size,) = base.execute("SELECT coalesce(sum(size), 0) FROM captures").fetchone()
    for request_id, own in list(base.execute("SELECT request_id, size FROM captures ORDER BY flagged, time")):
        if size <= most_bytes:
            return
        base.execute("DELETE FROM captures WHERE request_id = ?", (request_id,))
        size -= own


def open_captures(folder: Path) -> sqlite3.Connection:
    """Raises sqlite3.Error or OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    return opened(folder / NAME, _open)


def _open(path: Path) -> sqlite3.Connection:
    base = sqlite3.connect(path, timeout=5.0, isolation_level=None)
    private(path)
    # What is deleted is overwritten.
    base.execute("PRAGMA secure_delete = ON")
    base.executescript(TABLE)
    return base


def find(folder: Path, request_id: str) -> Kept | None:
    base = open_captures(folder)
    try:
        row = base.execute("SELECT document FROM captures WHERE request_id = ?", (request_id,)).fetchone()
    finally:
        base.close()
    return None if row is None else Kept.from_json(json.loads(zlib.decompress(row[0])))


def listed(folder: Path) -> list[tuple[str, float, int, bool]]:
    """Identity, time, status and whether it is flagged, newest first."""
    base = open_captures(folder)
    try:
        rows = base.execute("SELECT request_id, time, status, flagged FROM captures ORDER BY time DESC").fetchall()
    finally:
        base.close()
    return [(request_id, at, status, bool(flagged)) for request_id, at, status, flagged in rows]


def wipe(folder: Path) -> int:
    """All of them, so that not even the disk has them any more. Returns how many there were."""
    base = open_captures(folder)
    try:
        gone = base.execute("DELETE FROM captures").rowcount
        base.execute("VACUUM")
    finally:
        base.close()
    return gone
