"""What does a fitted object know of the rows it saw: their scale, their centres, their thresholds?

Whatever an inner estimator knows is carried back through the inverses of the steps before it.
"""

from typing import Any

import numpy as np

from conversion.views import NoWay, View, views
from serving.signature import Array

Splits = tuple[Array, Array]
KNOWN, PER_OBJECT, LEAST = 400, 2000, 30
_ROWS = (
    "_fit_X", "cluster_centers_", "support_vectors_", "means_", "X_train_", "theta_", "centroids_", "X_fit_",
    "subcluster_centers_",
)  # fmt: skip


def scale(estimator: Any, width: int) -> tuple[Array, Array]:
    """Centre and spread of each feature, (width,) both, by what the object or an estimator in it has learned of it.

    Standard normal where nothing says otherwise.
    """
    centre, spread, known = np.zeros(width), np.ones(width), np.zeros(width, bool)
    for view in views(estimator):
        if known.all():
            break
        try:
            told = _carried_scale(view, centre, width)
        except (NoWay, IndexError):
            continue
        if told is not None:
            new = ~known & told[2]
            centre[new], spread[new] = told[0][new], told[1][new]
            known |= new
    return centre, spread


def _carried_scale(view: View, centre: Array, width: int) -> tuple[Array, Array, Array] | None:
    """What one inner estimator knows, as centre, spread and which features it is told of, in the object's own features."""
    base = centre[None]
    seen = view.forward(base)
    own = _scale_of(view.estimator, seen.shape[1])
    if own is None:
        return None
    low = view.back(own[0][None], base)
    high = view.back((own[0] + np.where(own[2], own[1], 0.0))[None], base)
    return low[0], np.abs(high - low)[0], (high != low)[0]


def _scale_of(step: Any, width: int) -> tuple[Array, Array, Array] | None:
    centre = spread = None
    for name in ("mean_", "center_", "data_min_", "location_", "statistics_"):
        centre = _vector(step, name, width) if centre is None else centre
    for name in ("scale_", "data_range_"):
        spread = _vector(step, name, width) if spread is None else spread
    if hasattr(step, "explained_variance_") and hasattr(step, "components_"):
        variance = np.asarray(step.components_) ** 2 * np.asarray(step.explained_variance_)[:, None]
        spread = np.sqrt(variance.sum(axis=0)) if variance.shape[1] == width else spread
    seen = _fitted_rows(step, width)
    if seen is not None:
        centre = seen.mean(axis=0) if centre is None else centre
        spread = seen.std(axis=0) if spread is None else spread
    if centre is None and spread is None:
        return _spread_of_splits(splits_of(step), width)
    centre = np.zeros(width) if centre is None else centre
    spread = np.ones(width) if spread is None else np.where(spread > 0, spread, 1.0)
    return centre, spread, np.ones(width, bool)


def _fitted_rows(step: Any, width: int) -> Array | None:
    for name in _ROWS:
        known = getattr(step, name, None)
        if isinstance(known, np.ndarray) and known.ndim == 2 and known.shape[1] == width and len(known) > 1:
            return known.astype(np.float64)
    return None


def _spread_of_splits(splits: Splits, width: int) -> tuple[Array, Array, Array] | None:
    """What saw no scaler splits where its rows are."""
    centre, spread, told = np.zeros(width), np.ones(width), np.zeros(width, bool)
    features, values = splits
    for feature in np.unique(features[features < width]):
        own = values[features == feature]
        centre[feature], spread[feature] = np.median(own), max(float(own.std()), 1e-3 * abs(float(np.median(own))), 1e-6)
        told[feature] = True
    return (centre, spread, told) if told.any() else None


def _vector(step: Any, name: str, width: int) -> Array | None:
    value = getattr(step, name, None)
    array = None if value is None or isinstance(value, str) else np.asarray(value)
    if array is None or array.shape != (width,) or array.dtype.kind not in "iuf":
        return None
    return array.astype(np.float64) if np.isfinite(array).all() else None


def rows(estimator: Any, typical: Array, rng: np.random.Generator) -> Array:
    """Rows that an estimator knows: its training rows, its centres, draws along its principal axes."""
    found = [np.empty((0, typical.shape[1]))]
    for view in views(estimator):
        step = view.estimator
        own = [getattr(step, name, None) for name in _ROWS]
        if hasattr(step, "inverse_transform") and hasattr(step, "explained_variance_"):
            drawn = rng.standard_normal((KNOWN, len(step.explained_variance_)))
            drawn *= 1.0 if getattr(step, "whiten", False) else np.sqrt(step.explained_variance_)
            own.append(step.inverse_transform(drawn))
        for known in own:
            if isinstance(known, np.ndarray) and known.ndim == 2 and len(known):
                picked = np.sort(rng.permutation(len(known))[:KNOWN])
                found += _carried_back(view, known[picked].astype(np.float64), typical)
    return np.concatenate(found)


def _carried_back(view: View, wanted: Array, typical: Array) -> list[Array]:
    """As one array, or none where there is no way back."""
    base = typical[np.arange(len(wanted)) % len(typical)]
    try:
        made = view.back(wanted, base)
    except (NoWay, ValueError, IndexError):
        return []
    return [made] if made.shape == base.shape else []


def thresholds(estimator: Any, typical: Array, rng: np.random.Generator, real: type = np.float32) -> Array:
    """Rows at both sides of every split and bin edge: its value in `real`, and its two neighbours.

    In double only the estimators that see the object's own columns are asked: on the way back the last digits are lost.
    """
    made = [np.empty((0, typical.shape[1]))]
    groups: dict[tuple[int, ...], tuple[View, list[Splits]]] = {}
    for view in views(estimator):
        if real is np.float32 or not any(hasattr(passage, "step") for passage in view.way):
            splits = splits_of(view.estimator)
            if len(splits[0]):
                key = tuple(id(passage) for passage in view.way)
                groups.setdefault(key, (view, []))[1].append(splits)
    for view, found in groups.values():
        features, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
        made += _sides(view, (features, values), typical, rng, real, max(LEAST, PER_OBJECT // 3 // len(groups)))
    return np.concatenate(made)


def _sides(view: View, splits: Splits, typical: Array, rng: np.random.Generator, real: type, count: int) -> list[Array]:
    features, values = splits
    base = typical[rng.integers(0, len(typical), 3 * min(count, len(features)))]
    try:
        wanted = view.forward(base).copy()
    except NoWay:
        return []
    # A chain's trees split on what the chain itself has added, too.
    chosen = rng.permutation(np.flatnonzero(features < wanted.shape[1]))[:count]
    for i, at in enumerate(chosen):
        exact = real(values[at])
        wanted[3 * i : 3 * i + 3, features[at]] = [np.nextafter(exact, real(-np.inf)), exact, np.nextafter(exact, real(np.inf))]
    return _carried_back(view, wanted, base)


def splits_of(step: Any) -> Splits:
    """Features and values wherever the estimator's own answer may jump; what it holds is not looked at."""
    parts: list[tuple[Any, Any]] = []
    if hasattr(step, "tree_"):
        inner = step.tree_.children_left != step.tree_.children_right
        parts.append((step.tree_.feature[inner], step.tree_.threshold[inner]))
    for stage in getattr(step, "_predictors", []):
        for one in stage:
            inner = one.nodes[one.nodes["is_leaf"] == 0]
            parts.append((inner["feature_idx"], inner["num_threshold"]))
    edges = [*getattr(step, "bin_edges_", ()), *np.transpose(getattr(step, "quantiles_", np.zeros((0, 0))))]
    parts += [(np.full(len(column), i), column) for i, column in enumerate(edges)]
    if hasattr(step, "X_thresholds_"):
        parts.append((np.zeros(len(step.X_thresholds_)), step.X_thresholds_))
    parts += [(np.full(len(spline.t), i), spline.t) for i, spline in enumerate(getattr(step, "bsplines_", ()))]
    if type(step).__name__ == "Binarizer":
        parts.append((np.arange(step.n_features_in_), np.full(step.n_features_in_, step.threshold)))
    features = np.concatenate([np.asarray(part[0], np.int64) for part in parts] or [np.zeros(0, np.int64)])
    values = np.concatenate([np.asarray(part[1], np.float64) for part in parts] or [np.zeros(0)])
    finite = np.isfinite(values)
    return features[finite], values[finite]
