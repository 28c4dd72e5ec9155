"""Neighbours within a radius: sums over all training rows that are near enough, block by block.

skl2onnx 1.20 takes the k nearest and fails where fewer are near enough, and has no converter for the transformer. A row
without neighbours is answered as scikit-learn answers it, which it is asked here; where it raises, the graph fails too.
"""

import warnings
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.base import is_classifier
from sklearn.neighbors import RadiusNeighborsClassifier, RadiusNeighborsRegressor, RadiusNeighborsTransformer

from conversion.repairs.inside import check_not_rounded
from conversion.repairs.near import BLOCK, Space, distances, space_of, surrogates
from conversion.repairs.neighbours import check_weights, shape_of_classes, shape_of_values, targets_of, write_classes
from conversion.repairs.several import register_targets
from conversion.writer import Writer
from serving.signature import Array

NAME = "radius"
COVERED: tuple[type, ...] = (RadiusNeighborsClassifier, RadiusNeighborsRegressor, RadiusNeighborsTransformer)


def register() -> None:
    register_targets(RadiusNeighborsClassifier, shape_of_classes, _classify)
    update_registered_converter(RadiusNeighborsRegressor, "UnjarRadiusRegressor", shape_of_values, _regress, overwrite=True)
    update_registered_converter(RadiusNeighborsTransformer, "UnjarRadiusTransformer", _shape_of_graph, _graph, overwrite=True)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _shape_of_graph(operator: Any) -> None:
    operator.outputs[0].type = DoubleTensorType([None, operator.raw_operator.n_samples_fit_])


def _start(scope: Any, operator: Any, container: Any) -> tuple[Writer, Any, Space, str]:
    model, write = operator.raw_operator, Writer(scope, container)
    check_not_rounded(model, operator.inputs)
    space = space_of(model)
    check_weights(model, space)
    return write, model, space, write.node("Cast", [operator.inputs[0].full_name], to=TensorProto.DOUBLE)


def _limit(model: Any, space: Space) -> float:
    """The radius as a surrogate."""
    return float(model.radius) ** space.power if space.kind in ("squares", "powers") else float(model.radius)


def _inside(write: Writer, model: Any, space: Space, rows: str, start: int) -> tuple[str, str]:
    """Which training rows of a block are near enough, as truth, and how far all of them are. Both (n, block)"""
    found = surrogates(write, rows, space, start)
    return write.node("LessOrEqual", [found, write.constant([_limit(model, space)])]), distances(write, found, space)


def _summed(write: Writer, model: Any, space: Space, rows: str, targets: Array) -> tuple[str, str]:
    """The weighed sum of the neighbours' targets, (n, targets), and of their weights, (n, 1)."""
    wide = np.concatenate([targets, np.ones((len(targets), 1))], axis=1)
    kinds: list[list[str]] = [[], []]
    for start in range(0, len(space.rows), BLOCK):
        inside, apart = _inside(write, model, space, rows, start)
        own = write.constant(wide[start : start + BLOCK])
        weights = [inside]
        if model.weights == "distance":
            same = write.node("Equal", [apart, write.constant([0.0])])
            inverse = write.node("Div", [write.constant([1.0]), write.node("Where", [same, write.constant([1.0]), apart])])
            weights = [write.node("Where", [inside, inverse, write.constant([0.0])]), same]
        for parts, weight in zip(kinds, weights, strict=False):
            parts.append(write.node("MatMul", [write.node("Cast", [weight], to=TensorProto.DOUBLE), own]))
    total = write.node("Sum", kinds[0])
    if kinds[1]:
        # `_get_weights`: where some distance is zero, those rows alone.
        zeros = write.node("Sum", kinds[1])
        count = write.node("Gather", [zeros, write.constant([-1], TensorProto.INT64)], axis=1)
        total = write.node("Where", [write.node("Greater", [count, write.constant([0.0])]), zeros, total])
    columns = [write.constant(at, TensorProto.INT64) for at in (np.arange(targets.shape[1]), [targets.shape[1]])]
    first, last = (write.node("Gather", [total, at], axis=1) for at in columns)
    return first, last


def _alone(model: Any, space: Space) -> list[Any] | None:
    """What scikit-learn answers for a row without neighbours, each method; None where it raises."""
    size = np.abs(space.rows).max() + float(model.radius) + 1.0
    row = np.full((1, space.rows.shape[1]), 10.0 * size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not is_classifier(model):
            return [model.predict(row)]
        try:
            shares = model.predict_proba(row)
            return [model.predict(row), shares if model.outputs_2d_ else [shares]]
        except (ValueError, TypeError):
            return None


def _regress(scope: Any, operator: Any, container: Any) -> None:
    """RadiusNeighborsRegressor.predict"""
    write, model, space, rows = _start(scope, operator, container)
    known = np.asarray(model._y, np.float64).reshape(len(model._y), -1)
    total, weight = _summed(write, model, space, rows, known)
    some = write.node("Greater", [weight, write.constant([0.0])])
    (alone,) = _alone(model, space) or [None]
    mean = write.node("Div", [total, weight])
    write.node("Where", [some, mean, write.constant(np.reshape(alone, (1, -1)))], operator.outputs[0].full_name)


def _classify(scope: Any, operator: Any, container: Any) -> None:
    """RadiusNeighborsClassifier.predict and predict_proba, for one target or several."""
    write, model, space, rows = _start(scope, operator, container)
    alone = _alone(model, space)
    indices, names = [], []
    for target, (known, classes) in enumerate(zip(*targets_of(model), strict=True)):
        votes, weight = _summed(write, model, space, rows, np.eye(len(classes))[known])
        some = write.node("Greater", [weight, write.constant([0.0])])
        share = write.node("Div", [votes, weight])
        if alone:
            share = write.node("Where", [some, share, write.constant(alone[1][target])])
        write.node("Identity", [share], operator.outputs[1 + target].full_name)
        # Without an answer of scikit-learn's the number is one too large, and the labels cannot be gathered.
        outside = write.constant([len(classes)], TensorProto.INT64)
        best = write.node("ArgMax", [votes], axis=1, keepdims=0)
        near = write.node("Reshape", [some, write.constant([-1], TensorProto.INT64)])
        indices.append(write.node("Where", [near, best, outside]))
        names.append(np.append(classes, np.reshape(alone[0], -1)[target]) if alone else classes)
    write_classes(write, model, indices, operator.outputs[0].full_name, names)


def _graph(scope: Any, operator: Any, container: Any) -> None:
    """RadiusNeighborsTransformer.transform: every training row is a column."""
    write, model, space, rows = _start(scope, operator, container)
    parts = []
    for start in range(0, len(space.rows), BLOCK):
        inside, apart = _inside(write, model, space, rows, start)
        value = apart if model.mode == "distance" else write.constant([1.0])
        parts.append(write.node("Where", [inside, value, write.constant([0.0])]))
    write.node("Concat", parts, operator.outputs[0].full_name, axis=1)


def undecided(model: Any, rows: Array) -> Array:
    """At which rows is some training row on the very radius, but for rounding? (n,) of truth."""
    space = space_of(model)
    parts = [rows[at : at + 64] for at in range(0, len(rows), 64)]
    on = [space.same(space.surrogates(part), _limit(model, space), part).any(axis=1) for part in parts]
    return np.concatenate([*on, np.zeros(0, bool)])
