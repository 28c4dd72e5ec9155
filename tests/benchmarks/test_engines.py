"""Does the comparison with engines read every layout alike, see what runs, and does its page say what was measured?"""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.engines import page
from benchmarks.engines.__main__ import read
from benchmarks.engines.environments import ENGINES

ROOT = Path(__file__).resolve().parents[2]


def test_answers_are_read_in_the_order_of_ids_whatever_the_engine_wrote(tmp_path: Path) -> None:
    rows = np.arange(12, dtype=np.float32).reshape(4, 3)
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(rows[[3, 1]].reshape(-1)), 3)
    pq.write_table(pa.table({"Y": fixed, "id": [3, 1]}), tmp_path / "b.parquet")
    (tmp_path / "deep").mkdir()
    pq.write_table(pa.table({"id": [2, 0], "Y": pa.array(rows[[2, 0]].tolist(), fixed.type)}), tmp_path / "deep" / "a.parquet")
    (tmp_path / "_metadata.parquet").write_bytes(b"")
    ids, found = read(tmp_path)
    assert ids.tolist() == [0, 1, 2, 3]
    assert np.array_equal(found, rows)


def test_processes_that_were_left_behind_are_counted_and_ended() -> None:
    """In a process of its own, as it takes in all orphans."""
    code = """
        import os, subprocess, sys, time
        from benchmarks.engines.watching import Watched

        busy = "import time\\nx = bytearray(50_000_000)\\nwhile time.process_time() < 2: pass\\n"
        left = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {busy + 'time.sleep(600)'!r}])"
        with Watched() as seen:
            subprocess.run([sys.executable, "-c", left], check=True)
            limit = time.monotonic() + 60
            while sum(seen._used.values()) < 1:
                assert time.monotonic() < limit
                time.sleep(0.05)
        assert seen.cpu_s >= 1 and seen.processes >= 1 and seen.peak_bytes > 50_000_000, vars(seen)
        try:
            os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            print("nothing is left")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "nothing is left\n", done.stderr


def test_an_engine_that_could_not_be_measured_is_in_the_table_with_its_reason() -> None:
    measured = {"wall_s": 2.0, "cpu_s": 3.0, "peak_pss_mb": 100, "processes": 2, "pickle_events": 0, "pickle_processes": 0}
    row = {"versions": {"numpy": "2"}, "mb": 300, "lines": 0, "rounds": [measured]}
    *_, ours, ray = page.table({"rows": 10, "engines": {"ours, 1": row, "Ray Data": {"not_measured": "no wheel"}}}).splitlines()
    assert ours == "| `python -m batch`, 1 worker | 3.0 | 3 | 2.0 | 5 | 100 | 2 | 0 | 1, 300 | a command |"
    assert ray.startswith("| Ray Data, its own reader and writer | not measured: no wheel |")
    assert ray.count("|") == ours.count("|")


def test_the_page_has_what_was_measured() -> None:
    assert page.written() == page.section(page.results())


def test_every_engine_was_asked_and_ours_opened_no_pickle() -> None:
    found = page.results()["engines"]
    assert list(found) == [engine.name for engine in ENGINES]
    for name in ("ours, 1", "ours, 2"):
        assert [one["pickle_events"] for one in found[name]["rounds"]] == [0] * len(found[name]["rounds"])
    # What counts a pickle counted those that there are.
    assert all(one["pickle_events"] for one in found["Dask, names"]["rounds"])
    assert all(one["worst_gap"] <= 1e-5 for row in found.values() for one in row.get("rounds", []))
