"""Do the counts survive what happens to the disk, the clock and the process?"""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

from serving.telemetry import tally
from serving.telemetry.store import NAME, Outcome, Store
from tests.serving.asking import ROOT
from tests.serving.telemetry.sites import DIGEST, HOUR, NO_BINS, tallied


def answered(store: Store) -> int:
    return sum(int(window.tally[tally.PLACES["answered"]]) for window in store.windows())


def test_counts_of_the_same_hour_and_model_add_up(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for bins in (NO_BINS, np.array([1, 2]), np.array([3, 4])):
        with store.change():
            store.add({(HOUR, DIGEST): (tallied(answered=10), bins)})
    (window,) = store.windows()
    assert tally.describe(window.tally)["requests"] == {"answered": 30}
    assert window.bins.tolist() == [4, 6]


def test_a_window_belongs_to_one_report_and_a_late_count_begins_another(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.change():
        store.add({(HOUR, DIGEST): (tallied(answered=10), NO_BINS)})
        store.take(1, HOUR + 1)
    with store.change():
        # A clock that was set back, or a process that had been stopped.
        store.add({(HOUR, DIGEST): (tallied(answered=7), NO_BINS)})
    assert [(w.report, int(w.tally[0])) for w in store.windows()] == [(1, 10), (None, 7)]
    assert [int(w.tally[0]) for w in store.windows(unreported=True)] == [7]


def test_the_hour_that_is_not_over_is_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.change():
        store.add({(HOUR, DIGEST): (tallied(answered=1), NO_BINS), (HOUR + 1, DIGEST): (tallied(answered=2), NO_BINS)})
        store.take(1, HOUR + 1)
    assert [(w.hour, w.report) for w in store.windows()] == [(HOUR, 1), (HOUR + 1, None)]


def test_a_step_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def fail() -> None:
        with store.change():
            store.add({(HOUR, DIGEST): (tallied(answered=10), NO_BINS)})
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.windows() == []


def test_two_processes_lose_nothing_of_each_other(tmp_path: Path) -> None:
    def add() -> None:
        store = Store(tmp_path)
        for _ in range(100):
            with store.change():
                store.add({(HOUR, DIGEST): (tallied(answered=1), np.ones(50, np.int64))})

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (window,) = Store(tmp_path).windows()
    assert int(window.tally[0]) == 400
    assert set(window.bins.tolist()) == {400}


def test_what_was_added_survives_sigkill(tmp_path: Path) -> None:
    code = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        from serving.telemetry.store import Store
        from tests.serving.telemetry.sites import *
        store = Store(Path({str(tmp_path)!r}))
        for i in range(50):
            with store.change():
                store.add({{(HOUR, DIGEST): (tallied(answered=1), NO_BINS)}})
        store._base.execute("BEGIN IMMEDIATE")
        store.add({{(HOUR, DIGEST): (tallied(answered=1000), NO_BINS)}})
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == -signal.SIGKILL
    assert answered(Store(tmp_path)) == 50


@pytest.mark.parametrize("spoil", ["text", "torn", "zeros"])
def test_a_file_that_cannot_be_read_is_set_aside_and_counting_goes_on(tmp_path: Path, spoil: str) -> None:
    store = Store(tmp_path)
    with store.change():
        store.add({(HOUR, DIGEST): (tallied(answered=10), NO_BINS)})
    store.close()
    path = tmp_path / NAME
    content = path.read_bytes()
    path.write_bytes({"text": b"this is no database, whatever", "torn": content[:50], "zeros": bytes(len(content))}[spoil])
    again = Store(tmp_path)
    with again.change():
        again.add({(HOUR, DIGEST): (tallied(answered=1), NO_BINS)})
    assert answered(again) == 1
    assert len(list(tmp_path.glob(f"{NAME}.unreadable-*"))) >= 1


def test_a_full_disk_is_an_error_and_what_was_there_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.change():
        store.add({(HOUR, DIGEST): (tallied(answered=10), NO_BINS)})
    (pages,) = store._base.execute("PRAGMA page_count").fetchone()
    store._base.execute(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        with store.change():
            store.add({(hour, DIGEST): (tallied(answered=1), np.arange(3000)) for hour in range(1000)})

    with pytest.raises(sqlite3.OperationalError, match="full"):
        fill()
    assert answered(store) == 10


def test_a_later_outcome_replaces_an_earlier_one_until_it_was_reported(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.change():
        store.learn([Outcome(b"a", "verdict", 0, DIGEST), Outcome(b"a", "verdict", 0, DIGEST)], HOUR)
        assert store.learn([Outcome(b"a", "verdict", 1, DIGEST)], HOUR) == 0
    assert store.outcomes() == {(DIGEST, "verdict", 1): 1}
    with store.change():
        store.take(1, HOUR + 1)
        assert store.learn([Outcome(b"a", "verdict", 0, DIGEST)], HOUR + 1) == 1
    assert store.outcomes() == {}
    assert store.outcomes(1) == {(DIGEST, "verdict", 1): 1}


def test_what_is_too_old_is_forgotten(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.change():
        store.add({(HOUR + i, DIGEST): (tallied(answered=1), NO_BINS) for i in range(5)})
        store.forget(HOUR + 3)
    assert [window.hour for window in store.windows()] == [HOUR + 3, HOUR + 4]
