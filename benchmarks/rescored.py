"""python -m benchmarks.rescored SECTIONS.npz SIZE: L/D at a wanted lift by NeuralFoil's package itself, as a JSON list.

SECTIONS.npz: heights (n, 130), lift (n,), reynolds and n_crit. Every half degree from -8 to 16, the line between for what is
between; null where no angle gives the lift.
"""

import json
import sys

import numpy as np

from training import labels

ALPHAS = np.arange(-8.0, 16.1, 0.5)


def main() -> None:
    path, labels.SIZE = sys.argv[1:]
    with np.load(path, allow_pickle=False) as given:
        heights, lift, reynolds, n_crit = (given[name] for name in ("heights", "lift", "reynolds", "n_crit"))
    n, m = len(heights), len(ALPHAS)
    same = np.full(n * m, float(reynolds)), np.full(n * m, float(n_crit))
    said = labels.predict(np.repeat(heights, m, axis=0), np.tile(ALPHAS, n), *same)
    found = [at(lift[row], *(said[name].reshape(n, m)[row] for name in ("CL", "ln_CD"))) for row in range(n)]
    print(json.dumps(found))


def at(wanted: float, lift: np.ndarray, ln_drag: np.ndarray) -> float | None:
    crossed = np.flatnonzero((lift[:-1] < wanted) & (lift[1:] >= wanted))
    if not len(crossed):
        return None
    low = crossed[0]
    share = (wanted - lift[low]) / (lift[low + 1] - lift[low])
    return float(wanted / np.exp(ln_drag[low] + share * (ln_drag[low + 1] - ln_drag[low])))


if __name__ == "__main__":
    main()
