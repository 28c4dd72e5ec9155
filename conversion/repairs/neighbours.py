"""Nearest neighbours by one matrix product, then measured again exactly, weighted as scikit-learn weighs them.

skl2onnx 1.20 answers the uniform mean for weights="distance" (it negates distances, then clips them from below), and its
Scan is 6 to 16 times slower than scikit-learn. Equal distances are refused where they could matter: which of two equally
near rows scikit-learn takes depends on the layout of its tree, or on the rounding of its matrix product.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.base import is_classifier
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor, KNeighborsTransformer

from conversion.repairs.classes import label_type, write_labels
from conversion.repairs.inside import check_not_rounded
from conversion.repairs.near import SPARE, Space, nearest, space_of
from conversion.repairs.several import register_targets, shape_of_targets, write_targets
from conversion.writer import Writer
from serving.signature import Array

NAME = "neighbours"
COVERED: tuple[type, ...] = (KNeighborsClassifier, KNeighborsRegressor, KNeighborsTransformer)
PROBES, AT_ONCE = 400, 64


def register() -> None:
    register_targets(KNeighborsClassifier, shape_of_classes, _classify)
    update_registered_converter(KNeighborsRegressor, "UnjarKNeighborsRegressor", shape_of_values, _regress, overwrite=True)
    update_registered_converter(KNeighborsTransformer, "UnjarKNeighborsTransformer", _shape_of_graph, _graph, overwrite=True)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def shape_of_classes(operator: Any) -> None:
    model = operator.raw_operator
    if model.outputs_2d_:
        shape_of_targets(operator)
        return
    operator.outputs[0].type, operator.outputs[1].type = (
        label_type(model.classes_),
        DoubleTensorType([None, len(model.classes_)]),
    )


def shape_of_values(operator: Any) -> None:
    known = operator.raw_operator._y
    operator.outputs[0].type = DoubleTensorType([None, known.shape[1] if known.ndim == 2 else 1])


def _shape_of_graph(operator: Any) -> None:
    operator.outputs[0].type = DoubleTensorType([None, operator.raw_operator.n_samples_fit_])


def _start(scope: Any, operator: Any, container: Any) -> tuple[Writer, Any, Space, str, str]:
    """The writer, the model, its space, and the distances and numbers of the nearest training rows."""
    model, write = operator.raw_operator, Writer(scope, container)
    check_not_rounded(model, operator.inputs)
    space = space_of(model)
    check_weights(model, space)
    _check_no_ties(model, space)
    rows = write.node("Cast", [operator.inputs[0].full_name], to=TensorProto.DOUBLE)
    return write, model, space, *nearest(write, rows, space, _count(model))


def _classify(scope: Any, operator: Any, container: Any) -> None:
    """KNeighborsClassifier.predict and predict_proba, for one target or several."""
    write, model, _, distances, indices = _start(scope, operator, container)
    weights = "" if model.weights == "uniform" else _weights(write, distances)
    labels = []
    for known, classes, output in zip(*targets_of(model), operator.outputs[1:], strict=True):
        near = write.node("Gather", [write.constant(known, TensorProto.INT64), indices], axis=0)
        votes = _votes(write, near, len(classes), weights)
        total = write.node("ReduceSum", [votes, write.constant([1], TensorProto.INT64)], keepdims=1)
        write.node("Div", [votes, total], output.full_name)
        # The share of two classes may round to the same number where their votes do not.
        labels.append(write.node("ArgMax", [votes], axis=1, keepdims=0))
    write_classes(write, model, labels, operator.outputs[0].full_name)


def targets_of(model: Any) -> tuple[list[Array], list[Array]]:
    """The number of each training row's class, and the classes, for each target."""
    known = model._y.reshape(len(model._y), -1)
    return list(known.T), model.classes_ if model.outputs_2d_ else [model.classes_]


def write_classes(write: Writer, model: Any, indices: list[str], output: str, classes: list[Array] | None = None) -> None:
    """The labels, side by side where there are several targets."""
    classes = classes or targets_of(model)[1]
    if not model.outputs_2d_:
        write_labels(write, classes[0], indices[0], output)
        return
    names = [write.scope.get_unique_variable_name("labels") for _ in indices]
    for own, index, name in zip(classes, indices, names, strict=True):
        write_labels(write, own, index, name)
    write_targets(write, names, output)


def _votes(write: Writer, near: str, classes: int, weights: str) -> str:
    """(n, classes), of the classes of the nearest rows, (n, k)."""
    last = write.constant([2], TensorProto.INT64)
    numbers = write.constant(np.arange(classes), TensorProto.INT64)
    cast = write.node("Cast", [write.node("Equal", [write.node("Unsqueeze", [near, last]), numbers])], to=TensorProto.DOUBLE)
    if weights:
        cast = write.node("Mul", [cast, write.node("Unsqueeze", [weights, last])])
    return write.node("ReduceSum", [cast, write.constant([1], TensorProto.INT64)], keepdims=0)


def _regress(scope: Any, operator: Any, container: Any) -> None:
    write, model, _, distances, indices = _start(scope, operator, container)
    known = np.asarray(model._y, np.float64).reshape(len(model._y), -1)
    near = write.node("Gather", [write.constant(known), indices], axis=0)
    along, output = write.constant([1], TensorProto.INT64), operator.outputs[0].full_name
    if model.weights == "uniform":
        write.node("ReduceMean", [near, along], output, keepdims=0)
        return
    weights = _weights(write, distances)
    wide = write.node("Unsqueeze", [weights, write.constant([2], TensorProto.INT64)])
    summed = write.node("ReduceSum", [write.node("Mul", [near, wide]), along], keepdims=0)
    write.node("Div", [summed, write.node("ReduceSum", [weights, along], keepdims=1)], output)


def _weights(write: Writer, distances: str) -> str:
    """`_get_weights`: one over the distance; where some distance is zero, those rows alone."""
    along = write.constant([1], TensorProto.INT64)
    inverse = write.node("Div", [write.constant([1.0]), distances])
    same = write.node("Cast", [write.node("IsInf", [inverse])], to=TensorProto.DOUBLE)
    some = write.node("Greater", [write.node("ReduceMax", [same, along], keepdims=1), write.constant([0.0])])
    return write.node("Where", [some, same, inverse])


def _graph(scope: Any, operator: Any, container: Any) -> None:
    """KNeighborsTransformer.transform: every training row is a column."""
    write, model, space, distances, indices = _start(scope, operator, container)
    count = write.node("Shape", [indices], start=0, end=1)
    shape = write.node("Concat", [count, write.constant([len(space.rows)], TensorProto.INT64)], axis=0)
    empty = write.node("Expand", [write.constant([[0.0]]), shape])
    if model.mode == "connectivity":
        ones = write.node("Mul", [distances, write.constant([0.0])])
        distances = write.node("Add", [ones, write.constant([1.0])])
    write.node("ScatterElements", [empty, indices, distances], operator.outputs[0].full_name, axis=1)


def _count(model: Any) -> int:
    """How many neighbours are taken: a graph of distances has one more, the row itself."""
    return int(model.n_neighbors) + (getattr(model, "mode", "") == "distance")


def check_weights(model: Any, space: Space) -> None:
    """Raises ValueError for weights that are not written here, or that hang on scikit-learn's own rounding."""
    weights = getattr(model, "weights", "uniform")
    if weights not in ("uniform", "distance"):
        raise ValueError(f"weights={weights!r} is not covered; covered are 'uniform' and 'distance'")
    if weights == "uniform" or not space.rounded:
        return
    known = space.rows[np.random.default_rng(0).permutation(len(space.rows))[:AT_ONCE]]
    apart = np.sqrt(np.sort(space.surrogates(known), axis=1)[:, 1:2].min())
    # A row that scikit-learn has learned is this far from itself, where its distance should be zero.
    noise = np.sqrt(space.blur(known).max())
    spread = 1.0 if is_classifier(model) else float(np.ptp(model._y, axis=0).max())
    if space.kind == "angles" or not noise * spread <= 1e-5 * apart:
        raise ValueError(
            f"with algorithm='brute' scikit-learn's own distances are off by {noise:.0e}, and training rows are {apart:.0e} "
            "apart: weights='distance' hangs on its rounding; scale the features first, or use weights='uniform'"
        )


def undecided(model: Any, rows: Array) -> Array:
    """At which rows is the nearest set not unique, though it matters? (n,) of truth.

    The k-th distance and the next are equal to one part in 1e12 (and to the rounding of scikit-learn's own product, where it
    uses one), and the targets of the training rows at that distance are not all the same. `rows` are as the model takes
    them: after every step before it.
    """
    space, count = space_of(model), _count(model)
    # Where nothing is averaged, every neighbour counts by itself.
    targets = getattr(model, "_y", np.arange(len(space.rows)))
    targets = np.asarray(targets).reshape(len(space.rows), -1)
    if count >= len(space.rows):
        return np.zeros(len(rows), bool)
    parts = [_undecided(space, rows[at : at + AT_ONCE], targets, count) for at in range(0, len(rows), AT_ONCE)]
    return np.concatenate([*parts, np.zeros(0, bool)])


def _undecided(space: Space, queries: Array, targets: Array, count: int) -> Array:
    """Only the rows about the k-th are looked at: were more equal, those would show it."""
    found = space.surrogates(queries)
    order = np.argpartition(found, min(count + SPARE, found.shape[1] - 1), axis=1)[:, : count + SPARE]
    found, near = np.take_along_axis(found, order, axis=1), targets[order]
    last = np.partition(found, count - 1, axis=1)[:, count - 1 : count]
    tied = space.same(found, last, queries)
    more = (tied | (found < last)).sum(axis=1) > count
    first = np.take_along_axis(near, tied.argmax(axis=1)[:, None, None], axis=1)
    return np.asarray(more & ((near != first).any(axis=2) & tied).any(axis=1))


def _check_no_ties(model: Any, space: Space) -> None:
    """Raises ValueError when training rows, or rows like them, have a nearest set that is not unique and that matters."""
    rng = np.random.default_rng(0)
    known = space.rows[rng.permutation(len(space.rows))[:PROBES]]
    mixed = np.stack([rng.choice(column, PROBES // 4) for column in space.rows.T], axis=1)
    queries = np.concatenate([known, mixed])
    tied = np.flatnonzero(undecided(model, queries))
    if len(tied):
        raise ValueError(
            f"more training rows are equally near to {queries[tied[0]][:4].tolist()}, with different targets, than are taken: "
            "which ones depends on the layout of scikit-learn's tree; "
            "take out repeated rows, or add a feature that tells them apart"
        )
