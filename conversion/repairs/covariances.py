"""The kernels of Gaussian processes, as sklearn.gaussian_process.kernels computes them between rows and training rows.

A kernel that is the same number everywhere is that number, and no node.
"""

import math
from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.gaussian_process import kernels as gp

from conversion.errors import NotCovered
from conversion.repairs.distances import LARGEST, differences
from conversion.repairs.kernels import kernel
from conversion.writer import Writer
from serving.signature import Array

Value = str | float
_STATIONARY = (gp.RBF, gp.Matern, gp.RationalQuadratic, gp.ExpSineSquared)


def covariance(write: Writer, model: Any, rows: str, kept: Array) -> Value:
    """kernel(rows, kept): (n, len(kept)). Raises NotCovered for a kernel that has no mirror here."""
    kind = type(model)
    if kind in (gp.Sum, gp.Product):
        parts = [covariance(write, one, rows, kept) for one in (model.k1, model.k2)]
        return _combined(write, "Add" if kind is gp.Sum else "Mul", *parts)
    if kind is gp.Exponentiation:
        return _raised(write, covariance(write, model.kernel, rows, kept), model.exponent)
    if kind is gp.ConstantKernel:
        return float(model.constant_value)
    if kind is gp.WhiteKernel:
        return 0.0
    if kind is gp.DotProduct:
        products = write.node("MatMul", [rows, write.constant(kept.T)])
        return write.node("Add", [products, write.constant(model.sigma_0**2)])
    if kind is gp.PairwiseKernel and isinstance(model.metric, str):
        return kernel(write, model.metric, rows, kept, {"gamma": model.gamma, **(model.pairwise_kernels_kwargs or {})})
    if kind in _STATIONARY:
        return _stationary(write, model, rows, kept)
    raise NotCovered(f"the kernel {model!r}")


def diagonal(write: Writer, model: Any, rows: str) -> Value:
    """kernel.diag(rows): (n, 1)."""
    kind = type(model)
    if kind in (gp.Sum, gp.Product):
        parts = [diagonal(write, one, rows) for one in (model.k1, model.k2)]
        return _combined(write, "Add" if kind is gp.Sum else "Mul", *parts)
    if kind is gp.Exponentiation:
        return _raised(write, diagonal(write, model.kernel, rows), model.exponent)
    if kind is gp.ConstantKernel:
        return float(model.constant_value)
    if kind is gp.WhiteKernel:
        return float(model.noise_level)
    if kind is gp.DotProduct:
        own = write.node("ReduceSumSquare", [rows, write.constant([1], TensorProto.INT64)], keepdims=1)
        return write.node("Add", [own, write.constant(model.sigma_0**2)])
    if kind in _STATIONARY:
        return 1.0
    raise NotCovered(f"the variance of the kernel {model!r}")


def _stationary(write: Writer, model: Any, rows: str, kept: Array) -> str:
    if isinstance(model, gp.RationalQuadratic):
        distance = apart(write, rows, kept)
        divided = write.node("Div", [distance, write.constant(2 * model.alpha * np.ravel(model.length_scale)[0] ** 2)])
        grown = write.node("Add", [divided, write.constant(1.0)])
        return write.node("Pow", [grown, write.constant(float(-model.alpha))])
    if isinstance(model, gp.ExpSineSquared):
        distance = write.node("Sqrt", [apart(write, rows, kept)])
        angle = write.node("Mul", [distance, write.constant(np.pi / model.periodicity)])
        wave = write.node("Div", [write.node("Sin", [angle]), write.constant(model.length_scale)])
        return _decay(write, write.node("Mul", [wave, wave]), -2.0)
    length = np.squeeze(model.length_scale).astype(float)
    distance = apart(write, write.node("Div", [rows, write.constant(length)]), kept / length)
    if not isinstance(model, gp.Matern) or model.nu == np.inf:
        return _decay(write, distance, -0.5)
    return _matern(write, model.nu, write.node("Sqrt", [distance]))


def _matern(write: Writer, nu: float, distance: str) -> str:
    if nu == 0.5:
        return _decay(write, distance, -1.0)
    if nu not in (1.5, 2.5):
        raise NotCovered(f"a Matern kernel with nu={nu} is a Bessel function; covered are 0.5, 1.5, 2.5 and inf")
    scaled = write.node("Mul", [distance, write.constant(math.sqrt(2 * nu))])
    factor = write.node("Add", [scaled, write.constant(1.0)])
    if nu == 2.5:
        factor = write.node("Add", [factor, write.node("Div", [write.node("Mul", [scaled, scaled]), write.constant(3.0)])])
    return write.node("Mul", [factor, _decay(write, scaled, -1.0)])


def apart(write: Writer, rows: str, kept: Array) -> str:
    """cdist(rows, kept, "sqeuclidean"): the differences themselves, or about the mean where they would be too many."""
    if kept.size <= LARGEST:
        away = differences(write, "Sub", rows, kept)
        return write.node("ReduceSumSquare", [away, write.constant([2], TensorProto.INT64)], keepdims=0)
    about = kept - kept.mean(axis=0)
    centred = write.node("Sub", [rows, write.constant(kept.mean(axis=0))])
    own = write.node("ReduceSumSquare", [centred, write.constant([1], TensorProto.INT64)], keepdims=1)
    crossed = write.node("Gemm", [centred, write.constant(-2.0 * about.T), write.constant(np.einsum("ij,ij->i", about, about))])
    return write.node("Max", [write.node("Add", [crossed, own]), write.constant(0.0)])


def _decay(write: Writer, value: str, rate: float) -> str:
    return write.node("Exp", [write.node("Mul", [value, write.constant(rate)])])


def _raised(write: Writer, value: Value, exponent: float) -> Value:
    if isinstance(value, float):
        return float(value**exponent)
    return write.node("Pow", [value, write.constant(float(exponent))])


def _combined(write: Writer, kind: str, first: Value, second: Value) -> Value:
    if isinstance(first, float) and isinstance(second, float):
        return first + second if kind == "Add" else first * second
    names = [one if isinstance(one, str) else write.constant(one) for one in (first, second)]
    nothing = {"Add": 0.0, "Mul": 1.0}[kind]
    for one, other in ((first, names[1]), (second, names[0])):
        if one == nothing:
            return other
    return write.node(kind, names)
