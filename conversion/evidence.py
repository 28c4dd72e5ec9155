"""What kind of evidence does an accepted graph have: proved, bounded, or tested?

Tested is what every accepted graph is; the others are said only where they hold.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
import onnx

from conversion.bounds import Bound, NotBounded, bound
from conversion.proof import NotProved, prove
from conversion.question import Question
from conversion.write import rounded_up

# The kinds of rows whose hull is the range that a bound is stated for.
_RANGE = ("data", "typical", "learned", "typical x 10")


def evidence_of(graph: onnx.ModelProto, question: Question) -> dict[str, Any]:
    """As it stands in the model: the kind, its figures, and why it is not a stronger one."""
    try:
        return {"evidence": "proved", "proof": asdict(prove(graph, question.estimator))}
    except NotProved as reason:
        not_proved = str(reason)
    try:
        found = _bound(graph, question)
    except NotBounded as reason:
        return {"evidence": "tested", "not_proved": not_proved, "not_bounded": str(reason)}
    # The last digits differ between processors.
    figures = {"largest": rounded_up(found.largest), "low": found.low.tolist(), "high": found.high.tolist()}
    return {"evidence": "bounded", "bound": figures, "not_proved": not_proved}


def _bound(graph: onnx.ModelProto, question: Question) -> Bound:
    if not question.schema.table or len(question.methods) != 1:
        raise NotBounded("more than one input or output")
    rows = np.concatenate([one.rows.feeds["X"] for one in question.sets if one.rows.kind in _RANGE])
    # Outwards to three digits of the widest feature, so that the range reads well and is the same on every processor.
    digits = 2 - int(np.floor(np.log10(np.abs(rows).max() or 1.0)))
    step = 10.0**-digits
    low = np.round(np.floor(rows.min(axis=0) / step) * step, digits)
    high = np.round(np.ceil(rows.max(axis=0) / step) * step, digits)
    found = bound(graph, question.estimator, low, high)
    if found.largest > question.tie:
        raise NotBounded(f"the bound {found.largest:.0e} is above the tolerance {question.tie:g}")
    return found
