"""GaussianMixture and BayesianGaussianMixture in double, by scikit-learn's own order of additions.

skl2onnx 1.20 computes in float32, and fails on the double graph of a mixture behind a scaler.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from scipy.special import digamma
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.mixture._gaussian_mixture import _compute_log_det_cholesky

from conversion.repairs.posterior import best, shares
from conversion.repairs.registration import register_labels
from conversion.writer import Writer

NAME = "mixtures"
COVERED: tuple[type, ...] = (GaussianMixture, BayesianGaussianMixture)


def register() -> None:
    for kind in COVERED:
        register_labels(kind, lambda model: len(model.means_), _formula, {"score_samples": [True, False]})


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _formula(write: Writer, model: Any, rows: str) -> tuple[str, str]:
    """BaseMixture.predict and .predict_proba."""
    width, kind = model.means_.shape[1], model.covariance_type
    spread = _flat(write, model, rows) if kind in ("diag", "spherical") else _turned(write, model, rows)
    value = write.node("Mul", [write.node("Add", [spread, write.constant(width * np.log(2 * np.pi))]), write.constant(-0.5)])
    for part in (_compute_log_det_cholesky(model.precisions_cholesky_, kind, width), *_weights(model, width)):
        value = write.node("Add", [value, write.constant(part)])
    return best(write, value), shares(write, value)


def _weights(model: Any, width: int) -> tuple[Any, ...]:
    """What _estimate_log_prob and _estimate_log_weights add to the Gaussian's own, one after the other."""
    if isinstance(model, GaussianMixture):
        return (model._estimate_log_weights(),)
    freedom = model.degrees_of_freedom_
    log_lambda = width * np.log(2.0) + np.sum(digamma(0.5 * (freedom - np.arange(0, width)[:, np.newaxis])), 0)
    return -0.5 * width * np.log(freedom), 0.5 * (log_lambda - width / model.mean_precision_), model._estimate_log_weights()


def _turned(write: Writer, model: Any, rows: str) -> str:
    """|x P - m P|^2 for every component, from one product with all the factors side by side. (n, components)"""
    means, factors = model.means_, model.precisions_cholesky_
    count, width = means.shape
    tied = model.covariance_type == "tied"
    centres = np.array([mean @ (factors if tied else factors[k]) for k, mean in enumerate(means)])
    beside = factors if tied else factors.transpose(1, 0, 2).reshape(width, count * width)
    turned = write.node("MatMul", [rows, write.constant(beside)])
    shape = write.constant([-1, 1 if tied else count, width], TensorProto.INT64)
    away = write.node("Sub", [write.node("Reshape", [turned, shape]), write.constant(centres)])
    return write.node("ReduceSumSquare", [away, write.constant([2], TensorProto.INT64)], keepdims=0)


def _flat(write: Writer, model: Any, rows: str) -> str:
    """m^2 p - 2 x m p + x^2 p, with a precision for every feature or one for all. (n, components)"""
    means, precisions = model.means_, model.precisions_cholesky_**2
    squares = write.node("Mul", [rows, rows])
    if model.covariance_type == "diag":
        first = np.sum(means**2 * precisions, axis=1)
        crossed = write.node("MatMul", [rows, write.constant((means * precisions).T)])
        last = write.node("MatMul", [squares, write.constant(precisions.T)])
    else:
        first = np.sum(means**2, axis=1) * precisions
        crossed = write.node("Mul", [write.node("MatMul", [rows, write.constant(means.T)]), write.constant(precisions)])
        own = write.node("ReduceSum", [squares, write.constant([1], TensorProto.INT64)], keepdims=1)
        last = write.node("Mul", [own, write.constant(precisions)])
    doubled = write.node("Mul", [crossed, write.constant(2.0)])
    return write.node("Add", [write.node("Sub", [write.constant(first), doubled]), last])
