"""python -m benchmarks.batch [--rows N] [--large] [--rounds N]: our command beside a loop written by hand, and Parquet alone.

The same job for all, in turns: rows of 130 float32 in 16 files a million through a network of 130, 64 and 32, one thread a
process. A round asks each once with one process and once with two, in another order each time; start-up is part of it. What is
said of one beside another is the median of the rounds' own ratios, as a busy neighbour slows whole rounds.
Memory is the largest proportional set size (PSS) of any one process that was seen, looked at every 20 ms in a round of its own:
to look costs time of a processor, which two processes would miss.
Results: benchmarks/results/batch.json, and a table in docs/batch.md (--page: only that, from the results).
"""

import argparse
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper

from benchmarks.machine import described
from benchmarks.memory import Watched, pss
from serving.model import Model
from serving.runtime import open_session
from serving.signature import Signature, Tensor
from serving.verification import Tolerance, Verification

MILLION, FILES, WIDE = 1_000_000, 16, 130
LOOK_S, LOOK_NEVER_S = 0.02, 3600.0
WAYS = ("ours", "loop", "read_and_write")
RESULTS, PAGE = Path("benchmarks/results/batch.json"), Path("docs/batch.md")
# As one writes it who needs no more than the answers: no check of a row, nothing that a kill would not spoil.
LOOP = """
import os, sys
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
import onnxruntime, pyarrow as pa, pyarrow.parquet as pq
source, out, model, index, total = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
pa.set_cpu_count(1)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"]) if model != "-" else None
for name in sorted(os.listdir(source))[index::total]:
    with pq.ParquetFile(f"{source}/{name}") as file:
        writer = None
        for batch in file.iter_batches(16384, use_threads=False):
            rows = batch.column("X").flatten().to_numpy().reshape(-1, 130)
            answers = session.run(None, {"X": rows})[0] if session else rows[:, :32].copy()
            column = pa.FixedSizeListArray.from_arrays(pa.array(answers.reshape(-1)), 32)
            found = pa.RecordBatch.from_arrays([batch.column("id"), column], ["id", "Y"])
            writer = writer or pq.ParquetWriter(f"{out}/{name}", found.schema, use_dictionary=False)
            writer.write_batch(found)
        writer.close()
"""

# What every process of such a job loads, and nothing of it twice: pandas lies here and a worker does without.
LIBRARIES = "import sys; sys.modules['pandas'] = None; import numpy, pyarrow.parquet, onnxruntime"


def main() -> int:
    given = arguments()
    if given.page:
        write(json.loads(RESULTS.read_text()))
        return 0
    sizes = [given.rows, 5 * given.rows] if given.large else [given.rows]
    results: dict[str, Any] = {**described(), "pyarrow": pa.__version__, "rounds": given.rounds, "sizes": {}}
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        place = Path(folder)
        (place / "model.onnx").write_bytes(network())
        (place / "loop.py").write_text(LOOP)
        for rows in sizes:
            make(place / "in", rows)
            results["sizes"][str(rows)] = measured(place, rows, given.rounds)
            shutil.rmtree(place / "in")
    results |= {"start_s": {str(processes): start_s(processes) for processes in (1, 2)}, "bins": bins()}
    print(json.dumps(results, indent=1))
    if given.rows >= MILLION:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        write(results)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=MILLION, help="results are written from a million on")
    parser.add_argument("--large", action="store_true", help="five times as many, too: is the memory the same?")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where tables are made (the system's temporary folder)")
    parser.add_argument("--page", action="store_true", help="write the table anew from the results")
    return parser.parse_args()


def network() -> bytes:
    """A model.onnx as convert.py writes it: two layers, weights by chance."""
    rng = np.random.default_rng(1)
    weights = {"A": rng.normal(0, 0.1, (WIDE, 64)).astype(np.float32), "B": rng.normal(0, 0.1, (64, 32)).astype(np.float32)}
    nodes = [
        helper.make_node("MatMul", ["X", "A"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "B"], ["Y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, size]) for name, size in (("X", WIDE), ("Y", 32))]
    constants = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "mlp", ends[:1], ends[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    rows = {"X": rng.normal(size=(4, WIDE)).astype(np.float32)}
    answers = {"Y": open_session(model.SerializeToString()).run(["Y"], rows)[0]}
    said = {
        "signature": Signature((Tensor("X", "FP32", (-1, WIDE)),), (Tensor("Y", "FP32", (-1, 32)),)).to_json(),
        "verification": Verification(rows, answers, {"Y": Tolerance(1e-5, 1e-5)}).to_json(),
        "parity": {"verdict": "tested"},
        "provenance": {},
    }
    for key, value in said.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = f"unjar.{key}", json.dumps(value)
    return bytes(model.SerializeToString())


def make(folder: Path, rows: int) -> None:
    """More than a million rows are more files of the same size."""
    folder.mkdir()
    rng = np.random.default_rng(2)
    files = FILES * max(1, rows // MILLION)
    each = rows // files
    for i in range(files):
        values = rng.standard_normal((each, WIDE), np.float32)
        vectors = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), WIDE)
        table = pa.table({"id": np.arange(i * each, (i + 1) * each), "X": vectors})
        pq.write_table(table, folder / f"{i:02}.parquet", use_dictionary=False, row_group_size=16384 * 4)


def measured(place: Path, rows: int, rounds: int) -> dict[str, Any]:
    """For each way and number of processes: seconds of each round, the median of rows per second, and memory."""
    ways = [(way, processes) for way in WAYS for processes in (1, 2)]
    seconds: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
    cpu: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
    for turn in range(rounds):
        for way in random.Random(turn).sample(ways, len(ways)):
            took, used, _ = once(place, *way, LOOK_NEVER_S)
            cpu[way].append(round(used, 3))
            seconds[way].append(round(took, 3))
    peaks = {way: once(place, *way, LOOK_S)[2] for way in ways}
    found = {
        f"{way}, {processes}": {
            "seconds": seconds[way, processes],
            "cpu_seconds": cpu[way, processes],
            "rows_per_s": round(rows // FILES * FILES / median(seconds[way, processes])),
            "peak_pss_mb": round(peaks[way, processes] / 1e6, 1),
        }
        for way, processes in ways
    }
    return {"ways": found, **ratios(seconds, cpu)}


def ratios(seconds: Mapping[tuple[str, int], list[float]], cpu: Mapping[tuple[str, int], list[float]]) -> dict[str, Any]:
    """How fast are we beside the others, and two processes beside one? Medians of the rounds' own ratios."""

    def beside(took: Mapping[tuple[str, int], list[float]], other: tuple[str, int], this: tuple[str, int]) -> float:
        return round(median(a / b for a, b in zip(took[other], took[this], strict=True)), 3)

    found: dict[str, Any] = {}
    for key, took in (("ours_beside", seconds), ("ours_beside_in_cpu_seconds", cpu)):
        found[key] = {
            f"{processes}": {other: beside(took, (other, processes), ("ours", processes)) for other in WAYS[1:]}
            for processes in (1, 2)
        }
    return found | {"two_beside_one": {way: beside(seconds, (way, 1), (way, 2)) for way in WAYS}}


def section(found: dict[str, Any]) -> str:
    """How it was measured, and the table."""
    lines = [
        f"Measured by `benchmarks/batch.py`: {found['rounds']} rounds, {found['machine']}; commit {found['commit']}.",
        "",
        "| rows, processes | rows/s | beside the loop | in CPU seconds | beside read and write | MB a process; the loop's |",
        "|---|---|---|---|---|---|",
    ]
    for rows, size in found["sizes"].items():
        for n in ("1", "2"):
            ours, loop = (size["ways"][f"{way}, {n}"] for way in ("ours", "loop"))
            wall, cpu = size["ours_beside"][n], size["ours_beside_in_cpu_seconds"][n]
            lines.append(
                f"| {int(rows):,}, {n} | {ours['rows_per_s']:,} | {wall['loop']:.2f} | {cpu['loop']:.2f} |"
                f" {wall['read_and_write']:.2f} | {ours['peak_pss_mb']:.0f}; {loop['peak_pss_mb']:.0f} |"
            )
    one, two_at_once = found["start_s"]["1"], found["start_s"]["2"]
    lines += [
        "",
        f"An interpreter with numpy, pyarrow and onnxruntime begins in {one:.2f} s, two at once in {two_at_once:.2f}.",
    ]
    for rows, size in found["sizes"].items():
        two = size["two_beside_one"]
        lines.append(f"Two processes beside one, {int(rows):,} rows: ours {two['ours']:.2f} times, the loop {two['loop']:.2f}.")
    return "\n".join(lines) + "\n"


def write(found: dict[str, Any]) -> None:
    """Into its page, in place of the one before."""
    lines = r"^Measured by `benchmarks/batch\.py`:.*\n\n(\|.*\n)*\n(An interpreter.*\n)?(Two processes.*\n)*"
    before = re.compile(lines, re.MULTILINE)
    PAGE.write_text(before.sub(lambda _: section(found), PAGE.read_text()))


def once(place: Path, way: str, processes: int, look_s: float) -> tuple[float, float, int]:
    """Seconds, seconds of all processors, and the largest process, looked for every so often."""
    out = place / "out"
    out.mkdir()
    source, model = str(place / "in"), str(place / "model.onnx")
    if way == "ours":
        words = ["-m", "batch", "encode", source, str(out), "--model", model, "--id", "id", "--workers", str(processes)]
        commands = [[sys.executable, *words]]
    else:
        graph = model if way == "loop" else "-"
        commands = [
            [sys.executable, str(place / "loop.py"), source, str(out), graph, str(i), str(processes)] for i in range(processes)
        ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    # Nobody is to wait for what another has left to the disk.
    os.sync()
    with Watched(pss, look_s) as largest:
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        started = [
            subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for command in commands
        ]
        for process in started:
            _, said = process.communicate()
            if process.returncode:
                raise RuntimeError(f"{way}: ended with {process.returncode}: {said.decode()}")
        took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(out)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took, used, largest.peak_bytes


def start_s(processes: int) -> float:
    """Until so many interpreters, begun at once, have loaded what every one of them needs: the median of nine."""
    took = []
    for _ in range(9):
        began = time.perf_counter()
        started = [subprocess.Popen([sys.executable, "-c", LIBRARIES]) for _ in range(processes)]
        if any(process.wait() for process in started):
            raise RuntimeError("the libraries cannot be loaded")
        took.append(time.perf_counter() - began)
    return round(median(took), 3)


def bins() -> dict[str, Any]:
    """What counting every row in the bins of the geometry encoder would cost beside answering it."""
    model = Model.load(Path("model.onnx"))
    if model.reference is None:
        return {}
    feeds = {name: np.resize(rows, (16384, *rows.shape[1:])) for name, rows in model.verification.rows.items()}
    took: dict[str, list[float]] = {"answer": [], "count": []}
    for _ in range(5):
        began = time.perf_counter()
        answers = model.run(feeds)
        between = time.perf_counter()
        model.reference.histograms.count(feeds, answers)
        took["answer"].append(between - began)
        took["count"].append(time.perf_counter() - between)
    return {
        "rows": 16384,
        "bins": len(model.reference.histograms.all),
        **{f"{key}_s": round(median(one), 3) for key, one in took.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
