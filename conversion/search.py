"""Which candidate is accepted, and on what evidence?

The first that holds on every row, in the order of `candidates`; otherwise a refusal that gives each one's reason.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx

from conversion.candidates import Candidate, candidates_for
from conversion.contract import answered_alone, contract
from conversion.diagnosis import diagnosis
from conversion.error_bounds import bounds
from conversion.errors import Refused
from conversion.evidence import evidence_of
from conversion.members import disagreement
from conversion.parity import Finding, Graph, examine
from conversion.question import Question
from conversion.steps import describe
from conversion.translate import set_shapes, translate
from serving.runtime import open_session
from serving.signature import Signature
from serving.verification import Tolerance

# Rows as the model will be asked; what is excused among them may be an accident, and no more than that.
_ORDINARY = ("data", "typical", "learned")
_MOST_EXCUSED = 0.005


@dataclass(frozen=True)
class Tried:
    """One candidate and what became of it; `finding` is what it got wrong first."""

    candidate: Candidate
    verdict: str
    size_bytes: int = 0
    finding: Finding | None = None
    one_row_us: float = 0.0

    @property
    def name(self) -> str:
        return self.candidate.name


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
    notes: tuple[str, ...] = ()
    one_row_us: float = 0.0
    tried: tuple[Tried, ...] = ()
    seconds: float = 0.0


def search(question: Question) -> Accepted:
    """The first candidate that holds; a later one only where it can be bounded and the first cannot.

    Raises Refused with every candidate's reason.
    """
    start = time.monotonic()
    tried: list[Tried] = []
    held: list[Accepted] = []
    for candidate in candidates_for(question.estimator, question.precision):
        result = _try(question, candidate)
        if isinstance(result, Tried):
            tried.append(result)
            continue
        held.append(result)
        if result.evidence["evidence"] != "tested" or not bounds.covers(question.estimator):
            break
        said = f"holds, but no bound: {result.evidence['not_bounded']}"
        tried.append(Tried(candidate, said, result.graph.ByteSize(), None, result.one_row_us))
    if not held:
        raise Refused(_refusal(question, tried))
    chosen = held[-1] if held[-1].evidence["evidence"] != "tested" else held[0]
    tried = [one for one in tried if one.name != chosen.candidate.name]
    tried.append(Tried(chosen.candidate, "accepted", chosen.graph.ByteSize(), None, chosen.one_row_us))
    return replace(chosen, tried=tuple(tried), seconds=time.monotonic() - start)


def _try(question: Question, candidate: Candidate) -> Tried | Accepted:
    question.progress.say(f"{candidate.name}: writing the graph")
    try:
        translation = translate(question.estimator, question.schema, question.methods, candidate)
    except Exception as error:  # skl2onnx raises what it likes; each is a reason
        return Tried(candidate, f"it cannot be written: {_unwritten(error)}")
    model = translation.graph
    set_shapes(model, {name: answer.shape[1:] for name, answer in question.sets[0].answers.items()})
    try:
        graph = Graph(open_session(model.SerializeToString()), question.schema, candidate)
        findings = tuple(examine(graph, question.sets, _demanded(question, candidate), question.progress))
    except Exception as error:  # likewise onnxruntime
        return Tried(candidate, f"onnxruntime cannot run it: {_first_line(error)}", model.ByteSize())
    one_row_us = _one_row_us(question, graph)
    failed = [finding for finding in findings if not finding.gap.passed]
    if failed:
        return Tried(candidate, f"{failed[0]}{_strictness(candidate)}", model.ByteSize(), failed[0], one_row_us)
    excused = [one for one in findings if one.kind in _ORDINARY and one.ties > _MOST_EXCUSED * one.gap.rows]
    if excused:
        return Tried(candidate, _hollow(excused[0]), model.ByteSize(), None, one_row_us)
    evidence = evidence_of(model, question)
    agreed = contract(question, graph, limited=evidence["evidence"] != "proved")
    answered = answered_alone(question, graph, agreed.signature) or disagreement(question, candidate)
    if answered:
        return Tried(candidate, answered, model.ByteSize(), None, one_row_us)
    findings += agreed.findings
    repairs, notes = translation.repairs, agreed.notes
    return Accepted(candidate, model, graph, agreed.signature, repairs, findings, evidence, notes, one_row_us)


def _hollow(finding: Finding) -> str:
    return (
        f"{finding.ties} of {finding.gap.rows} {finding.kind!r} rows have another {finding.output!r} where scikit-learn itself"
        " is undecided, between labels or between equally near rows; so many on ordinary rows leave no evidence"
    )


def _one_row_us(question: Question, graph: Graph) -> float:
    """Microseconds for one row alone, median of 30."""
    row = question.schema.cast(question.sets[0].rows.only([0]).feeds, graph.candidate.real)
    taken = []
    for _ in range(30):
        start = time.perf_counter()
        graph.session.run(None, row)
        taken.append(time.perf_counter() - start)
    return round(float(np.median(taken)) * 1e6, 1)


def _refusal(question: Question, tried: list[Tried]) -> str:
    first: dict[str, str] = {}
    for one in tried:
        first.setdefault(one.verdict, one.name)
    reasons = [f"  {one.name}: {one.verdict if first[one.verdict] == one.name else 'the same'}" for one in tried]
    nearest = next((one for one in tried if one.finding is not None), tried[0])
    told = diagnosis(question, nearest.candidate, nearest.finding)
    return "\n".join([f"no translation of {describe(question.estimator)} answers as scikit-learn does", *reasons, told])


def _share(candidate: Candidate) -> float:
    """Which part of the tolerance is asked of it: what computes in float32 is often worse on rows further out."""
    return 1.0 if candidate.precision == "float64" or candidate.exact_trees else 0.1


def _strictness(candidate: Candidate) -> str:
    return "" if _share(candidate) == 1.0 else " (what computes in float32 must hold with a tenth of the tolerance)"


def _demanded(question: Question, candidate: Candidate) -> Mapping[str, Tolerance]:
    share = _share(candidate)
    return {name: Tolerance(share * t.atol, share * t.rtol) for name, t in question.tolerance.items()}


def _unwritten(error: Exception) -> str:
    lacking = re.search(r"Unable to find a shape calculator for type '<class '[\w.]*?(\w+)'>'", str(error))
    return f"there is no converter for {lacking[1]}" if lacking else _first_line(error)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
