"""OneHotEncoder looks numbers up as they are, and sends unknown and rare categories where scikit-learn sends them.

skl2onnx 1.20 casts numbers to int64 first, so that 1.7 is category 1, and cannot answer unknown categories that count as
infrequent.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
from sklearn.preprocessing import OneHotEncoder

from conversion.repairs.inside import check_not_rounded
from conversion.writer import Writer
from serving.signature import Array

NAME = "one_hot"
COVERED: tuple[type, ...] = (OneHotEncoder,)


def register() -> None:
    update_registered_converter(OneHotEncoder, "UnjarOneHotEncoder", _shape, _convert, overwrite=True)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _shape(operator: Any) -> None:
    # Zeros and ones are exact in either; skl2onnx expects float after text.
    real = DoubleTensorType if any(isinstance(one.type, DoubleTensorType) for one in operator.inputs) else FloatTensorType
    operator.outputs[0].type = real([None, int(sum(operator.raw_operator._n_features_outs))])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    model, write = operator.raw_operator, Writer(scope, container)
    if any(isinstance(one.type, FloatTensorType) for one in operator.inputs):
        check_not_rounded(model, operator.inputs)
    parts = []
    for feature, (name, kind) in enumerate(_columns(write, operator)):
        categories = model.categories_[feature]
        known = _known(write, name, kind, categories)
        told, unknown = _answers(model, feature)
        part = write.node("MatMul", [known, write.constant(told)])
        if unknown.any():
            along = write.constant([1], TensorProto.INT64)
            none = write.node("Sub", [write.constant([1.0]), write.node("ReduceSum", [known, along], keepdims=1)])
            part = write.node("Add", [part, write.node("Mul", [none, write.constant(unknown)])])
        parts.append(part)
    real = TensorProto.DOUBLE if isinstance(operator.outputs[0].type, DoubleTensorType) else TensorProto.FLOAT
    write.node("Cast", [write.node("Concat", parts, axis=1)], operator.outputs[0].full_name, to=real)


def _columns(write: Writer, operator: Any) -> list[tuple[str, Any]]:
    """The name and type of one column for each feature, however many tensors they come in."""
    found = []
    for one in operator.inputs:
        width = one.type.shape[1] if len(operator.inputs) > 1 else operator.raw_operator.n_features_in_
        for place in range(width):
            index = write.constant([place], TensorProto.INT64)
            name = one.full_name if width == 1 else write.node("Gather", [one.full_name, index], axis=1)
            found.append((name, one.type))
    return found


def _known(write: Writer, name: str, kind: Any, categories: Array) -> str:
    """(n, categories): one where the value is that category."""
    if isinstance(kind, StringTensorType):
        if not all(isinstance(one, str) for one in categories):
            raise ValueError(
                f"categories {list(categories)[:5]!r} are not all text, and the column is; missing ones cannot be told"
            )
        number = write.node(
            "LabelEncoder", [name], op_domain="ai.onnx.ml", op_version=2,
            keys_strings=[str(one) for one in categories], values_int64s=list(range(len(categories))), default_int64=-1,
        )  # fmt: skip
        same = write.node("Equal", [number, write.constant(np.arange(len(categories)), TensorProto.INT64)])
        return write.node("Cast", [same], to=TensorProto.DOUBLE)
    values = np.asarray(categories, np.float64)
    if isinstance(kind, FloatTensorType) and (values.astype(np.float32)[~np.isnan(values)] != values[~np.isnan(values)]).any():
        raise ValueError("float32 cannot hold the categories; the column needs double")
    number = write.node("Cast", [name], to=TensorProto.DOUBLE)
    same = write.node("Equal", [number, write.constant(values)])
    if np.isnan(values).any():
        missing = write.node("And", [write.node("IsNaN", [number]), write.constant(np.isnan(values), TensorProto.BOOL)])
        same = write.node("Or", [same, missing])
    return write.node("Cast", [same], to=TensorProto.DOUBLE)


def _answers(model: OneHotEncoder, feature: int) -> tuple[Array, Array]:
    """What the encoder itself answers for each category of a feature, and for a value that it does not know."""
    own = list(model.categories_[feature])
    text = any(isinstance(one, str) for one in own)
    stranger = "".join(str(one) for one in own) + "?" if text else float(np.nanmax([*np.array(own, np.float64), 0.0])) + 0.5
    asked = [*own, stranger] if model.handle_unknown != "error" else own
    rows = np.array([[column[0] for column in model.categories_]] * len(asked), dtype=object)
    rows[:, feature] = asked
    if not any(isinstance(one, str) for column in model.categories_ for one in column):
        rows = rows.astype(np.float64)
    encoder = OneHotEncoder.__new__(OneHotEncoder)
    encoder.__dict__ = {key: value for key, value in vars(model).items() if key != "feature_names_in_"}
    answered = encoder.transform(rows)
    dense = np.asarray(answered.toarray() if hasattr(answered, "toarray") else answered, np.float64)
    start = int(sum(model._n_features_outs[:feature]))
    block = dense[:, start : start + model._n_features_outs[feature]]
    return block[: len(own)], block[len(own) :].sum(axis=0)
