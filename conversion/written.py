"""What does a written graph compute, operation by operation, in the precision in which onnxruntime runs it?

Every node is read, or what depends on it stays unread: nothing is taken on trust, neither where elements are moved to nor
which scores a label comes from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from conversion.choices import Answer, Choice, Labels, plain_classes
from conversion.rounding import DOUBLE, SINGLE, NotBounded, Value, joined
from serving.signature import Array

_UNITS = {TensorProto.FLOAT: SINGLE, TensorProto.DOUBLE: DOUBLE}
_WHOLE = (TensorProto.INT64, TensorProto.INT32)
# 1 / (1 + e^-s) as `repairs.linear` writes it where ratios are taken, and each share divided by the sum of all.
_SMALL = "Exp(Neg(Abs(S)))"
_LOGISTIC = f"Div(Where(GreaterOrEqual(S,0.0),1.0,{_SMALL}),Add(1.0,{_SMALL}))"
_EVEN = "Where(Equal(ReduceSum[keepdims=1](S,1),0.0),1.0,S)"
_SHARES = f"Div({_EVEN},ReduceSum[keepdims=1]({_EVEN},1))"


@dataclass(frozen=True)
class _Shape:
    """A shape that is computed: None stands for the number of rows."""

    sizes: tuple[int | None, ...]


@dataclass(frozen=True)
class _Tensor:
    """A value with its number of axes: (n, k), or (n,) when `flat`."""

    holds: Answer
    flat: bool = False


def written(model: onnx.ModelProto, low: Array, high: Array) -> dict[str, Answer]:
    """Each output's value. Raises NotBounded with the first node that could not be read."""
    reader = _Reader(model, low, high)
    for node in model.graph.node:
        reader.read(node)
    found = {}
    for output in model.graph.output:
        if not isinstance(reader.values.get(output.name), _Tensor):
            raise NotBounded(reader.reasons[0] if reader.reasons else f"nothing computes {output.name!r}")
        found[output.name] = reader.values[output.name].holds
    return found


class _Reader:
    def __init__(self, model: onnx.ModelProto, low: Array, high: Array) -> None:
        if len(model.graph.input) != 1:
            raise NotBounded("the graph has several inputs")
        given = model.graph.input[0]
        self.constants = {entry.name: numpy_helper.to_array(entry) for entry in model.graph.initializer}
        self.makers = {name: node for node in model.graph.node for name in node.output}
        self.reasons: list[str] = []
        unit = _UNITS.get(given.type.tensor_type.elem_type)
        if unit is None:
            raise NotBounded("the graph's input is no real number")
        self.values: dict[str, Any] = {given.name: _Tensor(Value.rows(low, high, unit))}

    def read(self, node: Any) -> None:
        try:
            if self._folded(node):
                return
            if node.domain not in ("", "ai.onnx.ml") or len(node.output) != 1 or node.op_type not in _READERS:
                raise NotBounded(f"no bound is written for the operator {node.op_type}")
            self.values[node.output[0]] = _READERS[node.op_type](self, node)
        except NotBounded as reason:
            found = self._fragment(node.output[0])
            if found is None:
                self.reasons.append(f"{reason} (node {node.name or node.op_type})")
            else:
                self.values[node.output[0]] = found

    def _folded(self, node: Any) -> bool:
        """What is computed of constants alone; both kinds of node round correctly."""
        if node.op_type not in ("Cast", "Sqrt") or node.input[0] not in self.constants:
            return False
        array = self.constants[node.input[0]]
        if node.op_type == "Cast":
            array = array.astype(helper.tensor_dtype_to_np_dtype(_given(node)["to"]))
        self.constants[node.output[0]] = array if node.op_type == "Cast" else np.sqrt(array)
        return True

    def tensor(self, node: Any, position: int = 0) -> _Tensor:
        found = self.values.get(node.input[position])
        if not isinstance(found, _Tensor):
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
        if array.ndim > (1 if flat else 2) or array.size not in (1, of.width) or not fits:
            raise NotBounded(f"{node.op_type} spreads {array.shape} over {of.width} columns")
        return np.broadcast_to(array.astype(np.float64).reshape(-1), (of.width,))

    def _fragment(self, name: str) -> _Tensor | None:
        """Several nodes that are one function when taken together."""
        leaves: set[str] = set()
        if self.makers[name].op_type != "Div":
            return None
        written = self._expression(name, leaves, True)
        if written not in (_LOGISTIC, _SHARES) or len(leaves) != 1:
            return None
        found = self.values[leaves.pop()]
        try:
            value = found.holds.logistic() if written == _LOGISTIC else found.holds.shares()
        except NotBounded as reason:
            self.reasons.insert(0, str(reason))
            return None
        return _Tensor(value, found.flat)

    def _expression(self, name: str, leaves: set[str], top: bool = False) -> str:
        if name in self.constants:
            array = self.constants[name]
            return str(array.reshape(-1)[0]) if array.size == 1 else f"{array.shape}"
        held = self.values.get(name)
        if not top and isinstance(held, _Tensor) and isinstance(held.holds, Value):
            leaves.add(name)
            return "S"
        if name not in self.makers or len(self.makers[name].output) != 1:
            return name
        node = self.makers[name]
        given = ",".join(f"{one.name}={helper.get_attribute_value(one)}" for one in node.attribute)
        inner = ",".join(self._expression(one, leaves) for one in node.input)
        return f"{node.op_type}{f'[{given}]' if given else ''}({inner})"


def _given(node: Any) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _demand(node: Any, **wanted: Any) -> None:
    """Raises NotBounded when an attribute has another value than one of those wanted; the first is the default."""
    given = _given(node)
    for name, allowed in wanted.items():
        if given.get(name, allowed[0]) not in allowed:
            raise NotBounded(f"{node.op_type} with {name}={given[name]!r}")


def _changed(change: Callable[[Value], Value]) -> Callable[[_Reader, Any], _Tensor]:
    def read(reader: _Reader, node: Any) -> _Tensor:
        value, flat = reader.number(node)
        return _Tensor(change(value), flat)

    return read


def _add(reader: _Reader, node: Any) -> _Tensor:
    place = 1 if reader.is_constant(node, 0) else 0
    value, flat = reader.number(node, place)
    return _Tensor(value.shift(reader.vector(node, 1 - place, value, flat)), flat)


def _subtract(reader: _Reader, node: Any) -> _Tensor:
    place = 1 if reader.is_constant(node, 0) else 0
    value, flat = reader.number(node, place)
    by = reader.vector(node, 1 - place, value, flat)
    return _Tensor(value.negate().shift(by) if place else value.shift(-by), flat)


def _multiply(reader: _Reader, node: Any) -> _Tensor:
    place = 1 if reader.is_constant(node, 0) else 0
    value, flat = reader.number(node, place)
    return _Tensor(value.scale(reader.vector(node, 1 - place, value, flat)), flat)


def _divide(reader: _Reader, node: Any) -> _Tensor:
    value, flat = reader.number(node)
    return _Tensor(value.divide(reader.vector(node, 1, value, flat)), flat)


def _product(value: Value, flat: bool, weights: Array, bias: Array | None = None) -> _Tensor:
    if flat or weights.ndim not in (1, 2) or len(weights) != value.width:
        raise NotBounded("a matrix of the graph does not fit the rows before it")
    return _Tensor(value.product(weights.astype(np.float64).reshape(len(weights), -1), bias), weights.ndim == 1)


def _matmul(reader: _Reader, node: Any) -> _Tensor:
    return _product(*reader.number(node), reader.constant(node, 1))


def _gemm(reader: _Reader, node: Any) -> _Tensor:
    _demand(node, alpha=(1.0,), beta=(1.0,), transA=(0,))
    weights = reader.constant(node, 1)
    weights = weights.T if _given(node).get("transB", 0) else weights
    bias = reader.constant(node, 2) if len(node.input) > 2 else np.zeros(1)
    if bias.ndim > 2 or bias.size not in (1, weights.shape[-1]) or (bias.ndim == 2 and len(bias) != 1):
        raise NotBounded(f"Gemm spreads a bias of shape {bias.shape}")
    spread = np.broadcast_to(bias.astype(np.float64).reshape(-1), weights.shape[-1:])
    return _product(*reader.number(node), weights, spread)


def _cast(reader: _Reader, node: Any) -> _Tensor:
    to, found = _given(node)["to"], reader.tensor(node)
    if isinstance(found.holds, Value) and to in _UNITS:
        return _Tensor(found.holds.cast(_UNITS[to]), found.flat)
    if isinstance(found.holds, Choice) and to in _WHOLE:
        return found
    classes = found.holds.classes if isinstance(found.holds, Labels) else ("",)
    if to == TensorProto.INT64 and all(isinstance(one, int) for one in classes):
        return found
    raise NotBounded(f"a cast to {TensorProto.DataType.Name(to)}")


def _clip(reader: _Reader, node: Any) -> _Tensor:
    value, flat = reader.number(node)
    least, most = (float(reader.constant(node, place).reshape(-1)[0]) for place in (1, 2))
    return _Tensor(value.clip(least, most), flat)


def _softmax(reader: _Reader, node: Any) -> _Tensor:
    _demand(node, axis=(-1, 1))
    value, flat = reader.number(node)
    if flat:
        raise NotBounded("softmax over the rows")
    return _Tensor(value.bend("softmax"))


def _reshape(reader: _Reader, node: Any) -> _Tensor:
    found = reader.tensor(node)
    computed = reader.values.get(node.input[1])
    sizes = computed.sizes if isinstance(computed, _Shape) else tuple(reader.constant(node, 1).tolist())
    _demand(node, allowzero=(0,))
    width = _columns(found.holds)
    if sizes == (-1,) and width == 1:
        return _Tensor(found.holds, True)
    kept = sizes in ((-1, width), (None, -1), (None, width)) or (sizes == (0, -1) and not found.flat)
    if not kept or (found.flat and width != 1):
        raise NotBounded(f"Reshape to {list(sizes)} of {width} columns")
    return _Tensor(found.holds)


def _columns(held: Answer) -> int:
    if isinstance(held, Value):
        return held.width
    choice = held if isinstance(held, Choice) else held.choice
    return 1 if choice.rule == "largest" else choice.scores.width


def _gather(reader: _Reader, node: Any) -> _Tensor:
    if reader.is_constant(node, 0):
        return _label(reader, node)
    _demand(node, axis=(0, 1, -1))
    value, flat = reader.number(node)
    places = reader.constant(node, 1)
    if flat or _given(node).get("axis", 0) == 0 or places.ndim > 1:
        raise NotBounded("rows are gathered")
    return _Tensor(value.columns(_places(places, value.width)), places.ndim == 0)


def _extract(reader: _Reader, node: Any) -> _Tensor:
    """ArrayFeatureExtractor picks along the last axis, and of a vector it makes a row."""
    if reader.is_constant(node, 0):
        return _label(reader, node)
    value, flat = reader.number(node)
    if flat:
        raise NotBounded("rows are gathered")
    return _Tensor(value.columns(_places(reader.constant(node, 1), value.width)))


def _places(chosen: Array, width: int) -> Array:
    places = chosen.reshape(-1).astype(np.int64)
    if (places < -width).any() or (places >= width).any():
        raise NotBounded(f"columns {places.tolist()} are gathered of {width}")
    return places % width


def _label(reader: _Reader, node: Any) -> _Tensor:
    """A table of classes, at the number that was chosen."""
    _demand(node, axis=(0,))
    found, table = reader.tensor(node, 1), reader.constant(node, 0)
    if not isinstance(found.holds, Choice) or table.ndim != 1 or node.op_type != "Gather":
        raise NotBounded(f"{node.op_type} reads a table at something else than a class")
    decoded = [one.decode() if isinstance(one, bytes) else one for one in table.tolist()]
    return _Tensor(Labels(found.holds, plain_classes(decoded)), found.flat)


def _where(reader: _Reader, node: Any) -> _Tensor:
    """One of two labels."""
    found = reader.tensor(node)
    yes, no = (reader.constant(node, place) for place in (1, 2))
    if not isinstance(found.holds, Choice) or found.holds.rule == "largest" or {yes.size, no.size} != {1}:
        raise NotBounded("Where chooses otherwise than between two labels")
    if yes.ndim > 1 or no.ndim > 1 or yes.dtype.kind != "i":
        raise NotBounded("Where chooses between other things than labels")
    return _Tensor(Labels(found.holds, plain_classes([no.item(), yes.item()])), found.flat)


def _compared(rule: str) -> Callable[[_Reader, Any], _Tensor]:
    def read(reader: _Reader, node: Any) -> _Tensor:
        value, flat = reader.number(node)
        threshold = reader.vector(node, 1, value, flat)
        if value.width != 1:
            raise NotBounded(f"{node.op_type} compares several columns")
        return _Tensor(Choice(value, rule, float(threshold[0])), flat)

    return read


def _largest(reader: _Reader, node: Any) -> _Tensor:
    _demand(node, axis=(0, 1, -1), select_last_index=(0,))
    value, flat = reader.number(node)
    if flat or _given(node).get("axis", 0) == 0:
        raise NotBounded("the largest of all rows")
    return _Tensor(Choice(value, "largest"), not _given(node).get("keepdims", 1))


def _concat(reader: _Reader, node: Any) -> Any:
    _demand(node, axis=(0, 1, -1))
    if _given(node)["axis"] == 0:
        sizes: list[int | None] = []
        for place, name in enumerate(node.input):
            held = reader.values.get(name)
            sizes += held.sizes if isinstance(held, _Shape) else reader.constant(node, place).reshape(-1).tolist()
        return _Shape(tuple(sizes))
    parts = [reader.number(node, place) for place in range(len(node.input))]
    if any(flat for _, flat in parts):
        raise NotBounded("vectors are joined end to end")
    return _Tensor(joined([value for value, _ in parts]))


def _rows(reader: _Reader, node: Any) -> _Shape:
    _demand(node, start=(0,))
    if _given(node).get("end") != 1:
        raise NotBounded("a shape is computed with")
    reader.tensor(node)
    return _Shape((None,))


def _scaler(reader: _Reader, node: Any) -> _Tensor:
    """The classical operators compute in float32 whatever comes in."""
    value, flat = reader.number(node)
    given = _given(node)
    if flat:
        raise NotBounded("a Scaler of a vector")
    value = value.cast(SINGLE).shift(-np.asarray(given["offset"], np.float64))
    return _Tensor(value.scale(np.asarray(given["scale"], np.float64)))


def _linear(reader: _Reader, node: Any) -> _Tensor:
    value, flat = reader.number(node)
    _demand(node, post_transform=(b"NONE",))
    given = _given(node)
    targets = int(given.get("targets", 1))
    weights = np.asarray(given["coefficients"], np.float64).reshape(targets, -1).T
    return _product(value.cast(SINGLE), flat, weights, np.asarray(given.get("intercepts", np.zeros(targets)), np.float64))


_READERS: dict[str, Callable[[_Reader, Any], Any]] = {
    "Add": _add, "Sub": _subtract, "Mul": _multiply, "Div": _divide, "MatMul": _matmul, "Gemm": _gemm, "Cast": _cast,
    "Neg": _changed(Value.negate), "Relu": _changed(Value.relu), "Exp": _changed(Value.exp),
    "Tanh": _changed(lambda value: value.bend("tanh")), "Sigmoid": _changed(lambda value: value.bend("logistic")),
    "Clip": _clip, "Softmax": _softmax, "Identity": lambda reader, node: reader.tensor(node), "Reshape": _reshape,
    "Gather": _gather, "ArrayFeatureExtractor": _extract, "Concat": _concat, "Shape": _rows, "Where": _where,
    "Greater": _compared("above"), "GreaterOrEqual": _compared("from"), "ArgMax": _largest,
    "Scaler": _scaler, "LinearRegressor": _linear,
}  # fmt: skip
