"""Normalizer in double, by scikit-learn's own rule for rows of next to nothing.

onnxruntime's Normalizer computes in float32, and divides a row of zeros by zero.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from sklearn.preprocessing import Normalizer

from conversion.repairs.registration import register_numbers
from conversion.writer import Writer

NAME = "normaliser"
COVERED: tuple[type, ...] = (Normalizer,)
_SMALLEST = 10 * np.finfo(np.float64).eps


def register() -> None:
    register_numbers(Normalizer, lambda model: model.n_features_in_, lambda write, model, rows: unit(write, rows, model.norm))


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def unit(write: Writer, rows: str, norm: str = "l2", shortest: float = _SMALLEST) -> str:
    """sklearn.preprocessing.normalize of dense rows: those shorter than `shortest` stay as they are."""
    axis = write.constant([1], TensorProto.INT64)
    size = write.node("Abs", [rows]) if norm == "max" else rows
    length = write.node({"l1": "ReduceL1", "l2": "ReduceL2", "max": "ReduceMax"}[norm], [size, axis], keepdims=1)
    short = write.node("Less", [length, write.constant(shortest)])
    return write.node("Div", [rows, write.node("Where", [short, write.constant(1.0), length])])
