"""How does the number of a class become its label, whatever the labels are?

skl2onnx 1.20 passes whole-number labels through int32 in its double graphs: 2**40 comes back as 0.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx.common.data_types import Int64TensorType, StringTensorType

from conversion.writer import Writer

# A converter that declares these is given `zipmap: False` and, where scores are asked for, `raw_scores: True`.
OPTIONS: dict[str, list[Any]] = {"zipmap": [True, False, "columns"], "nocl": [True, False]}
SCORES: dict[str, list[Any]] = {**OPTIONS, "raw_scores": [True, False]}


def label_type(classes: Any) -> Any:
    """The tensor type of labels. Raises ValueError for labels that are neither text nor whole numbers."""
    array = np.asarray(classes)
    if array.dtype.kind == "U" or (array.dtype.kind == "O" and all(isinstance(one, str) for one in array)):
        return StringTensorType([None])
    if array.dtype.kind in "bi" or (array.dtype.kind in "uf" and np.array_equal(array, array.astype(np.int64))):
        return Int64TensorType([None])
    raise ValueError(f"labels {array[:3].tolist()!r} are neither text nor whole numbers, and can have no exact datatype")


def write_labels(write: Writer, classes: Any, index: str, output: str | None = None) -> str:
    """Gathers the labels of `index`, a vector of whole numbers."""
    if isinstance(label_type(classes), StringTensorType):
        names = write.constant([str(one) for one in classes], TensorProto.STRING)
    else:
        names = write.constant(np.asarray(classes).astype(np.int64), TensorProto.INT64)
    return write.node("Gather", [names, index], output, axis=0)
