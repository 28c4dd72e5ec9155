"""OneHotEncoder looks numbers up as they are, and sends unknown and rare categories where scikit-learn sends them.

skl2onnx 1.20 casts numbers to int64 first, so that 1.7 is category 1, and cannot answer unknown categories that count as
infrequent.
"""

import copy
import warnings
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.preprocessing import OneHotEncoder

from conversion.repairs.lookup import column_indices, parse, probed, real
from conversion.writer import Writer

NAME = "one_hot"
COVERED: tuple[type, ...] = (OneHotEncoder,)


def register() -> None:
    update_registered_converter(OneHotEncoder, "UnjarOneHotEncoder", _shape, _convert, parser=parse)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _shape(operator: Any) -> None:
    operator.outputs[0].type = real(operator)([None, int(sum(operator.raw_operator._n_features_outs))])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    model, write = operator.raw_operator, Writer(scope, container)
    categories = [np.asarray(own) for own in model.categories_]
    columns = column_indices(write, operator, categories)
    kind = TensorProto.DOUBLE if isinstance(operator.outputs[0].type, DoubleTensorType) else TensorProto.FLOAT
    parts = []
    for index, places, width in zip(columns, _places(model), model._n_features_outs, strict=True):
        if not width:
            continue
        column = write.node("Gather", [write.constant(places, TensorProto.INT64), index])
        same = write.node("Equal", [column, write.constant(range(width), TensorProto.INT64)])
        parts.append(write.node("Cast", [same], to=kind))
    write.node("Concat", parts, operator.outputs[0].full_name, axis=1)


def _places(model: OneHotEncoder) -> list[list[int]]:
    """For each feature, the column of its own that each category sets, and last that of a value it does not know.

    -1 where none is set.
    """
    sparse = copy.copy(model)
    sparse.sparse_output = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answered = probed(sparse, strangers=model.handle_unknown != "error").tocsc()
    found, start = [], 0
    for own, width in zip(model.categories_, model._n_features_outs, strict=True):
        places = np.full(answered.shape[0], -1)
        rows, columns = answered[:, start : start + width].nonzero()
        places[rows] = columns
        unknown = [int(places[len(own)])] if model.handle_unknown != "error" else [-1]
        found.append([*places[: len(own)].tolist(), *unknown])
        start += width
    return found
