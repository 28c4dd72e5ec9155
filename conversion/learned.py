"""What do the steps of a fitted object know of the rows they saw: their scale, their centres, their thresholds?

Whatever a later step knows is carried back through the inverses of the steps before it.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from conversion.steps import steps_of
from serving.signature import Array

KNOWN, PER_OBJECT = 400, 2000
_ROWS = (
    "_fit_X", "cluster_centers_", "support_vectors_", "means_", "X_train_", "theta_", "centroids_", "X_fit_",
    "subcluster_centers_",
)  # fmt: skip


def scale(first: Any, width: int) -> tuple[Array, Array]:
    """Where a step's inputs lie, by what it has learned; standard normal when it says nothing."""
    centre = spread = None
    for name in ("mean_", "center_", "data_min_", "location_", "statistics_"):
        centre = _vector(first, name, width) if centre is None else centre
    for name in ("scale_", "data_range_"):
        spread = _vector(first, name, width) if spread is None else spread
    if hasattr(first, "explained_variance_") and hasattr(first, "components_"):
        variance = np.asarray(first.components_) ** 2 * np.asarray(first.explained_variance_)[:, None]
        spread = np.sqrt(variance.sum(axis=0)) if variance.shape[1] == width else spread
    seen = _fitted_rows(first, width)
    if seen is not None:
        centre = seen.mean(axis=0) if centre is None else centre
        spread = seen.std(axis=0) if spread is None else spread
    splits = [split for split in _splits_of(first) if split[0] < width]
    if splits and centre is None:
        centre, spread = _spread_of_splits(splits, width)
    return (np.zeros(width) if centre is None else centre), (np.ones(width) if spread is None else spread)


def _fitted_rows(step: Any, width: int) -> Array | None:
    for name in _ROWS:
        known = getattr(step, name, None)
        if isinstance(known, np.ndarray) and known.ndim == 2 and known.shape[1] == width and len(known) > 1:
            return known.astype(np.float64)
    return None


def _spread_of_splits(splits: list[tuple[int, float]], width: int) -> tuple[Array, Array]:
    """A forest that saw no scaler splits where its rows are."""
    centre, spread = np.zeros(width), np.ones(width)
    features, values = np.array([f for f, _ in splits]), np.array([t for _, t in splits])
    for feature in np.unique(features):
        own = values[(features == feature) & np.isfinite(values)]
        if len(own):
            centre[feature], spread[feature] = np.median(own), max(float(own.std()), 1e-3 * abs(float(np.median(own))), 1e-6)
    return centre, spread


def _vector(step: Any, name: str, width: int) -> Array | None:
    value = getattr(step, name, None)
    array = None if value is None or isinstance(value, str) else np.asarray(value)
    if array is None or array.shape != (width,) or array.dtype.kind not in "iuf":
        return None
    return array.astype(np.float64) if np.isfinite(array).all() else None


def rows(estimator: Any, width: int, rng: np.random.Generator) -> Array:
    """Rows that a step knows: its training rows, its centres, draws along its principal axes."""
    found: list[Array] = []
    steps = steps_of(estimator)
    for position, step in enumerate(steps):
        for name in _ROWS:
            known = getattr(step, name, None)
            if isinstance(known, np.ndarray) and known.ndim == 2:
                found.append(_carried_back(known[:KNOWN], steps[:position], width))
        if hasattr(step, "inverse_transform") and hasattr(step, "explained_variance_"):
            drawn = rng.standard_normal((KNOWN, len(step.explained_variance_)))
            drawn *= 1.0 if getattr(step, "whiten", False) else np.sqrt(step.explained_variance_)
            found.append(_carried_back(step.inverse_transform(drawn), steps[:position], width))
    return np.concatenate([rows for rows in found if rows.shape[1] == width] or [np.empty((0, width))])


def _carried_back(rows: Array, steps: list[Any], width: int) -> Array:
    for step in reversed(steps):
        if not hasattr(step, "inverse_transform"):
            return np.empty((0, width))
        try:
            rows = np.asarray(step.inverse_transform(rows))
        except (ValueError, AttributeError, IndexError):
            return np.empty((0, width))
    return rows if rows.ndim == 2 and rows.shape[1] == width else np.empty((0, width))


def thresholds(estimator: Any, width: int, typical: Array, rng: np.random.Generator) -> Array:
    """Rows at both sides of every split and bin edge: its value in float32, and its two neighbours."""
    made: list[Array] = []
    steps = steps_of(estimator)
    for position, step in enumerate(steps):
        splits = _splits_of(step)
        if not splits:
            continue
        base = _before(typical, steps[:position])
        if base is None:
            continue
        # A chain's trees split on what the chain itself has added, too.
        splits = [split for split in splits if split[0] < base.shape[1]]
        chosen = [splits[i] for i in rng.permutation(len(splits))[: PER_OBJECT // 3]]
        rows = base[rng.integers(0, len(base), 3 * len(chosen))].copy()
        for i, (feature, threshold) in enumerate(chosen):
            exact = np.float32(threshold)
            rows[3 * i : 3 * i + 3, feature] = [np.nextafter(exact, -np.inf), exact, np.nextafter(exact, np.inf)]
        made.append(_carried_back(rows, steps[:position], width))
    return np.concatenate([*made, np.empty((0, width))])


def _before(rows: Array, steps: list[Any]) -> Array | None:
    for step in steps:
        try:
            rows = step.transform(rows)
        except ValueError:
            return None
    return np.array(rows, np.float64) if isinstance(rows, np.ndarray) else None


def _splits_of(step: Any) -> list[tuple[int, float]]:
    """(feature, value) wherever a step's answer may jump."""
    splits = [split for tree in _trees(step) for split in _inner(tree)]
    for stage in getattr(step, "_predictors", []):
        for one in stage:
            inner = one.nodes[one.nodes["is_leaf"] == 0]
            splits += list(zip(inner["feature_idx"].tolist(), inner["num_threshold"].tolist(), strict=True))
    for name in ("bin_edges_", "quantiles_"):
        edges = getattr(step, name, None)
        if edges is not None:
            columns = edges if name == "bin_edges_" else np.asarray(edges).T
            splits += [(i, float(value)) for i, column in enumerate(columns) for value in column]
    splits += [(0, float(value)) for value in getattr(step, "X_thresholds_", ())]
    splits += [(i, float(value)) for i, spline in enumerate(getattr(step, "bsplines_", ())) for value in spline.t]
    if type(step).__name__ == "Binarizer":
        splits += [(i, float(step.threshold)) for i in range(step.n_features_in_)]
    return [(feature, value) for feature, value in splits if np.isfinite(value)]


def _trees(step: Any) -> Iterator[Any]:
    if hasattr(step, "tree_"):
        yield step.tree_
    members = getattr(step, "estimators_", [])
    for inner in np.asarray(members, dtype=object).ravel() if isinstance(members, list | np.ndarray) else []:
        yield from _trees(inner)


def _inner(tree: Any) -> list[tuple[int, float]]:
    inner = tree.children_left != tree.children_right
    return list(zip(tree.feature[inner].tolist(), tree.threshold[inner].tolist(), strict=True))
