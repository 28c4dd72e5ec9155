"""Is a repaired estimator accepted, and right on rows that the search has not seen?"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from skl2onnx._supported_operators import build_sklearn_operator_name_map

from conversion.parity import asked, compared
from conversion.rows import RowSet, representable
from conversion.search import Accepted, search
from serving.signature import Array
from tests.conversion.asking import question


def agrees(estimator: Any, seen: Array, repair: str) -> Accepted:
    """Searches, then compares on rows around `seen`; ties within scikit-learn's own margin are few."""
    asking = question(estimator)
    accepted = search(asking)
    onnx.checker.check_model(accepted.graph)
    assert repair in accepted.repairs
    for kind, rows in _unseen(seen):
        one = asked(asking.ask, RowSet(kind, {"X": representable(rows)}), asking.tie)
        for finding in compared(accepted.session, one, asking.tolerance) if one.rows.size else ():
            assert finding.gap.passed, str(finding)
            assert finding.ties <= one.rows.size / 20
    return accepted


def _unseen(seen: Array) -> Iterator[tuple[str, Array]]:
    rng = np.random.default_rng(987)
    centre, spread, width = seen.mean(axis=0), seen.std(axis=0), seen.shape[1]
    yield "seen", seen
    yield "another seed", centre + spread * rng.standard_normal((700, width))
    yield "uniform", centre + spread * rng.uniform(-3, 3, (500, width))
    yield "whole numbers", rng.integers(-4, 9, (400, width)).astype(np.float64)
    yield "halves", rng.integers(-8, 9, (400, width)) / 2
    yield "shifted", centre + spread * (rng.standard_normal((300, width)) + rng.integers(-50, 50, (300, 1)))
    yield "every scale", centre + spread * rng.standard_normal((300, width)) * 10.0 ** rng.integers(-8, 3, (300, width))
    yield "positive", np.abs(centre + spread * rng.standard_normal((500, width)))


def lacks(kinds: tuple[type, ...]) -> bool:
    """Does skl2onnx as it comes have no converter for any of these?"""
    return not set(kinds) & set(build_sklearn_operator_name_map())
