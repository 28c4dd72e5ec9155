"""Isomap: the shortest way from a row to every training row through its neighbours, then KernelPCA's projection.

skl2onnx 1.20 has no converter.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from scipy.spatial.distance import cdist
from sklearn.manifold import Isomap

from conversion.repairs.covariances import apart
from conversion.repairs.kernels import projected
from conversion.repairs.registration import register_numbers
from conversion.writer import Writer
from serving.signature import Array

NAME = "isomap"
COVERED: tuple[type, ...] = (Isomap,)


def register() -> None:
    register_numbers(Isomap, lambda model: model.embedding_.shape[1], _formula)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _formula(write: Writer, model: Any, rows: str) -> str:
    """Isomap.transform"""
    near = model.nbrs_
    if model.n_neighbors is None or near.effective_metric_ != "euclidean" or not isinstance(near._fit_X, np.ndarray):
        raise NotImplementedError("Isomap with a radius, with a metric that is not euclidean, or fitted on sparse rows")
    fitted = np.asarray(near._fit_X, np.float64)
    _check_no_ties(fitted, near.n_neighbors)
    found = [write.scope.get_unique_variable_name(name) for name in ("nearest", "number")]
    count = write.constant([near.n_neighbors], TensorProto.INT64)
    name = write.scope.get_unique_operator_name("TopK")
    write.container.add_node("TopK", [apart(write, rows, fitted), count], found, name=name, axis=1, largest=0, sorted=1)
    onwards = write.node("Gather", [write.constant(model.dist_matrix_), found[1]], axis=0)
    first = write.node("Unsqueeze", [write.node("Sqrt", [found[0]]), write.constant([2], TensorProto.INT64)])
    ways = write.node("Add", [onwards, first])
    shortest = write.node("ReduceMin", [ways, write.constant([1], TensorProto.INT64)], keepdims=0)
    squares = write.node("Mul", [write.node("Mul", [shortest, shortest]), write.constant(-0.5)])
    return projected(write, model.kernel_pca_, squares)


def _check_no_ties(fitted: Array, count: int) -> None:
    """Raises ValueError where a training row has two neighbours equally far, of which only one is taken."""
    for one in fitted:
        distances = np.sort(cdist(one[None], fitted)[0])
        if count < len(fitted) and distances[count] - distances[count - 1] <= 1e-12 * distances[count]:
            raise ValueError(
                f"training rows are equally near to {one[:4].tolist()}, and not all of them are taken: which ones depends on "
                "the layout of scikit-learn's tree; take out repeated rows, or add a feature that tells them apart"
            )
