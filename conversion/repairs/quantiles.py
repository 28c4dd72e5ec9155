"""QuantileTransformer: numpy.interp forwards and backwards over the learned quantiles, in double.

skl2onnx 1.20 takes minutes for the usual 1000 quantiles and refuses output_distribution="normal".
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from scipy.stats import norm
from sklearn.preprocessing import QuantileTransformer
from sklearn.preprocessing._data import BOUNDS_THRESHOLD

from conversion.repairs.normal import quantile
from conversion.repairs.registration import register_numbers
from conversion.writer import Writer
from serving.signature import Array

NAME = "quantiles"
COVERED: tuple[type, ...] = (QuantileTransformer,)
# The quantiles of a feature are searched in two steps: which block, and then where in it.
BLOCK = 32


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
    if normal:
        edge_share = BOUNDS_THRESHOLD - np.spacing(1)
        value = quantile(write, value, edge_share)
        value = write.node("Clip", [value, write.constant(norm.ppf(edge_share)), write.constant(norm.ppf(1 - edge_share))])
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
