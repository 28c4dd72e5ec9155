"""What does scikit-learn answer, which rows does it refuse, and where do its own roundings decide?

Knows nothing of the conversion room.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

NEAR, LAST_DIGITS = 64, 4
"""Copies of a row that are asked, and by how many units in the last place of a double each number is moved."""


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
    except (ValueError, IndexError):
        return False
    return True


def ties(estimator: Any, native: Any, atol: float) -> Any:
    """Where the two best scores are within the tolerance, or one is that near to its threshold."""
    for scores in _scores(estimator, native):
        if scores.ndim == 1 or scores.shape[1] == 1:
            return np.abs(scores.reshape(-1)) <= atol
        best = np.sort(scores, axis=1)
        return best[:, -1] - best[:, -2] <= atol
    return np.zeros(len(native), bool)


def _scores(estimator: Any, native: Any) -> Iterator[Any]:
    threshold = getattr(estimator, "best_threshold_", getattr(estimator, "threshold", None))
    if isinstance(getattr(estimator, "classes_", None), list):
        return
    for method in ("predict_proba", "decision_function"):
        if hasattr(estimator, method):
            scores = asked(estimator, method, native)
            if scores.ndim == 2 and isinstance(threshold, float):
                yield scores[:, 1] - threshold
            if scores.ndim <= 2:
                yield scores
    centres = getattr(estimator, "cluster_centers_", None)
    if centres is not None and isinstance(native, np.ndarray) and native.shape[1] == centres.shape[1]:
        yield -np.linalg.norm(native[:, None] - centres[None], axis=2)


def decided_by_rounding(estimator: Any, method: str, row: Any, equal: Callable[[Any], bool]) -> bool:
    """Does scikit-learn give the other answer too, for a row that differs in the last digits of a double alone?

    Such are neighbours that are equally far, and values on a split after a step that rotates the rows.
    """
    if isinstance(row, list):
        return False
    return any(equal(answer) for answer in asked(estimator, method, _neighbours(row)))


def _neighbours(row: Any) -> Any:
    """Copies of one row, each number moved by a few units in its last place."""
    if isinstance(row, pd.DataFrame):
        copies = row.iloc[[0] * NEAR].reset_index(drop=True)
        numbers = [name for name in row.columns if row[name].dtype.kind == "f"]
        copies[numbers] = _neighbours(row[numbers].to_numpy())
        return copies
    steps = np.random.default_rng(0).integers(-LAST_DIGITS, LAST_DIGITS + 1, (NEAR, row.shape[1]))
    return row + steps * np.spacing(np.abs(row))
