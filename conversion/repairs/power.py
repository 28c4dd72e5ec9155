"""PowerTransformer in double: Yeo-Johnson and Box-Cox by log1p and expm1, as scipy writes them.

skl2onnx 1.20 raises to powers in float32, which cancels near zero, and fails on double rows.
"""

from typing import Any

import numpy as np
from sklearn.preprocessing import PowerTransformer

from conversion.repairs import ufuncs
from conversion.repairs.registration import register_numbers
from conversion.writer import Writer
from serving.signature import Array

NAME = "power"
COVERED: tuple[type, ...] = (PowerTransformer,)
# Where scipy.special's boxcox divides inside the exponential, since outside it would overflow.
_LARGEST = 709.78


def register() -> None:
    register_numbers(PowerTransformer, lambda model: model.n_features_in_, _formula)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _formula(write: Writer, model: Any, rows: str) -> str:
    """PowerTransformer.transform"""
    lambdas = np.asarray(model.lambdas_, np.float64)
    value = (_box_cox if model.method == "box-cox" else _yeo_johnson)(write, rows, lambdas)
    if not model.standardize:
        return value
    centred = write.node("Sub", [value, write.constant(model._scaler.mean_)])
    return write.node("Div", [centred, write.constant(model._scaler.scale_)])


def _box_cox(write: Writer, rows: str, lambdas: Array) -> str:
    """scipy.special.boxcox: (x^l - 1) / l, or log x where l is zero. Where scikit-learn raises, up to zero, it is NaN."""
    positive = write.node("Greater", [rows, write.constant(0.0)])
    log = write.node("Log", [write.node("Where", [positive, rows, write.constant(np.nan)])])
    value = _raised(write, log, write.constant(lambdas), np.abs(lambdas) < 1e-19, lambdas)
    if not (np.abs(lambdas) > 1).any():
        return value
    used = np.where(np.abs(lambdas) < 1e-19, 1.0, lambdas)
    power = write.node("Mul", [log, write.constant(lambdas)])
    inside = write.node("Exp", [write.node("Sub", [power, write.constant(np.log(np.abs(used)))])])
    signed = write.node("Mul", [inside, write.constant(np.sign(used))])
    large = write.node("Sub", [signed, write.constant(1 / used)])
    return write.node("Where", [write.node("GreaterOrEqual", [power, write.constant(_LARGEST)]), large, value])


def _yeo_johnson(write: Writer, rows: str, lambdas: Array) -> str:
    """scipy.stats.yeojohnson: below zero the same of -x with 2 - l, and its sign turned."""
    eps = np.finfo(np.float64).eps
    above = write.node("GreaterOrEqual", [rows, write.constant(0.0)])
    log = ufuncs.written(write, np.log1p, None, write.node("Abs", [rows]))
    sides = []
    for given, none in ((lambdas, np.abs(lambdas) < eps), (2 - lambdas, np.abs(lambdas - 2) <= eps)):
        sides.append(_raised(write, log, write.constant(given), none, given))
    return write.node("Where", [above, sides[0], write.node("Neg", [sides[1]])])


def _raised(write: Writer, log: str, exponent: str, none: Array, exponents: Array) -> str:
    """expm1(l log) / l, or the logarithm itself for the columns that `none` marks."""
    grown = ufuncs.written(write, np.expm1, None, write.node("Mul", [log, exponent]))
    value = write.node("Div", [grown, write.constant(np.where(none, 1.0, exponents))])
    return write.node("Where", [write.constant(none, 9), log, value]) if none.any() else value
