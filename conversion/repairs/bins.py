"""Binarizer and KBinsDiscretizer compare in double, with the very edges that were learned.

skl2onnx 1.20 writes Binarizer in double as >= where scikit-learn means >, rounds bin edges to float32, and refuses bins that
scikit-learn answers as a sparse one-hot matrix.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.preprocessing import Binarizer, KBinsDiscretizer

from conversion.repairs.inside import check_not_rounded
from conversion.writer import Writer

NAME = "bins"
COVERED: tuple[type, ...] = (Binarizer, KBinsDiscretizer)


def register() -> None:
    update_registered_converter(Binarizer, "UnjarBinarizer", _same_shape, _binarize, overwrite=True)
    update_registered_converter(KBinsDiscretizer, "UnjarKBinsDiscretizer", _binned_shape, _bin, overwrite=True)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _same_shape(operator: Any) -> None:
    operator.outputs[0].type = DoubleTensorType([None, operator.raw_operator.n_features_in_])


def _binned_shape(operator: Any) -> None:
    model = operator.raw_operator
    columns = model.n_features_in_ if model.encode == "ordinal" else int(np.sum(model.n_bins_))
    operator.outputs[0].type = DoubleTensorType([None, columns])


def _binarize(scope: Any, operator: Any, container: Any) -> None:
    """`binarize`: one where the value is above the threshold."""
    check_not_rounded(operator.raw_operator, operator.inputs)
    write = Writer(scope, container)
    above = write.node("Greater", [_rows(write, operator), write.constant([operator.raw_operator.threshold])])
    write.node("Cast", [above], operator.outputs[0].full_name, to=TensorProto.DOUBLE)


def _bin(scope: Any, operator: Any, container: Any) -> None:
    """`KBinsDiscretizer.transform`: how many of a column's inner edges are at or below the value."""
    model, write = operator.raw_operator, Writer(scope, container)
    check_not_rounded(model, operator.inputs)
    most = max(len(edges) for edges in model.bin_edges_) - 1
    # No value reaches an edge that is no number, so every column can have as many as the one with the most.
    inner = np.full((len(model.bin_edges_), most), np.nan)
    for own, edges in zip(inner, model.bin_edges_, strict=True):
        own[: len(edges) - 2] = edges[1:-1]
    last = write.constant([2], TensorProto.INT64)
    wide = write.node("Unsqueeze", [_rows(write, operator), last])
    reached = write.node("Cast", [write.node("GreaterOrEqual", [wide, write.constant(inner[None])])], to=TensorProto.DOUBLE)
    if model.encode == "ordinal":
        write.node("ReduceSum", [reached, last], operator.outputs[0].full_name, keepdims=0)
        return
    number = write.node("ReduceSum", [reached, last], keepdims=1)
    same = write.node("Cast", [write.node("Equal", [number, write.constant(np.arange(float(most)))])], to=TensorProto.DOUBLE)
    flat = write.node("Reshape", [same, write.constant([-1, inner.size], TensorProto.INT64)])
    used = np.flatnonzero(np.arange(most) < np.asarray(model.n_bins_)[:, None])
    write.node("Gather", [flat, write.constant(used, TensorProto.INT64)], operator.outputs[0].full_name, axis=1)


def _rows(write: Writer, operator: Any) -> str:
    rows = [write.node("Cast", [one.full_name], to=TensorProto.DOUBLE) for one in operator.inputs]
    return rows[0] if len(rows) == 1 else write.node("Concat", rows, axis=1)
