"""python -m benchmarks.engines [--install] [--rows N] [--rounds N] [--only NAME ...] [--page]: one job, by us and by engines.

Rows of 130 float32 in 16 Parquet files, through a network of 130, 64 and 32, into Parquet, on two processors. `--install` makes
an environment for each engine. A round asks each once, in another order each time, with start-up and end; its answers are
compared with ours, row by row. Processor seconds are steadier than seconds where others use the machine too. Every process
notes what classes a pickle asks it for. Results from a million rows on: benchmarks/results/engines.json and a section of
docs/batch.md, which `--page` writes anew.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.batch import FILES, make, network
from benchmarks.engines import page
from benchmarks.engines.environments import ENGINES, HOME, SCRIPTS, Engine, install
from benchmarks.engines.watching import Watched
from benchmarks.machine import described

LIMIT_S = 900
# Loaded by Python itself as it starts, in whatever an engine starts.
NOTE = """
import os, sys
def note(name, arguments):
    if name == "pickle.find_class":
        descriptor = os.open(os.path.join(os.environ["SEEN"], str(os.getpid())), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, b".")
        os.close(descriptor)
sys.addaudithook(note)
"""
# Nothing is sent to their makers; all find our rooms and the scripts beside the one that runs.
QUIET = {"OMP_NUM_THREADS": "1", "DO_NOT_TRACK": "1", "RAY_USAGE_STATS_ENABLED": "0", "DAFT_ANALYTICS_ENABLED": "0"}
QUIET |= {"POLARS_MAX_THREADS": "2", "SPARK_LOCAL_IP": "127.0.0.1", "DASK_LOGGING__DISTRIBUTED": "error"}
Answers = tuple[Any, Any]


def main() -> int:
    given = arguments()
    wanted = [engine for engine in ENGINES if not given.only or engine.name in given.only]
    if given.install:
        install(wanted)
    elif given.page:
        page.write(json.loads(page.RESULTS.read_text()))
    else:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            found = measured(Path(folder), wanted, given.rows // FILES * FILES, given.rounds)
        print(page.table(found))
        if given.rows >= 1_000_000 and not given.only:
            page.RESULTS.write_text(json.dumps(found, indent=1) + "\n")
            page.write(found)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", action="store_true", help="make the environments, and no more")
    parser.add_argument("--page", action="store_true", help="write the section anew from the results, and no more")
    parser.add_argument("--rows", type=int, default=1_000_000, help="results are written from a million on")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[engine.name for engine in ENGINES])
    parser.add_argument("--folder", help="where tables are made (the system's temporary folder)")
    return parser.parse_args()


def measured(place: Path, engines: list[Engine], rows: int, rounds: int) -> dict[str, Any]:
    (place / "model.onnx").write_bytes(network())
    (place / "hook").mkdir()
    (place / "hook" / "sitecustomize.py").write_text(NOTE)
    make(place / "in", rows)
    taken: dict[str, list[dict[str, Any]]] = {engine.name: [] for engine in engines}
    missing = {engine.name: reason for engine in engines if (reason := _missing(engine))}
    expected = answers(place, ENGINES[0])
    for turn in range(rounds):
        for engine in random.Random(turn).sample(engines, len(engines)):
            if engine.name not in missing:
                print(f"round {turn + 1}: {engine.name}", file=sys.stderr, flush=True)
                try:
                    taken[engine.name].append(once(place, engine, expected))
                except RuntimeError as error:
                    missing[engine.name] = str(error)
    return {
        **described(),
        "rows": rows,
        "rounds": rounds,
        "engines": {
            engine.name: {"not_measured": missing[engine.name]}
            if engine.name in missing
            else {**engine.held(), "lines": engine.lines, "rounds": taken[engine.name]}
            for engine in engines
        },
    }


def _missing(engine: Engine) -> str:
    failed = HOME / engine.home / "failed"
    if failed.exists():
        return f"cannot be installed: {failed.read_text()}"
    return "" if engine.python.exists() else "not installed; python -m benchmarks.engines --install"


def answers(place: Path, engine: Engine) -> Answers:
    """Ids and answers, in the order of ids."""
    _run(place, engine)
    return read(place / "out")


def once(place: Path, engine: Engine, expected: Answers) -> dict[str, Any]:
    """Raises RuntimeError where it fails, or its answers are not one for each row."""
    with Watched() as seen:
        _run(place, engine)
    ids, found = read(place / "out")
    if not np.array_equal(ids, expected[0]):
        raise RuntimeError(f"answers {len(ids)} rows, {len(np.unique(ids))} different; expected {len(expected[0])}, each once")
    events = [path.stat().st_size for path in (place / "seen").iterdir()]
    return {
        "wall_s": round(seen.wall_s, 2),
        "cpu_s": round(seen.cpu_s, 2),
        "peak_pss_mb": round(seen.peak_bytes / 1e6),
        "processes": seen.processes,
        "pickle_events": sum(events),
        "pickle_processes": len(events),
        "worst_gap": float(np.abs(found - expected[1]).max()),
    }


def _run(place: Path, engine: Engine) -> None:
    for name in ("out", "seen", "scratch"):
        shutil.rmtree(place / name, ignore_errors=True)
        (place / name).mkdir()
    found = os.pathsep.join([str(place / "hook"), str(SCRIPTS), str(Path.cwd())])
    environment = {**os.environ, **QUIET, "PYTHONPATH": found, "SEEN": str(place / "seen"), "TMPDIR": str(place / "scratch")}
    environment |= {"PYSPARK_PYTHON": str(engine.python)}
    commands = engine.commands(str(place / "in"), str(place / "out"), str(place / "model.onnx"))
    with (place / "log").open("w+") as log:
        started = [subprocess.Popen(command, env=environment, cwd=place, stdout=log, stderr=log) for command in commands]
        try:
            ended = [process.wait(LIMIT_S) for process in started]
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"not at an end after {LIMIT_S} s") from None
        if any(ended):
            log.seek(0)
            raise RuntimeError(f"ended with {ended}: {log.read().strip()[-500:]}")


def read(out: Path) -> Answers:
    files = [path for path in sorted(out.rglob("*.parquet")) if path.name[0] not in "._"]
    table = pa.concat_tables([pq.read_table(path, columns=["id", "Y"], partitioning=None) for path in files])
    ids, column = table.column("id").to_numpy(), table.column("Y").combine_chunks()
    flat = (column.storage if isinstance(column, pa.ExtensionArray) else column).flatten()
    order = np.argsort(ids, kind="stable")
    return ids[order], flat.to_numpy().reshape(len(ids), -1)[order]


if __name__ == "__main__":
    sys.exit(main())
