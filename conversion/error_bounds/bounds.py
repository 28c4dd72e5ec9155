"""How far can the written graph be from scikit-learn for any row in a range?

Both are followed operation by operation (`fitted`, `written`); `rounding` bounds what lies between.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from conversion.error_bounds.choices import Labels, largest, margin_of
from conversion.error_bounds.fitted import answers, covers
from conversion.error_bounds.rounding import DOUBLE, MALFORMED, NotBounded, Value, apart, ratio
from conversion.error_bounds.written import written
from serving.signature import Array

__all__ = ["Bound", "NotBounded", "bound", "covers"]


@dataclass(frozen=True)
class Bound:
    """Whatever row lies in [low, high], feature by feature, no number of the graph is further than `largest` from scikit-learn.

    Where both are exp of something, it is within `share` of scikit-learn's number, too. Labels are equal wherever the scores
    that decide differ by more than `margin` (with two classes: differ from their threshold). `assumed`: exp, tanh, cos or the
    logistic function stand on the way.
    """

    largest: float
    low: Array
    high: Array
    margin: float | None = None
    share: float | None = None
    assumed: bool = False


def bound(graph: onnx.ModelProto, estimator: Any, low: Array, high: Array) -> Bound:
    """Of all outputs, which are named for scikit-learn's methods. Raises NotBounded where either side cannot be followed."""
    try:
        with np.errstate(all="ignore"):
            return _bound(graph, estimator, low, high)
    except MALFORMED as error:
        raise NotBounded(f"{type(estimator).__name__} or its graph has other parts than expected: {error}") from error


def _bound(graph: onnx.ModelProto, estimator: Any, low: Array, high: Array) -> Bound:
    gaps, margins, shares, assumed = [0.0], [], [], False
    fitted = {one.name: answers(estimator, one.name, Value.rows(low, high, DOUBLE)) for one in graph.graph.output}
    for method, value in written(graph, low, high).items():
        wanted = fitted[method]
        if isinstance(wanted, Labels):
            margins.append(margin_of(value, wanted))
            assumed |= _assumes(wanted.choice.scores)
            continue
        if not isinstance(value, Value) or not isinstance(wanted, Value):
            raise NotBounded(f"the graph answers {method} with a label")
        gaps.append(largest(apart(value, wanted)))
        shares.append(ratio(value, wanted))
        assumed |= _assumes(wanted)
    share = shares[0] if len(shares) == 1 else None
    return Bound(max(gaps), low, high, max(margins) if margins else None, share, assumed)


def _assumes(value: Value) -> bool:
    base = value.base
    while base.inner is not None:
        if base.function not in ("relu", "clip", "distances"):
            return True
        base = base.inner.base
    return False
