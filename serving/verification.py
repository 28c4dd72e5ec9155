"""How far are two sets of answers apart, and do the rows that travel with the model still hold on this machine?

`compare` is arithmetic on two arrays and knows nothing of any library that made them.
"""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.signature import DATATYPES, DTYPES, Array

Run = Callable[[Mapping[str, Array]], Mapping[str, Array]]


@dataclass(frozen=True)
class Tolerance:
    """|expected - answered| <= atol + rtol * |expected|; labels must be equal whatever it says."""

    atol: float = 0.0
    rtol: float = 0.0


@dataclass(frozen=True)
class Gap:
    """How far one output is from what was expected, worst row first."""

    rows: int
    wrong: int
    max_abs: float
    worst_row: int
    expected: str
    answered: str

    @property
    def passed(self) -> bool:
        return self.wrong == 0


def compare(expected: Array, answered: Array, tolerance: Tolerance) -> Gap:
    """The gap between two arrays whose first axis is rows.

    Shapes must be equal: broadcasting hides a graph that answers (2n, 1) instead of (n, 2). NaN matches NaN, infinity
    the same infinity.
    """
    rows = expected.shape[0]
    if expected.shape != answered.shape:
        return Gap(rows, max(rows, 1), np.inf, 0, f"shape {list(expected.shape)}", f"shape {list(answered.shape)}")
    if rows == 0:
        return Gap(0, 0, 0.0, 0, "", "")
    flat_expected, flat_answered = expected.reshape(rows, -1), answered.reshape(rows, -1)
    if expected.dtype.kind == "f" and answered.dtype.kind == "f":
        distance, allowed = _distance(flat_expected, flat_answered, tolerance)
    else:
        distance = np.where(flat_expected == flat_answered, 0.0, np.inf)
        allowed = np.zeros_like(distance)
    excess = (distance - allowed).max(axis=1)
    over = distance > allowed
    worst = int(excess.argmax())
    column = int((distance - allowed)[worst].argmax())
    return Gap(
        rows=rows,
        wrong=int(over.any(axis=1).sum()),
        max_abs=float(distance.max()),
        worst_row=worst,
        expected=f"{flat_expected[worst, column]}",
        answered=f"{flat_answered[worst, column]}",
    )


def _distance(expected: Array, answered: Array, tolerance: Tolerance) -> tuple[Array, Array]:
    expected, answered = expected.astype(np.float64), answered.astype(np.float64)
    same = (expected == answered) | (np.isnan(expected) & np.isnan(answered))
    with np.errstate(invalid="ignore"):
        distance = np.where(same, 0.0, np.abs(expected - answered))
    # A NaN is never a match; without this line max() would hide it behind a comparison.
    distance[~np.isfinite(distance)] = np.inf
    allowed = tolerance.atol + tolerance.rtol * np.abs(np.where(np.isfinite(expected), expected, 0.0))
    return distance, allowed


@dataclass(frozen=True)
class Verification:
    """Rows with scikit-learn's own answers, and how far each output may be from them."""

    rows: Mapping[str, Array]
    answers: Mapping[str, Array]
    tolerance: Mapping[str, Tolerance]

    @property
    def size(self) -> int:
        return len(next(iter(self.rows.values())))

    def replay(self, run: Run) -> dict[str, Gap]:
        """The worst gap of each output over batches of 1, 2 and all rows: some graphs change shape with the batch."""
        worst: dict[str, Gap] = {}
        for batch in sorted({1, 2, self.size}):
            for name, gap in self._gaps(run, batch).items():
                if name not in worst or (gap.wrong, gap.max_abs) > (worst[name].wrong, worst[name].max_abs):
                    worst[name] = gap
        return worst

    def _gaps(self, run: Run, batch: int) -> dict[str, Gap]:
        parts: dict[str, list[Array]] = {name: [] for name in self.answers}
        for start in range(0, self.size, batch):
            answered = run({name: rows[start : start + batch] for name, rows in self.rows.items()})
            for name in parts:
                wanted = self.answers[name][start : start + batch]
                if answered[name].shape != wanted.shape:
                    return {name: compare(wanted, answered[name], self.tolerance[name])}
                parts[name].append(answered[name])
        return {name: compare(self.answers[name], np.concatenate(part), self.tolerance[name]) for name, part in parts.items()}

    def to_json(self) -> dict[str, Any]:
        return {
            "rows": {name: _pack(array) for name, array in self.rows.items()},
            "answers": {name: _pack(array) for name, array in self.answers.items()},
            "tolerance": {name: {"atol": t.atol, "rtol": t.rtol} for name, t in self.tolerance.items()},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Verification":
        """Raises KeyError, TypeError or ValueError when the document is not one that `to_json` wrote."""
        return cls(
            rows={name: _unpack(entry) for name, entry in document["rows"].items()},
            answers={name: _unpack(entry) for name, entry in document["answers"].items()},
            tolerance={name: Tolerance(**entry) for name, entry in document["tolerance"].items()},
        )


def _pack(array: Array) -> dict[str, Any]:
    """Numbers as little-endian base64, so that NaN, -0.0 and the last bit survive; text as a list."""
    packed: dict[str, Any] = {"datatype": DATATYPES[array.dtype], "shape": list(array.shape)}
    if array.dtype.hasobject:
        return packed | {"data": array.reshape(-1).tolist()}
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return packed | {"base64": base64.b64encode(little.tobytes()).decode()}


def _unpack(entry: Mapping[str, Any]) -> Array:
    dtype, shape = DTYPES[entry["datatype"]], tuple(entry["shape"])
    if dtype.hasobject:
        return np.array(entry["data"], object).reshape(shape)
    raw = base64.b64decode(entry["base64"], validate=True)
    return np.frombuffer(raw, dtype.newbyteorder("<")).astype(dtype).reshape(shape)
