"""In which order does numpy add up a row, and which operators keep to it?

Where the terms are large and their sums nearly alike, the order decides what is left of their difference. onnxruntime's own
sums have another order; its product with ones adds one term after the other, as numpy does for up to seven.
"""

import numpy as np
from onnx import TensorProto

from conversion.writer import Writer

# numpy's `pairwise_sum`: eight running sums at a time, and halves of what is longer than this.
LANES, LONGEST = 8, 128


def row_sums(write: Writer, values: str, width: int) -> str:
    """numpy.sum(values, axis=-1) of a C-contiguous array, to the last bit: (n, k, width) to (n, k)."""
    if width < LANES:
        return one_by_one(write, values, width)
    if width > LONGEST:
        middle = width // 2 - width // 2 % LANES
        halves = [_part(write, values, *ends) for ends in ((0, middle), (middle, width))]
        sums = [row_sums(write, half, size) for half, size in zip(halves, (middle, width - middle), strict=True)]
        return write.node("Add", sums)
    whole = width - width % LANES
    lanes = _reshaped(write, _part(write, values, 0, whole) if whole < width else values, [whole // LANES, LANES])
    lanes = write.node("MatMul", [write.constant(np.ones(whole // LANES)), lanes])
    for left in (4, 2, 1):
        pairs = _reshaped(write, lanes, [left, 2])
        lanes = write.node("ReduceSum", [pairs, write.constant([3], TensorProto.INT64)], keepdims=0)
    if whole < width:
        rest = write.node("Concat", [lanes, _part(write, values, whole, width)], axis=2)
        return one_by_one(write, rest, 1 + width - whole)
    return write.node("Squeeze", [lanes, write.constant([2], TensorProto.INT64)])


def one_by_one(write: Writer, values: str, width: int) -> str:
    """The sum over the last axis, one term after the other."""
    return write.node("MatMul", [values, write.constant(np.ones(width))])


def _part(write: Writer, values: str, start: int, end: int) -> str:
    return write.node("Gather", [values, write.constant(np.arange(start, end), TensorProto.INT64)], axis=2)


def _reshaped(write: Writer, values: str, last: list[int]) -> str:
    return write.node("Reshape", [values, write.constant([0, 0, *last], TensorProto.INT64)])
