"""What does each of scikit-learn 1.9's affine transformers compute in `transform`, operation by operation?"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import cross_decomposition, decomposition, preprocessing, random_projection
from sklearn.cluster import FeatureAgglomeration
from sklearn.neighbors import NeighborhoodComponentsAnalysis
from sklearn.neural_network import BernoulliRBM

from conversion.error_bounds.rounding import DOUBLE, SINGLE, NotBounded, Value


def _standard(step: Any, rows: Value) -> Value:
    rows = rows.shift(-step.mean_) if step.with_mean else rows
    return rows.divide(step.scale_) if step.with_std else rows


def _robust(step: Any, rows: Value) -> Value:
    rows = rows.shift(-step.center_) if step.with_centering else rows
    return rows.divide(step.scale_) if step.with_scaling else rows


def _min_max(step: Any, rows: Value) -> Value:
    rows = rows.scale(step.scale_).shift(step.min_)
    return rows.clip(float(step.feature_range[0]), float(step.feature_range[1])) if step.clip else rows


def _max_abs(step: Any, rows: Value) -> Value:
    rows = rows.divide(step.scale_)
    return rows.clip(-1.0, 1.0) if step.clip else rows


def _components(step: Any, rows: Value) -> Value:
    components = step.components_
    return rows.product((components if isinstance(components, np.ndarray) else np.asarray(components.todense())).T)


def _principal(step: Any, rows: Value) -> Value:
    """_BasePCA._transform, which projects the mean in its own precision."""
    moved = step.mean_ @ step.components_.T
    unit, n = SINGLE if moved.dtype == np.float32 else DOUBLE, len(step.mean_)
    slack = n * unit / (1 - n * unit) * (np.abs(step.mean_).astype(np.float64) @ np.abs(step.components_.T))
    rows = rows.product(step.components_.T).shift(-moved.astype(np.float64), 2 * slack)
    if not step.whiten:
        return rows
    scale = np.sqrt(step.explained_variance_)
    return rows.divide(np.maximum(scale, np.finfo(scale.dtype).eps).astype(np.float64))


def _factors(step: Any, rows: Value) -> Value:
    weighted = step.components_ / step.noise_variance_
    inner = np.eye(len(step.components_)) + np.dot(weighted, step.components_.T)
    inverse = np.linalg.inv(inner)
    # Another machine may invert it otherwise: Higham, section 14.3.
    unit = SINGLE if weighted.dtype == np.float32 else DOUBLE
    slack = 64 * (sum(weighted.shape)) * unit * np.abs(inverse) @ np.abs(inner) @ np.abs(inverse)
    return rows.shift(-step.mean_).product(weighted.T).product(inverse, slack=slack)


def _independent(step: Any, rows: Value) -> Value:
    return _components(step, rows.shift(-step.mean_) if step.whiten else rows)


def _sparse_components(step: Any, rows: Value) -> Value:
    """SparsePCA.transform solves a positive definite system by Cholesky: Higham, theorem 10.4; section 3.5 for forming it."""
    components = step.components_
    if components.dtype != np.float64 or len(components) > components.shape[1]:
        raise NotBounded("ridge regression on these components does not run in double, or solves the dual")
    system = components @ components.T + step.ridge_alpha * np.eye(len(components))
    if np.linalg.cond(system) > 1e8:
        raise NotBounded("the sparse components are nearly dependent")
    inverse = np.abs(np.linalg.inv(system)) * (1 + 1e-6)
    weights = np.linalg.solve(system, components).T
    n, diagonal = sum(components.shape) + 2, np.sqrt(np.diag(system))
    formed = np.abs(components) @ np.abs(components.T) + 3 * np.outer(diagonal, diagonal) + step.ridge_alpha
    solved = inverse @ np.abs(components)
    slack = 8 * n * DOUBLE * (solved + inverse @ formed @ solved)
    return rows.shift(-step.mean_).product(weights, slack=slack.T)


def _rotated(step: Any, rows: Value) -> Value:
    return rows.shift(-step._x_mean).divide(step._x_std).product(step.x_rotations_)


def _rotated_by_svd(step: Any, rows: Value) -> Value:
    return rows.shift(-step._x_mean).divide(step._x_std).product(step.x_weights_)


def _pooled(step: Any, rows: Value) -> Value:
    if step.pooling_func is not np.mean:
        raise NotBounded("features are pooled with another function than numpy.mean")
    size = np.bincount(step.labels_)
    return rows.product(np.eye(len(size))[step.labels_]).divide(size.astype(np.float64))


def _hidden(step: Any, rows: Value) -> Value:
    return rows.product(step.components_.T).shift(step.intercept_hidden_).bend("logistic")


def _passed(step: Any, rows: Value) -> Value:
    if step.func is not None:
        raise NotBounded("a function of the user's own")
    return rows


TRANSFORMS: dict[type, Callable[[Any, Value], Value]] = {
    preprocessing.StandardScaler: _standard,
    preprocessing.RobustScaler: _robust,
    preprocessing.MinMaxScaler: _min_max,
    preprocessing.MaxAbsScaler: _max_abs,
    decomposition.PCA: _principal,
    decomposition.IncrementalPCA: _principal,
    decomposition.TruncatedSVD: _components,
    decomposition.FactorAnalysis: _factors,
    decomposition.FastICA: _independent,
    decomposition.SparsePCA: _sparse_components,
    decomposition.MiniBatchSparsePCA: _sparse_components,
    NeighborhoodComponentsAnalysis: _components,
    random_projection.GaussianRandomProjection: _components,
    random_projection.SparseRandomProjection: _components,
    FeatureAgglomeration: _pooled,
    cross_decomposition.PLSRegression: _rotated,
    cross_decomposition.PLSCanonical: _rotated,
    cross_decomposition.CCA: _rotated,
    cross_decomposition.PLSSVD: _rotated_by_svd,
    BernoulliRBM: _hidden,
    preprocessing.FunctionTransformer: _passed,
}
