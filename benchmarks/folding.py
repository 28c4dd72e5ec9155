"""python -m benchmarks.folding: what does folding affine steps into the first product save? Results: results/folding.json."""

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.machine import described
from conversion.candidates import FLOAT64, FOLDED
from conversion.schema import schema_of
from conversion.translate import translate
from serving.runtime import open_session


def main() -> int:
    draw = np.random.default_rng(0)
    X = draw.normal(3, 2, (2000, 128))
    model = make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(64, 32), max_iter=5, random_state=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, X[:, :8])
    plain, folded = (_session(model, candidate) for candidate in (FLOAT64, FOLDED))
    figures = {}
    for rows in (1, 32, 1024):
        one, other = _pair(plain, folded, np.ascontiguousarray(X[:rows]), max(20_000 // rows, 300))
        figures[rows] = {"plain_us": round(one, 1), "folded_us": round(other, 1), "ratio": round(one / other, 2)}
    result = {**described(), "model": "StandardScaler, MLP 128 -> 64 -> 32 -> 8, double", "rows": figures}
    print(json.dumps(result, indent=1))
    Path("benchmarks/results/folding.json").write_text(json.dumps(result, indent=1) + "\n")
    return 0


def _session(model: Any, candidate: Any) -> Any:
    return open_session(translate(model, schema_of(model), ["predict"], candidate).graph.SerializeToString())


def _pair(plain: Any, folded: Any, X: Any, times: int) -> tuple[float, float]:
    """Medians in µs, in turns."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(times):
        for session, each in zip((plain, folded), taken, strict=True):
            begun = time.perf_counter()
            session.run(None, {"X": X})
            each.append(time.perf_counter() - begun)
    return tuple(float(np.median(each)) * 1e6 for each in taken)  # type: ignore[return-value]


if __name__ == "__main__":
    sys.exit(main())
