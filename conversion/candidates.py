"""In which ways can a fitted object be written as a graph? `candidates_for` gives the order."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from skl2onnx.sklapi import CastTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from conversion.errors import Refused
from conversion.steps import steps_of
from conversion.trees import forests

# Where a mean is subtracted; what comes after it is near zero, and float32 holds it well.
_AFFINE = (StandardScaler, RobustScaler, MinMaxScaler, MaxAbsScaler, PCA, TruncatedSVD)


@dataclass(frozen=True)
class Candidate:
    """`real` is the precision of the graph's inputs; with `exact_trees` every tree ensemble is written in double.

    With `narrows` the leading affine steps are in double and everything after them in float32; with `folds` they are part of
    the first matrix product.
    """

    name: str
    real: np.dtype[Any]
    exact_trees: bool = False
    narrows: bool = False
    folds: bool = False

    @property
    def precision(self) -> str:
        return "mixed" if self.narrows else self.real.name

    def written_as(self, estimator: Any) -> Any:
        """The object as it is translated: itself, or a copy that casts where the candidate narrows."""
        if not self.narrows:
            return estimator
        count = _affine_steps(estimator)
        steps = list(estimator.steps)
        changed = copy.copy(estimator)
        changed.steps = [*steps[:count], ("narrow", CastTransformer(dtype=np.float32)), *steps[count:]]
        return changed


FLOAT32 = Candidate("float32", np.dtype(np.float32))
MIXED = Candidate("mixed", np.dtype(np.float64), narrows=True)
FOLDED = Candidate("float64, folded", np.dtype(np.float64), folds=True)
FLOAT64 = Candidate("float64", np.dtype(np.float64))
EXACT_FLOAT32 = Candidate("float32, exact trees", np.dtype(np.float32), exact_trees=True)
EXACT_FLOAT64 = Candidate("float64, exact trees", np.dtype(np.float64), exact_trees=True)


def candidates_for(estimator: Any, precision: str = "") -> list[Candidate]:
    """Those worth trying: exact trees first, since they can be proved, then double, then mixed, then float32.

    Folded comes before plain double: it is faster, and must hold on the same evidence.

    float32 comes last though it is smaller: its errors grow where no row was tried, and double costs nothing at one row.

    Where a step stands before the trees, its rounding decides on which side of a split a row falls, so it is done in the
    precision in which scikit-learn does it; histogram boosting compares the rows in double as they come.

    With `precision` only those of it. Raises Refused when there is none.
    """
    found = [one for one in _in_order(estimator) if precision in ("", one.precision)]
    if not found:
        raise Refused(
            f"--precision {precision}: there is no such graph of this object; mixed is for a pipeline that begins with a"
            " scaler or PCA and goes on after it; leave the option out to let the search decide"
        )
    return found


def _in_order(estimator: Any) -> list[Candidate]:
    steps = steps_of(estimator)
    exact = [step for step in steps if forests.holds(step)]
    begins_affine = _affine_steps(estimator) and not exact
    plain = [*([FOLDED] if begins_affine else []), FLOAT64, *([MIXED] if begins_affine else []), FLOAT32]
    if not exact:
        return plain
    if exact[0] is not steps[0]:
        # A row that stands on a split falls beside it where a step before the trees has rounded to float32.
        return [EXACT_FLOAT64, FLOAT64]
    first_casts = forests.compares_in_float32(exact[0])
    return [EXACT_FLOAT32, EXACT_FLOAT64, *plain] if first_casts else [EXACT_FLOAT64, EXACT_FLOAT32, *plain]


def _affine_steps(estimator: Any) -> int:
    """How many steps of the pipeline are affine before the first that is not; none when nothing comes after them."""
    if not isinstance(estimator, Pipeline):
        return 0
    kinds = [isinstance(step, _AFFINE) for _, step in estimator.steps]
    count = kinds.index(False) if False in kinds else len(kinds)
    return count if count < len(kinds) else 0
