"""What do scikit-learn 1.9's kernel models compute: a kernel to the rows that were kept, then one product?"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process import kernels as gp
from sklearn.kernel_approximation import Nystroem, RBFSampler
from sklearn.kernel_ridge import KernelRidge
from sklearn.svm import SVR, NuSVR, OneClassSVM

from conversion.error_bounds.choices import Choice, Labels
from conversion.error_bounds.rounding import NotBounded, Value
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
        return rows.distances_to(kept).scale(np.full(len(kept), -gamma)).exp()
    if name == "sigmoid":
        return rows.product(kept.T).scale(np.full(len(kept), gamma)).shift(np.full(len(kept), given["coef0"])).bend("tanh")
    raise NotBounded(f"no bound is written for the kernel {name!r}")


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


def _process(step: Any, rows: Value) -> Value:
    """The mean that GaussianProcessRegressor.predict gives."""
    kept = np.asarray(step.X_train_, np.float64)
    value = _covariance(step.kernel_, rows, kept)
    if not isinstance(value, Value):
        raise NotBounded(f"the kernel {step.kernel_!r} does not look at the rows")
    mean = value.product(np.asarray(step.alpha_, np.float64).reshape(len(kept), -1))
    return mean.scale(np.asarray(step._y_train_std, np.float64)).shift(np.asarray(step._y_train_mean, np.float64))


def _covariance(kernel: Any, rows: Value, kept: Array) -> Value | float:
    """A kernel of sklearn.gaussian_process between the rows and those that were kept; a number where it is one."""
    kind = type(kernel)
    if kind is gp.ConstantKernel:
        return float(kernel.constant_value)
    if kind is gp.WhiteKernel:
        return 0.0
    if kind is gp.RBF:
        length = np.broadcast_to(np.squeeze(kernel.length_scale).astype(np.float64), (rows.width,))
        return rows.divide(length).distances_to(kept / length).scale(np.full(len(kept), -0.5)).exp()
    if kind not in (gp.Sum, gp.Product):
        raise NotBounded(f"no bound is written for the kernel {kernel!r}")
    one, two = (_covariance(part, rows, kept) for part in (kernel.k1, kernel.k2))
    if isinstance(one, float):
        one, two = two, one
    if not isinstance(one, Value) or not isinstance(two, float):
        raise NotBounded(f"the kernel {kernel!r} looks at the rows twice, or never")
    by = np.full(len(kept), two)
    return one.scale(by) if kind is gp.Product else one.shift(by)


KERNELS: dict[tuple[type, str], Callable[[Any, Value], Value | Labels]] = {
    (KernelRidge, "predict"): _ridge,
    (GaussianProcessRegressor, "predict"): _process,
    (Nystroem, "transform"): _nystroem,
    (RBFSampler, "transform"): _waves,
    (SVR, "predict"): _support_vectors,
    (NuSVR, "predict"): _support_vectors,
    (OneClassSVM, "predict"): _inlier,
    (OneClassSVM, "decision_function"): _support_vectors,
}
