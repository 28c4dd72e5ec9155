"""What must a graph compute to answer as scikit-learn does, as expressions that can be compared with one that was written?

`Terms` listens to `answers` and keeps each operator as a `Term`, with how far two orders of adding can bring it apart.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import TensorProto

from conversion.errors import NotCovered
from conversion.trees.answers import Answer, answer
from conversion.trees.ensembles import Ensemble

_UNIT = np.finfo(np.float64).eps / 2


@dataclass(frozen=True, eq=False)
class Term:
    """One operator of the graph, or `rows`, `constant`, `trees`, `columns`, `outside`.

    The value is at most `size`; computed in another order it is at most `error` away. None: no sum of leaves alone.
    """

    kind: str
    inputs: tuple["Term", ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    value: Any = None
    output: int = 0
    size: float | None = None
    error: float | None = None


class Terms:
    """Raises NotCovered for a model that is told nowhere, unless `outsiders` are allowed."""

    def __init__(self, outsiders: bool = False) -> None:
        self.outsiders = outsiders
        self.rows = Term("rows")

    def node(self, kind: str, inputs: list[Term], output: str | None = None, **given: Any) -> Term:
        size, error = _grown(kind, inputs)
        return Term(kind, tuple(inputs), given, size=size, error=error)

    def constant(self, values: Any, kind: int | None = None) -> Term:
        array = np.asarray(values)
        kind = TensorProto.DOUBLE if kind is None else kind
        if kind == TensorProto.DOUBLE:
            array = array.astype(np.float64)
            return Term("constant", value=array, size=float(np.abs(array).max(initial=0.0)), error=0.0)
        return Term("constant", value=array.astype(object if kind == TensorProto.STRING else np.int64))

    def trees(self, ensemble: Ensemble, rows: Term) -> Term:
        size, error = _added(ensemble)
        return Term("trees", (rows,), value=ensemble, size=size, error=error)

    def steps(self, steps: Sequence[Any], rows: Term) -> Term:
        return Term("steps", (rows,), value=tuple(steps))

    def columns(self, rows: Term, positions: Any) -> Term:
        return Term("columns", (rows,), value=tuple(int(one) for one in positions))

    def ascending(self, values: Term, count: int) -> Term:
        wanted = self.constant([count], TensorProto.INT64)
        return Term("TopK", (values, wanted), {"axis": 1, "largest": 0, "sorted": 1}, output=1)

    def outside(self, model: Any, rows: Term) -> Answer:
        if not self.outsiders:
            raise NotCovered(f"{type(model).__name__} takes part in the answer")
        one = Term("outside", (rows,))
        return Answer(one, one, one)


def told(model: Any, outsiders: bool = False) -> Answer:
    """Raises NotCovered, also for a model that is not fitted."""
    write = Terms(outsiders)
    return answer(write, model, write.rows)


def within(*answers: Term | None) -> Iterator[Term]:
    """Every term that these are made of, once."""
    seen: set[int] = set()
    waiting = [one for one in answers if one is not None]
    while waiting:
        term = waiting.pop()
        if id(term) not in seen:
            seen.add(id(term))
            waiting += term.inputs
            yield term


def rounding(term: Term) -> float:
    """The largest `error` among the sums that the term is made of, before what is no sum."""
    if term.error is not None:
        return term.error
    return max((rounding(one) for one in term.inputs), default=0.0)


def _added(ensemble: Ensemble) -> tuple[float, float]:
    """Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 4.2: n - 1 additions err by at most
    gamma(n - 1) times the sum of the magnitudes. Both orders err."""
    sizes, counts = np.zeros(max(ensemble.targets, 1)), np.zeros(max(ensemble.targets, 1))
    for tree in ensemble.trees:
        leaves = tree.left < 0
        target = tree.target[leaves][0]
        sizes[target] += np.nanmax(np.abs(tree.leaf[leaves]), initial=0.0)
        counts[target] += 1
    gamma = counts * _UNIT / (1 - counts * _UNIT)
    return float(sizes.max()), float((2 * gamma * sizes).max())


def _grown(kind: str, inputs: list[Term]) -> tuple[float | None, float | None]:
    if not inputs or any(one.error is None for one in inputs) or kind not in _GROW:
        return (None, None)
    sizes, errors = np.array([one.size for one in inputs]), np.array([one.error for one in inputs])
    size, error = _GROW[kind](sizes, errors, inputs)
    # What the operation itself rounds, on both sides.
    return float(size), float(error + 2 * len(inputs) * _UNIT * size)


_GROW: dict[str, Any] = {
    "Add": lambda size, error, _: (size.sum(), error.sum()),
    "Sub": lambda size, error, _: (size.sum(), error.sum()),
    "Sum": lambda size, error, _: (size.sum(), error.sum()),
    "Mul": lambda size, error, _: (size.prod(), error[0] * size[1] + error[1] * size[0]),
    "Div": lambda size, error, of: (size[0] / _least(of[1]), error[0] / _least(of[1])),
    "Concat": lambda size, error, _: (size.max(), error.max()),
    "Neg": lambda size, error, _: (size.max(), error.max()),
    "MatMul": lambda size, error, _: (size[0], error[0]),
}


def _least(divisor: Term) -> float:
    return float(np.abs(divisor.value).min())
