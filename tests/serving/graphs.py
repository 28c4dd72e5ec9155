"""Which small graphs do the serving tests need? Made here, so that they do not depend on conversion."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, helper, numpy_helper

from serving.model import Model
from serving.runtime import open_session
from serving.signature import Array, Signature, Tensor
from serving.verification import Tolerance, Verification

ONNX = {
    "FP16": TensorProto.FLOAT16, "FP32": TensorProto.FLOAT, "FP64": TensorProto.DOUBLE, "INT64": TensorProto.INT64,
    "INT32": TensorProto.INT32, "UINT8": TensorProto.UINT8, "UINT64": TensorProto.UINT64, "BOOL": TensorProto.BOOL,
    "BYTES": TensorProto.STRING,
}  # fmt: skip


def write(
    inputs: Sequence[Tensor], outputs: Sequence[Tensor], nodes: Sequence[Any], rows: dict[str, Array],
    constants: dict[str, Array] | None = None, answers: dict[str, Array] | None = None,
) -> bytes:  # fmt: skip
    """A model.onnx as convert.py writes it; its answers are the graph's own unless others are given."""
    graph = helper.make_graph(
        list(nodes), "test", [_value(t) for t in inputs], [_value(t) for t in outputs],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if answers is None:
        names = [tensor.name for tensor in outputs]
        answers = dict(zip(names, open_session(model.SerializeToString()).run(names, rows), strict=True))
    verification = Verification(rows, answers, {name: Tolerance(1e-6, 1e-6) for name in answers})
    return _with(model, {
        "signature": Signature(tuple(inputs), tuple(outputs)).to_json(),
        "verification": verification.to_json(),
        "parity": {"verdict": "tested", "rows": 3, "max_abs": 0.0},
        "provenance": {"pickle": "0" * 64},
    })  # fmt: skip


def _value(tensor: Tensor) -> Any:
    shape = [None if size == -1 else size for size in tensor.shape]
    return helper.make_tensor_value_info(tensor.name, ONNX[tensor.datatype], shape)


def _with(model: ModelProto, said: dict[str, Any]) -> bytes:
    for key, value in said.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = f"unjar.{key}", json.dumps(value)
    return bytes(model.SerializeToString())


def linear(datatype: str = "FP32", answers: dict[str, Array] | None = None, scale: float = 1.0) -> bytes:
    """predict = X @ W, three columns to two."""
    dtype = Tensor("X", datatype, (-1, 3)).dtype
    weights = np.array([[1, 10], [2, 20], [3, 30]], dtype) * dtype.type(scale)
    rows = {"X": np.array([[1, 2, 3], [0.5, -1, 0.25], [0, 0, 1]], dtype)}
    return write(
        [Tensor("X", datatype, (-1, 3))], [Tensor("predict", datatype, (-1, 2))],
        [helper.make_node("MatMul", ["X", "W"], ["predict"])], rows, {"W": weights}, answers,
    )  # fmt: skip


def echo(datatype: str, *, allow_nan: bool = False, allow_infinity: bool = False, rows: Array | None = None) -> bytes:
    """Y = X, two columns: what went in must come out, to the last bit."""
    tensor = Tensor("X", datatype, (-1, 2), allow_nan, allow_infinity)
    if rows is None:
        rows = np.array([["a", "b"], ["é", ""]] if datatype == "BYTES" else [[0, 1], [1, 1]], tensor.dtype)
    return write(
        [tensor], [Tensor("Y", datatype, (-1, 2), allow_nan)], [helper.make_node("Identity", ["X"], ["Y"])], {"X": rows}
    )


def no_empty_batch() -> bytes:
    """Fails at run time on no rows, and on a row that begins with 9: the first number picks an element of five."""
    nodes = [
        helper.make_node("ReduceMax", ["X"], ["most"], axes=[0, 1], keepdims=0),
        helper.make_node("Cast", ["most"], ["at"], to=TensorProto.INT64),
        helper.make_node("Gather", ["five", "at"], ["one"]),
        helper.make_node("ReduceMax", ["X"], ["each"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["each", "one"], ["predict"]),
    ]
    rows = {"X": np.array([[1, 2, 3], [3, 0, 1]], np.float32)}
    five = {"five": np.arange(5, dtype=np.float32)}
    return write([Tensor("X", "FP32", (-1, 3))], [Tensor("predict", "FP32", (-1, 1))], nodes, rows, five)


def table() -> bytes:
    """A number and a text in, both out, and whether the number is above 1: three outputs of three datatypes."""
    inputs = [Tensor("age", "FP64", (-1, 1)), Tensor("city", "BYTES", (-1, 1))]
    outputs = [Tensor("doubled", "FP64", (-1, 1)), Tensor("label", "BYTES", (-1, 1)), Tensor("old", "INT64", (-1, 1))]
    nodes = [
        helper.make_node("Add", ["age", "age"], ["doubled"]),
        helper.make_node("Identity", ["city"], ["label"]),
        helper.make_node("Greater", ["age", "one"], ["above"]),
        helper.make_node("Cast", ["above"], ["old"], to=TensorProto.INT64),
    ]
    rows = {"age": np.array([[0.5], [2.0]]), "city": np.array([["Ulm"], ["Köln"]], object)}
    return write(inputs, outputs, nodes, rows, {"one": np.array([[1.0]])})


def slow(repeats: int = 24) -> bytes:
    """A run of about 0.1 s: square matrices multiplied again and again; they hang on the input, or they would be folded."""
    size = 600
    nodes = [helper.make_node("ReduceMean", ["X"], ["mean"], keepdims=0), helper.make_node("Mul", ["W", "mean"], ["w0"])]
    nodes += [helper.make_node("MatMul", [f"w{i}", "W"], [f"w{i + 1}"]) for i in range(repeats)]
    nodes += [helper.make_node("MatMul", ["X", f"w{repeats}"], ["Y"])]
    weights = np.full((size, size), 1 / size, np.float32)
    inputs, outputs = [Tensor("X", "FP32", (-1, size))], [Tensor("Y", "FP32", (-1, size))]
    return write(inputs, outputs, nodes, {"X": np.ones((1, size), np.float32)}, {"W": weights})


def load(content: bytes) -> Model:
    return Model.from_bytes(content)
