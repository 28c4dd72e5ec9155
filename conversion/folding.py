"""Can the affine steps before a matrix product be part of it?

A scaler or a centring in front of a network costs more time than the network when it is run operation by operation. What is
affine from the input on is multiplied out in extended precision and rounded once; whether the new graph still answers as
scikit-learn does is for the search to say, as of any other.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from serving.signature import Array

EXACT = np.longdouble


class NothingToFold(Exception):
    """The graph does not begin with affine steps that run into a matrix product."""


@dataclass
class _Map:
    """x -> (x * scale) @ matrix + offset, or without the product where `matrix` is None."""

    scale: Array
    offset: Array
    matrix: Array | None = None

    @property
    def width(self) -> int:
        return len(self.offset)

    def scaled(self, by: Array) -> "_Map":
        if self.matrix is None:
            return _Map(self.scale * by, self.offset * by)
        return _Map(self.scale, self.offset * by, self.matrix * by)

    def moved(self, by: Array) -> "_Map":
        return _Map(self.scale, self.offset + by, self.matrix)

    def through(self, matrix: Array) -> "_Map":
        return _Map(self.scale, self.offset @ matrix, matrix if self.matrix is None else self.matrix @ matrix)


def fold(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which the affine beginning is as few matrix products as cost no more. Raises NothingToFold."""
    folded = onnx.ModelProto()
    folded.CopyFrom(model)
    graph = folded.graph
    if len(graph.input) != 1:
        raise NothingToFold("the graph has several inputs")
    start = graph.input[0].name
    columns = graph.input[0].type.tensor_type.shape.dim[1].dim_value
    constants = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    taken: list[Any] = []
    blocks, last = _blocks(graph, constants, start, columns, taken)
    if len(taken) <= len(blocks):
        raise NothingToFold("every matrix product stands alone already")
    nodes, value = [], start
    dtype = helper.tensor_dtype_to_np_dtype(graph.input[0].type.tensor_type.elem_type)
    for number, block in enumerate(blocks):
        assert block.matrix is not None
        names = f"folded_weights{number}", f"folded_bias{number}"
        for name, array in zip(names, (block.scale[:, None] * block.matrix, block.offset), strict=True):
            graph.initializer.append(numpy_helper.from_array(array.astype(dtype), name))
        output = last if number == len(blocks) - 1 else f"folded{number}"
        nodes.append(helper.make_node("Gemm", [value, *names], [output], name=f"folded{number}"))
        value = output
    kept = [node for node in graph.node if not any(node is one for one in taken)]
    del graph.node[:]
    graph.node.extend([*nodes, *kept])
    used = {name for node in graph.node for name in node.input}
    unused = [entry for entry in graph.initializer if entry.name not in used]
    for entry in unused:
        graph.initializer.remove(entry)
    return folded


def _blocks(graph: Any, constants: dict[str, Array], start: str, columns: int, taken: list[Any]) -> tuple[list[_Map], str]:
    """The maps that the beginning of the graph is, and the name of what they give; `taken` gets the nodes they stand for."""
    done: list[_Map] = []
    here, name, pending = _fresh(columns), start, []
    end, count = start, 0
    while True:
        users = [node for node in graph.node if name in node.input]
        if len(users) != 1 or name in {output.name for output in graph.output}:
            break
        node = users[0]
        step = _step(node, name, constants, here)
        if step is None:
            break
        pending.append(node)
        name = node.output[0]
        if isinstance(step, _Map):
            here = step
        else:
            matrix, offset = step
            if here.matrix is not None and not _cheaper(here.matrix.shape, matrix.shape):
                done.append(here)
                here = _fresh(here.width)
            here = here.through(matrix).moved(offset)
        if here.matrix is not None:
            end, count = name, len(pending)
    if here.matrix is None:
        # What follows the last product without another one stays as it is.
        here = done.pop() if done else here
    if here.matrix is None:
        raise NothingToFold("no matrix product comes after the affine steps")
    taken += pending[:count]
    return [*done, here], end


def _fresh(width: int) -> _Map:
    return _Map(np.ones(width, EXACT), np.zeros(width, EXACT))


def _cheaper(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    """Is one product from the first's columns to the second's no more work than both?"""
    return first[0] * second[1] <= first[0] * first[1] + second[0] * second[1]


def _step(node: Any, name: str, constants: dict[str, Array], here: _Map) -> _Map | tuple[Array, Array] | None:
    """The map after this node, or the matrix and offset it multiplies by, or None for what is not affine."""
    given = {entry.name: helper.get_attribute_value(entry) for entry in node.attribute}
    if node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type == "Identity":
        return here
    if node.op_type == "Cast":
        return here if given["to"] == onnx.TensorProto.DOUBLE else None
    others = [constants.get(other) for other in node.input if other != name]
    if len(others) != len(node.input) - 1 or any(other is None for other in others):
        return None
    if node.op_type == "Gemm" and node.input[0] == name:
        return _gemm(given, others)
    (other,) = others if len(others) == 1 else (None,)
    if other is None:
        return None
    if node.op_type == "MatMul" and node.input[0] == name and other.ndim == 2:
        return other.astype(EXACT), np.zeros(other.shape[1], EXACT)
    row = _row(other, here.width)
    if row is None:
        return None
    first = node.input[0] == name
    if node.op_type == "Add":
        return here.moved(row)
    if node.op_type == "Sub":
        return here.moved(-row) if first else here.scaled(np.full(here.width, -1, EXACT)).moved(row)
    if node.op_type == "Mul":
        return here.scaled(row)
    return here.scaled(1 / row) if node.op_type == "Div" and first and np.all(row != 0) else None


def _gemm(given: dict[str, Any], others: list[Any]) -> tuple[Array, Array] | None:
    if given.get("transA"):
        return None
    matrix = others[0].astype(EXACT) * EXACT(given.get("alpha", 1.0))
    matrix = matrix.T if given.get("transB") else matrix
    offset = _row(others[1], matrix.shape[1]) if len(others) > 1 else np.zeros(matrix.shape[1], EXACT)
    return None if offset is None else (matrix, offset * EXACT(given.get("beta", 1.0)))


def _row(constant: Array, width: int) -> Array | None:
    """A constant for each column, or one for all."""
    one_row = constant.ndim <= 2 and constant.shape[:-1] in ((), (1,))
    if constant.dtype.kind != "f" or constant.size not in (1, width) or not one_row:
        return None
    return np.broadcast_to(constant.reshape(-1).astype(EXACT), (width,))
