"""At which rows does an object leave its answer open, because neighbours inside it are equally near, or a vote is a draw?

What decides there is the layout of scikit-learn's tree or the rounding of its matrix product, which no graph mirrors.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.impute import KNNImputer
from sklearn.manifold import Isomap
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm._base import BaseSVC

from conversion.repairs import imputers, neighbours, radius
from conversion.views import NoWay, views
from serving.signature import Array

_DUEL = 1e-13


def _duels_undecided(model: Any, rows: Array) -> Array:
    """A machine of several classes gives whole votes, one for each pair: a duel that is nothing but rounding is worth one."""
    if not hasattr(model, "classes_") or len(model.classes_) < 3:
        return np.zeros(len(rows), bool)
    duels = np.abs(model._decision_function(rows).reshape(len(rows), -1)).min(axis=1)
    return np.asarray(duels <= _DUEL * (1.0 + np.abs(model.dual_coef_).sum()))


_RULES: tuple[tuple[tuple[type, ...], Callable[[Any, Array], Array]], ...] = (
    (neighbours.COVERED, neighbours.undecided),
    (radius.COVERED, radius.undecided),
    ((KNNImputer,), imputers.undecided),
    ((Isomap,), lambda model, rows: neighbours.undecided(model.nbrs_, rows)),
    ((LocalOutlierFactor,), neighbours.undecided),
    ((BaseSVC,), _duels_undecided),
)


def undecided(estimator: Any, rows: Any) -> Array:
    """(n,) of truth; `rows` as scikit-learn takes them. Looks into everything that the object holds."""
    found = np.zeros(len(rows), bool)
    for view in views(estimator):
        for rule in (rule for kinds, rule in _RULES if isinstance(view.estimator, kinds)):
            try:
                found |= rule(view.estimator, np.asarray(view.forward(rows), np.float64))
            except (NoWay, ValueError, TypeError, KeyError, IndexError):
                # Rows that the member itself would not take, as those of a chain's later members.
                continue
    return found
