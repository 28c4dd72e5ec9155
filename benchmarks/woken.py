"""python -m benchmarks.woken: how much longer does a model's run take when the processor slept just before?

At one connection a server waits between questions. The shipped encoder, one row, in a loop and after sleeping, in turns.
Results: benchmarks/results/woken.json.
"""

import json
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks.machine import described
from serving.model import Model

SLEPT_S, TURNS, RUNS = 1e-4, 5, 1000


def main() -> int:
    model = Model.load(Path("model.onnx"))
    row = {name: array[:1].copy() for name, array in model.verification.rows.items()}
    taken: dict[float, list[float]] = {0.0: [], SLEPT_S: []}
    for _ in range(TURNS):
        for pause, found in taken.items():
            for _ in range(RUNS):
                if pause:
                    time.sleep(pause)
                begun = time.perf_counter()
                model.run(row)
                found.append(time.perf_counter() - begun)
    loop_us, woken_us = (round(median(found) * 1e6, 1) for found in taken.values())
    result = {**described(), "slept_us": SLEPT_S * 1e6, "runs": TURNS * RUNS, "loop_us": loop_us, "woken_us": woken_us}
    print(json.dumps(result, indent=1))
    Path("benchmarks/results/woken.json").write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
