"""SplineTransformer has no converter in skl2onnx 1.20; between two knots each of its splines is a polynomial.

The pieces are read from the fitted BSplines as Taylor coefficients at the left knot, and so are the pieces below and above
the base interval, which say how SplineTransformer.transform extrapolates. Where it raises the graph answers NaN.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.preprocessing import SplineTransformer

from conversion.errors import NotCovered
from conversion.repairs.registration import register_numbers
from conversion.writer import Writer
from serving.signature import Array

NAME = "splines"
COVERED: tuple[type, ...] = (SplineTransformer,)


@dataclass(frozen=True)
class Pieces:
    """One feature's splines. Piece 0 holds below `low`, the last above `high`, the others from knot to knot.

    inner: (pieces - 3,) knots between the inner pieces, start: (pieces,), taylor: (degree + 1, pieces, splines).
    """

    low: float
    high: float
    inner: Array
    start: Array
    taylor: Array


def register() -> None:
    register_numbers(SplineTransformer, lambda model: int(model.n_features_out_), _formula)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def pieces_of(model: Any) -> Iterator[Pieces]:
    """Every feature's."""
    edge = model.degree
    for spline in model.bsplines_:
        k, count = spline.k, len(spline.t) - spline.k - 1
        knots = spline.t[k:count]
        inside = np.array([_taylor(spline, knots, order) for order in range(max(k, 1) + 1)])
        low, high = spline.t[edge], spline.t[-edge - 1]
        if not low < high:
            raise NotCovered("a feature whose knots are all the same")
        # scikit-learn 1.9 widens `degree` as it goes from feature to feature when it extrapolates linearly from degree 0 or 1.
        edge += model.extrapolation == "linear" and edge <= 1
        below, above = _outside(model.extrapolation, edge, spline, inside, (low, high))
        follows = model.extrapolation in ("continue", "periodic")
        start = np.r_[low, knots, knots[-1] if follows else high]
        yield Pieces(low, high, knots[1:], start, np.concatenate([below, inside, above], axis=1))


def _taylor(spline: Any, at: Array, order: int) -> Array:
    values = spline(at, nu=order) if order <= spline.k else np.zeros((len(at), spline.c.shape[1]))
    return np.asarray(values) / factorial(order)


def _outside(how: str, edge: int, spline: Any, inside: Array, ends: tuple[float, float]) -> list[Array]:
    """The Taylor coefficients below and above: (degree + 1, 1, splines) each."""
    if how in ("continue", "periodic"):
        return [inside[:, :1], inside[:, -1:]]
    if how == "error":
        return [np.full_like(inside[:, :1], np.nan)] * 2
    if edge == 0:
        raise NotCovered("constant extrapolation from degree 0, which scikit-learn itself refuses above the last knot")
    found = []
    for end, splines in zip(ends, (slice(edge), slice(-edge, None)), strict=True):
        taylor = np.zeros_like(inside[:, :1])
        for order in range(2 if how == "linear" else 1):
            taylor[order, :, splines] = _taylor(spline, np.array([end]), order)[:, splines]
        found.append(taylor)
    return found


def _formula(write: Writer, model: Any, rows: str) -> str:
    pieces = list(pieces_of(model))
    low, high = (np.array([getattr(one, end) for one in pieces]) for end in ("low", "high"))
    missing = write.node("IsNaN", [rows])
    if model.extrapolation == "periodic":
        rows = _wrapped(write, rows, low, high - low)
    where = _piece(write, rows, pieces, low, high)
    start = write.node("Gather", [write.constant(np.concatenate([one.start for one in pieces])), where])
    last = write.constant([2], TensorProto.INT64)
    step = write.node("Unsqueeze", [write.node("Sub", [rows, start]), last])
    kept = slice(None) if model.include_bias else slice(-1)
    value = ""
    for taylor in np.concatenate([one.taylor for one in pieces], axis=1)[::-1, :, kept]:
        own = write.node("Gather", [write.constant(taylor), where], axis=0)
        value = write.node("Add", [write.node("Mul", [value, step]), own]) if value else own
    if model.handle_missing == "zeros":
        value = write.node("Where", [write.node("Unsqueeze", [missing, last]), write.constant(0.0), value])
    shape = write.constant([-1, int(model.n_features_out_)], TensorProto.INT64)
    return write.node("Reshape", [value, shape])


def _wrapped(write: Writer, rows: str, low: Array, period: Array) -> str:
    """Into the base interval by numpy's remainder, which is never negative."""
    past = write.node("Sub", [rows, write.constant(low)])
    rest = write.node("Mod", [past, write.constant(period)], fmod=1)
    negative = write.node("Less", [rest, write.constant(0.0)])
    rest = write.node("Where", [negative, write.node("Add", [rest, write.constant(period)]), rest])
    return write.node("Add", [rest, write.constant(low)])


def _piece(write: Writer, rows: str, pieces: list[Pieces], low: Array, high: Array) -> str:
    """The number of the piece in which each value lies, counted on from feature to feature. (n, features)"""
    inner = np.array([one.inner for one in pieces])
    wide = write.node("Unsqueeze", [rows, write.constant([2], TensorProto.INT64)])
    passed = write.node("Cast", [write.node("GreaterOrEqual", [wide, write.constant(inner[None])])], to=TensorProto.INT64)
    count = write.node("ReduceSum", [passed, write.constant([2], TensorProto.INT64)], keepdims=0)
    pieces_each = len(pieces[0].start)
    first = np.arange(len(pieces)) * pieces_each
    inside = write.node("Add", [count, write.constant(first + 1, TensorProto.INT64)])
    above = write.node("Greater", [rows, write.constant(high)])
    inside = write.node("Where", [above, write.constant(first + pieces_each - 1, TensorProto.INT64), inside])
    below = write.node("Less", [rows, write.constant(low)])
    return write.node("Where", [below, write.constant(first, TensorProto.INT64), inside])
