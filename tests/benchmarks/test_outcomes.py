"""Are outcomes kept, taken up again, compared and told without loss?"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import outcomes as results
from benchmarks import sweep
from benchmarks.case import ACCEPTED, BROKEN, CONVERTING, HANG, REFUSED, Outcome
from benchmarks.models import cases
from benchmarks.table import table
from benchmarks.vendors import vendors
from conversion.sandbox import Limits

GOOD = Outcome(
    "Ridge", ACCEPTED, 2.5, candidate="float64", evidence="bounded", max_abs=2e-13, size_bytes=2544, peak_bytes=265_000_000,
    onnx_us=10.0, scikit_learn_us=125.0, judged={"rows": 900, "ties": 2, "edges": 1, "mismatches": []},
)  # fmt: skip
BAD = Outcome("SVC", REFUSED, 3.0, said="1 of 9 rows are out of tolerance")


def test_what_is_appended_is_read_and_the_last_line_counts(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "results.jsonl"
    results.append(path, BAD)
    results.append(path, GOOD)
    results.append(path, Outcome("SVC", ACCEPTED))
    assert results.read(path) == {"Ridge": GOOD, "SVC": Outcome("SVC", ACCEPTED)}


def test_only_what_is_otherwise_is_told() -> None:
    before = {"Ridge": GOOD, "SVC": BAD, "PCA": GOOD}
    now = [GOOD, Outcome("SVC", ACCEPTED, candidate="float64", evidence="tested"), Outcome("NMF", HANG)]
    told = ["SVC: refused -> accepted float64 tested", "NMF: not there -> hang", "PCA: accepted float64 bounded -> not there"]
    assert list(results.compared(before, now)) == told


def test_the_table_tells_speed_memory_and_rows_answered_against_scikit_learn() -> None:
    answers = Outcome("KNN", ACCEPTED, onnx_us=10.0, scikit_learn_us=5.0, judged={"rows": 1, "answered": {"far": 3}})
    page = table({"Estimators": [GOOD, BAD], "Pipelines": [answers]})
    assert "| Ridge | float64 | bounded | 2e-13 | 2,544 | 10 | 12× | 2 | 265 | 900 | 3 |" in page
    assert "- KNN: 3 of 'far'" in page
    assert "KNN (10 µs against 5 µs)" in page
    assert "| SVC | refused | 1 of 9 rows are out of tolerance | 3 |" in page


def test_a_process_that_dies_is_an_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "outcome", lambda name, seed, begins: os._exit(9))
    assert [one.verdict for one in sweep.swept(["a", "b"], 2, 1)] == [BROKEN, BROKEN]


def test_a_conversion_that_does_not_return_is_cut_and_called_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    def sleeps(name: str, seed: int, begins: Callable[[str], None]) -> None:
        begins(CONVERTING)
        time.sleep(60)

    monkeypatch.setattr(sweep, "outcome", sleeps)
    monkeypatch.setattr(sweep, "GRACE_S", 1 - Limits().seconds)
    (found,) = sweep.swept(["a"], 1, 1)
    assert found.verdict == HANG
    assert "was still converting" in found.said


def test_every_case_has_a_name_of_its_own_and_vendors_bring_many() -> None:
    assert len(list(vendors())) >= 60
    assert len(cases()) == len({one.name for one in cases().values()})
