"""How far is each row from each of some fixed points, reckoned as scikit-learn reckons it?"""

from onnx import TensorProto

from conversion.errors import NotCovered
from conversion.writer import Writer
from serving.signature import Array

# The differences of every pair are held at once: so many numbers for each row.
LARGEST = 20_000


def squared(write: Writer, rows: str, points: Array) -> str:
    """euclidean_distances(rows, points, squared=True): |x|^2 - 2 x.p + |p|^2, never below zero. (n, points)"""
    own = write.node("ReduceSumSquare", [rows, write.constant([1], TensorProto.INT64)], keepdims=1)
    crossed = write.node("MatMul", [rows, write.constant(-2.0 * points.T)])
    value = write.node("Add", [write.node("Add", [crossed, own]), write.constant((points**2).sum(axis=1))])
    return write.node("Max", [value, write.constant(0.0)])


def nearness(write: Writer, rows: str, points: Array) -> str:
    """What is left of `squared` without |x|^2, which is all that a comparison needs. (n, points)"""
    crossed = write.node("MatMul", [rows, write.constant(-2.0 * points.T)])
    return write.node("Add", [crossed, write.constant((points**2).sum(axis=1))])


def nearest(write: Writer, rows: str, points: Array) -> str:
    """pairwise_distances_argmin(rows, points): the index of the nearest point, the first of equals. (n,)"""
    return write.node("ArgMin", [nearness(write, rows, points)], axis=1, keepdims=0)


def differences(write: Writer, kind: str, rows: str, points: Array) -> str:
    """Every row with every point, feature by feature: (n, points, features). Refuses what would not fit in memory."""
    if points.size > LARGEST:
        raise NotCovered(f"the differences to {len(points)} points of {points.shape[1]} features need too much memory")
    wide = write.node("Unsqueeze", [rows, write.constant([1], TensorProto.INT64)])
    return write.node(kind, [wide, write.constant(points[None])])


def summed(write: Writer, values: str) -> str:
    """Over the features of `differences`: (n, points)."""
    return write.node("ReduceSum", [values, write.constant([2], TensorProto.INT64)], keepdims=0)


def manhattan(write: Writer, rows: str, points: Array) -> str:
    """manhattan_distances(rows, points): (n, points)."""
    return summed(write, write.node("Abs", [differences(write, "Sub", rows, points)]))
