"""Nearest neighbours by one matrix product, then measured again exactly, weighted as scikit-learn weighs them.

skl2onnx 1.20 answers the uniform mean for weights="distance" (it negates distances, then clips them from below), and its
Scan is 6 to 16 times slower than scikit-learn. Equal distances are refused where they could matter: which of two equally
near rows scikit-learn takes depends on the layout of its tree.
"""

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import DoubleTensorType
from sklearn.base import is_classifier
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from conversion.repairs.classes import OPTIONS, label_type, write_labels
from conversion.repairs.inside import check_not_rounded
from conversion.writer import Writer
from serving.signature import Array

NAME = "neighbours"
COVERED: tuple[type, ...] = (KNeighborsClassifier, KNeighborsRegressor)
# How many rows more than asked for are measured again: the product's rounding may swap the last ones.
SPARE, PROBES = 16, 400
_SAME = 1e-12
_EUCLIDEAN, _MANHATTAN = ("euclidean", "l2"), ("manhattan", "cityblock", "l1")


def register() -> None:
    update_registered_converter(
        KNeighborsClassifier, "UnjarKNeighborsClassifier", _shape, _convert, overwrite=True, options=OPTIONS
    )
    update_registered_converter(KNeighborsRegressor, "UnjarKNeighborsRegressor", _shape, _convert, overwrite=True)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _shape(operator: Any) -> None:
    model, outputs = operator.raw_operator, operator.outputs
    if not is_classifier(model):
        outputs[0].type = DoubleTensorType([None, model._y.shape[1] if model._y.ndim == 2 else 1])
        return
    if model.outputs_2d_:
        raise ValueError("several targets in one classifier; only one array of labels can be served yet")
    outputs[0].type, outputs[1].type = label_type(model.classes_), DoubleTensorType([None, len(model.classes_)])


def _convert(scope: Any, operator: Any, container: Any) -> None:
    model, outputs = operator.raw_operator, [output.full_name for output in operator.outputs]
    check_not_rounded(model, operator.inputs)
    fitted = _fitted(model)
    targets = np.eye(len(model.classes_))[model._y] if is_classifier(model) else _columns(model._y)
    _check_no_ties(model, fitted, targets)
    write = Writer(scope, container)
    rows = write.node("Cast", [operator.inputs[0].full_name], to=TensorProto.DOUBLE)
    distances, indices = _nearest(write, rows, fitted, model)
    near = write.node("Gather", [write.constant(targets), indices], axis=0)
    answer = outputs[1] if is_classifier(model) else outputs[0]
    if model.weights == "uniform":
        along = write.constant([1], TensorProto.INT64)
        write.node("ReduceMean", [near, along], answer, keepdims=0)
    else:
        _weighted(write, near, distances, answer)
    if is_classifier(model):
        write_labels(write, model.classes_, write.node("ArgMax", [answer], axis=1, keepdims=0), outputs[0])


def _fitted(model: Any) -> Array:
    """The training rows. Raises ValueError for a metric or a weighting that is not written here."""
    metric = model.effective_metric_
    if metric not in (*_EUCLIDEAN, *_MANHATTAN) or model.effective_metric_params_.get("w") is not None:
        raise ValueError(f"the metric {metric!r} is not covered; covered are {[*_EUCLIDEAN, *_MANHATTAN]}")
    if model.weights not in ("uniform", "distance"):
        raise ValueError(f"weights={model.weights!r} is not covered; covered are 'uniform' and 'distance'")
    rows = model._fit_X
    if not isinstance(rows, np.ndarray) or (rows.dtype != np.float64 and model._fit_method == "brute"):
        kind = getattr(rows, "dtype", type(rows).__name__)
        raise ValueError(f"the training rows are {type(rows).__name__} of {kind}; fit it on a dense float64 array")
    return rows.astype(np.float64)


def _columns(values: Array) -> Array:
    return np.asarray(values, np.float64).reshape(len(values), -1)


def _measured(query: Array, fitted: Array, metric: str) -> Array:
    """Summed feature by feature, as scikit-learn's trees do: equal distances come out equal to the last bit."""
    total = np.zeros(len(fitted))
    for feature in range(fitted.shape[1]):
        step = query[feature] - fitted[:, feature]
        total += np.abs(step) if metric in _MANHATTAN else step * step
    return total


def _check_no_ties(model: Any, fitted: Array, targets: Array) -> None:
    """Raises ValueError when training rows, or rows like them, have a nearest set that is not unique and that matters."""
    rng, count = np.random.default_rng(0), model.n_neighbors
    known = fitted[rng.permutation(len(fitted))[:PROBES]]
    mixed = np.stack([rng.choice(column, PROBES // 4) for column in fitted.T], axis=1)
    for query in (*known, *mixed):
        distances = _measured(query, fitted, model.effective_metric_)
        last = np.partition(distances, count - 1)[count - 1]
        # A scaler before it leaves equal distances apart by its rounding, which is not the graph's.
        tied = np.flatnonzero(np.abs(distances - last) <= _SAME * last)
        inside = int((distances < last).sum()) - int((distances[tied] < last).sum())
        if inside + len(tied) > count and (targets[tied] != targets[tied[0]]).any():
            raise ValueError(
                f"{len(tied)} training rows are equally near to {query[:4].tolist()}, with different targets, and at most "
                f"{count - inside} are taken: which ones depends on the layout of scikit-learn's tree; "
                "take out repeated rows, or add a feature that tells them apart"
            )


def _nearest(write: Writer, rows: str, fitted: Array, model: Any) -> tuple[str, str]:
    """Distances and numbers of the nearest training rows, nearest first, both (n, k)."""
    count, metric = model.n_neighbors, model.effective_metric_
    rough = _product(write, rows, fitted) if metric in _EUCLIDEAN else _sums(write, rows, fitted)
    many = write.constant([min(len(fitted), count + SPARE)], TensorProto.INT64)
    _, chosen = _smallest(write, rough, many)
    last, middle = (write.constant([axis], TensorProto.INT64) for axis in (-1, 1))
    gathered = write.node("Gather", [write.constant(fitted), chosen], axis=0)
    step = write.node("Sub", [write.node("Unsqueeze", [rows, middle]), gathered])
    if metric in _EUCLIDEAN and model._fit_method == "brute":
        exact = write.node("ReduceSumSquare", [step, last], keepdims=0)
    else:
        exact = _in_turn(write, step, fitted.shape[1], metric)
    nearest, place = _smallest(write, exact, write.constant([count], TensorProto.INT64))
    numbers = write.node("GatherElements", [chosen, place], axis=1)
    return (write.node("Sqrt", [nearest]) if metric in _EUCLIDEAN else nearest), numbers


def _in_turn(write: Writer, step: str, features: int, metric: str) -> str:
    """Summed feature by feature, as scikit-learn does: a row between two neighbours takes the same one to the last bit."""
    sizes = write.node("Abs", [step]) if metric in _MANHATTAN else write.node("Mul", [step, step])
    if features == 1:
        return write.node("Squeeze", [sizes, write.constant([2], TensorProto.INT64)])
    parts = [write.scope.get_unique_variable_name("feature") for _ in range(features)]
    name = write.scope.get_unique_operator_name("Split")
    write.container.add_node("Split", [sizes], parts, name=name, op_version=18, axis=2, num_outputs=features)
    total = parts[0]
    for part in parts[1:]:
        total = write.node("Add", [total, part])
    return write.node("Squeeze", [total, write.constant([2], TensorProto.INT64)])


def _product(write: Writer, rows: str, fitted: Array) -> str:
    """|y|^2 - 2 x.y about the mean of the training rows; |x|^2 is the same for all of them."""
    mean = fitted.mean(axis=0)
    about = fitted - mean
    centred = write.node("Sub", [rows, write.constant(mean)])
    squares = write.constant(np.einsum("ij,ij->i", about, about))
    return write.node("Gemm", [centred, write.constant(-2.0 * about.T), squares])


def _sums(write: Writer, rows: str, fitted: Array) -> str:
    """Sums of absolute differences, one feature at a time: all at once would need rows * training rows * features."""
    total = ""
    for feature in range(fitted.shape[1]):
        own = write.node("Gather", [rows, write.constant([feature], TensorProto.INT64)], axis=1)
        apart = write.node("Abs", [write.node("Sub", [own, write.constant(fitted[:, feature])])])
        total = write.node("Add", [total, apart]) if total else apart
    return total


def _smallest(write: Writer, values: str, count: str) -> tuple[str, str]:
    found = [write.scope.get_unique_variable_name(name) for name in ("nearest", "place")]
    name = write.scope.get_unique_operator_name("TopK")
    write.container.add_node("TopK", [values, count], found, name=name, axis=1, largest=0, sorted=1)
    return found[0], found[1]


def _weighted(write: Writer, near: str, distances: str, output: str) -> None:
    """`_get_weights`: one over the distance; where some distance is zero, those rows alone."""
    along = write.constant([1], TensorProto.INT64)
    inverse = write.node("Div", [write.constant([1.0]), distances])
    same = write.node("Cast", [write.node("IsInf", [inverse])], to=TensorProto.DOUBLE)
    some = write.node("Greater", [write.node("ReduceMax", [same, along], keepdims=1), write.constant([0.0])])
    weights = write.node("Where", [some, same, inverse])
    wide = write.node("Unsqueeze", [weights, write.constant([2], TensorProto.INT64)])
    summed = write.node("ReduceSum", [write.node("Mul", [near, wide]), along], keepdims=0)
    write.node("Div", [summed, write.node("ReduceSum", [weights, along], keepdims=1)], output)
