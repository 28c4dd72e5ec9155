"""IsotonicRegression has no converter in skl2onnx 1.20; it interpolates between thresholds.

Mirrors IsotonicRegression._transform, which is numpy.interp between the first and the last threshold. Beyond them it clips,
answers NaN, or raises; where it raises the graph answers NaN.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.isotonic import IsotonicRegression

from conversion.repairs.registration import register_numbers
from conversion.writer import Writer

NAME = "isotonic"
COVERED: tuple[type, ...] = (IsotonicRegression,)


def register() -> None:
    register_numbers(IsotonicRegression, lambda _: 1, formula)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def formula(write: Writer, model: Any, rows: str) -> str:
    x, y = (np.asarray(values, np.float64) for values in (model.X_thresholds_, model.y_thresholds_))
    if model.X_thresholds_.dtype == np.float32:
        rows = write.node("Cast", [write.node("Cast", [rows], to=TensorProto.FLOAT)], to=TensorProto.DOUBLE)
    first, last = write.constant(x[0]), write.constant(x[-1])
    inside = write.node("Min", [write.node("Max", [rows, first]), last])
    if len(y) == 1:
        return write.node("Add", [write.node("Mul", [inside, write.constant(0.0)]), write.constant(y)])
    above = write.node("Cast", [write.node("GreaterOrEqual", [inside, write.constant(x[1:-1])])], to=TensorProto.INT64)
    axis = write.constant([1], TensorProto.INT64)
    piece = write.node("ReduceSum", [above, axis], keepdims=1)
    start, low, slope = (write.node("Gather", [write.constant(of), piece]) for of in (x[:-1], y[:-1], np.diff(y) / np.diff(x)))
    value = write.node("Add", [write.node("Mul", [slope, write.node("Sub", [inside, start])]), low])
    if model.out_of_bounds == "clip":
        return value
    return write.node("Where", [write.node("Equal", [inside, rows]), value, write.constant(np.nan)])
