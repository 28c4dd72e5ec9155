"""On which small data are the benchmark's models fitted? Everything is made here, from fixed seeds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

ROWS = 240
_SCALES = np.array([1.0, 5.0, 0.1, 2.0, 0.7, 30.0])
_OFFSETS = np.array([0.0, 20.0, 0.0, 1.0, -3.0, 100.0])
_WORDS = (
    "wing camber thickness chord flap slat stall lift drag moment gust climb cruise landing approach the a of and with "
    "fast slow thin thick bad good excellent poor Ärger häuse straße naïve café"
).split()


@dataclass(frozen=True)
class Data:
    """What `fit` is given; `y` is None where there is nothing to learn from, `weights` where every row counts alike."""

    X: Any
    y: Any = None
    weights: Any = None


def _table(seed: int = 7) -> tuple[Any, Any]:
    """(rows, a score that depends on them and on some noise)."""
    rng = np.random.default_rng(seed)
    plain = rng.standard_normal((ROWS, len(_SCALES)))
    score = plain[:, 0] + 0.8 * plain[:, 1] * plain[:, 2] - 0.6 * plain[:, 3] + 0.3 * rng.standard_normal(ROWS)
    return plain * _SCALES + _OFFSETS, score


def _thirds(score: Any) -> Any:
    return np.digitize(score, np.quantile(score, [1 / 3, 2 / 3]))


def regression() -> Data:
    X, score = _table()
    return Data(X, 3.0 * score + 5.0)


def large_targets() -> Data:
    X, score = _table()
    return Data(X, 1e6 * score + 1e7)


def multi_regression() -> Data:
    X, score = _table()
    return Data(X, np.column_stack([score, 10 * score**2, 0.1 * X[:, 1] - score]))


def positive_regression() -> Data:
    X, score = _table()
    return Data(X / _SCALES - _OFFSETS / _SCALES, np.exp(0.5 * score))


def classification() -> Data:
    X, score = _table()
    return Data(X, _thirds(score))


def binary() -> Data:
    X, score = _table()
    return Data(X, (score > 0).astype(int))


def rare() -> Data:
    X, score = _table()
    return Data(X, (score > np.quantile(score, 0.9)).astype(int))


def text_labels() -> Data:
    X, score = _table()
    return Data(X, np.array(["laminar", "turbulent", "abgelöst"])[_thirds(score)])


def bool_labels() -> Data:
    X, score = _table()
    return Data(X, score > 0)


def large_labels() -> Data:
    X, score = _table()
    return Data(X, np.array([2**40, 7, -(2**33)])[_thirds(score)])


def multi_label() -> Data:
    X, score = _table()
    return Data(X, np.column_stack([score > 0, X[:, 1] > 20, score + X[:, 0] > 0.5]).astype(int))


def multi_class_outputs() -> Data:
    X, score = _table()
    return Data(X, np.column_stack([_thirds(score), (X[:, 1] > 20).astype(int)]))


def half_labelled() -> Data:
    X, score = _table()
    y = _thirds(score)
    y[::2] = -1
    return Data(X, y)


def offset() -> Data:
    X, score = _table()
    return Data(X + 1e5, _thirds(score))


def offset_regression() -> Data:
    X, score = _table()
    return Data(X + 1e5, score)


def tiny() -> Data:
    X, score = _table()
    return Data(X * 1e-5, _thirds(score))


def whole() -> Data:
    X, score = _table()
    return Data(np.round(X).astype(np.int64), _thirds(score))


def few_values() -> Data:
    """Whole numbers with many equal rows, votes and distances."""
    rng = np.random.default_rng(3)
    X = rng.integers(0, 4, (ROWS, 3)).astype(float)
    return Data(X, (X.sum(axis=1) + rng.integers(0, 3, ROWS) > 5).astype(int))


def counts() -> Data:
    rng = np.random.default_rng(5)
    y = np.arange(ROWS) % 3
    return Data(rng.poisson(1.0 + 3.0 * np.eye(3)[y].repeat(2, axis=1)).astype(float), y)


def positive() -> Data:
    X, score = _table()
    return Data(np.abs(X) / 5.0, _thirds(score))


def codes() -> Data:
    rng = np.random.default_rng(9)
    y = np.arange(ROWS) % 3
    return Data((rng.integers(0, 4, (ROWS, 4)) + y[:, None]) % 5, y)


def missing() -> Data:
    X, score = _table()
    X[np.random.default_rng(2).random(X.shape) < 0.1] = np.nan
    return Data(X, _thirds(score))


def missing_regression() -> Data:
    return Data(missing().X, regression().y)


def one_feature() -> Data:
    X, score = _table()
    return Data(X[:, :1], 2.0 * X[:, 0] + 0.3 * score)


def wide() -> Data:
    rng = np.random.default_rng(11)
    X = rng.standard_normal((ROWS, 40)) @ rng.standard_normal((40, 40)) / 6
    return Data(X, _thirds(X[:, 0] - X[:, 1] * X[:, 2]))


def wide_regression() -> Data:
    X = wide().X
    return Data(X, np.column_stack([X[:, 0] - X[:, 1] * X[:, 2], np.tanh(X[:, 3]), X[:, 4] * 0.01]))


def kernel() -> Data:
    X = _table()[0] / _SCALES
    return Data(X[:40] @ X[:40].T)


def texts() -> Data:
    rng = np.random.default_rng(13)
    y = np.arange(ROWS) % 3
    weights = [np.where(np.arange(len(_WORDS)) % 3 == label, 3.0, 1.0) for label in range(3)]
    made = [" ".join(rng.choice(_WORDS, rng.integers(3, 12), p=weights[label] / weights[label].sum())) for label in y]
    return Data(made, y)


def frame() -> Data:
    """Numbers and categories in named columns."""
    rng = np.random.default_rng(17)
    X, score = _table()
    columns = {
        "chord": X[:, 0], "speed": X[:, 1], "mass": X[:, 5], "family": rng.choice(["naca", "clark", "göttingen"], ROWS),
        "grade": rng.choice(["low", "mid", "high"], ROWS),
    }  # fmt: skip
    made = pd.DataFrame(columns)
    return Data(made, _thirds(score + (made["family"] == "naca")))


def frame_regression() -> Data:
    X, y = frame().X, frame().y
    return Data(X, y + X["chord"].to_numpy() * 0.5)


def frame_missing() -> Data:
    X = frame().X
    X.loc[X.index % 9 == 0, "speed"] = np.nan
    return Data(X, frame().y)


def frame_with_text() -> Data:
    return Data(frame().X.assign(remark=texts().X), texts().y)


def number_frame() -> Data:
    X, score = _table()
    return Data(pd.DataFrame(X, columns=[f"sensor {i}" for i in range(X.shape[1])]), _thirds(score))


def categories() -> Data:
    X = frame().X[["family", "grade"]]
    return Data(X, frame().y)


def code_frame() -> Data:
    """A code, a whole number and a real one, none of them text."""
    X, score = _table()
    code = np.random.default_rng(19).integers(1, 6, ROWS)
    return Data(pd.DataFrame({"code": code, "count": np.round(X[:, 1]), "size": X[:, 0]}), _thirds(score + (code == 3)))


def images() -> Data:
    return Data(np.random.default_rng(23).random((20, 8, 8)))


def dicts() -> Data:
    X = _table()[0]
    return Data([{"a": row[0], "b": row[1], "kind": "x" if row[2] > 0 else "y"} for row in X])


def labels() -> Data:
    return Data(np.arange(ROWS) % 5)


def label_sets() -> Data:
    return Data([{"a", "b"} if i % 2 else {"c"} for i in range(ROWS)])


Maker = Callable[[], Data]


@dataclass(frozen=True)
class Case:
    """One model to convert: `make` gives it unfitted."""

    name: str
    make: Callable[[], Any]
    data: Maker

    def fitted(self) -> tuple[Any, Data]:
        data = self.data()
        weights = {} if data.weights is None else {"sample_weight": data.weights}
        return self.make().fit(*([data.X] if data.y is None else [data.X, data.y]), **weights), data
