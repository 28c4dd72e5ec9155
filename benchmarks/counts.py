"""python -m benchmarks.counts [--requests 1000000]: is every request in the store, whatever happens meanwhile?

Two processes at full load; one is killed in the midst, and the whole server in the end. What the load generator counted stands
beside what the store has; the difference may be what two seconds of requests are for each process that was killed. Results:
benchmarks/results/counts.json.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.load import generator
from benchmarks.load.servers import CONTENDERS, expected, questions, running, wait_until_answered
from benchmarks.machine import described
from benchmarks.serving import _model
from serving.runtime import open_session
from serving.telemetry import tally
from serving.telemetry.recorder import FLUSH_S
from serving.telemetry.store import Store

CONNECTIONS = 64


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        model = _model(Path(folder))
        session = open_session(Path(model).read_bytes())
        X = np.random.default_rng(1).normal(3, 2, (64, 128))
        asked = questions("v2json", 1, 64, session, X)
        extra = {"UNJAR_STATE": str(state), "UNJAR_PROCESSES": "2"}
        with running(CONTENDERS[0], model, extra=extra) as server:
            wait_until_answered(server, "v2json", asked.bodies[0], asked.headers)
            path = server.contender.path["v2json"]
            whole = [generator.whole(path, asked.headers, body) for body in asked.bodies]
            pairs = list(zip(whole, expected(server, asked), strict=True))
            # The questions that found out what is right.
            known, rate, runs, killed = 1 + len(asked.bodies), 0.0, [], 0
            while sum(run["requests"] for run in runs) < given.requests:
                if not killed and runs:
                    killed = server.pids()[1]
                    threading.Timer(1.5, os.kill, (killed, signal.SIGKILL)).start()
                runs.append(generator.load(server.port, pairs, CONNECTIONS, 3.0))
                rate = max(rate, runs[-1]["requests"] / runs[-1]["seconds"])
            for pid in reversed(server.pids()):
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.5)
        counted = sum(int(window.tally[tally.PLACES[tally.ANSWERED]]) for window in Store(state).windows())
    answered = known + sum(run["requests"] for run in runs)
    # Half the rate for the one, all of it for both.
    allowed = int(1.5 * rate * FLUSH_S * 1.25)
    result: dict[str, Any] = {
        **described(), "answered": answered, "in_the_store": counted, "lost": answered - counted, "allowed": allowed,
        "broken": sum(run["broken"] for run in runs), "wrong": sum(run["wrong"] for run in runs), "killed": 3,
    }  # fmt: skip
    print(json.dumps(result, indent=1))
    holds = -result["broken"] <= result["lost"] <= allowed and not result["wrong"]
    if holds:
        Path("benchmarks/results/counts.json").write_text(json.dumps(result, indent=1) + "\n")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
