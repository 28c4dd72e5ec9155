"""KMeans and MiniBatchKMeans measure in double, and never take the root of a number below zero.

skl2onnx 1.20 expands |x - c|^2 in the graph's own precision without clipping: near a centre a float32 graph answers NaN,
and far from the origin the distances are off by whole units.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType, Int64TensorType
from sklearn.cluster import KMeans, MiniBatchKMeans

from conversion.writer import Writer

NAME = "centres"
COVERED: tuple[type, ...] = (KMeans, MiniBatchKMeans)


def register() -> None:
    for model in COVERED:
        update_registered_converter(model, f"Unjar{model.__name__}", _shape, _convert, overwrite=True)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _shape(operator: Any) -> None:
    operator.outputs[0].type = Int64TensorType([None])
    operator.outputs[1].type = DoubleTensorType([None, len(operator.raw_operator.cluster_centers_)])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    """`_update_chunk_dense` (k_means_lloyd) for the labels, `euclidean_distances` for the distances."""
    centres = operator.raw_operator.cluster_centers_
    write = Writer(scope, container)
    rows = write.node("Cast", [operator.inputs[0].full_name], to=TensorProto.DOUBLE)
    squares = write.constant(np.einsum("ij,ij->i", centres, centres))
    product = write.node("Gemm", [rows, write.constant(centres), squares], alpha=-2.0, transB=1)
    write.node("ArgMin", [product], operator.outputs[0].full_name, axis=1, keepdims=0)
    own = write.node("ReduceSumSquare", [rows, write.constant([1], TensorProto.INT64)], keepdims=1)
    squared = write.node("Max", [write.node("Add", [product, own]), write.constant([0.0])])
    write.node("Sqrt", [squared], operator.outputs[1].full_name)
