"""RBFSampler, SkewedChi2Sampler, AdditiveChi2Sampler and PolynomialCountSketch map rows to features of a kernel.

None has a converter in skl2onnx 1.20. Where scikit-learn raises (below zero, below -skewedness) the graph answers NaN.
"""

from typing import Any

import numpy as np
from sklearn.kernel_approximation import AdditiveChi2Sampler, PolynomialCountSketch, RBFSampler, SkewedChi2Sampler

from conversion.repairs.registration import register_numbers
from conversion.writer import Writer

NAME = "random_features"
COVERED: tuple[type, ...] = (RBFSampler, SkewedChi2Sampler, AdditiveChi2Sampler, PolynomialCountSketch)
_INTERVALS = {1: 0.8, 2: 0.5, 3: 0.4}


def register() -> None:
    register_numbers(RBFSampler, lambda model: model.n_components, _cosines)
    register_numbers(SkewedChi2Sampler, lambda model: model.n_components, _skewed)
    register_numbers(AdditiveChi2Sampler, lambda model: model.n_features_in_ * (2 * model.sample_steps - 1), _additive)
    register_numbers(PolynomialCountSketch, lambda model: model.n_components, _sketch)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _cosines(write: Writer, model: Any, rows: str) -> str:
    """RBFSampler.transform"""
    turned = write.node("MatMul", [rows, write.constant(model.random_weights_)])
    angle = write.node("Add", [turned, write.constant(model.random_offset_)])
    return write.node("Mul", [write.node("Cos", [angle]), write.constant((2.0 / model.n_components) ** 0.5)])


def _skewed(write: Writer, model: Any, rows: str) -> str:
    """SkewedChi2Sampler.transform"""
    return _cosines(write, model, write.node("Log", [write.node("Add", [rows, write.constant(model.skewedness)])]))


def _additive(write: Writer, model: Any, rows: str) -> str:
    """AdditiveChi2Sampler._transform_dense, which leaves zeros as they are."""
    interval = _INTERVALS[model.sample_steps] if model.sample_interval is None else model.sample_interval
    zero = write.node("Equal", [rows, write.constant(0.0)])
    positive = write.node("Where", [zero, write.constant(1.0), rows])
    angle = write.node("Mul", [write.node("Log", [positive]), write.constant(interval)])
    parts = [write.node("Sqrt", [write.node("Mul", [positive, write.constant(interval)])])]
    for j in range(1, model.sample_steps):
        share = write.constant(2 * interval / np.cosh(np.pi * j * interval))
        factor = write.node("Sqrt", [write.node("Mul", [positive, share])])
        turned = write.node("Mul", [angle, write.constant(float(j))])
        parts += [write.node("Mul", [factor, write.node(kind, [turned])]) for kind in ("Cos", "Sin")]
    return write.node("Concat", [write.node("Where", [zero, write.constant(0.0), part]) for part in parts], axis=1)


def _sketch(write: Writer, model: Any, rows: str) -> str:
    """PolynomialCountSketch.transform: the count sketches' Fourier transforms, multiplied, then transformed back."""
    width, count = model.n_features_in_, model.n_components
    wave = np.exp(-2j * np.pi * (np.outer(np.arange(count), np.arange(count)) % count) / count)
    real = imaginary = ""
    for bits, places in zip(model.bitHash_, model.indexHash_, strict=True):
        to_wave = np.sqrt(model.gamma) * bits[:width, None] * wave[places[:width]]
        constant = np.sqrt(model.coef0) * bits[width] * wave[places[width]] if model.coef0 else np.zeros(count, complex)
        pair = [
            write.node("Add", [write.node("MatMul", [rows, write.constant(part(to_wave))]), write.constant(part(constant))])
            for part in (np.real, np.imag)
        ]
        real, imaginary = _multiplied(write, (real, imaginary), (pair[0], pair[1])) if real else (pair[0], pair[1])
    back = np.conj(wave) / count
    kept, taken = (write.node("MatMul", [a, write.constant(b)]) for a, b in ((real, back.real), (imaginary, back.imag)))
    return write.node("Sub", [kept, taken])


def _multiplied(write: Writer, one: tuple[str, str], other: tuple[str, str]) -> tuple[str, str]:
    """The product of two complex arrays, given by their real and imaginary parts."""

    def product(a: int, b: int) -> str:
        return write.node("Mul", [one[a], other[b]])

    real = write.node("Sub", [product(0, 0), product(1, 1)])
    return real, write.node("Add", [product(0, 1), product(1, 0)])
