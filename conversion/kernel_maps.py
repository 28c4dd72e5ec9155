"""What do scikit-learn 1.9's kernel models compute: a kernel to the rows that were kept, then one product?"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.kernel_ridge import KernelRidge
from sklearn.svm import SVR, NuSVR, OneClassSVM

from conversion.choices import Choice, Labels
from conversion.rounding import NotBounded, Value
from serving.signature import Array


def _kernel(name: Any, rows: Value, kept: Any, given: Mapping[str, Any]) -> Value:
    """sklearn.metrics.pairwise's kernels, and libsvm's k_function."""
    if not isinstance(kept, np.ndarray):
        raise NotBounded("the rows that were kept are sparse")
    kept = kept.astype(np.float64)
    gamma = 1.0 / kept.shape[1] if given.get("gamma") is None else float(given["gamma"])
    if name == "linear":
        return rows.product(kept.T)
    if name == "rbf":
        return _distances(rows, kept).scale(np.full(len(kept), -gamma)).exp()
    if name == "sigmoid":
        return rows.product(kept.T).scale(np.full(len(kept), gamma)).shift(np.full(len(kept), given["coef0"])).bend("tanh")
    raise NotBounded(f"no bound is written for the kernel {name!r}")


def _distances(rows: Value, kept: Array) -> Value:
    """euclidean_distances(..., squared=True), and the sum of squared differences: both within the same error."""
    norms = (kept.astype(np.longdouble) ** 2).sum(axis=1).astype(np.float64)
    slack = (rows.width + 8) * rows.unit * 2 * (rows.size @ (2 * np.abs(kept.T)) + norms)
    return rows.distances(rows.product(-2.0 * kept.T).shift(norms, slack))


def _ridge(step: Any, rows: Value) -> Value:
    given = {"gamma": step.gamma, "coef0": step.coef0}
    return _kernel(step.kernel, rows, step.X_fit_, given).product(step.dual_coef_.reshape(len(step.X_fit_), -1))


def _nystroem(step: Any, rows: Value) -> Value:
    given = {"coef0": 1, **(step.kernel_params or {})}
    given |= {name: getattr(step, name) for name in ("gamma", "coef0") if getattr(step, name) is not None}
    return _kernel(step.kernel, rows, step.components_, given).product(step.normalization_.T)


def _waves(step: Any, rows: Value) -> Value:
    value = rows.product(step.random_weights_).shift(step.random_offset_).bend("cos")
    return value.scale(np.full(value.width, (2.0 / step.n_components) ** 0.5))


def _support_vectors(step: Any, rows: Value) -> Value:
    if step._sparse:
        raise NotBounded("support vectors that are sparse")
    values = _kernel(step.kernel, rows, step.support_vectors_, {"gamma": step._gamma, "coef0": step.coef0})
    return values.product(step._dual_coef_.T).shift(np.asarray(step._intercept_, np.float64))


def _inlier(step: Any, rows: Value) -> Labels:
    return Labels(Choice(_support_vectors(step, rows), "above"), (-1, 1))


KERNELS: dict[tuple[type, str], Callable[[Any, Value], Value | Labels]] = {
    (KernelRidge, "predict"): _ridge,
    (Nystroem, "transform"): _nystroem,
    (RBFSampler, "transform"): _waves,
    (SVR, "predict"): _support_vectors,
    (NuSVR, "predict"): _support_vectors,
    (OneClassSVM, "predict"): _inlier,
    (OneClassSVM, "decision_function"): _support_vectors,
}
