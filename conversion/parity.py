"""Does the graph answer as scikit-learn did, on every set of rows and in every batch size?

It runs the very session class that serving ships, and compares with serving's own arithmetic.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from conversion.candidates import Candidate
from conversion.reference import Answers, Ask
from conversion.rows import RowSet
from conversion.schema import Feeds, Schema
from serving.verification import Gap, Tolerance, compare

BATCHES = (1, 2, 3, 1000)


@dataclass(frozen=True)
class Finding:
    """One output on one set of rows."""

    kind: str
    output: str
    gap: Gap

    def __str__(self) -> str:
        gap = self.gap
        return (
            f"{gap.wrong} of {gap.rows} {self.kind!r} rows are out of tolerance for {self.output!r}; row {gap.worst_row}:"
            f" scikit-learn answered {gap.expected}, the graph {gap.answered}"
        )


@dataclass(frozen=True)
class Graph:
    """A session with the way rows are cast for it."""

    session: Any
    schema: Schema
    candidate: Candidate

    def answer(self, feeds: Feeds, methods: Iterable[str]) -> Answers:
        names = list(methods)
        return dict(zip(names, self.session.run(names, self.schema.cast(feeds, self.candidate.real)), strict=True))


def examine(graph: Graph, sets: list[tuple[RowSet, Answers]], tolerance: Mapping[str, Tolerance]) -> list[Finding]:
    """Every output on every set, and the first set again in batches of 1, 2, 3 and 1000 rows.

    Raises whatever onnxruntime raises when it cannot answer a row that scikit-learn answers.
    """
    found = [finding for rows, answers in sets for finding in _whole(graph, rows.kind, rows.feeds, answers, tolerance)]
    first, answers = sets[0]
    for batch in BATCHES:
        taken = {name: np.resize(array, (batch, *array.shape[1:])) for name, array in first.feeds.items()}
        wanted = {name: np.resize(array, (batch, *array.shape[1:])) for name, array in answers.items()}
        found += _whole(graph, f"batch of {batch}", taken, wanted, tolerance)
    return found


def _whole(graph: Graph, kind: str, feeds: Feeds, answers: Answers, tolerance: Mapping[str, Tolerance]) -> list[Finding]:
    answered = graph.answer(feeds, answers)
    return [Finding(kind, name, compare(answers[name], answered[name], tolerance[name])) for name in answers]


def holds(ask: Ask, graph: Graph, feeds: Feeds, tolerance: Mapping[str, Tolerance]) -> bool:
    """Do both answer these special rows alike? An error of the graph is a no."""
    try:
        return all(finding.gap.passed for finding in _whole(graph, "special", feeds, ask(feeds), tolerance))
    except Exception:  # whatever onnxruntime raises, the rows are not served
        return False
