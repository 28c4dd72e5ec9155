"""Does scikit-learn itself give the other answer too, for a row that differs in the last digits of a double alone?

Neighbours that are equally far are such rows, and values that stand on a split after a step that rotates the rows. Only a
number that goes into arithmetic, or comes out of it, has last digits that may differ: what is compared as it was sent (by a
tree, a binariser, an encoder) is not moved, or a `<` in the place of a `<=` would be excused. A kind of step that is not
known here is taken to compare. Knows nothing of the conversion room.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn import preprocessing as p
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble._base import _BaseHeterogeneousEnsemble
from sklearn.feature_selection import RFE
from sklearn.feature_selection._base import SelectorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.semi_supervised import SelfTrainingClassifier

from benchmarks.reference import asked, dense

NEAR, LAST_DIGITS = 64, 4
"""Copies of a row that are asked, and by how many units in the last place of a double each number is moved at least.

A sum of n products, as it is computed, is the exact one of numbers that are moved by n units (Higham, Accuracy and
Stability of Numerical Algorithms, 3.1): so for each column there is one unit more.
"""

_ARITHMETIC_MODULES = (
    "calibration", "cluster", "covariance", "cross_decomposition", "decomposition", "discriminant_analysis", "gaussian_process",
    "kernel_approximation", "kernel_ridge", "linear_model", "manifold", "mixture", "naive_bayes", "neighbors",
    "neural_network", "random_projection", "semi_supervised", "svm",
)  # fmt: skip
_ARITHMETIC = (
    p.StandardScaler, p.MinMaxScaler, p.MaxAbsScaler, p.RobustScaler, p.Normalizer, p.PowerTransformer, p.QuantileTransformer,
    p.PolynomialFeatures, p.SplineTransformer,
)  # fmt: skip
_WRAPPED = {
    BaseSearchCV: "best_estimator_", FrozenEstimator: "estimator", SelfTrainingClassifier: "estimator_", RFE: "estimator_",
    TransformedTargetRegressor: "regressor_", FixedThresholdClassifier: "estimator_", TunedThresholdClassifierCV: "estimator_",
}  # fmt: skip
_COPIES = (SimpleImputer, SelectorMixin)


def decided_by_rounding(estimator: Any, method: str, row: Any, equal: Callable[[Any], bool], answer: Any = None) -> bool:
    """`row`: one row; `equal`: is this answer of scikit-learn's the one that is to be excused?

    With `answer` it is enough that each of its numbers lies between the lowest and the highest that scikit-learn gives: what
    cancels leaves noise, which is another one each time.
    """
    if isinstance(row, list):
        return False
    for given in _answers_nearby(estimator, method, row):
        number = answer is not None and given.dtype.kind == "f" and not np.isnan(answer).any()
        between = [np.clip(answer, given.min(axis=0), given.max(axis=0))] if number else []
        if any(equal(one) for one in (*given, *between)):
            return True
    return False


def _answers_nearby(estimator: Any, method: str, row: Any) -> Iterator[Any]:
    """The row alone and among others, then moved before each step of a pipeline that computes."""
    yield asked(estimator, method, row)
    yield asked(estimator, method, _copies(row))
    steps = list(_steps(estimator))
    before: Any = None
    for i, step in enumerate(steps):
        moved = _moved(row, _columns(step, before, steps[i:]))
        if moved is not None:
            yield _asked_from(steps[i:], method, moved)
        elif isinstance(step, _BaseHeterogeneousEnsemble):
            yield _asked_from([_loosened(step, row), *steps[i + 1 :]], method, _moved(row, True))
        if i + 1 < len(steps):
            row, before = dense(step.transform(row)), step


@dataclass
class _Still:
    """A member that compares what it is sent: it is asked the row as it is, whatever the others are asked."""

    member: Any
    rows: Any

    def __getattr__(self, name: str) -> Any:
        return lambda moved: getattr(self.member, name)(self.rows)


def _loosened(votes: Any, row: Any) -> Any:
    """A stack or a vote of which only the members that compute see the row moved."""
    loose = copy.copy(votes)
    loose.estimators_ = [_loosened_member(one, row) for one in votes.estimators_]
    return loose


def _loosened_member(member: Any, row: Any) -> Any:
    if isinstance(member, _BaseHeterogeneousEnsemble):
        return _loosened(member, row)
    return member if computes(member) else _Still(member, _copies(row))


def _steps(estimator: Any) -> Iterator[Any]:
    """A pipeline, nested or searched, as one row of steps. What passes is left out."""
    if isinstance(estimator, BaseSearchCV | FrozenEstimator):
        yield from _steps(estimator.best_estimator_ if isinstance(estimator, BaseSearchCV) else estimator.estimator)
    elif isinstance(estimator, Pipeline):
        for _, step in estimator.steps:
            yield from _steps(step)
    elif estimator is not None and not isinstance(estimator, str):
        yield estimator


def _asked_from(steps: list[Any], method: str, rows: Any) -> Any:
    for step in steps[:-1]:
        rows = step.transform(rows)
    return asked(steps[-1], method, rows)


def _copies(row: Any) -> Any:
    if isinstance(row, pd.DataFrame):
        return row.iloc[[0] * NEAR].reset_index(drop=True)
    return np.repeat(row, NEAR, axis=0)


def _columns(step: Any, before: Any, rest: list[Any]) -> Any:
    """Which numbers of the row may be moved: a mask, or True for all, False for none."""
    if isinstance(step, ColumnTransformer):
        return _own(step, of_input=True)
    if before is None:
        return _computes(rest)
    if _computes(rest):
        return True
    return _own(before, of_input=False) if isinstance(before, ColumnTransformer) else computes(before)


def _own(columns: ColumnTransformer, *, of_input: bool) -> Any:
    """The columns that go into steps that compute, or come out of them."""
    names = list(getattr(columns, "feature_names_in_", range(columns.n_features_in_)))
    width = len(names) if of_input else max(part.stop for part in columns.output_indices_.values())
    into, compared = np.zeros(width, bool), np.zeros(width, bool)
    for name, step, selected in columns.transformers_:
        mask = into if not isinstance(step, str) and computes(step) else compared
        mask[_positions(selected, names) if of_input else columns.output_indices_[name]] = True
    return into & ~compared


def _positions(selected: Any, names: list[Any]) -> Any:
    if callable(selected) or isinstance(selected, slice):
        return selected if isinstance(selected, slice) else slice(0, 0)
    chosen = np.atleast_1d(np.asarray(selected))
    return chosen if chosen.dtype.kind in "ib" else [names.index(name) for name in chosen]


def _computes(steps: list[Any]) -> bool:
    """Does the first of these that does more than pick and copy compute?"""
    working = [step for step in steps if not isinstance(step, _COPIES) or step is steps[-1]]
    return computes(working[0])


def computes(estimator: Any) -> bool:
    """Does it calculate with its numbers before it compares them?"""
    for kind, name in _WRAPPED.items():
        if isinstance(estimator, kind):
            return computes(getattr(estimator, name, getattr(estimator, "estimator", None)))
    if isinstance(estimator, Pipeline):
        return _computes(list(_steps(estimator)))
    parts = _parts(estimator)
    if parts:
        return all(computes(part) for part in parts)
    module = type(estimator).__module__.removeprefix("sklearn.").split(".")[0]
    return isinstance(estimator, _ARITHMETIC) or module in _ARITHMETIC_MODULES


def _parts(estimator: Any) -> list[Any]:
    """The fitted objects that are handed the same row."""
    if isinstance(estimator, FeatureUnion):
        return [part for _, part in estimator.transformer_list]
    if isinstance(estimator, ColumnTransformer):
        return [part for _, part, _ in estimator.transformers_]
    if isinstance(estimator, CalibratedClassifierCV):
        return [part.estimator for part in estimator.calibrated_classifiers_]
    return list(np.ravel(np.asarray(getattr(estimator, "estimators_", []), object)))


def _moved(row: Any, columns: Any) -> Any:
    """Copies of one row, each number moved by a few units in its last place; None where none may be."""
    if not np.any(columns):
        return None
    if isinstance(row, pd.DataFrame):
        return _moved_frame(row, columns)
    if row.dtype.kind != "f":
        return None
    most = LAST_DIGITS + row.shape[1]
    steps = np.random.default_rng(0).integers(-most, most + 1, (NEAR, row.shape[1]))
    return row + steps * np.spacing(np.abs(row)) * np.asarray(columns)


def _moved_frame(row: pd.DataFrame, columns: Any) -> Any:
    """Only its real numbers."""
    mask = np.broadcast_to(columns, row.shape[1])
    numbers = [name for name, moves in zip(row.columns, mask, strict=True) if moves and row[name].dtype.kind == "f"]
    copies = _copies(row)
    if numbers:
        copies[numbers] = _moved(row[numbers].to_numpy(), True)
    return copies if numbers else None
