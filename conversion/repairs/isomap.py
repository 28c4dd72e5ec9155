"""Isomap: the shortest way from a row to every training row through its neighbours, then KernelPCA's projection.

skl2onnx 1.20 has no converter.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from scipy.spatial.distance import cdist
from sklearn.manifold import Isomap

from conversion.errors import NotCovered
from conversion.repairs.covariances import apart
from conversion.repairs.kernels import projected
from conversion.repairs.registration import register_numbers
from conversion.repairs.sums import one_by_one
from conversion.writer import Writer
from serving.signature import Array

NAME = "isomap"
COVERED: tuple[type, ...] = (Isomap,)
# How many rows more than asked for are measured again.
SPARE = 16


def register() -> None:
    register_numbers(Isomap, lambda model: model.embedding_.shape[1], _formula)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _formula(write: Writer, model: Any, rows: str) -> str:
    """Isomap.transform"""
    near = model.nbrs_
    if model.n_neighbors is None or near.effective_metric_ != "euclidean" or not isinstance(near._fit_X, np.ndarray):
        raise NotCovered("Isomap with a radius, with a metric that is not euclidean, or fitted on sparse rows")
    if near._fit_method == "brute":
        raise NotCovered(
            "Isomap whose neighbours are found by brute force, as they are from 16 features on: which of two rows is nearer "
            "hangs on the rounding of a matrix product; put a PCA before it, or fit it with neighbors_algorithm='ball_tree'"
        )
    fitted = np.asarray(near._fit_X, np.float64)
    _check_no_ties(fitted, near.n_neighbors)
    distances, numbers = _nearest(write, rows, fitted, near.n_neighbors)
    onwards = write.node("Gather", [write.constant(model.dist_matrix_), numbers], axis=0)
    first = write.node("Unsqueeze", [write.node("Sqrt", [distances]), write.constant([2], TensorProto.INT64)])
    ways = write.node("Add", [onwards, first])
    shortest = write.node("ReduceMin", [ways, write.constant([1], TensorProto.INT64)], keepdims=0)
    squares = write.node("Mul", [write.node("Mul", [shortest, shortest]), write.constant(-0.5)])
    return projected(write, model.kernel_pca_, squares)


def _nearest(write: Writer, rows: str, fitted: Array, count: int) -> tuple[str, str]:
    """The squared distances and numbers of the nearest training rows: (n, count) each.

    Those in question are measured again one feature after the other, as scikit-learn's trees do: a row halfway between two
    training rows has the same one nearer, to the last bit.
    """
    _, chosen = _smallest(write, apart(write, rows, fitted), min(len(fitted), count + SPARE))
    wide = write.node("Unsqueeze", [rows, write.constant([1], TensorProto.INT64)])
    step = write.node("Sub", [wide, write.node("Gather", [write.constant(fitted), chosen], axis=0)])
    exact = one_by_one(write, write.node("Mul", [step, step]), fitted.shape[1])
    distances, place = _smallest(write, exact, count)
    return distances, write.node("GatherElements", [chosen, place], axis=1)


def _smallest(write: Writer, values: str, count: int) -> tuple[str, str]:
    found = [write.scope.get_unique_variable_name(name) for name in ("smallest", "place")]
    name, many = write.scope.get_unique_operator_name("TopK"), write.constant([count], TensorProto.INT64)
    write.container.add_node("TopK", [values, many], found, name=name, axis=1, largest=0, sorted=1)
    return found[0], found[1]


def _check_no_ties(fitted: Array, count: int) -> None:
    """Raises ValueError where a training row has two neighbours equally far, of which only one is taken."""
    for one in fitted:
        distances = np.sort(cdist(one[None], fitted)[0])
        if count < len(fitted) and distances[count] - distances[count - 1] <= 1e-12 * distances[count]:
            raise ValueError(
                f"training rows are equally near to {one[:4].tolist()}, and not all of them are taken: which ones depends on "
                "the layout of scikit-learn's tree; take out repeated rows, or add a feature that tells them apart"
            )
