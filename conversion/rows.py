"""Which rows could show a wrong translation, made from the fitted object alone?

Every set is named for its kind; the evidence counts rows by these names. Numbers are float64 values that float32 holds
exactly, so that a graph of either precision and scikit-learn see the same; `doubles` are for graphs that take double.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from conversion import learned
from conversion.column_rows import column_sets
from conversion.column_rows import representable as representable
from conversion.schema import Feeds, Schema
from serving.signature import Array

TYPICAL, PAIRS = 1000, 60
DOUBLES = ("doubles", "thresholds in double", "halfway")
ENLARGED = (10, 100, 1000)


@dataclass(frozen=True)
class RowSet:
    """Rows of one kind."""

    kind: str
    feeds: Feeds

    @property
    def size(self) -> int:
        return len(next(iter(self.feeds.values())))

    def only(self, chosen: Any) -> "RowSet":
        """The rows that an index or a mask chooses."""
        return RowSet(self.kind, {name: array[chosen] for name, array in self.feeds.items()})


def row_sets(estimator: Any, schema: Schema, seed: int = 0) -> list[RowSet]:
    """Rows of every kind that this object allows, all finite; the first set is `typical`."""
    rng = np.random.default_rng(seed)
    if not schema.table:
        made = [RowSet(kind, feeds) for kind, feeds in column_sets(schema, rng)]
        return [*made, *_enlarged(made[0].feeds)] if any(not column.text for column in schema.columns) else made
    tables = [(kind, representable(rows)) for kind, rows in _tables(estimator, schema, rng)]
    typical, known = tables[0][1], learned.rows(estimator, tables[0][1], rng)
    # Far out, and yet near another label: there the scores are large and their difference is small.
    far = representable(np.concatenate([typical[:200] * factor for factor in (1, 5, 30, 200)]))
    tables.append(("boundary", _boundary(estimator, schema, typical, rng)))
    tables.append(("far boundary", _boundary(estimator, schema, far, rng)))
    doubles = typical[:300] * (1 + 1e-9 * rng.standard_normal((min(300, len(typical)), 1)))
    sides = learned.thresholds(estimator, typical, rng, np.float64)
    tables += zip(DOUBLES, (doubles, sides, _halfway(known, rng)), strict=True)
    sets = [*(RowSet(kind, {"X": rows}) for kind, rows in tables if len(rows)), *_enlarged({"X": typical})]
    return _coded(sets, schema.columns[0].codes, rng)


def _coded(sets: list[RowSet], codes: Sequence[Sequence[float]], rng: np.random.Generator) -> list[RowSet]:
    """The same with known codes in the features that hold codes; the first set as it was comes last."""
    known = {i: [code for code in values if np.isfinite(code)] for i, values in enumerate(codes)}
    if not any(known.values()):
        return sets
    strange, changed = RowSet("strange codes", sets[0].feeds), []
    for one in sets:
        rows = one.feeds["X"].copy()
        for i, values in known.items():
            if values:
                rows[:, i] = rng.choice(values, len(rows))
        changed.append(RowSet(one.kind, {"X": rows}))
    return [*changed, strange]


def _enlarged(feeds: Feeds) -> list[RowSet]:
    return [RowSet(enlarged_kind(factor), enlarged(feeds, factor)) for factor in ENLARGED]


def enlarged_kind(factor: float) -> str:
    return f"typical x {factor:,}"


def enlarged(feeds: Feeds, factor: float) -> dict[str, Array]:
    """Some rows with every number, and then some with the numbers of one input or feature, so many times as large."""
    count = min(40, len(next(iter(feeds.values()))))
    rows = {name: np.resize(array, (2 * count, *array.shape[1:])).copy() for name, array in feeds.items()}
    numeric = [name for name, array in rows.items() if array.dtype.kind == "f"]
    for number, name in enumerate(numeric):
        rows[name][:count] *= factor
        for i in range(count, 2 * count):
            if i % len(numeric) == number:
                rows[name][i, (i // len(numeric)) % rows[name].shape[1]] *= factor
        rows[name] = representable(rows[name])
    return rows


def spoilt(feeds: Feeds, value: float, names: Sequence[str]) -> dict[str, Array]:
    """Copies of the first rows with numbers of these inputs replaced by `value`: one, then half of them, then all."""
    numeric = list(names)
    count = min(64, len(next(iter(feeds.values()))))
    changed = {name: np.resize(array, (count + 10, *array.shape[1:])).copy() for name, array in feeds.items()}
    for i in range(count):
        array = changed[numeric[i % len(numeric)]]
        array[i, (i // len(numeric)) % array.shape[1]] = value
    rng = np.random.default_rng(0)
    for name in numeric:
        part = changed[name][count:]
        part[rng.random(part.shape) < 0.5] = value
        part[-1] = value
    return changed


def _tables(estimator: Any, schema: Schema, rng: np.random.Generator) -> Iterator[tuple[str, Array]]:
    width = schema.columns[0].width
    centre, spread = learned.scale(estimator, width)
    typical = centre + spread * rng.standard_normal((TYPICAL, width))
    known = learned.rows(estimator, typical, rng)
    yield "typical", np.concatenate([known[rng.permutation(len(known))[: TYPICAL // 2]], typical])[:TYPICAL]
    yield "learned", known
    yield "thresholds", learned.thresholds(estimator, typical, rng)
    yield "zeros", np.stack([np.full(width, value) for value in (0.0, -0.0, 1e-45, -1e-45, 1e-38)])
    yield "whole numbers", np.round(typical)[:200]
    yield "small grid", rng.integers(-2, 6, (200, width)).astype(np.float64)
    yield "far apart", centre + spread * rng.standard_normal((200, width)) * 10.0 ** rng.integers(-6, 3, (200, width))


def _halfway(known: Array, rng: np.random.Generator) -> Array:
    """In the middle between two rows that the object knows: equally near to both."""
    if len(known) < 2:
        return known[:0]
    first, second = known[rng.integers(0, len(known), (2, 100))]
    nearest = [np.argsort(((known - row) ** 2).sum(axis=1))[1] for row in first]
    return np.concatenate([(first + second) / 2, (first + known[nearest]) / 2])


def _boundary(estimator: Any, schema: Schema, typical: Array, rng: np.random.Generator) -> Array:
    """Neighbouring float32 rows between which scikit-learn's label changes, found by halving; none without labels."""

    def label(rows: Array) -> Array:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(estimator.predict(schema.native({"X": rows})))

    try:
        labels = label(typical) if hasattr(estimator, "predict") else np.zeros(0)
    except Exception:  # scikit-learn refuses a typical row; the search says so
        return typical[:0]
    if labels.ndim != 1 or labels.dtype.kind == "f":
        return typical[:0]
    first, second = rng.integers(0, len(typical), (2, 20 * PAIRS))
    differ = np.flatnonzero(labels[first] != labels[second])[:PAIRS]
    low, high, wanted = typical[first[differ]], typical[second[differ]], labels[first[differ]]
    for _ in range(60 if len(differ) else 0):
        middle = representable((low + high) / 2)
        same = label(middle) == wanted
        low, high = np.where(same[:, None], middle, low), np.where(same[:, None], high, middle)
    return np.concatenate([low, high])
