"""What is to be translated, and what would count as the same?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conversion.parity import Asked
from conversion.progress import SILENT, Progress
from conversion.reference import Reference
from conversion.schema import Schema
from serving.verification import Tolerance


@dataclass(frozen=True)
class Question:
    """The fitted object with its inputs and outputs, the rows that it has answered, and how far an answer may be from it.

    `methods` are the outputs' names: the methods, or `predict_proba_0` and so on where a method answers once per target.

    Labels may differ where scikit-learn's own margin is at most `tie`. `precision` pins the candidates.
    """

    estimator: Any
    schema: Schema
    methods: Sequence[str]
    ask: Reference
    sets: list[Asked]
    tolerance: Mapping[str, Tolerance]
    tie: float
    precision: str = ""
    progress: Progress = SILENT
