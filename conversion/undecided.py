"""At which rows does an object leave its answer open, because neighbours inside it are equally near?

What decides there is the layout of scikit-learn's tree or the rounding of its matrix product, which no graph mirrors.
"""

from typing import Any

import numpy as np
from sklearn.ensemble import StackingClassifier, StackingRegressor
from sklearn.impute import KNNImputer
from sklearn.pipeline import Pipeline

from conversion.repairs import imputers, neighbours, radius
from conversion.steps import unwrap
from serving.signature import Array

_RULES = (
    (neighbours.COVERED, neighbours.undecided),
    (radius.COVERED, radius.undecided),
    ((KNNImputer,), imputers.undecided),
)
_HELD = ("estimator_", "regressor_", "estimators_", "calibrated_classifiers_")


def undecided(estimator: Any, rows: Any) -> Array:
    """(n,) of truth; `rows` as scikit-learn takes them. Looks into pipelines and whatever holds fitted estimators."""
    estimator = unwrap(estimator)
    if isinstance(estimator, Pipeline):
        return _in_turn([step for _, step in estimator.steps if step is not None and step != "passthrough"], rows)
    for kinds, rule in _RULES:
        if isinstance(estimator, kinds):
            return rule(estimator, np.asarray(rows, np.float64))
    found = np.zeros(len(rows), bool)
    for member, own in _members(estimator, rows):
        found |= undecided(member, own)
    if isinstance(estimator, StackingClassifier | StackingRegressor):
        found |= undecided(estimator.final_estimator_, estimator.transform(rows))
    return found


def _in_turn(steps: list[Any], rows: Any) -> Array:
    found = np.zeros(len(rows), bool)
    for number, step in enumerate(steps):
        found |= undecided(step, rows)
        if number + 1 < len(steps):
            rows = step.transform(rows)
    return found


def _members(estimator: Any, rows: Any) -> list[tuple[Any, Any]]:
    """What the object holds that is asked the same rows, or some columns of them; not a chain's members, which see more."""
    if hasattr(estimator, "estimators_features_"):
        pairs = zip(estimator.estimators_, estimator.estimators_features_, strict=True)
        return [(one, np.asarray(rows)[:, own]) for one, own in pairs]
    held = [one for name in _HELD for one in _flat(getattr(estimator, name, None))]
    held = [one.estimator if type(one).__name__ == "_CalibratedClassifier" else one for one in held]
    return [(one, rows) for one in held if getattr(one, "n_features_in_", None) == getattr(rows, "shape", (0, 0))[1]]


def _flat(held: Any) -> list[Any]:
    """numpy would take a pipeline for a list of its steps."""
    if isinstance(held, list | np.ndarray):
        return [inner for one in held for inner in _flat(one)]
    return [held]
