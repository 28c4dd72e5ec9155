"""What helps the vendor's support and tells nothing of anybody's work? `python -m serving.support FILE [--log LOG]`.

Versions, masked settings, health, counts, the last events of the log without what they were about: only facts that are on a
list (serving/telemetry/support.py). Exits 0 written, 1 something unknown would have entered, 2 could not look.
"""

import argparse
import sqlite3
import sys
from pathlib import Path
from typing import Any

import numpy as np

from serving.errors import ModelRefused
from serving.health import check, own_url
from serving.model import Model
from serving.settings import Settings
from serving.telemetry import capture, support, tally
from serving.telemetry.case import masked, versions
from serving.telemetry.command import ended
from serving.telemetry.outbox import STATES, Outbox, write
from serving.telemetry.store import Store


def facts(settings: Settings, url: str, log: Path | None) -> dict[str, Any]:
    """Raises OSError for a log that cannot be read; what else cannot be looked at is left out."""
    code, _ = check(url)
    said: dict[str, Any] = {
        "versions": versions(),
        "settings": masked(settings),
        "health": {"live": code != 2, "ready": code == 0},
        "model": {"digest": _digest(settings)},
        "memory": {"available_mb": _available_mb()},
    }
    if settings.state is not None and settings.state.is_dir():
        said |= {"disk": support.disk(settings.state)} | _kept(settings.state)
    if log is not None:
        with log.open(errors="replace") as lines:
            said["events"] = support.events_of(lines)
    return said


def _digest(settings: Settings) -> str | None:
    try:
        return None if settings.repository is not None else Model.load(settings.model).digest
    except ModelRefused:
        return None


def _available_mb() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) >> 10
    return 0


def _kept(state: Path) -> dict[str, Any]:
    states = [entry.state for entry in Outbox(state).entries()]
    said: dict[str, Any] = {"reports": {name: states.count(name) for name in STATES}, "captures": len(capture.listed(state))}
    try:
        store = Store(state)
        windows = store.windows()
        store.close()
    except (sqlite3.Error, OSError):
        return said | {"store": {"readable": False}}
    total = tally.describe(np.sum([window.tally for window in windows], axis=0) if windows else tally.new())
    counts = total["requests"] | {name: total[name] for name in tally.TOTALS}
    return said | {"store": {"readable": True}, "requests": counts}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m serving.support", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, help="- for standard output")
    parser.add_argument("--log", type=Path, help="the server's log")
    parser.add_argument("--url", default=own_url(), help="default: %(default)s")
    given = parser.parse_args()

    def pack(settings: Settings) -> None:
        content = support.pack(facts(settings, given.url, given.log))
        if str(given.file) == "-":
            sys.stdout.buffer.write(content)
        else:
            write(given.file, content, 0o600)

    return ended("support", pack, support.Unknown)


if __name__ == "__main__":
    sys.exit(main())
