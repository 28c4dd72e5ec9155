"""Imputers in double: what is missing is replaced by a statistic, by the nearest rows, or by regressions in rounds.

onnxruntime's Imputer has no kernel for double; skl2onnx 1.20 writes KNNImputer in float32, wrongly where a row has nothing,
and knows neither `add_indicator` nor IterativeImputer.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common._registration import get_converter, get_shape_calculator
from skl2onnx.common.data_types import DoubleTensorType, StringTensorType
from sklearn.experimental import enable_iterative_imputer as _enabled
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from conversion.errors import NotCovered
from conversion.repairs.inside import check_not_rounded, outputs_of
from conversion.repairs.near import smallest
from conversion.writer import Writer
from serving.signature import Array

__all__ = ["COVERED", "NAME", "_enabled", "applies", "register"]
NAME = "imputers"
COVERED: tuple[type, ...] = (SimpleImputer, KNNImputer, IterativeImputer)
_TEXT = "SklearnSimpleImputer"
_SAME = 1e-12
Filled = Callable[[Writer, Any, str, str], str]


def register() -> None:
    for kind, filled in ((SimpleImputer, _by_statistic), (KNNImputer, _by_neighbours), (IterativeImputer, _by_rounds)):
        update_registered_converter(kind, f"Unjar{kind.__name__}", _shape, _converter(filled), overwrite=True)


def applies(step: Any) -> bool:
    return isinstance(step, COVERED)


def _shape(operator: Any) -> None:
    if isinstance(operator.inputs[0].type, StringTensorType):
        get_shape_calculator(_TEXT)(operator)
        return
    model = operator.raw_operator
    flags = len(model.indicator_.features_) if model.add_indicator else 0
    operator.outputs[0].type = DoubleTensorType([None, len(_kept(model)) + flags])


def _converter(filled: Filled) -> Callable[[Any, Any, Any], None]:
    def convert(scope: Any, operator: Any, container: Any) -> None:
        """The columns that are kept, filled, and then the flags of those where values were missing in training."""
        model, write = operator.raw_operator, Writer(scope, container)
        if isinstance(operator.inputs[0].type, StringTensorType):
            get_converter(_TEXT)(scope, operator, container)
            return
        if not isinstance(model.missing_values, float | int | np.number):
            raise NotCovered(f"{type(model).__name__} for missing values {model.missing_values!r}, which are no number")
        parts = [write.node("Cast", [one.full_name], to=TensorProto.DOUBLE) for one in operator.inputs]
        rows = parts[0] if len(parts) == 1 else write.node("Concat", parts, axis=1)
        missing = _missing(write, model, rows)
        columns = [filled(write, model, rows, missing)]
        if model.add_indicator:
            flags = write.node("Gather", [missing, _whole(write, model.indicator_.features_)], axis=1)
            columns.append(write.node("Cast", [flags], to=TensorProto.DOUBLE))
        write.node("Concat", columns, operator.outputs[0].full_name, axis=1)

    return convert


def _missing(write: Writer, model: Any, rows: str) -> str:
    if np.isnan(model.missing_values):
        return write.node("IsNaN", [rows])
    return write.node("Equal", [rows, write.constant(float(model.missing_values))])


def _whole(write: Writer, numbers: Any) -> str:
    return write.constant(np.asarray(numbers, np.int64), TensorProto.INT64)


def _statistics(model: Any) -> Array:
    """What each column is filled with before anything else is known of the row."""
    simple = model.initial_imputer_ if isinstance(model, IterativeImputer) else model
    if isinstance(simple, KNNImputer):
        known = np.ma.array(simple._fit_X, mask=simple._mask_fit_X).mean(axis=0)
        return np.asarray(np.ma.filled(known, np.nan), np.float64)
    if any(isinstance(value, str) for value in simple.statistics_):
        raise NotCovered(f"{type(model).__name__} fills text columns, and only numbers are covered")
    return np.asarray(simple.statistics_, np.float64)


def _kept(model: Any) -> Array:
    """The columns that had a value in training, or all where empty ones are kept."""
    if model.keep_empty_features:
        return np.arange(model.n_features_in_)
    empty = model._is_empty_feature if isinstance(model, IterativeImputer) else np.isnan(_statistics(model))
    return np.flatnonzero(~empty)


def _by_statistic(write: Writer, model: Any, rows: str, missing: str) -> str:
    """SimpleImputer.transform"""
    kept = _whole(write, _kept(model))
    chosen, absent = (write.node("Gather", [of, kept], axis=1) for of in (rows, missing))
    return write.node("Where", [absent, write.constant(_statistics(model)[_kept(model)]), chosen])


def _by_neighbours(write: Writer, model: Any, rows: str, missing: str) -> str:
    """KNNImputer.transform: each column from the nearest training rows that have it."""
    if model.weights != "uniform" or model.metric != "nan_euclidean":
        raise NotCovered(
            f"KNNImputer with weights={model.weights!r} and metric={model.metric!r}: scikit-learn's distances are rounded "
            "where they should be zero, and weights hang on that; use weights='uniform' and the metric as it comes"
        )
    _check_no_ties(model)
    apart = _apart(write, model, rows, missing)
    means, columns = _statistics(model), []
    for column in _kept(model):
        own = write.node("Gather", [rows, _whole(write, [column])], axis=1)
        if not model._valid_mask[column]:
            columns.append(write.node("Where", [_never(write, own), own, write.constant([0.0])]))
            continue
        absent = write.node("Gather", [missing, _whole(write, [column])], axis=1)
        value = _donated(write, model, apart, column, float(means[column]))
        columns.append(write.node("Where", [absent, value, own]))
    return write.node("Concat", columns, axis=1)


def _never(write: Writer, like: str) -> str:
    return write.node("Less", [write.node("Abs", [like]), write.constant([0.0])])


def _apart(write: Writer, model: Any, rows: str, missing: str) -> str:
    """sklearn.metrics.pairwise.nan_euclidean_distances, squared; infinity where no feature is shared. (n, training rows)"""
    known, has = np.where(model._mask_fit_X, 0.0, model._fit_X).astype(np.float64), (~model._mask_fit_X).astype(np.float64)
    present = write.node("Cast", [write.node("Not", [missing])], to=TensorProto.DOUBLE)
    own = write.node("Where", [missing, write.constant([0.0]), rows])
    terms = ((write.node("Mul", [own, own]), has), (own, -2.0 * known), (present, known**2))
    total = write.node("Sum", [write.node("MatMul", [one, write.constant(other.T)]) for one, other in terms])
    shared = write.node("MatMul", [present, write.constant(has.T)])
    positive = write.node("Max", [total, write.constant([0.0])])
    mean = write.node("Div", [positive, write.node("Max", [shared, write.constant([1.0])])])
    return write.node("Where", [write.node("Greater", [shared, write.constant([0.0])]), mean, write.constant([np.inf])])


def _donated(write: Writer, model: Any, apart: str, column: int, mean: float) -> str:
    """The mean of the nearest donors' values, those without a distance left out; the column's mean without any donor."""
    donors = np.flatnonzero(~model._mask_fit_X[:, column])
    near, place = smallest(
        write, write.node("Gather", [apart, _whole(write, donors)], axis=1), min(model.n_neighbors, len(donors))
    )
    counted = write.node("Not", [write.node("IsInf", [near])])
    weights = write.node("Cast", [counted], to=TensorProto.DOUBLE)
    values = write.node("Gather", [write.constant(np.asarray(model._fit_X[donors, column], np.float64)), place])
    along = _whole(write, [1])
    count = write.node("ReduceSum", [weights, along], keepdims=1)
    summed = write.node("ReduceSum", [write.node("Mul", [values, weights]), along], keepdims=1)
    some = write.node("Greater", [count, write.constant([0.0])])
    return write.node("Where", [some, write.node("Div", [summed, count]), write.constant([mean])])


def _check_no_ties(model: Any) -> None:
    """Raises ValueError when training rows that lack one value have nearest donors that are not unique, and it matters."""
    rng = np.random.default_rng(0)
    known = np.array(model._fit_X, np.float64)[rng.permutation(len(model._fit_X))[:200]]
    known[np.arange(len(known)), rng.integers(0, known.shape[1], len(known))] = model.missing_values
    if undecided(model, known).any():
        raise ValueError(
            "training rows that lack one value have several donors equally near, with different values: which ones are taken "
            "hangs on scikit-learn's rounding; take out repeated rows, or use SimpleImputer"
        )


def undecided(model: Any, rows: Array) -> Array:
    """At which rows is the set of donors for a missing value of a KNNImputer not unique, though it matters? (n,) of truth."""
    absent = np.isnan(rows) if np.isnan(model.missing_values) else rows == model.missing_values
    own, known = np.where(absent, 0.0, rows), np.where(model._mask_fit_X, 0.0, model._fit_X)
    has = ~model._mask_fit_X
    found = np.zeros(len(rows), bool)
    for i in np.flatnonzero(absent.any(axis=1)):
        both = has & ~absent[i]
        shared = both.sum(axis=1)
        apart = np.where(shared > 0, (np.where(both, own[i] - known, 0.0) ** 2).sum(axis=1) / np.maximum(shared, 1), np.inf)
        blur = 4 * np.finfo(np.float64).eps * ((own[i] ** 2).sum() + (known**2).sum(axis=1).max())
        for column in np.flatnonzero(absent[i] & model._valid_mask):
            donors = np.flatnonzero(has[:, column] & np.isfinite(apart))
            if len(donors) <= model.n_neighbors:
                continue
            last = np.partition(apart[donors], model.n_neighbors - 1)[model.n_neighbors - 1]
            tied = donors[np.abs(apart[donors] - last) <= _SAME * last + blur]
            more = (apart[donors] < last - blur).sum() + len(tied) > model.n_neighbors
            found[i] |= bool(more and np.ptp(known[tied, column]) > 0)
    return found


def _by_rounds(write: Writer, model: Any, rows: str, missing: str) -> str:
    """IterativeImputer.transform: the regressions of every round, in the order in which they were fitted."""
    if model.sample_posterior:
        raise NotCovered("IterativeImputer with sample_posterior=True draws at random for every row it is asked")
    kept = _whole(write, _kept(model))
    start = _by_statistic(write, model, rows, missing)
    if not model.n_iter_:
        return start
    # An empty column that is kept counts as known, with what it was filled with.
    counts = write.constant(~model._is_empty_feature[_kept(model)], TensorProto.BOOL)
    absent = write.node("And", [write.node("Gather", [missing, kept], axis=1), counts])
    parts = [write.node("Gather", [start, _whole(write, [i])], axis=1) for i in range(len(_kept(model)))]
    flags = [write.node("Gather", [absent, _whole(write, [i])], axis=1) for i in range(len(_kept(model)))]
    for step in model.imputation_sequence_:
        value = _regressed(write, step.estimator, [parts[i] for i in step.neighbor_feat_idx])
        low, high = (write.constant([float(limit[step.feat_idx])]) for limit in (model._min_value, model._max_value))
        clipped = write.node("Min", [write.node("Max", [value, low]), high])
        parts[step.feat_idx] = write.node("Where", [flags[step.feat_idx], clipped, parts[step.feat_idx]])
    # Where every value of every row is missing scikit-learn stops at the start, so this hangs on the whole batch.
    whole = write.node("ReduceMin", [write.node("Cast", [absent], to=TensorProto.INT64)], keepdims=0)
    nothing = write.node("Cast", [whole], to=TensorProto.BOOL)
    return write.node("Where", [nothing, start, write.node("Concat", parts, axis=1)])


def _regressed(write: Writer, estimator: Any, columns: list[str]) -> str:
    joined = write.scope.declare_local_variable("others", DoubleTensorType([None, len(columns)]))
    write.node("Concat", columns, joined.full_name, axis=1)
    coefficients = getattr(estimator, "coef_", None)
    if coefficients is not None and hasattr(estimator, "intercept_"):
        constants = [np.reshape(coefficients, (-1, 1)), np.reshape(estimator.intercept_, -1)]
        return write.node("Gemm", [joined.full_name, *(write.constant(one) for one in constants)])
    check_not_rounded(estimator, [joined])
    answer = outputs_of(write.scope, write.container, estimator, [joined])[0].full_name
    return write.node("Reshape", [write.node("Cast", [answer], to=TensorProto.DOUBLE), _whole(write, [-1, 1])])
