"""What does the accepted graph take and give: which numbers, is NaN a value, which categories, and how large may they be?

A row that scikit-learn refuses must not be answered, and a row that nobody compared must not be answered either.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from conversion.parity import Asked, Finding, Graph, asked, compared
from conversion.question import Question
from conversion.reference import Answers
from conversion.rows import ENLARGED, RowSet, enlarged, enlarged_kind, spoilt
from conversion.schema import Column, Feeds
from serving.signature import DATATYPES, Array, Signature, Tensor

# Times the size of the typical rows. Up to a thousand is asked of every candidate before it comes here.
FURTHER = (10**4, 10**5, 10**6, 10**7, 10**8, 10**9)
LARGEST = (300, 38, 37, 36, 35, 34, 30, 25, 20)
REFUSED_ROWS = 50


@dataclass(frozen=True)
class Contract:
    """The signature, what was found where it was probed, and what it refuses although scikit-learn answers."""

    signature: Signature
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def contract(question: Question, graph: Graph, limited: bool = True) -> Contract:
    """`limited`: numbers are taken as far as the answers were compared and held. A proof needs no such limit."""
    missing, infinite = (_Special(question, graph, kind, value) for kind, value in _SPECIAL)
    reached = _furthest(question, graph) if limited else _largest(question, graph)
    typical = question.sets[0].rows.feeds
    cast = question.schema.cast(typical, graph.candidate.real)
    answered = graph.answer(typical, question.methods)
    inputs = []
    for column in question.schema.columns:
        tensor = Tensor(
            name=column.name,
            datatype="BYTES" if column.text else DATATYPES[cast[column.name].dtype],
            shape=(-1, column.width),
            allow_nan=column.name in missing.taken,
            allow_infinity=column.name in infinite.taken,
            categories=_only(question, column),
            codes=_codes(question, column),
        )
        inputs.append(tensor if column.text else reached.within(tensor, question, column))
    given = [*(one.answers for one in question.sets), *missing.answers, *infinite.answers, *reached.answers]
    nan, endless = (
        {name for one in given for name, answer in one.items() if _any(bad, answer)} for bad in (np.isnan, np.isinf)
    )
    outputs = tuple(
        Tensor(name, DATATYPES[array.dtype], (-1, *array.shape[1:]), allow_nan=name in nan, allow_infinity=name in endless)
        for name, array in answered.items()
    )
    findings = (*missing.findings, *infinite.findings, *reached.findings)
    return Contract(Signature(tuple(inputs), outputs), findings, (*missing.notes, *infinite.notes))


def _any(bad: Callable[[Array], Array], answer: Array) -> bool:
    return answer.dtype.kind == "f" and bool(bad(answer).any())


_SPECIAL = (("missing values", np.nan), ("infinite values", np.inf))


class _Special:
    """Which inputs may hold NaN, or infinity: those for which both sides answer such rows, and alike."""

    def __init__(self, question: Question, graph: Graph, kind: str, value: float) -> None:
        self.findings: list[Finding] = []
        self.notes: list[str] = []
        self.answers: list[Answers] = []
        numeric = [column.name for column in question.schema.columns if not column.text]
        self.taken = [name for name in numeric if self._holds(question, graph, kind, value, [name])]
        if len(self.taken) > 1 and not self._holds(question, graph, kind, value, self.taken):
            self.taken = []

    def _holds(self, question: Question, graph: Graph, kind: str, value: float, names: list[str]) -> bool:
        rows = RowSet(kind, spoilt(question.sets[0].rows.feeds, value, names))
        # Most objects refuse all of them: to see that, one is enough.
        if not asked(question.ask, rows.only([0]), question.tie).rows.size:
            return False
        special = asked(question.ask, rows, question.tie)
        if special.rows.size < rows.size:
            return False
        try:
            found = compared(graph, special, question.tolerance)
        except Exception as error:  # whatever onnxruntime raises, the rows are not served
            self.notes.append(f"{kind} in {', '.join(names)} are refused, scikit-learn answers them: {error}"[:300])
            return False
        wrong = [finding for finding in found if not finding.gap.passed]
        self.notes += [f"{kind} in {', '.join(names)} are refused, scikit-learn answers them: {one}" for one in wrong[:1]]
        self.findings += [] if wrong else found
        self.answers += [] if wrong else [special.answers]
        return not wrong


def answered_alone(question: Question, graph: Graph, signature: Signature) -> str:
    """A row that scikit-learn refuses, and that neither the signature nor the graph would; empty when there is none."""
    for one in question.sets:
        row = _alone(question, graph, one, signature)
        if row is not None:
            return f"scikit-learn refuses row {row} of its {one.rows.kind!r} rows and the graph answers it"
    return ""


def _alone(question: Question, graph: Graph, one: Asked, signature: Signature | None = None) -> int | None:
    """The first of the refused rows of a set that the graph answers; an answer that is not finite is none."""
    for i in range(min(one.refused.size, REFUSED_ROWS)):
        row = one.refused.only([i])
        try:
            if signature is not None:
                signature.accept(question.schema.cast(row.feeds, graph.candidate.real))
            answers = graph.answer(row.feeds, question.methods)
        except Exception:  # refused here too
            continue
        if all(answer.dtype.kind != "f" or np.isfinite(answer).all() for answer in answers.values()):
            return i
    return None


@dataclass(frozen=True)
class _Reached:
    """How far rows may go: so many times what is usual, or to one size whatever is usual; None where it does not matter."""

    times: float | None = None
    size: float | None = None
    findings: tuple[Finding, ...] = ()
    answers: tuple[Answers, ...] = ()

    def within(self, tensor: Tensor, question: Question, column: Column) -> Tensor:
        """Outwards to two digits, so that it reads well and is the same on every processor."""
        if self.size is not None:
            return replace(tensor, low=(-self.size,) * column.width, high=(self.size,) * column.width)
        if self.times is None:
            return tensor
        usual, most = (_size(rows, column) for rows in (question.sets[:1], question.sets))
        far = np.maximum(usual * self.times, most)
        unit = 10.0 ** (np.floor(np.log10(far)) - 1)
        high = tuple(float(f"{value:.1e}") for value in np.ceil(far / unit) * unit)
        return replace(tensor, low=tuple(-value for value in high), high=high)


def _furthest(question: Question, graph: Graph) -> _Reached:
    """How many times larger than the typical rows a row may be, and what was found on the way there.

    It ends where scikit-learn itself cannot tell, as between neighbours that are all equally far away, or gives up.
    """
    times = 1.0
    for factor in ENLARGED:
        one = next((one for one in question.sets if one.rows.kind == enlarged_kind(factor)), None)
        if one is None or one.undecided.any() or _alone(question, graph, one) is not None:
            return _Reached(times)
        times = float(factor)
    held: list[Finding] = []
    given: list[Answers] = []
    for factor in FURTHER:
        kind = enlarged_kind(factor)
        question.progress.say(f"{graph.candidate.name}: how large may numbers be, {kind}")
        rows = RowSet(kind, enlarged(question.sets[0].rows.feeds, factor))
        try:
            one = asked(question.ask, rows, question.tie)
            found = compared(graph, one, question.tolerance)
        except Exception:  # what fails there is not taken
            break
        decided = one.rows.size and not one.undecided.any() and _alone(question, graph, one) is None
        if not decided or not all(finding.gap.passed for finding in found):
            break
        times, held, given = float(factor), [*held, *found], [*given, one.answers]
    return _Reached(times, None, tuple(held), tuple(given))


def _largest(question: Question, graph: Graph) -> _Reached:
    """What is proved needs no range but scikit-learn's own: it refuses what float32 cannot hold, and so does the server."""
    if graph.candidate.real.itemsize == 4 or all(column.text for column in question.schema.columns):
        return _Reached()
    for power in LARGEST:
        typical = question.sets[0].rows.only(slice(0, 3)).feeds
        rows = {name: array.copy() for name, array in typical.items()}
        for column in question.schema.columns:
            if not column.text:
                rows[column.name][:] = [[10.0**power], [-(10.0**power)], [0.0]][: len(rows[column.name])]
        if asked(question.ask, RowSet("largest", rows), question.tie).refused.size == 0:
            return _Reached() if power == LARGEST[0] else _Reached(None, 10.0**power)
    return _Reached(float(ENLARGED[-1]))


def _size(sets: Sequence[Asked], column: Column) -> Array:
    """The largest magnitude of each feature among the rows that were compared at their own size: (width,)."""
    rows = [one.rows.feeds[column.name] for one in sets if " x " not in one.rows.kind]
    # A feature that is nothing but zero says nothing of how large it may be.
    size = np.max([np.abs(array).max(axis=0) for array in rows], axis=0)
    return np.asarray(np.where(size > 0, size, 1.0))


def _only(question: Question, column: Column) -> tuple[Any, ...] | None:
    """The column's categories, where scikit-learn refuses every other value."""
    if not column.categories or question.schema.table:
        return None
    strange = np.array([[" no such category "]], object) if column.text else np.array([[max(column.categories) + 0.5]])
    row: Feeds = question.sets[0].rows.only([0]).feeds
    found = asked(question.ask, RowSet("strange", {**row, column.name: strange}), question.tie)
    return tuple(column.categories) if found.refused.size else None


def _codes(question: Question, column: Column) -> tuple[tuple[float, ...], ...] | None:
    """The codes of each feature of a table, where scikit-learn refuses every other value; an empty tuple where any goes."""
    restricted = []
    row = question.sets[0].rows.only([0]).feeds
    for feature, known in enumerate(column.codes):
        strange = {name: array.copy() for name, array in row.items()}
        strange[column.name][:, feature] = np.nanmax([*known, 0.0]) + 0.5
        refused = bool(known) and asked(question.ask, RowSet("strange", strange), question.tie).refused.size > 0
        restricted.append(tuple(code for code in known if np.isfinite(code)) if refused else ())
    return tuple(restricted) if any(restricted) else None
