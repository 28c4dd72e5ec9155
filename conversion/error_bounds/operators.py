"""What does each operator of a graph compute, as onnxruntime runs it, and where are elements moved to?

An operator that is used in any other way than the one that is understood raises NotBounded.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from conversion.error_bounds.choices import Answer, Choice, Labels, plain_classes
from conversion.error_bounds.rounding import SINGLE, NotBounded, Value, joined
from conversion.error_bounds.tensors import UNITS, Shape, Squares, Tensor, Tensors, Wide
from serving.signature import Array

_WHOLE = (TensorProto.INT64, TensorProto.INT32)


def given_by(node: Any) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def demand(node: Any, **wanted: Any) -> None:
    """Raises NotBounded when an attribute has another value than one of those wanted; the first is the default."""
    given = given_by(node)
    for name, allowed in wanted.items():
        if given.get(name, allowed[0]) not in allowed:
            raise NotBounded(f"{node.op_type} with {name}={given[name]!r}")


def _changed(change: Callable[[Value], Value]) -> Callable[[Tensors, Any], Tensor]:
    def read(tensors: Tensors, node: Any) -> Tensor:
        value, flat = tensors.number(node)
        return Tensor(change(value), flat)

    return read


def _widened(tensors: Tensors, node: Any) -> Wide:
    value, flat = tensors.number(node)
    if flat or tensors.constant(node, 1).tolist() != [1]:
        raise NotBounded("Unsqueeze of other axes than the second")
    return Wide(value)


def _less_points(tensors: Tensors, node: Any) -> Wide | None:
    held = tensors.values.get(node.input[0])
    if not isinstance(held, Wide) or held.points is not None:
        return None
    points = tensors.constant(node, 1)
    if points.ndim != 3 or len(points) != 1 or points.shape[2] != held.of.width:
        raise NotBounded(f"points of shape {points.shape} are taken from {held.of.width} columns")
    return Wide(held.of, points[0].astype(np.float64))


def _squares(tensors: Tensors, node: Any) -> Squares | Tensor:
    held = tensors.values.get(node.input[0])
    if isinstance(held, Wide) and held.points is not None:
        demand(node, keepdims=(1, 0))
        if given_by(node).get("keepdims", 1) or tensors.constant(node, 1).tolist() != [2]:
            raise NotBounded("squares of differences are summed over other axes than the features")
        return Tensor(held.of.distances_to(held.points))
    demand(node, keepdims=(1,))
    value, flat = tensors.number(node)
    if flat or tensors.constant(node, 1).tolist() not in ([1], [-1]):
        raise NotBounded("squares are summed over the rows")
    return Squares(value)


def _added_to_squares(tensors: Tensors, node: Any) -> Squares | None:
    held = [tensors.values.get(name) for name in node.input]
    for place, one in enumerate(held):
        if not isinstance(one, Squares):
            continue
        if one.added is not None:
            return Squares(one.of, one.added.shift(tensors.vector(node, 1 - place, one.added, False)))
        value, flat = tensors.number(node, 1 - place)
        return None if flat else Squares(one.of, value)
    return None


def _most(tensors: Tensors, node: Any) -> Tensor:
    """Max(..., 0), of a distance"""
    held = tensors.values.get(node.input[0])
    floor = tensors.constant(node, 1)
    if not isinstance(held, Squares) or held.added is None or floor.size != 1 or floor.ndim > 2 or floor.item() != 0:
        raise NotBounded("Max of other things than a distance and zero")
    return Tensor(held.of.distances(held.added))


def _add(tensors: Tensors, node: Any) -> Tensor | Squares:
    squares = _added_to_squares(tensors, node)
    if squares is not None:
        return squares
    place = 1 if tensors.is_constant(node, 0) else 0
    value, flat = tensors.number(node, place)
    return Tensor(value.shift(tensors.vector(node, 1 - place, value, flat)), flat)


def _subtract(tensors: Tensors, node: Any) -> Tensor | Wide:
    points = _less_points(tensors, node)
    if points is not None:
        return points
    place = 1 if tensors.is_constant(node, 0) else 0
    value, flat = tensors.number(node, place)
    by = tensors.vector(node, 1 - place, value, flat)
    return Tensor(value.negate().shift(by) if place else value.shift(-by), flat)


def _multiply(tensors: Tensors, node: Any) -> Tensor:
    place = 1 if tensors.is_constant(node, 0) else 0
    value, flat = tensors.number(node, place)
    return Tensor(value.scale(tensors.vector(node, 1 - place, value, flat)), flat)


def _divide(tensors: Tensors, node: Any) -> Tensor:
    value, flat = tensors.number(node)
    return Tensor(value.divide(tensors.vector(node, 1, value, flat)), flat)


def _product(value: Value, flat: bool, weights: Array, bias: Array | None = None) -> Tensor:
    if flat or weights.ndim not in (1, 2) or len(weights) != value.width:
        raise NotBounded("a matrix of the graph does not fit the rows before it")
    return Tensor(value.product(weights.astype(np.float64).reshape(len(weights), -1), bias), weights.ndim == 1)


def _matmul(tensors: Tensors, node: Any) -> Tensor:
    return _product(*tensors.number(node), tensors.constant(node, 1))


def _gemm(tensors: Tensors, node: Any) -> Tensor:
    demand(node, alpha=(1.0,), beta=(1.0,), transA=(0,))
    weights = tensors.constant(node, 1)
    weights = weights.T if given_by(node).get("transB", 0) else weights
    bias = tensors.constant(node, 2) if len(node.input) > 2 else np.zeros(1)
    if bias.ndim > 2 or bias.size not in (1, weights.shape[-1]) or (bias.ndim == 2 and len(bias) != 1):
        raise NotBounded(f"Gemm spreads a bias of shape {bias.shape}")
    spread = np.broadcast_to(bias.astype(np.float64).reshape(-1), weights.shape[-1:])
    return _product(*tensors.number(node), weights, spread)


def _cast(tensors: Tensors, node: Any) -> Tensor:
    to, found = given_by(node)["to"], tensors.tensor(node)
    if isinstance(found.holds, Value) and to in UNITS:
        return Tensor(found.holds.cast(UNITS[to]), found.flat)
    if isinstance(found.holds, Choice) and to in _WHOLE:
        return found
    classes = found.holds.classes if isinstance(found.holds, Labels) else ("",)
    if to == TensorProto.INT64 and all(isinstance(one, int) for one in classes):
        return found
    raise NotBounded(f"a cast to {TensorProto.DataType.Name(to)}")


def _clip(tensors: Tensors, node: Any) -> Tensor:
    value, flat = tensors.number(node)
    least, most = (float(tensors.constant(node, place).reshape(-1)[0]) for place in (1, 2))
    return Tensor(value.clip(least, most), flat)


def _softmax(tensors: Tensors, node: Any) -> Tensor:
    demand(node, axis=(-1, 1))
    value, flat = tensors.number(node)
    if flat:
        raise NotBounded("softmax over the rows")
    return Tensor(value.bend("softmax"))


def _reshape(tensors: Tensors, node: Any) -> Tensor:
    found = tensors.tensor(node)
    computed = tensors.values.get(node.input[1])
    sizes = computed.sizes if isinstance(computed, Shape) else tuple(tensors.constant(node, 1).tolist())
    demand(node, allowzero=(0,))
    width = _columns(found.holds)
    if sizes == (-1,) and width == 1:
        return Tensor(found.holds, True)
    kept = sizes in ((-1, width), (None, -1), (None, width)) or (sizes == (0, -1) and not found.flat)
    if not kept or (found.flat and width != 1):
        raise NotBounded(f"Reshape to {list(sizes)} of {width} columns")
    return Tensor(found.holds)


def _columns(held: Answer) -> int:
    if isinstance(held, Value):
        return held.width
    choice = held if isinstance(held, Choice) else held.choice
    return 1 if choice.rule == "largest" else choice.scores.width


def _gather(tensors: Tensors, node: Any) -> Tensor:
    if tensors.is_constant(node, 0):
        return _label(tensors, node)
    demand(node, axis=(0, 1, -1))
    value, flat = tensors.number(node)
    places = tensors.constant(node, 1)
    if flat or given_by(node).get("axis", 0) == 0 or places.ndim > 1:
        raise NotBounded("rows are gathered")
    return Tensor(value.columns(_places(places, value.width)), places.ndim == 0)


def _extract(tensors: Tensors, node: Any) -> Tensor:
    """ArrayFeatureExtractor picks along the last axis, and of a vector it makes a row."""
    if tensors.is_constant(node, 0):
        return _label(tensors, node)
    value, flat = tensors.number(node)
    if flat:
        raise NotBounded("rows are gathered")
    return Tensor(value.columns(_places(tensors.constant(node, 1), value.width)))


def _places(chosen: Array, width: int) -> Array:
    places = chosen.reshape(-1).astype(np.int64)
    if (places < -width).any() or (places >= width).any():
        raise NotBounded(f"columns {places.tolist()} are gathered of {width}")
    return places % width


def _label(tensors: Tensors, node: Any) -> Tensor:
    """A table of classes, at the number that was chosen."""
    demand(node, axis=(0,))
    found, table = tensors.tensor(node, 1), tensors.constant(node, 0)
    if not isinstance(found.holds, Choice) or table.ndim != 1 or node.op_type != "Gather":
        raise NotBounded(f"{node.op_type} reads a table at something else than a class")
    decoded = [one.decode() if isinstance(one, bytes) else one for one in table.tolist()]
    return Tensor(Labels(found.holds, plain_classes(decoded)), found.flat)


def _where(tensors: Tensors, node: Any) -> Tensor:
    """One of two labels."""
    found = tensors.tensor(node)
    yes, no = (tensors.constant(node, place) for place in (1, 2))
    if not isinstance(found.holds, Choice) or found.holds.rule == "largest" or {yes.size, no.size} != {1}:
        raise NotBounded("Where chooses otherwise than between two labels")
    if yes.ndim > 1 or no.ndim > 1 or yes.dtype.kind != "i":
        raise NotBounded("Where chooses between other things than labels")
    return Tensor(Labels(found.holds, plain_classes([no.item(), yes.item()])), found.flat)


def _compared(rule: str) -> Callable[[Tensors, Any], Tensor]:
    def read(tensors: Tensors, node: Any) -> Tensor:
        value, flat = tensors.number(node)
        threshold = tensors.vector(node, 1, value, flat)
        if value.width != 1:
            raise NotBounded(f"{node.op_type} compares several columns")
        return Tensor(Choice(value, rule, float(threshold[0])), flat)

    return read


def _largest(tensors: Tensors, node: Any) -> Tensor:
    demand(node, axis=(0, 1, -1), select_last_index=(0,))
    value, flat = tensors.number(node)
    if flat or given_by(node).get("axis", 0) == 0:
        raise NotBounded("the largest of all rows")
    return Tensor(Choice(value, "largest"), not given_by(node).get("keepdims", 1))


def _concat(tensors: Tensors, node: Any) -> Any:
    demand(node, axis=(0, 1, -1))
    if given_by(node)["axis"] == 0:
        sizes: list[int | None] = []
        for place, name in enumerate(node.input):
            held = tensors.values.get(name)
            sizes += held.sizes if isinstance(held, Shape) else tensors.constant(node, place).reshape(-1).tolist()
        return Shape(tuple(sizes))
    parts = [tensors.number(node, place) for place in range(len(node.input))]
    if any(flat for _, flat in parts):
        raise NotBounded("vectors are joined end to end")
    return Tensor(joined([value for value, _ in parts]))


def _rows(tensors: Tensors, node: Any) -> Shape:
    demand(node, start=(0,))
    if given_by(node).get("end") != 1:
        raise NotBounded("a shape is computed with")
    tensors.tensor(node)
    return Shape((None,))


def _scaler(tensors: Tensors, node: Any) -> Tensor:
    """The classical operators compute in float32 whatever comes in."""
    value, flat = tensors.number(node)
    given = given_by(node)
    if flat:
        raise NotBounded("a Scaler of a vector")
    value = value.cast(SINGLE).shift(-np.asarray(given["offset"], np.float64))
    return Tensor(value.scale(np.asarray(given["scale"], np.float64)))


def _linear(tensors: Tensors, node: Any) -> Tensor:
    value, flat = tensors.number(node)
    demand(node, post_transform=(b"NONE",))
    given = given_by(node)
    targets = int(given.get("targets", 1))
    weights = np.asarray(given["coefficients"], np.float64).reshape(targets, -1).T
    return _product(value.cast(SINGLE), flat, weights, np.asarray(given.get("intercepts", np.zeros(targets)), np.float64))


READERS: dict[str, Callable[[Tensors, Any], Any]] = {
    "Add": _add, "Sub": _subtract, "Mul": _multiply, "Div": _divide, "MatMul": _matmul, "Gemm": _gemm, "Cast": _cast,
    "Neg": _changed(Value.negate), "Relu": _changed(Value.relu), "Exp": _changed(Value.exp),
    "Tanh": _changed(lambda value: value.bend("tanh")), "Sigmoid": _changed(lambda value: value.bend("logistic")),
    "Clip": _clip, "Softmax": _softmax, "Identity": lambda tensors, node: tensors.tensor(node), "Reshape": _reshape,
    "Gather": _gather, "ArrayFeatureExtractor": _extract, "Concat": _concat, "Shape": _rows, "Where": _where,
    "Greater": _compared("above"), "GreaterOrEqual": _compared("from"), "ArgMax": _largest,
    "Cos": _changed(lambda value: value.bend("cos")), "ReduceSumSquare": _squares, "Unsqueeze": _widened, "Max": _most,
    "Scaler": _scaler, "LinearRegressor": _linear,
}  # fmt: skip
