"""A fitted object as the question that the search answers, without a child process."""

from typing import Any

from conversion.child import question_of
from conversion.methods import methods_of
from conversion.question import Question
from conversion.reference import Reference
from conversion.rows import row_sets
from conversion.schema import schema_of
from serving.verification import Tolerance


def question(estimator: Any, tolerance: float = 1e-5, methods: list[str] | None = None) -> Question:
    schema = schema_of(estimator)
    ask = Reference(estimator, schema, methods_of(estimator, methods))
    return question_of(ask, row_sets(estimator, schema), Tolerance(tolerance, tolerance))
