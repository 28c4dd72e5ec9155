"""How is a category looked up in a graph, and what does a fitted encoder answer for each?

Numbers are compared as they are, in double: skl2onnx 1.20 casts them to int64 or float32 first.
"""

import copy
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.preprocessing import OneHotEncoder

from conversion.repairs.inside import check_not_rounded
from conversion.writer import Writer
from serving.signature import Array


def parse(scope: Any, model: Any, inputs: Any, custom_parsers: Any = None) -> Any:
    """One output whose type is known before any shape is: skl2onnx declares float after text, whatever is computed."""
    operator = scope.declare_local_operator(f"Unjar{type(model).__name__}", model)
    operator.inputs = inputs
    operator.outputs.append(scope.declare_local_variable("encoded", real(operator)()))
    return operator.outputs


def real(operator: Any) -> Any:
    """Float beside float columns, where only zeros and ones come out; double everywhere else."""
    single = any(isinstance(one.type, FloatTensorType) for one in operator.inputs)
    return FloatTensorType if single and isinstance(operator.raw_operator, OneHotEncoder) else DoubleTensorType


def column_indices(write: Writer, operator: Any, categories: list[Array]) -> list[str]:
    """For each feature the index, (n, 1), of its value among its categories; their number for any other value."""
    if any(isinstance(one.type, FloatTensorType) for one in operator.inputs):
        check_not_rounded(operator.raw_operator, operator.inputs)
    found: list[str] = []
    for one in operator.inputs:
        width = one.type.shape[1] if len(operator.inputs) > 1 else len(categories)
        for place in range(width):
            index = write.constant([place], TensorProto.INT64)
            name = one.full_name if width == 1 else write.node("Gather", [one.full_name, index], axis=1)
            found.append(index_of(write, name, one.type, categories[len(found)]))
    return found


def index_of(write: Writer, name: str, kind: Any, categories: Array) -> str:
    """Raises ValueError where a column and its categories are not of one kind, or float32 cannot hold them."""
    count = len(categories)
    if isinstance(kind, StringTensorType):
        if not all(isinstance(one, str) for one in categories):
            raise ValueError(f"categories {list(categories)[:5]!r} are not all text, and the column is")
        return write.node(
            "LabelEncoder", [name], op_domain="ai.onnx.ml", op_version=2,
            keys_strings=[str(one) for one in categories], values_int64s=list(range(count)), default_int64=count,
        )  # fmt: skip
    values = np.asarray(categories, np.float64)
    held = values[~np.isnan(values)]
    if isinstance(kind, FloatTensorType) and (held.astype(np.float32) != held).any():
        raise ValueError("float32 cannot hold the categories; the column needs double")
    number = write.node("Cast", [name], to=TensorProto.DOUBLE)
    same = write.node("Equal", [number, write.constant(values)])
    if len(held) < count:
        missing = write.node("And", [write.node("IsNaN", [number]), write.constant(np.isnan(values), TensorProto.BOOL)])
        same = write.node("Or", [same, missing])
    # At most one is the same: what is taken from the count leads from "none" to its index.
    steps = write.constant(np.arange(count, dtype=np.float64)[:, None] - count)
    moved = write.node("MatMul", [write.node("Cast", [same], to=TensorProto.DOUBLE), steps])
    return write.node("Cast", [write.node("Add", [moved, write.constant([float(count)])])], to=TensorProto.INT64)


def probed(encoder: Any, strangers: bool) -> Any:
    """What the encoder itself answers: row i holds each feature's category i, its last one, or then a stranger."""
    count = max(len(own) for own in encoder.categories_) + 1
    asked = [_asked(list(own), count, strangers) for own in encoder.categories_]
    text = any(isinstance(one, str) for own in encoder.categories_ for one in own)
    rows = np.empty((count, len(asked)), object if text else np.float64)
    for feature, values in enumerate(asked):
        rows[:, feature] = values
    nameless = copy.copy(encoder)
    vars(nameless).pop("feature_names_in_", None)
    vars(nameless).pop("_sklearn_output_config", None)
    return nameless.transform(rows)


def _asked(own: list[Any], count: int, strangers: bool) -> list[Any]:
    if not strangers:
        return own + [own[-1]] * (count - len(own))
    text = any(isinstance(one, str) for one in own)
    stranger = "".join(str(one) for one in own) + "?" if text else float(np.nanmax([*np.array(own, np.float64), 0.0])) + 0.5
    return own + [stranger] * (count - len(own))
