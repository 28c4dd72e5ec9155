"""What does scikit-learn answer, and which rows does it refuse?

Knows nothing of the conversion room.
"""

import warnings
from typing import Any

import numpy as np
import pandas as pd


def take(native: Any, rows: Any) -> Any:
    """Some rows of an array, a data frame or a list of texts."""
    if isinstance(native, list):
        return [native[i] for i in rows]
    return native.iloc[rows] if isinstance(native, pd.DataFrame) else native[rows]


def asked(estimator: Any, method: str, native: Any) -> Any:
    """A dense array; `predict_proba_1` is what `predict_proba` answers for the second target."""
    name, _, target = method.rpartition("_")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        answer = getattr(estimator, name)(native)[int(target)] if target.isdigit() else getattr(estimator, method)(native)
    return dense(answer)


def dense(answer: Any) -> Any:
    return np.asarray(answer.toarray() if hasattr(answer, "toarray") else answer)


def accepted(estimator: Any, native: Any, methods: list[str]) -> Any:
    """Which rows are answered by every method."""
    if _answers(estimator, native, methods):
        return np.ones(len(native), bool)
    return np.array([_answers(estimator, take(native, [i]), methods) for i in range(len(native))])


def _answers(estimator: Any, native: Any, methods: list[str]) -> bool:
    try:
        for method in methods:
            asked(estimator, method, native)
    except (ValueError, IndexError, TypeError, AttributeError):
        return False
    return True
