"""Is what the page says of batch's speed what was measured, and are rounds compared with themselves?"""

import json
from pathlib import Path

from benchmarks import batch

ROOT = Path(__file__).resolve().parents[2]


def test_a_slow_round_slows_nobody_beside_the_others() -> None:
    quick = {("ours", 1): 2.0, ("ours", 2): 1.0, ("loop", 1): 4.0, ("loop", 2): 3.0, ("read_and_write", 1): 1.0}
    seconds = {way: [one, 10 * one, one] for way, one in (quick | {("read_and_write", 2): 0.5}).items()}
    found = batch.ratios(seconds, seconds)
    assert found["ours_beside"] == {"1": {"loop": 2.0, "read_and_write": 0.5}, "2": {"loop": 3.0, "read_and_write": 0.5}}
    assert found["two_beside_one"] == {"ours": 2.0, "loop": 1.333, "read_and_write": 2.0}


def test_the_page_has_the_figures_of_the_results() -> None:
    assert batch.section(json.loads((ROOT / batch.RESULTS).read_text())) in (ROOT / batch.PAGE).read_text()
