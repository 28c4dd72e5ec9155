"""What does scikit-learn itself answer?"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from conversion.schema import Feeds, Schema
from serving.signature import Array

Answers = dict[str, Array]


@dataclass(frozen=True)
class Reference:
    """The fitted object, asked by its methods."""

    estimator: Any
    schema: Schema
    methods: Sequence[str]

    def __call__(self, feeds: Feeds) -> Answers:
        """Dense arrays, text as Python strings, one per method; `predict_proba_0` and so on where it answers one per target.

        Raises what scikit-learn raises for rows that it refuses.
        """
        rows = self.schema.native(feeds)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answers = {name: getattr(self.estimator, name)(rows) for name in self.methods}
        return {key: _dense(part) for name, answer in answers.items() for key, part in _named(name, answer)}


def _named(method: str, answer: Any) -> list[tuple[str, Any]]:
    """The outputs that a method's answer becomes: a list of arrays is one output for each."""
    if isinstance(answer, list) and any(isinstance(part, np.ndarray) for part in answer):
        return [(f"{method}_{i}", part) for i, part in enumerate(answer)]
    return [(method, answer)]


def _dense(answer: Any) -> Array:
    if isinstance(answer, list) and any(isinstance(part, np.ndarray) for part in answer):
        answer = np.concatenate(answer, axis=1)
    if hasattr(answer, "toarray"):
        answer = answer.toarray()
    array = np.asarray(answer)
    return array.astype(object) if array.dtype.kind in "US" else array
