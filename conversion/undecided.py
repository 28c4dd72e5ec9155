"""At which rows does an object leave its answer open, because neighbours inside it are equally near?

What decides there is the layout of scikit-learn's tree or the rounding of its matrix product, which no graph mirrors.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.impute import KNNImputer
from sklearn.manifold import Isomap
from sklearn.neighbors import LocalOutlierFactor

from conversion.repairs import imputers, neighbours, radius
from conversion.views import NoWay, views
from serving.signature import Array

_RULES: tuple[tuple[tuple[type, ...], Callable[[Any, Array], Array]], ...] = (
    (neighbours.COVERED, neighbours.undecided),
    (radius.COVERED, radius.undecided),
    ((KNNImputer,), imputers.undecided),
    ((Isomap,), lambda model, rows: neighbours.undecided(model.nbrs_, rows)),
    ((LocalOutlierFactor,), neighbours.undecided),
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
