"""What is known of a graph's tensors so far: constants as they are, everything else as a bounded value?"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from conversion.error_bounds.choices import Answer
from conversion.error_bounds.rounding import DOUBLE, SINGLE, NotBounded, Value
from serving.signature import Array

UNITS = {TensorProto.FLOAT: SINGLE, TensorProto.DOUBLE: DOUBLE}


@dataclass(frozen=True)
class Shape:
    """A shape that is computed: None stands for the number of rows."""

    sizes: tuple[int | None, ...]


@dataclass(frozen=True)
class Squares:
    """The sum of a value's squares, (n, 1), and what was added to it, (n, k)."""

    of: Value
    added: Value | None = None


@dataclass(frozen=True)
class Wide:
    """A value as (n, 1, k), less each of some points when there are any: (n, points, k)."""

    of: Value
    points: Array | None = None


@dataclass(frozen=True)
class Tensor:
    """A value with its number of axes: (n, k), or (n,) when `flat`."""

    holds: Answer
    flat: bool = False


class Tensors:
    """By name. What asks for anything else than there is gets NotBounded."""

    def __init__(self, model: onnx.ModelProto, low: Array, high: Array) -> None:
        if len(model.graph.input) != 1:
            raise NotBounded("the graph has several inputs")
        given = model.graph.input[0]
        self.constants = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
        unit = UNITS.get(given.type.tensor_type.elem_type)
        if unit is None:
            raise NotBounded("the graph's input is no real number")
        self.values: dict[str, Any] = {given.name: Tensor(Value.rows(low, high, unit))}

    def tensor(self, node: Any, position: int = 0) -> Tensor:
        found = self.values.get(node.input[position])
        if not isinstance(found, Tensor):
            raise NotBounded(f"{node.op_type} reads what is not bounded")
        return found

    def number(self, node: Any, position: int = 0) -> tuple[Value, bool]:
        found = self.tensor(node, position)
        if not isinstance(found.holds, Value):
            raise NotBounded(f"{node.op_type} computes with a label")
        return found.holds, found.flat

    def constant(self, node: Any, position: int) -> Array:
        if len(node.input) <= position or node.input[position] not in self.constants:
            raise NotBounded(f"{node.op_type} reads something that is no constant")
        return np.asarray(self.constants[node.input[position]])

    def is_constant(self, node: Any, position: int) -> bool:
        return node.input[position] in self.constants

    def vector(self, node: Any, position: int, of: Value, flat: bool) -> Array:
        """A constant that is added to every row, feature by feature."""
        array = self.constant(node, position)
        fits = array.size == 1 if flat or array.ndim == 0 else array.shape[-1] in (1, of.width)
        fits = fits and (array.ndim < 2 or len(array) == 1)
        if array.ndim > (1 if flat else 2) or array.size not in (1, of.width) or not fits:
            raise NotBounded(f"{node.op_type} spreads {array.shape} over {of.width} columns")
        return np.broadcast_to(array.astype(np.float64).reshape(-1), (of.width,))
