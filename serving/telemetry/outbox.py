"""What waits to leave, who said that it may, and what has left?

A report is a file that can be read before anything else happens to it. Its folder says what was decided: waiting, approved,
sent, withheld; a decision is one rename. The counts that it holds belong to it from the moment it is made, in the same step in
which the store takes it, so that no two reports hold the same hour.
"""

import contextlib
import fcntl
import os
import platform
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from serving import VERSION, runtime
from serving.telemetry import document, suppression, tally
from serving.telemetry.feedback import BINS
from serving.telemetry.store import DAY_S, HOUR_S, Store, Window

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

WAITING, APPROVED, SENT, WITHHELD = STATES = ("waiting", "approved", "sent", "withheld")
KEY, PUBLIC = "site.key", "site.pub"


class NoSuchReport(Exception):
    """The text says which was asked for, and which there are."""


@dataclass(frozen=True)
class Entry:
    """A report in the outbox."""

    path: Path
    sequence: int
    state: str

    def read(self) -> document.Report:
        """Raises OSError or document.NotAReport."""
        return document.read(self.path.read_bytes())


class Outbox:
    """The folders of one site's reports, and its key."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.folder = state / "outbox"

    def key(self) -> "ec.EllipticCurvePrivateKey":
        """The site's own, made when it is first needed; its public half lies beside it. Raises OSError or ValueError."""
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        path = self.state / KEY
        if not path.exists():
            self._make_key(path)
        found = serialization.load_pem_private_key(path.read_bytes(), None)
        if not isinstance(found, ec.EllipticCurvePrivateKey) or not isinstance(found.curve, ec.SECP256R1):
            raise ValueError(f"{path}: is no P-256 key")
        return found

    def _make_key(self, path: Path) -> None:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        write(self.state / f"{KEY}.{os.getpid()}", private, 0o600)
        with contextlib.suppress(FileExistsError):
            # Of two processes that start together one is first, and its key is the site's.
            os.link(self.state / f"{KEY}.{os.getpid()}", path)
            write(self.state / PUBLIC, public)
        (self.state / f"{KEY}.{os.getpid()}").unlink()

    def make(self, store: Store, fewest: int, now: float) -> int | None:
        """Puts what no report holds yet into one, except the hour that is not over. Returns its number, None without news.

        Raises OSError, sqlite3.Error, or ValueError when there is no key.
        """
        key, hour = self.key(), int(now // HOUR_S)
        sequence = None
        with store.change():
            windows = [window for window in store.windows(unreported=True) if window.hour != hour]
            outcomes = store.outcomes(None, hour)
            if windows or outcomes:
                sequence = int(store.fact("sequence") or 0) + 1
                chain = store.fact("chain") or secrets.token_hex(8)
                said = {
                    "format": document.FORMAT,
                    "site": document.fingerprint(key.public_key()),
                    "chain": chain,
                    "sequence": sequence,
                    "previous": store.fact("previous"),
                } | _said(windows, outcomes, store.models(), fewest, hour)
                store.put_unwritten(sequence, document.sign(said, key))
                store.take(sequence, hour)
                for name, value in (("sequence", str(sequence)), ("chain", chain)):
                    store.keep_fact(name, value)
                store.keep_fact("previous", document.Report(said, b"").digest)
        self.write_out(store)
        return sequence

    def write_out(self, store: Store) -> None:
        """What was made and does not lie in a folder yet."""
        with self._lock("writing", wait=True):
            for sequence, content in store.unwritten():
                if not any(self._path(sequence, state).exists() for state in STATES):
                    write(self._path(sequence, WAITING), content)
                store.written(sequence)

    def entries(self, *states: str) -> list[Entry]:
        """Oldest first."""
        found = [
            Entry(path, int(path.stem.removeprefix("report-")), state)
            for state in states or STATES
            for path in (self.folder / state).glob("report-*.json")
        ]
        return sorted(found, key=lambda entry: entry.sequence)

    def find(self, sequence: int) -> Entry:
        """Raises NoSuchReport."""
        known = self.entries()
        for entry in known:
            if entry.sequence == sequence:
                return entry
        numbers = ", ".join(str(entry.sequence) for entry in known[-10:]) or "none"
        raise NoSuchReport(f"there is no report {sequence} in {self.folder}; the latest there are: {numbers}")

    def move(self, entry: Entry, state: str) -> Entry:
        """Raises OSError."""
        place = self._path(entry.sequence, state)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(entry.path, place)
        return Entry(place, entry.sequence, state)

    def alone(self) -> contextlib.AbstractContextManager[bool]:
        """Whether nobody else sends at this moment; until the end of the block nobody will."""
        return self._lock("sending", wait=False)

    @contextlib.contextmanager
    def _lock(self, what: str, wait: bool) -> Iterator[bool]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / f".{what}", "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
            else:
                yield True

    def forget(self, before: float) -> None:
        """What was decided and is older than it may be kept."""
        for entry in self.entries(SENT, WITHHELD):
            if entry.path.stat().st_mtime < before:
                entry.path.unlink()

    def _path(self, sequence: int, state: str) -> Path:
        return self.folder / state / f"report-{sequence:06d}.json"


def write(path: Path, content: bytes, mode: int = 0o644) -> None:
    """All of it or nothing, and on the disk when this returns. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _said(
    windows: list[Window], outcomes: dict[tuple[str, str, int], int], models: dict[str, Any], fewest: int, hour: int
) -> dict[str, Any]:
    digests = sorted({window.digest for window in windows} | {digest for digest, _, _ in outcomes})
    return {
        "made": named_hour(hour),
        "fewest": fewest,
        "server": {
            "unjar": VERSION,
            "onnxruntime": runtime.VERSION,
            "python": platform.python_version(),
            "machine": platform.machine(),
        },
        "models": [_model(digest, windows, outcomes, models, fewest) for digest in digests],
    }


def _model(
    digest: str, windows: list[Window], outcomes: dict[tuple[str, str, int], int], models: dict[str, Any], fewest: int
) -> dict[str, Any]:
    own = [window for window in windows if window.digest == digest]
    known = models.get(digest, {"release": 0, "columns": []})
    kinds = sorted({kind for one, kind, _ in outcomes if one == digest})
    looked_at = sum(int(window.tally[tally.AT_LOOKED_AT]) for window in own)
    return {
        "digest": digest,
        "release": known["release"],
        "hours": [_hour(window, fewest) for window in own],
        "looked_at": suppression.number(looked_at, fewest),
        "columns": _columns(known["columns"], own, fewest),
        "outcomes": {
            kind: suppression.cells([outcomes.get((digest, kind, place), 0) for place in range(BINS[kind])], fewest)
            for kind in kinds
        },
    }


def _columns(columns: list[tuple[str, int]], windows: list[Window], fewest: int) -> dict[str, Any]:
    """Over all hours together."""
    size = sum(bins for _, bins in columns)
    binned = [window.bins for window in windows if len(window.bins) == size]
    if not binned or not size:
        return {}
    parts = np.split(np.sum(binned, axis=0), np.cumsum([bins for _, bins in columns])[:-1])
    return {name: suppression.cells(part.tolist(), fewest) for (name, _), part in zip(columns, parts, strict=True)}


def _hour(window: Window, fewest: int) -> dict[str, Any]:
    said = tally.describe(window.tally)
    return {
        "hour": named_hour(window.hour),
        "requests": suppression.named(said["requests"], fewest),
        "rows": suppression.number(said["rows"], fewest),
        "missed": suppression.number(said["missed"], fewest),
        "latency": suppression.cells(said["latency"], fewest),
        "batches": suppression.cells(said["batches"], fewest),
    }


def named_hour(hour: int) -> str:
    return f"{datetime.fromtimestamp(hour * HOUR_S, UTC):%Y-%m-%dT%HZ}"


def is_due(store: Store, every_h: int, now: float) -> bool:
    """Has it been long enough since the last report, or since counting began?"""
    hour, last = int(now // HOUR_S), store.fact("reported")
    if last is None or int(last) > hour:
        # A clock that was ahead must not keep reports back.
        store.keep_fact("reported", str(hour))
        return False
    return hour - int(last) >= every_h


def oldest_kept(days: int, now: float | None = None) -> float:
    return (time.time() if now is None else now) - days * DAY_S
