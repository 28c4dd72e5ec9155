"""python -m benchmarks.telemetry [--rounds R] [--seconds S]: what counting, keeping requests and feedback cost, on against off.

The same server each time, interleaved in one run, on one core with the load on the other: nothing kept; counts and bins;
failures kept too; every request kept; and counts while feedback on 200 answers a second comes in. Results:
benchmarks/results/telemetry.json, and a section of docs/serving-speed.md.
"""

import argparse
import contextlib
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.load.servers import CONTENDERS, Running, post, questions, running, wait_until_answered
from benchmarks.machine import described
from benchmarks.serving import DIFFERENT, _load, _model
from serving.runtime import open_session

WAYS: dict[str, dict[str, str]] = {
    "nothing kept": {"UNJAR_STATE": ""},
    "counts and reports": {},
    "failures kept": {"UNJAR_CAPTURE": "failures"},
    "all requests kept": {"UNJAR_CAPTURE": "all"},
    "counts, feedback 200/s": {},
}
CELLS = (("v2json", 1, 64), ("v2json", 1, 1), ("v2binary", 1024, 16))
RESULTS = Path("benchmarks/results/telemetry.json")
FEEDBACK_PER_S = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--only", nargs="+", default=list(WAYS), choices=list(WAYS))
    given = parser.parse_args()
    ways = {way: extra for way, extra in WAYS.items() if way in given.only}
    taken: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as folder:
        model = _model(Path(folder))
        session = open_session(Path(model).read_bytes())
        X = np.random.default_rng(1).normal(3, 2, (4096, 128))
        for _ in range(given.rounds):
            for way, extra in ways.items():
                taken[way].append(_sample(way, extra, model, session, X, given.seconds))
    result = {**described(), "rounds": given.rounds, "seconds": given.seconds, "ways": {}}
    for way, samples in taken.items():
        result["ways"][way] = {
            key: {name: statistics.median(one[key][name] for one in samples) for name in ("cpu_us", "per_s", "p50_us")}
            | {name: sum(one[key][name] for one in samples) for name in ("errors", "wrong")}
            for key in samples[0]
        }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    first = result["ways"]["nothing kept"]
    for way, cells in result["ways"].items():
        shares = ", ".join(f"{key}: {cells[key]['per_s'] / first[key]['per_s']:.3f}" for key in cells)
        print(f"{way:26} requests/s of nothing kept: {shares}")


def _sample(way: str, extra: dict[str, str], model: str, session: Any, X: Any, seconds: float) -> dict[str, Any]:
    found = {}
    opening = questions("v2json", 1, 1, session, X)
    with running(CONTENDERS[0], model, extra=extra) as server:
        wait_until_answered(server, "v2json", opening.bodies[0], opening.headers)
        time.sleep(1)
        with _feedback(server) if "feedback" in way else contextlib.nullcontext():
            for kind, rows, connections in CELLS:
                asked = questions(kind, rows, DIFFERENT[rows], session, X)
                found[f"{kind} {rows} {connections}"] = _load(server, asked, connections, seconds)
    return found


@contextlib.contextmanager
def _feedback(server: Running) -> Iterator[None]:
    over = threading.Event()

    def say() -> None:
        number = 0
        while not over.wait(1 / FEEDBACK_PER_S):
            number += 1
            body = json.dumps({"request_id": f"{number:032x}", "outcome": "accepted"}).encode()
            post(server.port, "/v1/feedback", body, {})

    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


if __name__ == "__main__":
    main()
