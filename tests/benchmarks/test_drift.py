"""Does the measurement of drift verdicts draw what it says, and does its page have its numbers?"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import drift

ROOT = Path(__file__).resolve().parents[2]
Array = Any


@pytest.fixture
def sample() -> dict[str, Array]:
    return {world: drift.rows(np.random.default_rng(3), 20_000, 8, world) for world in drift.WORLDS}


def correlation(rows: Array) -> float:
    return float(np.corrcoef(rows[:, 0], rows[:, 1])[0, 1])


def test_columns_taken_apart_are_the_same_columns(sample: dict[str, Array]) -> None:
    before, apart = sample["nothing"], sample["columns taken apart"]
    assert np.array_equal(np.sort(apart, axis=0), np.sort(before, axis=0))
    assert correlation(before) == pytest.approx(0.9, abs=0.01)
    assert correlation(apart) == pytest.approx(0, abs=0.03)


def test_a_move_is_a_fifth_of_the_spread(sample: dict[str, Array]) -> None:
    before = sample["nothing"]
    assert before.std(axis=0) == pytest.approx(np.ones(8), abs=0.02)
    assert (sample["every column moved"] - before).mean(axis=0) == pytest.approx(np.full(8, 0.2))
    assert (sample["one column moved"] - before).mean(axis=0) == pytest.approx([0.2] + [0.0] * 7)


def test_what_was_not_asked_is_a_dash_and_no_number() -> None:
    seen = {"unjar": 0.015, "nannyml, any column": None}
    cells = [{"width": 8, "reference_rows": 1000, "rows": 10_000, "world": world, "seen": seen} for world in drift.WORLDS]
    assert drift.table({"cells": cells}).splitlines()[-1] == "| 8, 1,000, 10,000 | **1.5** · 1.5 / 1.5 / 1.5 | – |"


def test_the_page_has_the_table_of_the_results() -> None:
    assert drift.section(json.loads((ROOT / drift.RESULTS).read_text())) in (ROOT / drift.PAGE).read_text()
