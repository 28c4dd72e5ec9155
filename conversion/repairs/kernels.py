"""KernelRidge, Nystroem and KernelPCA: a kernel between the rows and the rows that were kept, then one product.

skl2onnx 1.20 has no converter for the first two, and in the last one measures distances row by row and divides rows of zeros
by zero. The kernels mirror sklearn.metrics.pairwise, in double.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.decomposition import KernelPCA
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.preprocessing import normalize

from conversion.errors import NotCovered
from conversion.repairs.distances import differences, manhattan, squared, summed
from conversion.repairs.normaliser import unit
from conversion.repairs.registration import register_numbers
from conversion.writer import Writer
from serving.signature import Array

NAME = "kernels"
COVERED: tuple[type, ...] = (KernelRidge, Nystroem, KernelPCA)


def register() -> None:
    register_numbers(KernelRidge, lambda model: np.reshape(model.dual_coef_[0], -1).size, _ridge)
    register_numbers(Nystroem, lambda model: len(model.normalization_), _nystroem)
    register_numbers(KernelPCA, lambda model: model.eigenvectors_.shape[1], _components)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _ridge(write: Writer, model: Any, rows: str) -> str:
    """KernelRidge.predict"""
    if callable(model.kernel) or not isinstance(model.X_fit_, np.ndarray):
        raise NotCovered("KernelRidge with a kernel of its own, or fitted on sparse rows")
    given = {"gamma": model.gamma, "degree": model.degree, "coef0": model.coef0}
    values = kernel(write, model.kernel, rows, model.X_fit_, given)
    return write.node("MatMul", [values, write.constant(model.dual_coef_.reshape(len(model.X_fit_), -1))])


def _nystroem(write: Writer, model: Any, rows: str) -> str:
    """Nystroem.transform"""
    if callable(model.kernel) or not isinstance(model.components_, np.ndarray):
        raise NotCovered("Nystroem with a kernel of its own, or fitted on sparse rows")
    given = dict(model.kernel_params or {})
    given |= {name: getattr(model, name) for name in ("gamma", "degree", "coef0") if getattr(model, name) is not None}
    values = kernel(write, model.kernel, rows, model.components_, given)
    return write.node("MatMul", [values, write.constant(model.normalization_.T)])


def _components(write: Writer, model: Any, rows: str) -> str:
    """KernelPCA.transform"""
    if callable(model.kernel) or not isinstance(model.X_fit_, np.ndarray):
        raise NotCovered("KernelPCA with a kernel of its own, or fitted on sparse rows")
    given = {"gamma": model.gamma_, "degree": model.degree, "coef0": model.coef0}
    precomputed = model.kernel == "precomputed"
    return projected(write, model, rows if precomputed else kernel(write, model.kernel, rows, model.X_fit_, given))


def projected(write: Writer, model: Any, values: str) -> str:
    """What KernelPCA.transform makes of a kernel: KernelCenterer.transform, then the axes that are not empty."""
    fitted = model._centerer
    total = write.node("ReduceSum", [values, write.constant([1], TensorProto.INT64)], keepdims=1)
    mean = write.node("Div", [total, write.constant(float(len(fitted.K_fit_rows_)))])
    centred = write.node("Sub", [write.node("Sub", [values, write.constant(fitted.K_fit_rows_)]), mean])
    kept = np.flatnonzero(model.eigenvalues_)
    axes = np.zeros_like(model.eigenvectors_)
    axes[:, kept] = model.eigenvectors_[:, kept] / np.sqrt(model.eigenvalues_[kept])
    return write.node("MatMul", [write.node("Add", [centred, write.constant(fitted.K_fit_all_)]), write.constant(axes)])


def kernel(write: Writer, name: str, rows: str, kept: Array, given: Mapping[str, Any]) -> str:
    """pairwise_kernels(rows, kept, metric=name, filter_params=True, **given): (n, len(kept))."""
    gamma = 1.0 / kept.shape[1] if given.get("gamma") is None else float(given["gamma"])
    if name == "linear":
        return _products(write, rows, kept)
    if name in ("poly", "polynomial", "sigmoid"):
        scaled = write.node("Mul", [_products(write, rows, kept), write.constant(gamma)])
        raised = write.node("Add", [scaled, write.constant(given.get("coef0", 1))])
        return write.node("Tanh", [raised]) if name == "sigmoid" else _power(write, raised, given.get("degree", 3))
    if name == "rbf":
        return _decay(write, squared(write, rows, kept), gamma)
    if name == "cosine":
        return _products(write, unit(write, rows), normalize(kept))
    if name == "laplacian":
        return _decay(write, manhattan(write, rows, kept), gamma)
    if name in ("chi2", "additive_chi2"):
        distance = _chi2(write, rows, kept)
        return _decay(write, distance, given.get("gamma", 1.0)) if name == "chi2" else write.node("Neg", [distance])
    raise NotCovered(f"the kernel {name!r}")


def _products(write: Writer, rows: str, kept: Array) -> str:
    return write.node("MatMul", [rows, write.constant(kept.T)])


def _power(write: Writer, value: str, degree: float) -> str:
    return write.node("Pow", [value, write.constant(degree)])


def _decay(write: Writer, distance: str, gamma: float) -> str:
    return write.node("Exp", [write.node("Mul", [distance, write.constant(-gamma)])])


def _chi2(write: Writer, rows: str, kept: Array) -> str:
    """additive_chi2_kernel without its sign. Below zero, where scikit-learn raises, it is NaN."""
    off = write.node("Less", [rows, write.constant(0.0)])
    rows = write.node("Where", [off, write.constant(np.nan), rows])
    apart = differences(write, "Sub", rows, kept)
    together = differences(write, "Add", rows, kept)
    none = write.node("Equal", [together, write.constant(0.0)])
    divisor = write.node("Where", [none, write.constant(1.0), together])
    return summed(write, write.node("Div", [write.node("Mul", [apart, apart]), divisor]))
