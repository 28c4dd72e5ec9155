"""Do the store's counts equal what was asked, and does the server answer whatever happens to them?"""

import json
import os
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from serving.model import Model
from serving.telemetry import recorder, tally
from serving.telemetry.ledger import MOST_ROWS, Ledger
from serving.telemetry.recorder import FLUSH_S, NOBODY, Recorder
from serving.telemetry.store import HOUR_S, Store
from tests.serving.asking import Running, Start, question
from tests.serving.telemetry import sites
from tests.serving.telemetry.sites import HOUR

CONTENT = sites.model_with_bins()
MODEL = Model.from_bytes(CONTENT)
NOW = float(HOUR * HOUR_S)


def ledger() -> Ledger:
    made = Ledger(MODEL, 7)
    made.watch()
    return made


def asked(one: Ledger, requests: int, rows: int = 1) -> None:
    feeds = {"X": sites.rows(rows)}
    answers = MODEL.run(feeds)
    for _ in range(requests):
        one.look(feeds, answers, rows)
        one.ran(rows, 1)
        one.counts[tally.AT_LATENCY] += 1


def said(kept: Recorder) -> str:
    return str(kept.problem)


def sums(state: Path) -> dict[str, Any]:
    windows = Store(state).windows()
    total = np.sum([window.tally for window in windows], axis=0)
    return tally.describe(total)


def test_counts_and_rows_are_written_by_hour_and_model(tmp_path: Path) -> None:
    one = ledger()
    kept = Recorder(sites.settings(tmp_path), lambda: [one])
    asked(one, 30)
    kept.flush(NOW)
    asked(one, 12)
    kept.flush(NOW + HOUR_S)
    kept.flush(NOW + HOUR_S)
    first, second = Store(tmp_path).windows()
    assert (first.hour, second.hour) == (HOUR, HOUR + 1)
    assert tally.describe(first.tally)["requests"] == {"answered": 30}
    assert tally.describe(second.tally)["rows"] == 12
    assert first.digest == MODEL.digest
    assert MODEL.reference is not None
    assert {int(part.sum()) for part in MODEL.reference.histograms.split(first.bins)} == {30}


def test_of_many_rows_some_are_looked_at_and_their_bins_are_those_of_all(tmp_path: Path) -> None:
    one = ledger()
    kept = Recorder(sites.settings(tmp_path), lambda: [one])
    feeds = {"X": sites.rows(50_000, seed=3)}
    answers = MODEL.run(feeds)
    for _ in range(30):
        one.look(feeds, answers, 50_000)
        one.ran(50_000, 1)
        kept.flush(NOW)
    (window,) = Store(tmp_path).windows()
    looked_at = tally.describe(window.tally)["looked_at"]
    assert 500 < looked_at <= 30 * MOST_ROWS
    assert MODEL.reference is not None
    shares = MODEL.reference.histograms.split(window.bins)[0] / looked_at
    whole = MODEL.reference.histograms.split(MODEL.reference.histograms.count(feeds, answers))[0] / 50_000
    assert np.abs(shares - whole).max() < 0.05


def test_memory_for_rows_is_bounded_between_two_counts() -> None:
    one = ledger()
    feeds = {"X": sites.rows(1000)}
    answers = MODEL.run(feeds)
    for _ in range(1000):
        one.look(feeds, answers, 1000)
    assert one._kept <= MOST_ROWS


@pytest.mark.parametrize("trouble", ["full", "read-only", "gone"])
def test_nothing_is_lost_while_the_disk_will_not_have_it(
    tmp_path: Path, trouble: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = ledger()
    kept = Recorder(sites.settings(tmp_path / "state"), lambda: [one])
    asked(one, 10)
    kept.flush(NOW)
    wrong: Any = {
        "full": sqlite3.OperationalError("database or disk is full"),
        "read-only": sqlite3.OperationalError("attempt to write a readonly database"),
        "gone": OSError(5, "Input/output error"),
    }[trouble]
    with monkeypatch.context() as broken:
        broken.setattr(Store, "add", lambda *_: (_ for _ in ()).throw(wrong))
        for _ in range(3):
            asked(one, 10)
            kept.flush(NOW)
        assert said(kept) != "None"
    asked(one, 10)
    kept.flush(NOW)
    assert said(kept) == "None"
    assert sums(tmp_path / "state")["requests"] == {"answered": 50}


def test_a_disk_that_is_gone_for_days_takes_no_more_memory_than_a_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = ledger()
    kept = Recorder(sites.settings(tmp_path), lambda: [one])
    with monkeypatch.context() as broken:
        broken.setattr(Store, "add", lambda *_: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        for hour in range(recorder.MOST_PENDING + 50):
            asked(one, 10)
            kept.flush(NOW + hour * HOUR_S)
        assert len(kept._pending) <= recorder.MOST_PENDING
    kept.flush(NOW)
    found = sums(tmp_path)
    assert found["requests"]["answered"] + found["missed"] == 10 * (recorder.MOST_PENDING + 50)


def test_a_clock_that_jumps_both_ways_loses_nothing(tmp_path: Path) -> None:
    one = ledger()
    kept = Recorder(sites.settings(tmp_path), lambda: [one])
    for jump in (0, 4000, -4000, 3, 0):
        asked(one, 10)
        kept.flush(NOW + jump * HOUR_S)
    assert sums(tmp_path)["requests"] == {"answered": 50}


def test_whatever_goes_wrong_in_counting_never_reaches_who_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = ledger()
    kept = Recorder(sites.settings(tmp_path), lambda: [one])
    monkeypatch.setattr(Ledger, "read", lambda *_: (_ for _ in ()).throw(MemoryError()))
    kept.flush(NOW)
    assert kept.problem is not None


def test_a_report_is_made_when_it_is_due(tmp_path: Path) -> None:
    one = ledger()
    kept = Recorder(sites.settings(tmp_path, report_hours=2), lambda: [one])
    for hour in range(4):
        asked(one, 10)
        kept._looked = -1e9
        kept.flush(NOW + hour * HOUR_S)
    (entry,) = kept.outbox.entries()
    hours = entry.read().said["models"][0]["hours"]
    assert [hour["requests"] for hour in hours] == [{"answered": 10}, {"answered": 10}]
    assert entry.read().said["models"][0]["release"] == 7


def test_off_makes_none(tmp_path: Path) -> None:
    one = ledger()
    kept = Recorder(sites.settings(tmp_path, report_hours=1, reports="off"), lambda: [one])
    for hour in range(3):
        asked(one, 10)
        kept._looked = -1e9
        kept.flush(NOW + hour * HOUR_S)
    assert kept.outbox.entries() == []
    assert sums(tmp_path)["requests"] == {"answered": 30}


# --- with a server


def ask(server: Running, data: Any = (1, 2, 3), **headers: str) -> httpx.Response:
    body = json.dumps(question(list(data), [len(data) // 3, 3]))
    return httpx.post(f"{server.url}/v2/models/test/infer", content=body, headers=headers)


def settled(state: Path, wanted: int) -> dict[str, Any]:
    """Once so many requests are counted, or after some time what there is."""
    limit = time.monotonic() + 10 * FLUSH_S
    while time.monotonic() < limit:
        if (state / "telemetry.db").exists():
            found = sums(state) if Store(state).windows() else {"requests": {}}
            if sum(found["requests"].values()) >= wanted:
                return found
        time.sleep(0.1)
    return sums(state)


def test_two_processes_count_every_request_once(start: Start, tmp_path: Path) -> None:
    state = tmp_path / "state"
    server = start(CONTENT, "--processes", "2", UNJAR_STATE=str(state), ready=False)
    server.wait_for("all_ready")
    for _ in range(200):
        assert ask(server).status_code == 200
    for _ in range(20):
        assert ask(server, (1, 2, 3, 4, 5, 6, 7, 8, 9), **{"x-request-timeout-ms": "0"}).status_code == 400
    found = settled(state, 220)
    assert found["requests"] == {"answered": 200, "invalid_request": 20}
    assert found["rows"] == 200
    server.stop()
    assert sums(state)["requests"] == {"answered": 200, "invalid_request": 20}


def test_a_stop_writes_down_what_is_left(start: Start, tmp_path: Path) -> None:
    server = start(CONTENT, UNJAR_STATE=str(tmp_path / "state"))
    for _ in range(50):
        ask(server)
    server.stop()
    assert sums(tmp_path / "state")["requests"] == {"answered": 50}


def test_sigkill_loses_at_most_what_was_not_written_yet(start: Start, tmp_path: Path) -> None:
    state = tmp_path / "state"
    server = start(CONTENT, UNJAR_STATE=str(state))
    for _ in range(100):
        ask(server)
    settled(state, 100)
    for _ in range(30):
        ask(server)
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    assert 100 <= sums(state)["requests"]["answered"] <= 130
    again = start(CONTENT, UNJAR_STATE=str(state))
    before = sums(state)["requests"]["answered"]
    for _ in range(10):
        ask(again)
    again.stop()
    assert sums(state)["requests"]["answered"] == before + 10


def test_a_folder_that_cannot_be_written_keeps_nobody_waiting(start: Start, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file stands where the folder should be")
    server = start(CONTENT, UNJAR_STATE=str(tmp_path / "state"))
    assert ask(server).status_code == 200
    assert server.wait_for("telemetry_not_kept")["folder"] == str(tmp_path / "state")
    assert ask(server).status_code == 200
    page = httpx.get(f"{server.url}/status")
    assert page.status_code == 200
    assert "Counts cannot be written" in page.text


def test_feedback_finds_its_model_by_the_answers_identity(start: Start, tmp_path: Path) -> None:
    state = tmp_path / "state"
    server = start(CONTENT, UNJAR_STATE=str(state))
    own = ask(server).headers["x-request-id"]
    ask(server, **{"x-request-id": "order-17"})
    for said in (
        {"request_id": own, "outcome": "accepted"},
        {"request_id": own, "outcome": "accepted"},
        {"request_id": "order-17", "outcome": {"rank": 3, "measured": 1.25}},
        {"request_id": "nobody-knows", "outcome": "rejected"},
    ):
        answer = httpx.post(f"{server.url}/v1/feedback", json=said)
        assert answer.status_code == 202, answer.text
    server.stop()
    digest = Model.from_bytes(CONTENT).digest
    found = Store(state).outcomes()
    assert {(model, kind): count for (model, kind, _), count in found.items()} == {
        (digest, "verdict"): 1, (digest, "rank"): 1, (digest, "measured"): 1, (NOBODY, "verdict"): 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ([], "expected a JSON object"),
        ({"request_id": "a"}, "'outcome' is null"),
        ({"outcome": "accepted"}, "'request_id' is null"),
        ({"request_id": "a", "outcome": "fine"}, "'fine'"),
        ({"request_id": "a", "outcome": {}}, "'outcome' is an object"),
        ({"request_id": "a", "outcome": {"rank": 0}}, "'rank': 0"),
        ({"request_id": "a", "outcome": {"rank": True}}, "'rank': a boolean"),
        ({"request_id": "a", "outcome": {"rating": 6}}, "from 1 to 5"),
        ({"request_id": "a", "outcome": {"measured": "x"}}, "finite number"),
        ({"request_id": "a", "outcome": {"comment": "my secret"}}, "'comment' is not one of"),
        ({"request_id": "a", "outcome": "accepted", "who": "me"}, "'who' is not one of"),
        ({"request_id": "a" * 129, "outcome": "accepted"}, "'request_id'"),
    ],
)
def test_feedback_that_makes_no_sense_says_why(telling: Running, said: Any, named: str) -> None:
    answer = httpx.post(f"{telling.url}/v1/feedback", json=said)
    assert answer.status_code == 400
    assert named in answer.json()["error"]
    assert "my secret" not in answer.text


def test_feedback_that_is_no_json_says_where(telling: Running) -> None:
    for body in (b"", b"{", b"\xff", b"NaN"):
        answer = httpx.post(f"{telling.url}/v1/feedback", content=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_json")


@pytest.fixture(scope="module")
def telling(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Running:
    return start(CONTENT, UNJAR_STATE=str(tmp_path_factory.mktemp("telling")))


def test_without_a_folder_nothing_is_kept_and_who_asks_is_told(linear: Running) -> None:
    for answer in (
        httpx.get(f"{linear.url}/status"),
        httpx.post(f"{linear.url}/v1/feedback", json={"request_id": "a", "outcome": "accepted"}),
    ):
        assert answer.status_code == 409
        assert "UNJAR_STATE" in answer.json()["error"]
