"""What does scikit-learn itself answer?"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from conversion.errors import Refused
from conversion.schema import Feeds, Schema
from serving.signature import Array

Answers = dict[str, Array]
Ask = Callable[[Feeds], Answers]


def reference(estimator: Any, schema: Schema, methods: Sequence[str]) -> Ask:
    """A function from rows to scikit-learn's answers: dense arrays, text as Python strings, one per method."""

    def ask(feeds: Feeds) -> Answers:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return {name: _dense(getattr(estimator, name)(schema.native(feeds)), name) for name in methods}

    return ask


def _dense(answer: Any, method: str) -> Array:
    if isinstance(answer, list) and any(isinstance(part, np.ndarray) for part in answer):
        raise Refused(f"{method} answers a list of {len(answer)} arrays, one per target; only one array can be served yet")
    if hasattr(answer, "toarray"):
        answer = answer.toarray()
    array = np.asarray(answer)
    return array.astype(object) if array.dtype.kind in "US" else array
