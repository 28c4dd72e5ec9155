"""What does scikit-learn itself answer?"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from conversion.errors import Refused
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
        """Dense arrays, text as Python strings, one per method. Raises what scikit-learn raises for rows it refuses."""
        rows = self.schema.native(feeds)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return {name: _dense(getattr(self.estimator, name)(rows), name) for name in self.methods}


def _dense(answer: Any, method: str) -> Array:
    if isinstance(answer, list) and any(isinstance(part, np.ndarray) for part in answer):
        raise Refused(f"{method} answers a list of {len(answer)} arrays, one per target; only one array can be served yet")
    if hasattr(answer, "toarray"):
        answer = answer.toarray()
    array = np.asarray(answer)
    return array.astype(object) if array.dtype.kind in "US" else array
