"""OrdinalEncoder and TargetEncoder: a table of answers for each feature, in double, with unknown and missing values.

skl2onnx 1.20 writes them in float32, takes whole numbers for categories, and has no TargetEncoder for several classes.
"""

import warnings
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.preprocessing import OrdinalEncoder, TargetEncoder

from conversion.repairs.lookup import column_indices, parse, probed
from conversion.writer import Writer
from serving.signature import Array

NAME = "encoders"
COVERED: tuple[type, ...] = (OrdinalEncoder, TargetEncoder)


def register() -> None:
    for kind in COVERED:
        update_registered_converter(kind, f"Unjar{kind.__name__}", _shape, _convert, parser=parse)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _shape(operator: Any) -> None:
    model = operator.raw_operator
    operator.outputs[0].type = DoubleTensorType([None, len(model.categories_) * _per_feature(model)])


def _per_feature(model: Any) -> int:
    return len(model.classes_) if getattr(model, "target_type_", "") == "multiclass" else 1


def _convert(scope: Any, operator: Any, container: Any) -> None:
    model, write = operator.raw_operator, Writer(scope, container)
    columns = column_indices(write, operator, [np.asarray(own) for own in model.categories_])
    parts = []
    for index, table in zip(columns, _tables(model), strict=True):
        row = write.node("Squeeze", [index, write.constant([1], TensorProto.INT64)])
        parts.append(write.node("Gather", [write.constant(table), row]))
    write.node("Concat", parts, operator.outputs[0].full_name, axis=1)


def _tables(model: Any) -> list[Array]:
    """For each feature a row of answers for each category, and last for a value that is none of them."""
    strangers = getattr(model, "handle_unknown", "ignore") not in ("error", "warn")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answered = np.asarray(probed(model, strangers), np.float64)
    wide = _per_feature(model)
    return [
        answered[[*range(len(own)), len(own)], wide * feature : wide * (feature + 1)]
        for feature, own in enumerate(model.categories_)
    ]
