"""python -m benchmarks.serving [--quick] [--rounds R] [--seconds S] [--only NAME ...]: our server beside others, in one run.

Every server is measured in every round, on one core with the load on the other; every answer is compared during the load
with what onnxruntime answers. Processor time per request comes first: neighbours of a shared machine move it least.
`--install-peers` installs mosec, KServe, MLServer, LitServe and BentoML, each into an environment of its own;
`--uvloop 0.22.1 0.23.0` compares versions of uvloop under our server. Needs a C compiler for the load.
Results: benchmarks/results/serving.json, docs/serving-speed.md and its plot.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.load import generator, pages
from benchmarks.load.peers import PEERS
from benchmarks.load.servers import (
    CLIENT_CORE,
    CONTENDERS,
    SERVER_CORE,
    Contender,
    Questions,
    Running,
    expected,
    questions,
    running,
    wait_until_answered,
)  # fmt: skip
from benchmarks.machine import described
from serving.runtime import open_session

CELLS = ((1, 1), (1, 16), (1, 64), (32, 1), (32, 16), (32, 64), (1024, 1), (1024, 16))
QUICK = ("unjar", "naive-onnxruntime", "asgi-echo")
# As many as the most connections, so that no two wait for the same answer.
DIFFERENT = {1: 64, 32: 64, 1024: 16}
# After the load, not in its midst; every server has this long to tidy up.
SETTLED_S = 3
RESULTS = Path("benchmarks/results/serving.json")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--install-peers", action="store_true")
    parser.add_argument("--quick", action="store_true", help="one round, ours and what it is measured by")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--uvloop", nargs="+", metavar="VERSION")
    parser.add_argument("--page", action="store_true", help="write the page anew from the results")
    given = parser.parse_args()
    if given.page:
        pages.write(json.loads(RESULTS.read_text()))
        return 0
    if given.install_peers:
        for peer in PEERS:
            peer.install()
        return 0
    with tempfile.TemporaryDirectory() as folder:
        model = _model(Path(folder))
        if given.uvloop:
            return _uvloops(given.uvloop, model, given.rounds, given.seconds)
        wanted = given.only or (QUICK if given.quick else [contender.name for contender in CONTENDERS])
        result = measure(model, [c for c in CONTENDERS if c.name in wanted], 1 if given.quick else given.rounds, given.seconds)
    print(pages.table(result))
    if not given.quick and not given.only:
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")
        pages.write(result)
    return 1 if any(cell["wrong"] for row in result["servers"].values() for cell in row.get("cells", {}).values()) else 0


def _model(folder: Path) -> str:
    """The model of the measurements before: StandardScaler, then a network 128 -> 64 -> 32 -> 8, converted as any other."""
    code = """
import pickle, sys, warnings
import numpy as np
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
warnings.simplefilter("ignore")
draw = np.random.default_rng(0)
X = draw.normal(3, 2, (2000, 128))
model = make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(64, 32), max_iter=30, random_state=0))
model.fit(X, X[:, :8] @ draw.normal(size=(8, 8)))
np.savez("rows.npz", X=X)
pickle.dump(model, open("model.pkl", "wb"))
"""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, check=True)
    convert = [sys.executable, "convert.py", str(folder / "model.pkl"), "-o", str(folder / "model.onnx"), "--data"]
    subprocess.run(
        [*convert, str(folder / "rows.npz"), "--example", str(folder / "example.json")], check=True, capture_output=True
    )
    return str(folder / "model.onnx")


def measure(model: str, contenders: list[Contender], rounds: int, seconds: float) -> dict[str, Any]:
    session = open_session(Path(model).read_bytes())
    X = np.random.default_rng(1).normal(3, 2, (4096, 128))
    result: dict[str, Any] = {
        **described(), "rounds": rounds, "seconds": seconds, "datatype": "FP64", "in_process": in_process(model, X),
        "servers": {contender.name: {} for contender in contenders},
    }  # fmt: skip
    samples: dict[str, list[dict[str, Any]]] = {contender.name: [] for contender in contenders}
    for number in range(rounds):
        for contender in contenders:
            print(f"round {number + 1}: {contender.name}", file=sys.stderr, flush=True)
            try:
                samples[contender.name].append(_sample(contender, model, session, X, seconds))
            except (RuntimeError, OSError) as error:
                result["servers"][contender.name]["not_measured"] = str(error)
    for name, taken in samples.items():
        if taken:
            result["servers"][name] = _summary(taken)
    return result


def in_process(model: str, X: Any) -> dict[str, float]:
    """Microseconds for a run of onnxruntime alone, on the servers' core."""
    code = f"""
import sys, time, json
sys.path.insert(0, {str(Path.cwd())!r})
import numpy as np
from pathlib import Path
from serving.runtime import open_session
session = open_session(Path({model!r}).read_bytes())
X = np.random.default_rng(1).normal(3, 2, (1024, 128))
found = {{}}
for rows in (1, 32, 1024):
    part, times = np.ascontiguousarray(X[:rows]), []
    for _ in range(max(2000 // rows, 100)):
        begun = time.perf_counter()
        session.run(["predict"], {{"X": part}})
        times.append(time.perf_counter() - begun)
    found[rows] = sorted(times)[len(times) // 2] * 1e6
print(json.dumps(found))
"""
    command = ["taskset", "-c", str(SERVER_CORE), sys.executable, "-c", code]
    return dict(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


def _sample(contender: Contender, model: str, session: Any, X: Any, seconds: float) -> dict[str, Any]:
    first = contender.formats[0]
    opening = questions(first, 1, 1, session, X)
    with running(contender, model) as server:
        wait_until_answered(server, first, opening.bodies[0], opening.headers)
        time.sleep(1)
        sample: dict[str, Any] = {
            "live_s": server.live_s,
            "first_answer_s": server.answered_s,
            "idle_kb": server.pss_kb(),
            "cells": {},
        }
        for kind in contender.formats:
            for rows, connections in CELLS:
                asked = questions(kind, rows, DIFFERENT[rows], session, X)
                sample["cells"][f"{kind} {rows} {connections}"] = _load(server, asked, connections, seconds)
        sample["peak_kb"] = server.peak_kb()
        time.sleep(SETTLED_S)
        sample["loaded_kb"] = server.pss_kb()
    return sample


def _load(server: Running, asked: Questions, connections: int, seconds: float) -> dict[str, Any]:
    path = server.contender.path[asked.kind]
    whole = [generator.whole(path, asked.headers, body) for body in asked.bodies]
    pairs = list(zip(whole, expected(server, asked), strict=True))
    before = server.cpu_s()
    found = generator.load(server.port, pairs, connections, seconds, CLIENT_CORE)
    used = server.cpu_s() - before
    return {
        "cpu_us": used / max(found["requests"], 1) * 1e6,
        "per_s": found["requests"] / found["seconds"],
        "p50_us": found["p50_us"],
        "p99_us": found["p99_us"],
        "errors": found["broken"] + found["refused"],
        "wrong": found["wrong"],
    }


def _summary(taken: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the rounds; errors and wrong answers are added up."""
    cells = {}
    for key in taken[0]["cells"]:
        each = [sample["cells"][key] for sample in taken]
        cells[key] = {name: statistics.median(one[name] for one in each) for name in ("cpu_us", "per_s", "p50_us", "p99_us")}
        cells[key] |= {name: sum(one[name] for one in each) for name in ("errors", "wrong")}
        cells[key]["cpu_us_range"] = [min(one["cpu_us"] for one in each), max(one["cpu_us"] for one in each)]
    figures = {
        name: statistics.median(sample[name] for sample in taken)
        for name in ("live_s", "first_answer_s", "idle_kb", "peak_kb", "loaded_kb")
    }
    return figures | {"cells": cells}


def _uvloops(versions: list[str], model: str, rounds: int, seconds: float) -> int:
    session = open_session(Path(model).read_bytes())
    X = np.random.default_rng(1).normal(3, 2, (4096, 128))
    ours = CONTENDERS[0]
    found: dict[str, list[dict[str, Any]]] = {version: [] for version in versions}
    with contextlib.ExitStack() as stack:
        folders = {}
        for version in versions:
            folders[version] = stack.enter_context(tempfile.TemporaryDirectory())
            install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folders[version]]
            subprocess.run([*install, f"uvloop=={version}"], check=True)
        for _ in range(rounds):
            for version in versions:
                os.environ["PYTHONPATH"] = folders[version]
                asked = questions("v2json", 1, DIFFERENT[1], session, X)
                with running(ours, model) as server:
                    wait_until_answered(server, "v2json", asked.bodies[0], asked.headers)
                    found[version].append({str(c): _load(server, asked, c, seconds) for c in (1, 16, 64)})
    os.environ.pop("PYTHONPATH")
    result: dict[str, Any] = {**described(), "rounds": rounds, "versions": {}}
    for version, taken in found.items():
        result["versions"][version] = {
            c: {name: statistics.median(one[c][name] for one in taken) for name in ("cpu_us", "per_s", "p50_us")}
            for c in ("1", "16", "64")
        }
    Path("benchmarks/results/uvloop.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result["versions"], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
