"""Which training rows are nearest to a row, and how far away are they, as scikit-learn measures it?

A *surrogate* is what it compares in place of the distance: the squared distance, the sum of powers, the distance itself.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto

from conversion.writer import Writer
from serving.signature import Array

# How many rows more than asked for are measured again: the product's rounding may swap the last ones.
SPARE = 16
# So many training rows are compared at once: the scores of a thousand rows stay near 130 MB.
BLOCK = 16_384
_SAME = 1e-12
_SQUARES, _POWERS, _LARGEST, _ANGLES = "squares", "powers", "largest", "angles"
_KINDS = {
    "euclidean": _SQUARES, "l2": _SQUARES, "manhattan": _POWERS, "cityblock": _POWERS, "l1": _POWERS, "minkowski": _POWERS,
    "p": _POWERS, "chebyshev": _LARGEST, "infinity": _LARGEST, "cosine": _ANGLES,
}  # fmt: skip


@dataclass(frozen=True)
class Space:
    """The training rows and how distances from them are taken.

    `rounded`: scikit-learn expands the square (or normalises) and multiplies matrices, so its surrogates carry the rounding
    of the rows' own length.
    """

    rows: Array
    kind: str
    power: float
    rounded: bool

    def surrogates(self, queries: Array) -> Array:
        """(n, training rows), summed feature by feature: equal distances come out equal to the last bit."""
        if self.kind == _ANGLES:
            return np.asarray(np.clip(1.0 - unit(queries) @ unit(self.rows).T, 0.0, 2.0))
        total = np.zeros((len(queries), len(self.rows)))
        for feature in range(self.rows.shape[1]):
            step = np.abs(queries[:, feature, None] - self.rows[:, feature])
            if self.kind == _LARGEST:
                np.maximum(total, step, out=total)
            else:
                total += step * step if self.power == 2 else step**self.power
        return total

    def blur(self, queries: Array) -> Array:
        """How far two surrogates may be apart and yet count as equal, beside one part in 1e12. (n, 1)"""
        if not self.rounded:
            return np.zeros((len(queries), 1))
        longest = 1.0 if self.kind == _ANGLES else (queries**2).sum(axis=1, keepdims=True) + (self.rows**2).sum(axis=1).max()
        return np.asarray(4 * np.finfo(np.float64).eps * longest * np.ones((len(queries), 1)))

    def same(self, values: Array, other: Array | float, queries: Array) -> Array:
        """Which surrogates of the queries are equal to `other`, but for rounding."""
        return np.asarray(np.abs(values - other) <= _SAME * np.abs(other) + self.blur(queries))


def space_of(model: Any) -> Space:
    """Raises ValueError for a metric, or training rows, that are not written here."""
    metric, given = model.effective_metric_, model.effective_metric_params_ or {}
    kind = _KINDS.get(metric) if isinstance(metric, str) else None
    if kind is None or given.get("w") is not None:
        raise ValueError(f"the metric {metric!r} is not covered; covered are {sorted(_KINDS)}, without weights")
    rows = model._fit_X
    if not isinstance(rows, np.ndarray):
        raise ValueError(f"the training rows are a {type(rows).__name__}; fit it on a dense array")
    power = 2.0 if kind == _SQUARES else float(given.get("p", 1)) if metric in ("minkowski", "p") else 1.0
    return Space(rows.astype(np.float64), kind, power, model._fit_method == "brute" and kind in (_SQUARES, _ANGLES))


def unit(rows: Array) -> Array:
    """sklearn.preprocessing.normalize, where a row of zeros stays as it is."""
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    return np.asarray(rows / np.where(length == 0.0, 1.0, length)[:, None])


def nearest(write: Writer, rows: str, space: Space, count: int) -> tuple[str, str]:
    """Distances and numbers of the nearest training rows, nearest first, both (n, count)."""
    squares = space.kind == _SQUARES
    many = min(len(space.rows), count + SPARE) if squares else count
    found = [_of_block(write, rows, space, start, many) for start in range(0, len(space.rows), BLOCK)]
    values, chosen = found[0]
    if len(found) > 1:
        values, chosen = _merged(write, found, many)
    if not squares:
        return distances(write, values, space), chosen
    exact = _measured(write, rows, chosen, space)
    near, place = smallest(write, exact, count)
    return distances(write, near, space), write.node("GatherElements", [chosen, place], axis=1)


def _of_block(write: Writer, rows: str, space: Space, start: int, many: int) -> tuple[str, str]:
    block = space.rows[start : start + BLOCK]
    rough = _product(write, rows, block, space) if space.kind == _SQUARES else surrogates(write, rows, space, start)
    values, places = smallest(write, rough, min(many, len(block)))
    return values, write.node("Add", [places, write.constant([start], TensorProto.INT64)]) if start else places


def _merged(write: Writer, found: list[tuple[str, str]], many: int) -> tuple[str, str]:
    values, numbers = (write.node("Concat", [one[side] for one in found], axis=1) for side in (0, 1))
    best, place = smallest(write, values, many)
    return best, write.node("GatherElements", [numbers, place], axis=1)


def surrogates(write: Writer, rows: str, space: Space, start: int = 0) -> str:
    """Of one block of training rows, one feature at a time, as `Space.surrogates` does. (n, block)"""
    block = space.rows[start : start + BLOCK]
    if space.kind == _ANGLES:
        length = write.node("Sqrt", [write.node("ReduceSumSquare", [rows, _axis(write, 1)], keepdims=1)])
        none = write.node("Equal", [length, write.constant([0.0])])
        own = write.node("Div", [rows, write.node("Where", [none, write.constant([1.0]), length])])
        turned = write.node("Sub", [write.constant([1.0]), write.node("MatMul", [own, write.constant(unit(block).T)])])
        return write.node("Clip", [turned, write.constant(0.0), write.constant(2.0)])
    total = ""
    for feature in range(block.shape[1]):
        own = write.node("Gather", [rows, _axis(write, feature)], axis=1)
        part = _part(write, write.node("Sub", [own, write.constant(block[:, feature])]), space)
        total = write.node("Max" if space.kind == _LARGEST else "Add", [total, part]) if total else part
    return total


def distances(write: Writer, values: str, space: Space) -> str:
    """From surrogates."""
    if space.kind not in (_SQUARES, _POWERS) or space.power == 1:
        return values
    if space.power == 2:
        return write.node("Sqrt", [values])
    return write.node("Pow", [values, write.constant([1.0 / space.power])])


def _part(write: Writer, step: str, space: Space) -> str:
    """What one feature's difference adds."""
    if space.kind == _SQUARES or space.power == 2:
        return write.node("Mul", [step, step])
    size = write.node("Abs", [step])
    return size if space.power == 1 else write.node("Pow", [size, write.constant([space.power])])


def _measured(write: Writer, rows: str, chosen: str, space: Space) -> str:
    """The squared distances of the chosen rows, as exactly as scikit-learn measures them. (n, chosen)"""
    gathered = write.node("Gather", [write.constant(space.rows), chosen], axis=0)
    step = write.node("Sub", [write.node("Unsqueeze", [rows, _axis(write, 1)]), gathered])
    features = space.rows.shape[1]
    if space.rounded:
        return write.node("ReduceSumSquare", [step, _axis(write, -1)], keepdims=0)
    sizes = write.node("Mul", [step, step])
    if features == 1:
        return write.node("Squeeze", [sizes, _axis(write, 2)])
    parts = [write.scope.get_unique_variable_name("feature") for _ in range(features)]
    name = write.scope.get_unique_operator_name("Split")
    write.container.add_node("Split", [sizes], parts, name=name, op_version=18, axis=2, num_outputs=features)
    total = parts[0]
    for part in parts[1:]:
        total = write.node("Add", [total, part])
    return write.node("Squeeze", [total, _axis(write, 2)])


def _product(write: Writer, rows: str, block: Array, space: Space) -> str:
    """|y|^2 - 2 x.y about the mean of the training rows; |x|^2 is the same for all of them."""
    mean = space.rows.mean(axis=0)
    about = block - mean
    centred = write.node("Sub", [rows, write.constant(mean)])
    squares = write.constant(np.einsum("ij,ij->i", about, about))
    return write.node("Gemm", [centred, write.constant(-2.0 * about.T), squares])


def smallest(write: Writer, values: str, count: int) -> tuple[str, str]:
    found = [write.scope.get_unique_variable_name(name) for name in ("nearest", "place")]
    name = write.scope.get_unique_operator_name("TopK")
    many = write.constant([count], TensorProto.INT64)
    write.container.add_node("TopK", [values, many], found, name=name, axis=1, largest=0, sorted=1)
    return found[0], found[1]


def _axis(write: Writer, axis: int) -> str:
    return write.constant([axis], TensorProto.INT64)
