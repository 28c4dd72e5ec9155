"""In which ways can a fitted object be written as a graph? `candidates_for` gives the order."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from conversion import forests
from conversion.steps import steps_of


@dataclass(frozen=True)
class Candidate:
    """`real` is the precision of the graph's inputs; with `exact_trees` every tree ensemble is written in double."""

    name: str
    real: np.dtype[Any]
    exact_trees: bool = False


FLOAT32 = Candidate("float32", np.dtype(np.float32))
FLOAT64 = Candidate("float64", np.dtype(np.float64))
EXACT_FLOAT32 = Candidate("float32, exact trees", np.dtype(np.float32), exact_trees=True)
EXACT_FLOAT64 = Candidate("float64, exact trees", np.dtype(np.float64), exact_trees=True)


def candidates_for(estimator: Any) -> list[Candidate]:
    """Those worth trying: exact trees first, since they can be proved, then double, then float32.

    float32 comes last though it is smaller: its errors grow where no row was tried, and double costs nothing at one row.

    Where a step stands before the trees, its rounding decides on which side of a split a row falls, so it is done in the
    precision in which scikit-learn does it; histogram boosting compares the rows in double as they come.
    """
    steps = steps_of(estimator)
    exact = [step for step in steps if forests.holds(step)]
    plain = [FLOAT64, FLOAT32]
    if not exact:
        return plain
    if exact[0] is not steps[0]:
        # A row that stands on a split falls beside it where a step before the trees has rounded to float32.
        return [EXACT_FLOAT64, FLOAT64]
    first_casts = forests.compares_in_float32(exact[0])
    return [EXACT_FLOAT32, EXACT_FLOAT64, *plain] if first_casts else [EXACT_FLOAT64, EXACT_FLOAT32, *plain]
