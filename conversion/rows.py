"""Which rows could show a wrong translation, made from the fitted object alone?

Every set is named for its kind; the evidence counts rows by these names. The rows are float64 arrays of values that
float32 holds exactly, so that a graph of either precision and scikit-learn see the same numbers.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from conversion.schema import Column, Feeds, Schema
from conversion.steps import steps_of
from serving.signature import Array

TYPICAL, LEARNED, PER_FEATURE = 1000, 400, 2000


@dataclass(frozen=True)
class RowSet:
    """Rows of one kind."""

    kind: str
    feeds: Feeds

    @property
    def size(self) -> int:
        return len(next(iter(self.feeds.values())))


def row_sets(estimator: Any, schema: Schema, seed: int = 0) -> list[RowSet]:
    """Finite rows of every kind that this object allows; the first set is `typical`."""
    rng = np.random.default_rng(seed)
    if not schema.table:
        return [RowSet("typical", {c.name: _column(c, rng) for c in schema.columns})]
    made = list(_tables(estimator, schema.columns[0].width, rng))
    return [RowSet(kind, {"X": _representable(rows)}) for kind, rows in made if len(rows)]


def with_one(feeds: Feeds, value: float) -> dict[str, Array]:
    """Copies of the first rows, each with one number replaced by `value` (NaN or infinity)."""
    numeric = [name for name, array in feeds.items() if array.dtype.kind == "f"]
    count = min(64, len(next(iter(feeds.values()))))
    spoilt = {name: array[:count].copy() for name, array in feeds.items()}
    for i in range(count):
        array = spoilt[numeric[i % len(numeric)]]
        array[i, (i // len(numeric)) % array.shape[1]] = value
    return spoilt


def _tables(estimator: Any, width: int, rng: np.random.Generator) -> Iterator[tuple[str, Array]]:
    centre, spread = _scale(steps_of(estimator)[0], width)
    typical = centre + spread * rng.standard_normal((TYPICAL, width))
    learned = _learned(estimator, width, rng)
    yield "typical", np.concatenate([learned[: TYPICAL // 2], typical])[:TYPICAL] if len(learned) else typical
    yield "learned", learned
    yield "thresholds", _thresholds(estimator, width, typical, rng)
    yield "zeros", np.stack([np.full(width, value) for value in (0.0, -0.0, 1e-45, -1e-45, 1e-38)])
    yield "whole numbers", np.round(typical)[:200]
    for factor in (10, 100, 1000):
        yield f"typical x {factor}", typical[:100] * factor


def _representable(rows: Array) -> Array:
    with np.errstate(over="ignore"):
        return np.nan_to_num(rows.astype(np.float32)).astype(np.float64)


def _scale(first: Any, width: int) -> tuple[Array, Array]:
    """Where a step's inputs lie, by what it has learned; standard normal when it says nothing."""
    centre = spread = None
    for name in ("mean_", "center_", "data_min_", "location_"):
        centre = _vector(first, name, width) if centre is None else centre
    for name in ("scale_", "data_range_"):
        spread = _vector(first, name, width) if spread is None else spread
    if hasattr(first, "explained_variance_") and hasattr(first, "components_"):
        variance = np.asarray(first.components_) ** 2 * np.asarray(first.explained_variance_)[:, None]
        spread = np.sqrt(variance.sum(axis=0)) if variance.shape[1] == width else spread
    return (np.zeros(width) if centre is None else centre), (np.ones(width) if spread is None else spread)


def _vector(step: Any, name: str, width: int) -> Array | None:
    value = getattr(step, name, None)
    array = None if value is None else np.asarray(value, np.float64)
    return array if array is not None and array.shape == (width,) and np.isfinite(array).all() else None


def _learned(estimator: Any, width: int, rng: np.random.Generator) -> Array:
    """Rows that a step knows (its training rows, its centres, its principal axes), carried back through the steps before."""
    found: list[Array] = []
    steps = steps_of(estimator)
    for position, step in enumerate(steps):
        for name in ("_fit_X", "cluster_centers_", "support_vectors_", "means_", "X_train_", "theta_"):
            known = getattr(step, name, None)
            if isinstance(known, np.ndarray) and known.ndim == 2:
                found.append(_carried_back(known[:LEARNED], steps[:position], width))
        if hasattr(step, "inverse_transform") and hasattr(step, "explained_variance_"):
            drawn = rng.standard_normal((LEARNED, len(step.explained_variance_)))
            drawn *= 1.0 if getattr(step, "whiten", False) else np.sqrt(step.explained_variance_)
            found.append(_carried_back(step.inverse_transform(drawn), steps[:position], width))
    return np.concatenate([rows for rows in found if rows.shape[1] == width] or [np.empty((0, width))])


def _carried_back(rows: Array, steps: list[Any], width: int) -> Array:
    for step in reversed(steps):
        if not hasattr(step, "inverse_transform") or rows.shape[1] != getattr(step, "n_features_out_", rows.shape[1]):
            return np.empty((0, width))
        try:
            rows = np.asarray(step.inverse_transform(rows))
        except (ValueError, AttributeError):
            return np.empty((0, width))
    return rows


def _thresholds(estimator: Any, width: int, typical: Array, rng: np.random.Generator) -> Array:
    """Rows on each side of every split: the threshold in float32, and its two neighbours."""
    steps = steps_of(estimator)
    made: list[Array] = []
    for position, step in enumerate(steps):
        splits = [split for tree in _trees(step) for split in _splits(tree)]
        if not splits or (position and steps[0].n_features_in_ != width):
            continue
        chosen = [splits[i] for i in rng.permutation(len(splits))[: PER_FEATURE // 3]]
        rows = _before(typical, steps[:position])[rng.integers(0, len(typical), 3 * len(chosen))].copy()
        for i, (feature, threshold) in enumerate(chosen):
            exact = np.float32(threshold)
            rows[3 * i : 3 * i + 3, feature] = [np.nextafter(exact, -np.inf), exact, np.nextafter(exact, np.inf)]
        made.append(_carried_back(rows, steps[:position], width))
    return np.concatenate([*made, np.empty((0, width))])


def _before(rows: Array, steps: list[Any]) -> Array:
    for step in steps:
        rows = np.asarray(step.transform(rows))
    return rows


def _trees(step: Any) -> Iterator[Any]:
    if hasattr(step, "tree_"):
        yield step.tree_
    for inner in np.asarray(getattr(step, "estimators_", []), dtype=object).ravel():
        yield from _trees(inner)


def _splits(tree: Any) -> list[tuple[int, float]]:
    inner = tree.children_left != tree.children_right
    return list(zip(tree.feature[inner].tolist(), tree.threshold[inner].tolist(), strict=True))


_WORDS = "the a of model wing part data new old fast slow good bad one two three".split()


def _column(column: Column, rng: np.random.Generator) -> Array:
    if column.categories:
        chosen = rng.integers(0, len(column.categories), 200)
        values = [column.categories[i] for i in chosen]
        return np.array(values, object if column.text else np.float64).reshape(-1, 1)
    if column.text:
        texts = [" ".join(rng.choice(_WORDS, rng.integers(1, 8))) for _ in range(200)]
        return np.array(texts, object).reshape(-1, 1)
    return _representable(rng.standard_normal((200, 1)))
