"""python -m benchmarks.drift: how often is a shift cried without one, and how often is a real one seen?

For several widths and sizes of samples, against the index's usual fixed limits 0.1 and 0.2 and, where they are installed
(scripts/tool evidently, nannyml), others' own verdicts on the same rows. Reference: 2,000 rows. A sample is drawn from the
same distribution, or with the first column moved by 0.2 of its spread, or with columns that go together taken apart. Results:
benchmarks/results/drift.json.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import described
from conversion.bins import reference_of
from serving.telemetry.drift import Reference, index, judge

REFERENCE_ROWS, TIMES, STRANGERS_TIMES = 2000, 200, 20
WIDTHS, SIZES = (8, 64), (100, 1000, 10_000)
WORLDS = ("nothing", "one column moved by 0.2", "columns taken apart")
OTHERS = ("evidently", "nannyml")
Array = Any


def rows(rng: np.random.Generator, size: int, width: int, world: str) -> Array:
    """Columns go together in pairs: each even one with the next, at a correlation of 0.9."""
    drawn = rng.standard_normal((size, width))
    drawn[:, 1::2] = 0.9 * drawn[:, ::2] + np.sqrt(1 - 0.81) * drawn[:, 1::2]
    if world == WORLDS[1]:
        drawn[:, 0] += 0.2
    if world == WORLDS[2]:
        drawn[:, 1] = rng.permutation(drawn[:, 1])
    return drawn


def ours(reference: Reference, sample: Array) -> dict[str, bool]:
    counts = reference.histograms.count({"X": sample}, {})
    pairs = zip(
        reference.histograms.split(counts), reference.histograms.split(reference.counts), reference.histograms.all, strict=True
    )
    largest = max(float(index(here, there)) for here, there, bins in pairs if bins.tensor != "distance")
    return {"unjar": judge(reference, counts).word == "shifted", "0.1": largest > 0.1, "0.2": largest > 0.2}


def others(name: str, reference: Array, samples: list[Array]) -> list[bool] | None:
    """In an environment of its own; None where it is not installed."""
    python = Path(f".venv-{name}/bin/python")
    if not python.exists():
        return None
    with tempfile.TemporaryDirectory() as folder:
        np.savez(f"{folder}/rows.npz", reference=reference, **{f"s{i}": sample for i, sample in enumerate(samples)})
        command = [python, Path(__file__).with_name("drift_of_others.py"), name, f"{folder}/rows.npz"]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.stderr.write(done.stderr[-2000:])
        return None
    return [bool(one) for one in json.loads(done.stdout.splitlines()[-1])]


def main() -> None:
    found: dict[str, Any] = {**described(), "reference_rows": REFERENCE_ROWS, "times": TIMES, "cells": []}
    for width in WIDTHS:
        rng = np.random.default_rng(width)
        seen = rows(rng, REFERENCE_ROWS, width, WORLDS[0])
        reference = reference_of({"X": seen}, {}, "data")
        for size in SIZES:
            for world in WORLDS:
                samples = [rows(rng, size, width, world) for _ in range(TIMES)]
                verdicts = [ours(reference, sample) for sample in samples]
                cell: dict[str, Any] = {"width": width, "rows": size, "world": world}
                cell |= {name: float(np.mean([one[name] for one in verdicts])) for name in ("unjar", "0.1", "0.2")}
                for name in OTHERS:
                    said = others(name, seen, samples[:STRANGERS_TIMES])
                    cell |= {} if said is None else {name: float(np.mean(said))}
                found["cells"].append(cell)
                print(cell, flush=True)
    Path("benchmarks/results/drift.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
