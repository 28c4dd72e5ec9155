"""Why does no graph answer as scikit-learn did: which step, on which row, for what cause, and what could the user do?"""

from dataclasses import replace

import numpy as np
from sklearn.pipeline import Pipeline

from conversion.candidates import Candidate
from conversion.parity import Asked, Finding, Graph, asked, compared
from conversion.question import Question
from conversion.reference import Reference
from conversion.steps import unwrap
from conversion.translate import set_shapes, translate
from serving.runtime import open_session
from serving.verification import Tolerance

SHOWN = 8
# A gap below this, in the value's own size or at all, is one of rounding.
_ROUNDING = 1e-4


def diagnosis(question: Question, candidate: Candidate, finding: Finding | None) -> str:
    """Lines that name the step, the row, the cause and the remedy. Without a finding the graph could not be written or run."""
    step, place = _step_at_fault(question, candidate, finding)
    lines = [f"step    {place}"]
    if finding is None:
        cause, remedy = f"no graph of {step} could be written or run", _instead_of(step)
    else:
        lines.append(f"row     {_row(_rows_of(question, finding), finding)}")
        cause, remedy = _cause(finding, step)
    return "\n".join(f"  {line}" for line in (*lines, f"cause   {cause}", f"remedy  {remedy}"))


def _rows_of(question: Question, finding: Finding) -> Asked:
    """The set of rows; a batch repeats the first one."""
    return next((one for one in question.sets if one.rows.kind == finding.kind), question.sets[0])


def _row(one: Asked, finding: Finding) -> str:
    parts = []
    for name, array in list(one.rows.feeds.items())[:SHOWN]:
        values = array[finding.gap.worst_row % one.rows.size].tolist()
        more = f", and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
        parts.append(f"{name} = {', '.join(repr(value) for value in values[:SHOWN])}{more}")
    return "; ".join(parts)[:400]


def _step_at_fault(question: Question, candidate: Candidate, finding: Finding | None) -> tuple[str, str]:
    """The first step of a pipeline that cannot be written, or that the graph computes otherwise on these rows."""
    estimator = unwrap(question.estimator)
    name = type(estimator).__name__
    if not isinstance(estimator, Pipeline) or len(estimator.steps) < 2:
        return name, f"{name}, which is the whole model"
    rows = question.sets[0] if finding is None else _rows_of(question, finding)
    for count in range(1, len(estimator.steps)):
        if not _part_agrees(question, candidate, estimator[:count], rows):
            name = type(estimator.steps[count - 1][1]).__name__
            return name, f"{name}, number {count} of {len(estimator.steps)}: those before it agree on these rows"
    name = type(estimator[-1]).__name__
    return name, f"{name}, the last of {len(estimator.steps)}: those before it agree on these rows"


def _part_agrees(question: Question, candidate: Candidate, part: Pipeline, rows: Asked) -> bool:
    plain = replace(candidate, narrows=False)
    try:
        wanted = asked(Reference(part, question.schema, ["transform"]), rows.rows, question.tie)
    except Exception:  # scikit-learn's own steps may have no transform; then they are not looked at
        return True
    try:
        graph = translate(part, question.schema, ["transform"], plain).graph
        set_shapes(graph, {"transform": wanted.answers["transform"].shape[1:]})
        written = Graph(open_session(graph.SerializeToString()), question.schema, plain)
        found = compared(written, wanted, {"transform": Tolerance(question.tie / 10, question.tie / 10)})
    except Exception:  # whatever skl2onnx or onnxruntime raises
        return False
    return all(one.gap.passed for one in found)


def _cause(finding: Finding, step: str) -> tuple[str, str]:
    gap = finding.gap
    if gap.expected.startswith("shape"):
        return f"the graph of {step} answers in another shape", _instead_of(step)
    expected, answered = _number(gap.expected), _number(gap.answered)
    if expected is None or answered is None or (finding.output == "predict" and np.isinf(gap.max_abs)):
        return f"the graph of {step} decides otherwise, and by scikit-learn's own scores it is no tie", _instead_of(step)
    if not (np.isfinite(answered) and np.isfinite(expected)):
        return f"the numbers of {step} overflow, or are divided by zero, on one side alone", _instead_of(step)
    if abs(expected - answered) < _ROUNDING * max(abs(expected), 1.0):
        return (
            f"rounding: the graph of {step} computes in less than double, or scikit-learn does",
            f"bring the inputs of {step} to a like size, or allow more with --atol and --rtol; the model then says so",
        )
    return f"the graph of {step} computes something else for this row", _instead_of(step)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _instead_of(step: str) -> str:
    return f"use another step in place of {step}; docs/coverage.md lists what is converted"
