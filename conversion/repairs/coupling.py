"""SVC(probability=True): Platt's sigmoid for every pair of classes, then libsvm's coupling of the pairs.

The coupling is an iteration that stops early, with an error of up to 0.005 over the number of classes, so it is written step
by step as in `multiclass_probability` of libsvm's svm.cpp (method 2 of Wu, Lin, Weng: Probability estimates for multi-class
classification by pairwise coupling, JMLR 5, 2004), and each row stops where libsvm stops.
"""

from typing import Any

import numpy as np
from onnx import TensorProto, helper

from conversion.writer import Writer
from serving.signature import Array

_LEAST = 1e-7


def coupled(write: Writer, decisions: str, model: Any, pairs: list[tuple[int, int]]) -> str:
    """(n, classes), from libsvm's own decisions of every pair, (n, pairs)."""
    first = _of_pairs(write, decisions, np.asarray(model._probA, np.float64), np.asarray(model._probB, np.float64))
    count = len(model.classes_)
    row = [["" for _ in range(count)] for _ in range(count)]
    for number, (i, j) in enumerate(pairs):
        row[i][j] = write.node("Gather", [first, write.constant([number], TensorProto.INT64)], axis=1)
        row[j][i] = write.node("Sub", [write.constant([1.0]), row[i][j]])
    squares = [[_entry(write, row, t, j) for j in range(count)] for t in range(count)]
    start = write.node("Add", [write.node("Mul", [row[0][1], write.constant([0.0])]), write.constant([[1.0 / count] * count])])
    return _iterated(write, squares, start, count)


def _of_pairs(write: Writer, decisions: str, slope: Array, offset: Array) -> str:
    """`sigmoid_predict`, kept off zero and one."""
    value = write.node("Add", [write.node("Mul", [decisions, write.constant(slope)]), write.constant(offset)])
    small = write.node("Exp", [write.node("Neg", [write.node("Abs", [value])])])
    above = write.node("GreaterOrEqual", [value, write.constant([0.0])])
    share = write.node("Where", [above, small, write.constant([1.0])])
    share = write.node("Div", [share, write.node("Add", [write.constant([1.0]), small])])
    return write.node("Min", [write.node("Max", [share, write.constant([_LEAST])]), write.constant([1.0 - _LEAST])])


def _entry(write: Writer, row: list[list[str]], t: int, j: int) -> str:
    """Q[t][j]"""
    if t != j:
        return write.node("Neg", [write.node("Mul", [row[max(t, j)][min(t, j)], row[min(t, j)][max(t, j)]])])
    parts = [write.node("Mul", [row[i][t], row[i][t]]) for i in range(len(row)) if i != t]
    return _added(write, parts)


def _added(write: Any, parts: list[str]) -> str:
    """In this order."""
    total = parts[0]
    for part in parts[1:]:
        total = write.node("Add", [total, part])
    return str(total)


class _Body:
    """Adds nodes to the body of a loop, which reads nothing from outside: nodes are sorted without a look into bodies."""

    def __init__(self, write: Writer) -> None:
        self.write, self.nodes = write, list[Any]()

    def name(self, kind: str) -> str:
        return str(self.write.scope.get_unique_variable_name(f"loop_{kind.lower()}"))

    def node(self, kind: str, inputs: list[str], output: str | None = None, **given: Any) -> str:
        result = output or self.name(kind)
        self.nodes.append(helper.make_node(kind, inputs, [result], **given))
        return result

    def constant(self, value: Any, kind: int = TensorProto.DOUBLE) -> str:
        array = np.asarray(value)
        return self.node("Constant", [], value=helper.make_tensor("value", kind, array.shape, array.ravel().tolist()))

    def columns(self, table: str, count: int) -> list[str]:
        return [self.node("Gather", [table, self.constant([at], TensorProto.INT64)], axis=1) for at in range(count)]


def _iterated(write: Writer, squares: list[list[str]], start: str, count: int) -> str:
    """At most a hundred times, or as often as there are classes; a row that has converged stays as it is."""
    body = _Body(write)
    turn, go, table, shares, on, kept, moved = (
        body.name(name) for name in ("turn", "go", "table", "shares", "on", "kept", "moved")
    )
    entries = body.columns(table, count * count)
    _turn(body, [entries[t * count : (t + 1) * count] for t in range(count)], shares, on, moved)
    body.node("Identity", [table], kept)
    wide = (TensorProto.DOUBLE, [None, count * count]), (TensorProto.DOUBLE, [None, count])
    graph = helper.make_graph(
        body.nodes,
        "coupling",
        [
            helper.make_tensor_value_info(turn, TensorProto.INT64, []),
            helper.make_tensor_value_info(go, TensorProto.BOOL, []),
            *(helper.make_tensor_value_info(name, *kind) for name, kind in zip((table, shares), wide, strict=True)),
        ],
        [
            helper.make_tensor_value_info(on, TensorProto.BOOL, []),
            *(helper.make_tensor_value_info(name, *kind) for name, kind in zip((kept, moved), wide, strict=True)),
        ],
    )
    turns, go_on = write.constant(max(100, count), TensorProto.INT64), write.constant(True, TensorProto.BOOL)
    joined = write.node("Concat", [entry for row in squares for entry in row], axis=1)
    found = [str(write.scope.get_unique_variable_name(name)) for name in ("squares", "coupled")]
    name = write.scope.get_unique_operator_name("Loop")
    write.container.add_node("Loop", [turns, go_on, joined, start], found, name=name, body=graph)
    return found[1]


def _turn(body: _Body, squares: list[list[str]], shares: str, on: str, moved: str) -> None:
    """One pass over the classes."""
    count = len(squares)
    one, two = body.constant([1.0]), body.constant([2.0])
    p = body.columns(shares, count)
    qp = [_added(body, [body.node("Mul", [squares[t][j], p[j]]) for j in range(count)]) for t in range(count)]
    pqp = _added(body, [body.node("Mul", [p[t], qp[t]]) for t in range(count)])
    error = body.node("Max", [body.node("Abs", [body.node("Sub", [each, pqp])]) for each in qp])
    still = body.node("GreaterOrEqual", [error, body.constant([0.005 / count])])
    for t in range(count):
        diff = body.node("Div", [body.node("Sub", [pqp, qp[t]]), squares[t][t]])
        p[t] = body.node("Add", [p[t], diff])
        more = body.node("Add", [one, diff])
        grown = body.node("Add", [body.node("Mul", [diff, squares[t][t]]), body.node("Mul", [two, qp[t]])])
        pqp = body.node("Add", [pqp, body.node("Mul", [diff, grown])])
        pqp = body.node("Div", [body.node("Div", [pqp, more]), more])
        for j in range(count):
            qp[j] = body.node("Div", [body.node("Add", [qp[j], body.node("Mul", [diff, squares[t][j]])]), more])
            p[j] = body.node("Div", [p[j], more])
    body.node("Where", [still, body.node("Concat", p, axis=1), shares], moved)
    some = body.node("ReduceMax", [body.node("Cast", [still], to=TensorProto.INT64)], keepdims=0)
    body.node("Cast", [some], on, to=TensorProto.BOOL)
