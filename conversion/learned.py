"""What does a fitted object know of the rows it saw: their scale, their centres, their thresholds?

Whatever an inner estimator knows is carried back through the inverses of the steps before it.
"""

from typing import Any

import numpy as np

from conversion.views import NoWay, View, views
from serving.signature import Array

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
        return _spread_of_splits([split for split in splits_of(step) if split[0] < width], width)
    centre = np.zeros(width) if centre is None else centre
    spread = np.ones(width) if spread is None else np.where(spread > 0, spread, 1.0)
    return centre, spread, np.ones(width, bool)


def _fitted_rows(step: Any, width: int) -> Array | None:
    for name in _ROWS:
        known = getattr(step, name, None)
        if isinstance(known, np.ndarray) and known.ndim == 2 and known.shape[1] == width and len(known) > 1:
            return known.astype(np.float64)
    return None


def _spread_of_splits(splits: list[tuple[int, float]], width: int) -> tuple[Array, Array, Array] | None:
    """What saw no scaler splits where its rows are."""
    if not splits:
        return None
    centre, spread, told = np.zeros(width), np.ones(width), np.zeros(width, bool)
    features, values = np.array([f for f, _ in splits]), np.array([t for _, t in splits])
    for feature in np.unique(features):
        own = values[(features == feature) & np.isfinite(values)]
        if len(own):
            centre[feature], spread[feature] = np.median(own), max(float(own.std()), 1e-3 * abs(float(np.median(own))), 1e-6)
            told[feature] = True
    return centre, spread, told


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
    groups: dict[tuple[int, ...], tuple[View, list[tuple[int, float]]]] = {}
    for view in views(estimator):
        if real is np.float32 or not any(hasattr(passage, "step") for passage in view.way):
            key = tuple(id(passage) for passage in view.way)
            groups.setdefault(key, (view, []))[1].extend(splits_of(view.estimator))
    groups = {key: group for key, group in groups.items() if group[1]}
    for view, splits in groups.values():
        made += _sides(view, splits, typical, rng, real, max(LEAST, PER_OBJECT // 3 // len(groups)))
    return np.concatenate(made)


def _sides(
    view: View, splits: list[tuple[int, float]], typical: Array, rng: np.random.Generator, real: type, count: int
) -> list[Array]:
    base = typical[rng.integers(0, len(typical), 3 * min(count, len(splits)))]
    try:
        wanted = view.forward(base).copy()
    except NoWay:
        return []
    # A chain's trees split on what the chain itself has added, too.
    splits = [split for split in splits if split[0] < wanted.shape[1]]
    chosen = [splits[i] for i in rng.permutation(len(splits))[:count]]
    for i, (feature, threshold) in enumerate(chosen):
        exact = real(threshold)
        wanted[3 * i : 3 * i + 3, feature] = [np.nextafter(exact, real(-np.inf)), exact, np.nextafter(exact, real(np.inf))]
    return _carried_back(view, wanted, base)


def splits_of(step: Any) -> list[tuple[int, float]]:
    """(feature, value) wherever the estimator's own answer may jump; what it holds is not looked at."""
    splits = _inner(step.tree_) if hasattr(step, "tree_") else []
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


def _inner(tree: Any) -> list[tuple[int, float]]:
    inner = tree.children_left != tree.children_right
    return list(zip(tree.feature[inner].tolist(), tree.threshold[inner].tolist(), strict=True))
