"""Which candidate is accepted, and on what evidence?

The first that holds on every row, in the order of `candidates`; otherwise a refusal that gives each one's reason.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx

from conversion import bounds
from conversion.candidates import Candidate, candidates_for
from conversion.errors import Refused
from conversion.evidence import evidence_of
from conversion.members import disagreement
from conversion.parity import Finding, Graph, asked, compared, examine
from conversion.question import Question
from conversion.rows import RowSet, spoilt
from conversion.schema import Column
from conversion.steps import describe
from conversion.translate import set_shapes, translate
from serving.runtime import open_session
from serving.signature import DATATYPES, Array, Signature, Tensor
from serving.verification import Tolerance


@dataclass(frozen=True)
class Tried:
    """One candidate and what became of it."""

    name: str
    verdict: str
    size_bytes: int = 0


@dataclass(frozen=True)
class Accepted:
    """The graph that answers as scikit-learn did, with the evidence as it stands in the model."""

    candidate: Candidate
    graph: onnx.ModelProto
    session: Graph
    signature: Signature
    repairs: tuple[str, ...]
    findings: tuple[Finding, ...]
    evidence: dict[str, Any]
    tried: tuple[Tried, ...] = ()
    seconds: float = 0.0


def search(question: Question) -> Accepted:
    """The first candidate that holds; a later one only where it can be bounded and the first cannot.

    Raises Refused with every candidate's reason.
    """
    start = time.monotonic()
    tried: list[Tried] = []
    held: list[Accepted] = []
    for candidate in candidates_for(question.estimator):
        result = _try(question, candidate)
        if isinstance(result, Tried):
            tried.append(result)
            continue
        held.append(result)
        if result.evidence["evidence"] != "tested" or not bounds.covers(question.estimator):
            break
        tried.append(Tried(candidate.name, f"holds, but no bound: {result.evidence['not_bounded']}", result.graph.ByteSize()))
    if not held:
        reasons = "\n".join(f"  {one.name}: {one.verdict}" for one in tried)
        raise Refused(f"no translation of {describe(question.estimator)} answers as scikit-learn does\n{reasons}")
    chosen = held[-1] if held[-1].evidence["evidence"] != "tested" else held[0]
    tried = [one for one in tried if one.name != chosen.candidate.name]
    tried.append(Tried(chosen.candidate.name, "accepted", chosen.graph.ByteSize()))
    return replace(chosen, tried=tuple(tried), seconds=time.monotonic() - start)


def _try(question: Question, candidate: Candidate) -> Tried | Accepted:
    try:
        translation = translate(question.estimator, question.schema, question.methods, candidate)
    except Exception as error:  # skl2onnx raises what it likes; each is a reason
        return Tried(candidate.name, f"skl2onnx cannot write it: {_first_line(error)}")
    model = translation.graph
    set_shapes(model, {name: answer.shape[1:] for name, answer in question.sets[0].answers.items()})
    try:
        graph = Graph(open_session(model.SerializeToString()), question.schema, candidate)
        findings = tuple(examine(graph, question.sets, _demanded(question, candidate)))
    except Exception as error:  # likewise onnxruntime
        return Tried(candidate.name, f"onnxruntime cannot run it: {_first_line(error)}", model.ByteSize())
    failed = [finding for finding in findings if not finding.gap.passed]
    if failed:
        return Tried(candidate.name, str(failed[0]), model.ByteSize())
    signature = _signature(question, graph)
    answered = _answered_alone(question, graph, signature) or disagreement(question, candidate)
    if answered:
        return Tried(candidate.name, answered, model.ByteSize())
    return Accepted(candidate, model, graph, signature, translation.repairs, findings, evidence_of(model, question))


def _answered_alone(question: Question, graph: Graph, signature: Signature) -> str:
    """A row that scikit-learn refuses, and that neither the signature nor the graph would; empty when there is none."""
    for one in question.sets:
        for i in range(min(one.refused.size, 50)):
            row = one.refused.only([i])
            try:
                signature.accept(question.schema.cast(row.feeds, graph.candidate.real))
                answers = graph.answer(row.feeds, question.methods)
            except Exception:  # refused here too
                continue
            if all(array.dtype.kind != "f" or np.isfinite(array).all() for array in answers.values()):
                return f"scikit-learn refuses row {i} of its {row.kind!r} rows and the graph answers it"
    return ""


def _demanded(question: Question, candidate: Candidate) -> Mapping[str, Tolerance]:
    """What is asked of the rows that were tried: float32 must hold with a tenth, since rows further out are often worse."""
    share = 1.0 if candidate.real.itemsize == 8 or candidate.exact_trees else 0.1
    return {name: Tolerance(share * t.atol, share * t.rtol) for name, t in question.tolerance.items()}


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _signature(question: Question, graph: Graph) -> Signature:
    """What the accepted graph takes and gives; NaN and infinity only where both sides answer them alike."""
    allowed = {value: _special(question, graph, value) for value in (np.nan, np.inf)}
    typical = question.sets[0].rows.feeds
    cast = question.schema.cast(typical, graph.candidate.real)
    answered = graph.answer(typical, question.methods)
    inputs = tuple(
        Tensor(
            name=column.name,
            datatype="BYTES" if column.text else _datatype(cast[column.name]),
            shape=(-1, column.width),
            allow_nan=not column.text and allowed[np.nan],
            allow_infinity=not column.text and allowed[np.inf],
            categories=_only(question, column),
        )
        for column in question.schema.columns
    )
    outputs = tuple(Tensor(name, _datatype(array), (-1, *array.shape[1:])) for name, array in answered.items())
    return Signature(inputs, outputs)


def _datatype(array: Array) -> str:
    return DATATYPES[array.dtype]


def _special(question: Question, graph: Graph, value: float) -> bool:
    """Do both answer rows that hold NaN or infinity, and alike? A graph that fails on them is a no."""
    if all(column.text for column in question.schema.columns):
        return False
    rows = RowSet("special", spoilt(question.sets[0].rows.feeds, value))
    try:
        special = asked(question.ask, rows, question.tie)
        if special.rows.size < rows.size:
            return False
        return all(finding.gap.passed for finding in compared(graph, special, question.tolerance))
    except Exception:  # whatever onnxruntime raises, the rows are not served
        return False


def _only(question: Question, column: Column) -> tuple[Any, ...] | None:
    """The column's categories, where scikit-learn refuses every other value."""
    if not column.categories or question.schema.table:
        return None
    strange = np.array([[" no such category "]], object) if column.text else np.array([[max(column.categories) + 0.5]])
    row = question.sets[0].rows.only([0])
    asked_for = asked(question.ask, RowSet("strange", {**row.feeds, column.name: strange}), question.tie)
    return tuple(column.categories) if asked_for.refused.size else None
