"""Does the graph answer as scikit-learn did, on every set of rows and in every batch size?

It runs the very session class that serving ships, and compares with serving's own arithmetic.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from conversion.candidates import Candidate
from conversion.decision import margins, undecided
from conversion.progress import SILENT, Progress
from conversion.reference import Answers, Reference
from conversion.rows import DOUBLES, RowSet
from conversion.schema import Feeds, Schema
from serving.signature import Array
from serving.verification import Gap, Tolerance, compare

BATCHES = (1, 2, 3, 1000)


@dataclass(frozen=True)
class Asked:
    """One set of rows with scikit-learn's answers, and which rows are so near another label that either is right.

    At `undecided` rows any answer is scikit-learn's: which of equally near neighbours it takes is an accident. `refused` are
    the rows of the set that scikit-learn does not answer.
    """

    rows: RowSet
    answers: Answers
    ties: Array
    undecided: Array
    refused: RowSet

    def resized(self, batch: int) -> "Asked":
        """The same rows, repeated or cut to a batch of this size."""
        feeds = {name: np.resize(array, (batch, *array.shape[1:])) for name, array in self.rows.feeds.items()}
        answers = {name: np.resize(array, (batch, *array.shape[1:])) for name, array in self.answers.items()}
        ties, undecided = np.resize(self.ties, batch), np.resize(self.undecided, batch)
        return Asked(RowSet(f"batch of {batch}", feeds), answers, ties, undecided, self.refused.only([]))


def asked(reference: Reference, rows: RowSet, tie: float) -> Asked:
    """The rows that scikit-learn answers, of those in the set: some kinds hold rows that it refuses."""
    refused = rows.only([])
    try:
        answers = reference(rows.feeds)
    except Exception:  # scikit-learn raises what it likes for rows it does not take
        accepted = np.array([_accepted(reference, rows.only([i])) for i in range(rows.size)])
        rows, refused = rows.only(accepted), rows.only(~accepted)
        answers = reference(rows.feeds) if rows.size else {}
    open_ended = undecided(reference.estimator, reference.schema.native(rows.feeds)) if rows.size else np.zeros(0, bool)
    return Asked(rows, answers, _ties(reference, rows, tie), open_ended, refused)


def _ties(reference: Reference, rows: RowSet, tie: float) -> Array:
    """Where scikit-learn's own margin leaves the label open. None are where the margin is not known."""
    try:
        found = margins(reference.estimator, reference.schema.native(rows.feeds)) if rows.size else None
    except Exception:  # what is inside may want its rows in another form; then no label is excused
        found = None
    return np.zeros(rows.size, bool) if found is None else found <= tie


def _accepted(reference: Reference, row: RowSet) -> bool:
    try:
        reference(row.feeds)
    except Exception:
        return False
    return True


@dataclass(frozen=True)
class Finding:
    """One output on one set of rows; `ties` rows have another answer than scikit-learn's, and could have had it there."""

    kind: str
    output: str
    gap: Gap
    ties: int = 0

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


def examine(graph: Graph, sets: list[Asked], tolerance: Mapping[str, Tolerance], progress: Progress = SILENT) -> list[Finding]:
    """Every output on every set, and the first set again in batches of 1, 2, 3 and 1000 rows, until one does not hold.

    Raises whatever onnxruntime raises when it cannot answer a row that scikit-learn answers.
    """
    batches = [sets[0].resized(batch) for batch in BATCHES]
    if graph.candidate.real.itemsize == 4:
        sets = [one for one in sets if one.rows.kind not in DOUBLES]
    found = []
    for number, one in enumerate((*sets, *batches), 1):
        progress.say(f"{graph.candidate.name}: comparing rows, {one.rows.kind} ({number} of {len(sets) + len(batches)})")
        found += compared(graph, one, tolerance)
        if not all(finding.gap.passed for finding in found):
            break
    return found


def compared(graph: Graph, one: Asked, tolerance: Mapping[str, Tolerance]) -> list[Finding]:
    """Every output on one set."""
    answered = graph.answer(one.rows.feeds, one.answers)
    return [_finding(one, name, answered[name], tolerance[name]) for name in one.answers]


def _finding(one: Asked, name: str, answered: Array, tolerance: Tolerance) -> Finding:
    wanted = one.answers[name]
    ties = 0
    if wanted.shape == answered.shape and (one.ties.any() or one.undecided.any()):
        free = one.undecided if wanted.dtype.kind == "f" else one.undecided | one.ties
        tied = free & _wrong(wanted, answered, tolerance)
        ties = int(tied.sum())
        answered = np.where(tied.reshape(-1, *[1] * (wanted.ndim - 1)), wanted.astype(answered.dtype), answered)
    return Finding(one.rows.kind, name, compare(wanted, answered, tolerance), ties)


def _wrong(wanted: Array, answered: Array, tolerance: Tolerance) -> Array:
    """Which rows are out of tolerance: (n,)."""
    return np.array([not compare(wanted[[i]], answered[[i]], tolerance).passed for i in range(len(wanted))], bool)
