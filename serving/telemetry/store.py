"""Where do counts lie so that they survive whatever happens to the server, and who has them?

SQLite with a write-ahead log in the state folder: several processes add to the same hours; a process that is killed loses what
it had not added yet, two seconds' worth; a machine that loses power, what was added since the log was last synced. When the
disk is full or cannot be written nothing is lost while the process lives: what could not be added is tried again. A file that
cannot be read is set aside under another name, never deleted.
"""

import contextlib
import json
import logging
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from serving.logs import event
from serving.telemetry import tally
from serving.telemetry.histograms import Counts

NAME = "telemetry.db"
BUSY_S = 5.0
HOUR_S, DAY_S = 3600, 86_400
# Identities are kept as the first bytes of their SHA-256: enough to find one, none to read.
MOST_IDENTITIES, MOST_OUTCOMES = 100_000, 200_000
TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS models (digest TEXT PRIMARY KEY, said TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS windows (
    id INTEGER PRIMARY KEY, hour INTEGER NOT NULL, digest TEXT NOT NULL, report INTEGER,
    tally TEXT NOT NULL, bins BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS open_windows ON windows (hour, digest) WHERE report IS NULL;
CREATE TABLE IF NOT EXISTS asked (id BLOB PRIMARY KEY, digest TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outcomes (
    id BLOB NOT NULL, kind TEXT NOT NULL, digest TEXT NOT NULL, bin INTEGER NOT NULL, hour INTEGER NOT NULL, report INTEGER,
    PRIMARY KEY (id, kind)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS outcomes_left ON outcomes (report);
CREATE TABLE IF NOT EXISTS unwritten (sequence INTEGER PRIMARY KEY, document BLOB NOT NULL);
"""


@dataclass(frozen=True)
class Window:
    """One hour of one model: since 1970, counted in hours. `report`: the one that took it, None while it may still grow."""

    hour: int
    digest: str
    report: int | None
    tally: Counts
    bins: Counts


@dataclass(frozen=True)
class Outcome:
    """What became of an answer, by kind and bin, of one model."""

    identity: bytes
    kind: str
    bin: int
    digest: str


class Store:
    """One connection; for one thread at a time. All raises sqlite3.Error or OSError when the disk will not have it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        folder.mkdir(parents=True, exist_ok=True)
        self._base = opened(self.path, _open)

    def close(self) -> None:
        self._base.close()

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """All of it or nothing, and no other process in between."""
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._base.execute("COMMIT")
        except BaseException:
            if self._base.in_transaction:
                self._base.execute("ROLLBACK")
            raise

    def add(self, counts: Mapping[tuple[int, str], tuple[Counts, Counts]]) -> None:
        """counts: (hour, digest) -> what to add to its tally, and to its bins."""
        for (hour, digest), (tallied, binned) in counts.items():
            row = self._base.execute(
                "SELECT id, tally, bins FROM windows WHERE hour = ? AND digest = ? AND report IS NULL", (hour, digest)
            ).fetchone()
            if row is None:
                row = self._base.execute(
                    "INSERT INTO windows (hour, digest, tally, bins) VALUES (?, ?, ?, ?) RETURNING id, tally, bins",
                    (hour, digest, _text(tally.new()), _packed(np.zeros(0, np.int64))),
                ).fetchone()
            number, before, binned_before = row
            after = _text(np.array(tally.place(json.loads(before))) + tallied)
            sums = _packed(_sum(_unpacked(binned_before), binned))
            self._base.execute("UPDATE windows SET tally = ?, bins = ? WHERE id = ?", (after, sums, number))

    def windows(self, since: int = 0, unreported: bool = False) -> list[Window]:
        """From that hour on, oldest first; of those that no report has taken yet, or all."""
        rows = self._base.execute(
            "SELECT hour, digest, report, tally, bins FROM windows WHERE hour >= ? AND (report IS NULL OR ?) ORDER BY hour, id",
            (since, not unreported),
        )
        return [
            Window(hour, digest, report, np.array(tally.place(json.loads(text)), np.int64), _unpacked(binned))
            for hour, digest, report, text, binned in rows
        ]

    def take(self, sequence: int, but_hour: int) -> None:
        """All windows that no report has, except those of one hour, which is not over, belong to this one from now on."""
        self._base.execute("UPDATE windows SET report = ? WHERE report IS NULL AND hour <> ?", (sequence, but_hour))
        self._base.execute("UPDATE outcomes SET report = ? WHERE report IS NULL AND hour <> ?", (sequence, but_hour))

    def met(self, digest: str, said: Mapping[str, Any]) -> None:
        """A model answers here; what its counts are of."""
        self._base.execute("INSERT OR REPLACE INTO models VALUES (?, ?)", (digest, json.dumps(said)))

    def models(self) -> dict[str, dict[str, Any]]:
        return {digest: json.loads(said) for digest, said in self._base.execute("SELECT digest, said FROM models")}

    def asked(self, identities: Sequence[tuple[bytes, str]]) -> None:
        """Which model answered the requests whose clients chose the identity; the latest only are kept."""
        self._base.executemany("INSERT OR REPLACE INTO asked VALUES (?, ?)", identities)

    def model_of(self, identity: bytes) -> str | None:
        row = self._base.execute("SELECT digest FROM asked WHERE id = ?", (identity,)).fetchone()
        return None if row is None else str(row[0])

    def learn(self, outcomes: Sequence[Outcome], hour: int) -> int:
        """A later word of the same kind replaces an earlier one until a report has that. Returns how many were too late."""
        late = 0
        for one in outcomes:
            changed = self._base.execute(
                "INSERT INTO outcomes VALUES (?, ?, ?, ?, ?, NULL) ON CONFLICT (id, kind) DO UPDATE"
                " SET bin = excluded.bin, hour = excluded.hour WHERE report IS NULL",
                (one.identity, one.kind, one.digest, one.bin, hour),
            )
            late += 1 - changed.rowcount
        return late

    def outcomes(self, report: int | None = None, but_hour: int = -1) -> dict[tuple[str, str, int], int]:
        """(digest, kind, bin) -> how many, of those in a report, or in none yet."""
        rows = self._base.execute(
            "SELECT digest, kind, bin, count(*) FROM outcomes WHERE report IS ? AND hour <> ? GROUP BY digest, kind, bin",
            (report, but_hour),
        )
        return {(digest, kind, place): number for digest, kind, place, number in rows}

    def all_outcomes(self) -> dict[tuple[str, str, int], int]:
        rows = self._base.execute("SELECT digest, kind, bin, count(*) FROM outcomes GROUP BY digest, kind, bin")
        return {(digest, kind, place): number for digest, kind, place, number in rows}

    def fact(self, name: str) -> str | None:
        row = self._base.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def keep_fact(self, name: str, value: str) -> None:
        self._base.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def put_unwritten(self, sequence: int, document: bytes) -> None:
        """Until it lies in the outbox, this is where it is."""
        self._base.execute("INSERT INTO unwritten VALUES (?, ?)", (sequence, document))

    def unwritten(self) -> list[tuple[int, bytes]]:
        return list(self._base.execute("SELECT sequence, document FROM unwritten ORDER BY sequence"))

    def written(self, sequence: int) -> None:
        self._base.execute("DELETE FROM unwritten WHERE sequence = ?", (sequence,))

    def forget(self, before_hour: int) -> None:
        """What is older than it may be kept, and of what only so many may be kept, the oldest."""
        self._base.execute("DELETE FROM windows WHERE hour < ?", (before_hour,))
        self._base.execute("DELETE FROM outcomes WHERE hour < ?", (before_hour,))
        # Identities are digests, so these are any of them; outcomes that a report has go first.
        for table, most, order in (("asked", MOST_IDENTITIES, "id"), ("outcomes", MOST_OUTCOMES, "report IS NULL, hour")):
            (rows,) = self._base.execute(f"SELECT count(*) FROM {table}").fetchone()
            if rows > most:
                chosen = f"SELECT id FROM {table} ORDER BY {order} LIMIT ?"
                self._base.execute(f"DELETE FROM {table} WHERE id IN ({chosen})", (rows - most,))


def private(path: Path) -> None:
    """Nobody else on the host reads it, where the file system knows of such things."""
    with contextlib.suppress(OSError):
        os.chmod(path, 0o600)


def opened(path: Path, open_it: Callable[[Path], sqlite3.Connection]) -> sqlite3.Connection:
    """A file that is no database, or a broken one, is set aside first, and never deleted. Raises sqlite3.Error or OSError."""
    try:
        return open_it(path)
    except sqlite3.DatabaseError as error:
        # Those that say what the disk will not do are of a kind of their own.
        if isinstance(error, sqlite3.OperationalError):
            raise
        aside = path.with_name(f"{path.name}.unreadable-{time.time_ns()}")
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.replace(f"{path}{suffix}", f"{aside}{suffix}")
        event("telemetry_set_aside", level=logging.ERROR, file=str(aside), error=error)
        return open_it(path)


def _open(path: Path) -> sqlite3.Connection:
    base = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    private(path)
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("PRAGMA synchronous = NORMAL")
    base.execute("PRAGMA journal_size_limit = 4194304")
    base.executescript(TABLES)
    return base


def _text(counts: Any) -> str:
    return json.dumps(tally.describe(counts))


def _sum(known: Counts, more: Counts) -> Counts:
    """The first may be of a window in which nothing was binned yet."""
    size = max(len(known), len(more))
    return np.pad(known, (0, size - len(known))) + np.pad(more, (0, size - len(more)))


def _packed(counts: Counts) -> bytes:
    return zlib.compress(counts.astype("<i8").tobytes(), 1)


def _unpacked(content: bytes) -> Counts:
    return np.frombuffer(zlib.decompress(content), "<i8").astype(np.int64)
