"""MissingIndicator has no converter in skl2onnx 1.20; it says of every value whether it is missing."""

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import BooleanTensorType
from sklearn.impute import MissingIndicator

from conversion.errors import NotCovered
from conversion.writer import Writer

NAME = "indicator"
COVERED: tuple[type, ...] = (MissingIndicator,)


def register() -> None:
    update_registered_converter(MissingIndicator, "UnjarMissingIndicator", _shape, _convert, overwrite=True)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _shape(operator: Any) -> None:
    operator.outputs[0].type = BooleanTensorType([None, len(operator.raw_operator.features_)])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """MissingIndicator.transform"""
    model, write = operator.raw_operator, Writer(scope, container)
    if not isinstance(model.missing_values, float | int | np.number):
        raise NotCovered(f"MissingIndicator for missing values {model.missing_values!r}, which are no number")
    rows = write.node("Cast", [operator.inputs[0].full_name], to=TensorProto.DOUBLE)
    chosen = write.node("Gather", [rows, write.constant(model.features_, TensorProto.INT64)], axis=1)
    output = operator.outputs[0].full_name
    if np.isnan(model.missing_values):
        write.node("IsNaN", [chosen], output)
    else:
        write.node("Equal", [chosen, write.constant(float(model.missing_values))], output)
