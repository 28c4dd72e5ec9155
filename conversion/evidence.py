"""What kind of evidence does an accepted graph have: proved, bounded, or tested?

Tested is what every accepted graph is; the others are said only where they hold.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
import onnx

from conversion.error_bounds.bounds import Bound, NotBounded, bound
from conversion.error_bounds.rounding import ASSUMPTION
from conversion.question import Question
from conversion.trees.proof import NotProved, prove
from conversion.write import rounded_up
from serving.signature import Array

# The kinds of rows whose hull is the range that a bound is stated for; the last is left out where no bound holds so far out.
_RANGE = ("data", "typical", "learned", "typical x 10")


def evidence_of(graph: onnx.ModelProto, question: Question) -> dict[str, Any]:
    """As it stands in the model: the kind, its figures, and why it is not a stronger one."""
    try:
        return {"evidence": "proved", "proof": asdict(prove(graph, question.estimator))}
    except NotProved as reason:
        not_proved = str(reason)
    try:
        figures = _bound(graph, question)
    except NotBounded as reason:
        return {"evidence": "tested", "not_proved": not_proved, "not_bounded": str(reason)}
    return {"evidence": "bounded", "bound": figures, "not_proved": not_proved}


def _figures(found: Bound, kinds: tuple[str, ...]) -> dict[str, Any]:
    """`range` names the kinds of rows whose hull, feature by feature, is the range."""
    ends = {"low": found.low.tolist(), "high": found.high.tolist()}
    # The last digits differ between processors.
    figures: dict[str, Any] = {"largest": rounded_up(found.largest), "range": list(kinds), **ends}
    figures |= {name: rounded_up(value) for name, value in (("margin", found.margin), ("share", found.share)) if value}
    return figures | ({"assumed": ASSUMPTION} if found.assumed else {})


def _bound(graph: onnx.ModelProto, question: Question) -> dict[str, Any]:
    if not question.schema.table:
        raise NotBounded("more than one input")
    present = tuple(kind for kind in _RANGE if any(one.rows.kind == kind for one in question.sets))
    try:
        return _figures(_within(graph, question, present), present)
    except NotBounded:
        nearer = tuple(kind for kind in present if kind != _RANGE[-1])
        return _figures(_within(graph, question, nearer), nearer)


def _within(graph: onnx.ModelProto, question: Question, kinds: tuple[str, ...]) -> Bound:
    found = bound(graph, question.estimator, *_hull(question, kinds))
    real = [question.tolerance[name] for name, answer in question.sets[0].answers.items() if answer.dtype.kind == "f"]
    share = min((one.rtol for one in real), default=0.0)
    if found.largest > question.tie and (found.share is None or found.share > share):
        raise NotBounded(f"the bound {found.largest:.0e} is above the tolerance {question.tie:g}")
    if found.margin is not None and found.margin > question.tie:
        raise NotBounded(f"labels may differ within {found.margin:.0e} of a tie, and the tolerance is {question.tie:g}")
    return found


def _hull(question: Question, kinds: tuple[str, ...]) -> tuple[Array, Array]:
    """Outwards to three digits of the widest feature, so that the range reads well and is the same on every processor."""
    rows = np.concatenate([one.rows.feeds["X"] for one in question.sets if one.rows.kind in kinds])
    digits = 2 - int(np.floor(np.log10(np.abs(rows).max() or 1.0)))
    step = 10.0**-digits
    low = np.round(np.floor(rows.min(axis=0) / step) * step, digits)
    high = np.round(np.ceil(rows.max(axis=0) / step) * step, digits)
    return low, high
