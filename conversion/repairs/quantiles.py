"""QuantileTransformer: numpy.interp forwards and backwards over the learned quantiles, in double.

skl2onnx 1.20 takes minutes for the usual 1000 quantiles and refuses output_distribution="normal".
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from scipy.stats import norm
from sklearn.preprocessing import QuantileTransformer
from sklearn.preprocessing._data import BOUNDS_THRESHOLD

from conversion.repairs.registration import register_numbers
from conversion.writer import Writer
from serving.signature import Array

NAME = "quantiles"
COVERED: tuple[type, ...] = (QuantileTransformer,)
# The quantiles of a feature are searched in two steps: which block, and then where in it.
BLOCK = 32
# Wichura, "Algorithm AS 241: The percentage points of the normal distribution", Applied Statistics 37(3), 1988: PPND16.
# The coefficients rise; the first column is the numerator.
_CENTRAL = np.array([
    [3.3871328727963666080e0, 1.0],
    [1.3314166789178437745e2, 4.2313330701600911252e1],
    [1.9715909503065514427e3, 6.8718700749205790830e2],
    [1.3731693765509461125e4, 5.3941960214247511077e3],
    [4.5921953931549871457e4, 2.1213794301586595867e4],
    [6.7265770927008700853e4, 3.9307895800092710610e4],
    [3.3430575583588128105e4, 2.8729085735721942674e4],
    [2.5090809287301226727e3, 5.2264952788528545610e3],
])  # fmt: skip
_OUTER = np.array([
    [1.42343711074968357734e0, 1.0],
    [4.63033784615654529590e0, 2.05319162663775882187e0],
    [5.76949722146069140550e0, 1.67638483018380384940e0],
    [3.64784832476320460504e0, 6.89767334985100004550e-1],
    [1.27045825245236838258e0, 1.48103976427480074590e-1],
    [2.41780725177450611770e-1, 1.51986665636164571966e-2],
    [2.27238449892691845833e-2, 5.47593808499534494600e-4],
    [7.74545014278341407640e-4, 1.05075007164441684324e-9],
])  # fmt: skip


def register() -> None:
    register_numbers(QuantileTransformer, lambda model: model.n_features_in_, _formula)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _formula(write: Writer, model: Any, rows: str) -> str:
    """QuantileTransformer._transform_col, for every column at once."""
    quantiles, references = np.asarray(model.quantiles_, np.float64).T, np.asarray(model.references_, np.float64)
    forwards = _interpolated(write, rows, "GreaterOrEqual", quantiles, references)
    backwards = _interpolated(write, rows, "Greater", quantiles, references)
    value = write.node("Mul", [write.node("Sub", [forwards, backwards]), write.constant(0.5)])
    low, high = write.constant(quantiles[:, 0]), write.constant(quantiles[:, -1])
    normal = model.output_distribution == "normal"
    if normal:
        edge = write.constant(BOUNDS_THRESHOLD)
        below = write.node("Less", [write.node("Sub", [rows, edge]), low])
        above = write.node("Greater", [write.node("Add", [rows, edge]), high])
    else:
        below, above = write.node("Equal", [rows, low]), write.node("Equal", [rows, high])
    value = write.node("Where", [below, write.constant(0.0), write.node("Where", [above, write.constant(1.0), value])])
    value = normal_quantile(write, value) if normal else value
    return write.node("Where", [write.node("IsNaN", [rows]), rows, value])


def _interpolated(write: Writer, rows: str, kind: str, quantiles: Array, references: Array) -> str:
    """numpy.interp(x, q, r), or numpy.interp(-x, -q[::-1], -r[::-1]) with "Greater", which holds on to the next quantile."""
    forwards = kind == "GreaterOrEqual"
    gaps = np.diff(quantiles, axis=1)
    slopes = np.divide(np.diff(references), gaps, out=np.zeros_like(gaps), where=gaps > 0)
    slopes = np.pad(np.where(np.isfinite(slopes), slopes, 0.0), ((0, 0), (1, 1)))
    # Number i stands for the values beyond i quantiles, that is between the quantiles i - 1 and i.
    held = np.clip(np.arange(len(references) + 1) - forwards, 0, len(references) - 1)
    where = _place(write, rows, kind, quantiles)
    found = [write.node("Gather", [write.constant(np.ravel(of)), where]) for of in (slopes, quantiles[:, held])]
    known = write.node("Gather", [write.constant(np.tile(references[held], len(quantiles))), where])
    step = write.node("Sub", [rows, found[1]] if forwards else [found[1], rows])
    return write.node("Add" if forwards else "Sub", [write.node("Mul", [found[0], step]), known])


def _place(write: Writer, rows: str, kind: str, quantiles: Array) -> str:
    """How many of its feature's quantiles a value is beyond, counted on from feature to feature. (n, features)"""
    features, count = quantiles.shape
    blocks = -(-count // BLOCK)
    table = np.pad(quantiles, ((0, 0), (0, blocks * BLOCK - count)), constant_values=np.inf).reshape(features, blocks, BLOCK)
    wide = write.node("Unsqueeze", [rows, write.constant([2], TensorProto.INT64)])
    passed = _beyond(write, kind, wide, write.constant(table[None, :, 1:, 0]))
    first = write.node("Add", [passed, write.constant(np.arange(features) * blocks, TensorProto.INT64)])
    block = write.node("Gather", [write.constant(table.reshape(-1, BLOCK)), first], axis=0)
    whole = write.node("Mul", [passed, write.constant(BLOCK, TensorProto.INT64)])
    place = write.node("Add", [whole, _beyond(write, kind, wide, block)])
    return write.node("Add", [place, write.constant(np.arange(features) * (count + 1), TensorProto.INT64)])


def _beyond(write: Writer, kind: str, wide: str, edges: str) -> str:
    reached = write.node("Cast", [write.node(kind, [wide, edges])], to=TensorProto.INT64)
    return write.node("ReduceSum", [reached, write.constant([2], TensorProto.INT64)], keepdims=0)


def normal_quantile(write: Writer, share: str) -> str:
    """scipy.stats.norm.ppf, clipped as QuantileTransformer clips it. (n, features)"""
    edge = BOUNDS_THRESHOLD - np.spacing(1)
    share = write.node("Clip", [share, write.constant(edge), write.constant(1 - edge)])
    off = write.node("Sub", [share, write.constant(0.5)])
    square = write.node("Mul", [off, off])
    middle = write.node("Mul", [off, _ratio(write, write.node("Sub", [write.constant(0.425**2), square]), _CENTRAL)])
    smaller = write.node("Min", [share, write.node("Sub", [write.constant(1.0), share])])
    root = write.node("Sqrt", [write.node("Neg", [write.node("Log", [smaller])])])
    outer = _ratio(write, write.node("Sub", [root, write.constant(1.6)]), _OUTER)
    outer = write.node("Mul", [outer, write.node("Sign", [off])])
    inside = write.node("LessOrEqual", [write.node("Abs", [off]), write.constant(0.425)])
    value = write.node("Where", [inside, middle, outer])
    return write.node("Clip", [value, write.constant(norm.ppf(edge)), write.constant(norm.ppf(1 - edge))])


def _ratio(write: Writer, value: str, coefficients: Array) -> str:
    """One polynomial over another: both from one product with the powers, none of which has another sign."""
    wide = write.node("Unsqueeze", [value, write.constant([2], TensorProto.INT64)])
    powers = write.node("Pow", [wide, write.constant(np.arange(float(len(coefficients))))])
    both = write.node("MatMul", [powers, write.constant(coefficients)])
    above, below = (write.node("Gather", [both, write.constant(side, TensorProto.INT64)], axis=2) for side in (0, 1))
    return write.node("Div", [above, below])
