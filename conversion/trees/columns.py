"""Do the rows that reach the trees hold, bit for bit, what scikit-learn's steps before them compute?

Each column of a table is an expression of its own: a column of the input, or an IEEE operation in double on such a column and a
constant. `Columns` reads them off the written graph; `steps` of scikit-learn are told in `elementwise`. Equal expressions
compute equal bits.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from serving.signature import Array

_REAL = (TensorProto.FLOAT, TensorProto.DOUBLE)
# Since then Softmax, ArgMax and Clip are what they are now.
_OLDEST = 13
_INPUT, _SINGLE = "input", "rounded to float32"


class NotAlike(Exception):
    """What stands between the input and the trees, and is not known to give the same bits."""


@dataclass(frozen=True)
class Column:
    """`of` are columns, and constants as bytes; `real` is the ONNX type of the numbers."""

    kind: str
    of: tuple[Any, ...]
    real: int = TensorProto.DOUBLE


def number(value: float) -> bytes:
    return np.float64(value).tobytes()


def cast(column: Column, to: int) -> Column:
    """Casts that change no value leave no trace: to the same type, to double, and to float32 of what was float32."""
    if column.real not in _REAL or to not in _REAL:
        return Column("Cast", (column, to), to)
    single = column.kind == _SINGLE or (column.kind == _INPUT and column.of[-1] == TensorProto.FLOAT)
    if to == TensorProto.DOUBLE or single or column.real == to:
        return replace(column, real=to)
    return Column(_SINGLE, (column,), to)


class Columns:
    """Reads the columns of a graph's tensors. Raises NotAlike."""

    def __init__(self, graph: ModelProto) -> None:
        self.made = {output: (node, k) for node in graph.graph.node for k, output in enumerate(node.output)}
        self.inputs = {entry.name: entry.type.tensor_type for entry in graph.graph.input}
        self.constants = {one.name: numpy_helper.to_array(one) for one in graph.graph.initializer}
        if graph.functions or graph.graph.sparse_initializer or set(self.constants) & (set(self.inputs) | set(self.made)):
            raise NotAlike("the graph has functions or constants that can be replaced")
        versions = {entry.domain: entry.version for entry in graph.opset_import}
        if versions.get("", 0) < _OLDEST or versions.get("ai.onnx.ml", 5) != 5:
            raise NotAlike(f"operators of the versions {versions} may compute otherwise")
        self._known: dict[str, list[Column]] = {}

    def constant(self, name: str) -> Array | None:
        return self.constants.get(name)

    def inputs_of(self, names: list[str]) -> list[Column]:
        """The columns of the graph's inputs: of its one table, or one for each of the names."""
        if len(self.inputs) == 1:
            return self(next(iter(self.inputs)))
        if not set(self.inputs) <= set(names):
            raise NotAlike("the graph's inputs are not the columns that the model was fitted with")
        return [self(name)[0] if name in self.inputs else Column("not read", (name,)) for name in names]

    def __call__(self, name: str) -> list[Column]:
        if name not in self._known:
            self._known[name] = self._read(name)
        return self._known[name]

    def _read(self, name: str) -> list[Column]:
        if name in self.inputs:
            kind = self.inputs[name]
            width, real = kind.shape.dim[1].dim_value, kind.elem_type
            if real not in _REAL:
                raise NotAlike(f"the input {name!r} holds texts")
            return [Column(_INPUT, (name, k, real), real) for k in range(width)]
        if name not in self.made:
            raise NotAlike("a constant stands where rows are expected")
        node, _ = self.made[name]
        given = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        read = _OPERATORS.get((node.domain, node.op_type))
        if read is None:
            raise NotAlike(f"a {node.op_type} stands between the input and the trees")
        return read(self, list(node.input), given, name)

    def gathered(self, inputs: list[str], given: dict[str, Any], name: str) -> list[Column]:
        if given != {"axis": 1}:
            raise NotAlike("rows are selected")
        return self.selected(inputs, {}, name)

    def selected(self, inputs: list[str], given: dict[str, Any], name: str) -> list[Column]:
        columns, places = self(inputs[0]), self.constant(inputs[1])
        if (
            given
            or places is None
            or places.dtype != np.int64
            or places.ndim not in (1, 2)
            or places.shape[:-1] not in ((), (1,))
        ):
            raise NotAlike("columns are selected by what is no constant")
        flat = places.ravel().tolist()
        if not all(-len(columns) <= k < len(columns) for k in flat):
            raise NotAlike("a column is selected that is not there")
        return [columns[k] for k in flat]

    def joined(self, inputs: list[str], given: dict[str, Any], name: str) -> list[Column]:
        if given not in ({"axis": 1}, {"axis": -1}):
            raise NotAlike("rows are put below rows")
        return [one for each in inputs for one in self(each)]

    def casted(self, inputs: list[str], given: dict[str, Any], name: str) -> list[Column]:
        if set(given) != {"to"}:
            raise NotAlike("a Cast with other settings stands between the input and the trees")
        return [cast(column, given["to"]) for column in self(inputs[0])]

    def summed(self, inputs: list[str], given: dict[str, Any], name: str) -> list[Column]:
        return [Column("trees", (name, k)) for k in range(given["n_targets"])]

    def elementwise(self, kind: str, inputs: list[str], real: int | None) -> list[Column]:
        """One column for each of the widest operand's; constants are given to each column as their bytes."""
        operands = [self._operand(one) for one in inputs]
        width = max(len(one) for one in operands)
        if any(len(one) not in (1, width) for one in operands) or all(isinstance(one[0], bytes) for one in operands):
            raise NotAlike(f"the operands of a {kind} do not fit")
        rows = [one * (width // len(one)) if len(one) == 1 else one for one in operands]
        made = []
        for of in zip(*rows, strict=True):
            columns = [one for one in of if isinstance(one, Column)]
            made.append(Column(kind, of, columns[-1].real if real is None else real))
        return made

    def _operand(self, name: str) -> list[Any]:
        array = self.constant(name)
        if array is None:
            return self(name)
        if array.dtype not in (np.float64, np.float32) or array.ndim > 2 or (array.ndim == 2 and array.shape[0] != 1):
            raise NotAlike("an operand is no row of numbers")
        return [one.tobytes() for one in array.ravel()]


def _simple(kind: str, real: int | None = None) -> Callable[..., list[Column]]:
    def read(columns: Columns, inputs: list[str], given: dict[str, Any], name: str) -> list[Column]:
        if given:
            raise NotAlike(f"a {kind} with settings stands between the input and the trees")
        return columns.elementwise(kind, inputs, real)

    return read


def _same(columns: Columns, inputs: list[str], given: dict[str, Any], name: str) -> list[Column]:
    return columns(inputs[0])


_OPERATORS: dict[tuple[str, str], Callable[..., list[Column]]] = {
    ("", "Identity"): _same,
    ("", "Cast"): Columns.casted,
    ("", "Concat"): Columns.joined,
    ("", "Gather"): Columns.gathered,
    ("ai.onnx.ml", "ArrayFeatureExtractor"): Columns.selected,
    ("ai.onnx.ml", "TreeEnsemble"): Columns.summed,
    **{("", kind): _simple(kind) for kind in ("Add", "Sub", "Mul", "Div", "Where")},
    **{("", kind): _simple(kind, TensorProto.BOOL) for kind in ("Equal", "Less", "Greater", "IsNaN")},
}
