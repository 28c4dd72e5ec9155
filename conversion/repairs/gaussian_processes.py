"""Gaussian processes: a few operators for the kernel, and what needs a solution is solved once, here.

skl2onnx 1.20 measures distances row by row, and has neither several classes nor a solver that onnxruntime knows.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from scipy.linalg import solve_triangular
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process._gpc import COEFS, LAMBDAS

from conversion.errors import NotCovered
from conversion.repairs.covariances import covariance, diagonal
from conversion.repairs.normal import erf
from conversion.repairs.posterior import best
from conversion.repairs.registration import register_classifier, register_numbers
from conversion.writer import Writer

NAME = "gaussian_processes"
COVERED: tuple[type, ...] = (GaussianProcessRegressor, GaussianProcessClassifier)


def register() -> None:
    register_numbers(GaussianProcessRegressor, lambda model: model.alpha_.reshape(len(model.alpha_), -1).shape[1], _mean)
    register_classifier(GaussianProcessClassifier, _classes)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _mean(write: Writer, model: Any, rows: str) -> str:
    """GaussianProcessRegressor.predict"""
    weights = np.asarray(model.alpha_, np.float64).reshape(len(model.alpha_), -1)
    value = write.node("MatMul", [_known(write, model, rows), write.constant(weights)])
    scaled = write.node("Mul", [value, write.constant(np.asarray(model._y_train_std, np.float64))])
    return write.node("Add", [scaled, write.constant(np.asarray(model._y_train_mean, np.float64))])


def _known(write: Writer, model: Any, rows: str) -> str:
    """The kernel with every training row: (n, training rows)."""
    value = covariance(write, model.kernel_, rows, np.asarray(model.X_train_, np.float64))
    if not isinstance(value, str):
        raise NotCovered(f"the kernel {model.kernel_!r}, which does not look at the rows")
    return value


def _classes(write: Writer, model: Any, rows: str) -> tuple[str, str]:
    """GaussianProcessClassifier.predict and .predict_proba, of several classes by OneVsRestClassifier's rules."""
    if model.n_classes_ == 2:
        latent, share = _binary(write, model.base_estimator_, rows)
        positive = write.node("Cast", [write.node("Greater", [latent, write.constant(0.0)])], to=TensorProto.INT64)
        other = write.node("Sub", [write.constant(1.0), share])
        index = write.node("Squeeze", [positive, write.constant([1], TensorProto.INT64)])
        return index, write.node("Concat", [other, share], axis=1)
    if model.multi_class != "one_vs_rest":
        raise NotCovered("GaussianProcessClassifier one against one, which has no probabilities; fit one_vs_rest")
    parts = [_binary(write, one, rows)[1] for one in model.base_estimator_.estimators_]
    shares = write.node("Concat", parts, axis=1)
    total = write.node("ReduceSum", [shares, write.constant([1], TensorProto.INT64)], keepdims=1)
    none = write.node("Equal", [total, write.constant(0.0)])
    divisor = write.node("Where", [none, write.constant(1.0), total])
    return best(write, shares), write.node("Div", [shares, divisor])


def _binary(write: Writer, model: Any, rows: str) -> tuple[str, str]:
    """The latent mean, whose sign decides, and the share of the second class: (n, 1) each.

    Algorithm 3.2 of Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, and the integral of
    _BinaryGaussianProcessClassifierLaplace.predict_proba.
    """
    known = _known(write, model, rows)
    latent = write.node("MatMul", [known, write.constant((model.y_train_ - model.pi_)[:, None])])
    solved = solve_triangular(model.L_, np.diag(model.W_sr_), lower=True)
    explained = write.node("MatMul", [known, write.constant(solved.T)])
    taken = write.node("ReduceSumSquare", [explained, write.constant([1], TensorProto.INT64)], keepdims=1)
    own = diagonal(write, model.kernel_, rows)
    variance = write.node("Sub", [own if isinstance(own, str) else write.constant(own), taken])
    alpha = write.node("Div", [write.constant(0.5), variance])
    widened = write.node("Div", [alpha, write.node("Add", [alpha, write.constant(LAMBDAS.T**2)])])
    stretched = write.node("Mul", [latent, write.constant(LAMBDAS.T)])
    steps = erf(write, write.node("Mul", [stretched, write.node("Sqrt", [widened])]))
    share = write.node("MatMul", [steps, write.constant(0.5 * COEFS)])
    return latent, write.node("Add", [share, write.constant(0.5 * COEFS.sum())])
