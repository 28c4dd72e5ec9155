"""Is each count in one report only, and does a report wait where it can be read until somebody has decided?"""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from serving.telemetry import document
from serving.telemetry.outbox import APPROVED, WAITING, Outbox, is_due
from serving.telemetry.store import HOUR_S, Outcome, Store
from tests.serving.asking import ROOT, environment
from tests.serving.telemetry.sites import DIGEST, HOUR, NO_BINS, tallied

NOW = (HOUR + 1) * HOUR_S


def store_with(folder: Path, hours: int = 1, **outcomes: int) -> Store:
    store = Store(folder)
    with store.change():
        store.add({(HOUR - i, DIGEST): (tallied(**outcomes or {"answered": 50}), NO_BINS) for i in range(hours)})
    return store


def made(outbox: Outbox, store: Store, now: float = NOW) -> document.Report:
    sequence = outbox.make(store, 5, now)
    assert sequence is not None
    return outbox.find(sequence).read()


def test_a_report_waits_in_a_file_signed_by_the_site(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    report = made(outbox, store_with(tmp_path))
    assert report.signed_by(outbox.key().public_key())
    assert report.said["models"][0]["hours"][0]["requests"] == {"answered": 50}
    assert [entry.state for entry in outbox.entries()] == [WAITING]
    assert (tmp_path / "site.key").stat().st_mode & 0o077 == 0


def test_reports_name_the_one_before(tmp_path: Path) -> None:
    store, outbox = store_with(tmp_path), Outbox(tmp_path)
    first = made(outbox, store)
    with store.change():
        store.add({(HOUR + 1, DIGEST): (tallied(answered=9), NO_BINS)})
    second = made(outbox, store, NOW + HOUR_S)
    assert first.said["previous"] is None
    assert second.said["previous"] == first.digest
    assert (first.sequence, second.sequence) == (1, 2)
    assert first.said["chain"] == second.said["chain"]


def test_no_count_is_in_two_reports(tmp_path: Path) -> None:
    store, outbox = store_with(tmp_path), Outbox(tmp_path)
    made(outbox, store)
    assert outbox.make(store, 5, NOW) is None
    with store.change():
        store.add({(HOUR, DIGEST): (tallied(answered=3), NO_BINS)})
    # The hour's earlier 50 are not told again, and 3 are too few: nothing can be subtracted.
    (hour,) = made(outbox, store).said["models"][0]["hours"]
    assert hour["requests"] is None
    assert hour["rows"] is None


def test_two_that_make_a_report_at_once_make_one(tmp_path: Path) -> None:
    store_with(tmp_path).close()
    Outbox(tmp_path).key()
    found: list[int | None] = []
    threads = [threading.Thread(target=lambda: found.append(Outbox(tmp_path).make(Store(tmp_path), 5, NOW))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found, key=str) == [1, None, None, None]


def test_a_report_whose_file_was_not_written_is_written_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, outbox = store_with(tmp_path), Outbox(tmp_path)
    outbox.key()
    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OSError, match="No space"):
            outbox.make(store, 5, NOW)
    assert outbox.entries() == []
    assert outbox.make(store, 5, NOW) is None
    assert [entry.sequence for entry in outbox.entries()] == [1]


def test_a_clock_that_was_ahead_keeps_no_report_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.keep_fact("reported", str(HOUR + 10_000))
    assert not is_due(store, 24, NOW)
    assert not is_due(store, 24, NOW + 23 * HOUR_S)
    assert is_due(store, 24, NOW + 24 * HOUR_S)


def test_what_was_counted_ahead_of_the_clock_is_reported_all_the_same(tmp_path: Path) -> None:
    store, outbox = Store(tmp_path), Outbox(tmp_path)
    with store.change():
        store.add({(HOUR + 5000, DIGEST): (tallied(answered=50), NO_BINS)})
    assert made(outbox, store).said["models"][0]["hours"][0]["requests"] == {"answered": 50}


def test_feedback_leaves_as_counts(tmp_path: Path) -> None:
    store, outbox = Store(tmp_path), Outbox(tmp_path)
    with store.change():
        store.learn([Outcome(bytes([i]), "verdict", int(i > 20), DIGEST) for i in range(30)], HOUR)
    assert made(outbox, store).said["models"][0]["outcomes"] == {"verdict": [21, 9]}


# --- the operator's command


def report(state: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    given = environment(state) | {"UNJAR_STATE": str(state)} | more
    command = [sys.executable, "-m", "serving.report", *arguments]
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, timeout=60)


def test_an_operator_reads_approves_and_carries_out(tmp_path: Path) -> None:
    store_with(tmp_path, hours=3).close()
    done = report(tmp_path, "make")
    assert done.returncode == 0, done.stderr
    shown = report(tmp_path, "show", "1").stdout
    assert json.loads(shown)["report"]["sequence"] == 1
    refused = report(tmp_path, "export", "1", str(tmp_path / "out.json"))
    assert refused.returncode == 1
    assert "approve 1" in refused.stderr
    assert not (tmp_path / "out.json").exists()
    assert report(tmp_path, "approve", "1").returncode == 0
    assert report(tmp_path, "export", "1", str(tmp_path / "out.json")).returncode == 0
    assert (tmp_path / "out.json").read_text() == shown
    listed = report(tmp_path, "list").stdout
    assert "sent" in listed


def test_a_withheld_report_does_not_leave(tmp_path: Path) -> None:
    store_with(tmp_path).close()
    report(tmp_path, "make")
    assert report(tmp_path, "withhold", "1").returncode == 0
    assert report(tmp_path, "export", "1", "-").returncode == 1
    assert "no report is approved" in report(tmp_path, "send").stderr


def test_off_means_that_no_report_is_made_and_none_is_sent(tmp_path: Path) -> None:
    store_with(tmp_path).close()
    for command in ("make", "send"):
        done = report(tmp_path, command, UNJAR_REPORTS="off")
        assert done.returncode == 1
        assert "UNJAR_REPORTS is off" in done.stderr
    assert Outbox(tmp_path).entries() == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["show", "7"], 1, "there is no report 7"),
        (["make"], 1, "nothing to report"),
        (["approve", "x"], 2, "invalid int value"),
    ],
)
def test_what_cannot_be_done_says_why(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    done = report(tmp_path, *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_is_not_written_over(tmp_path: Path) -> None:
    store_with(tmp_path).close()
    report(tmp_path, "make")
    report(tmp_path, "approve", "1")
    (tmp_path / "there").write_text("mine")
    done = report(tmp_path, "export", "1", str(tmp_path / "there"))
    assert done.returncode == 2
    assert (tmp_path / "there").read_text() == "mine"
    assert [entry.state for entry in Outbox(tmp_path).entries()] == [APPROVED]


def test_a_spoilt_report_is_not_approved(tmp_path: Path) -> None:
    store_with(tmp_path).close()
    report(tmp_path, "make")
    path = tmp_path / "outbox/waiting/report-000001.json"
    path.write_text(path.read_text().replace("answered", "secret"))
    done = report(tmp_path, "approve", "1")
    assert done.returncode == 1
    assert "secret" in done.stderr
    assert path.exists()
