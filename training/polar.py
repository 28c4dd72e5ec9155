"""How does NeuralFoil "large" become one ONNX graph that needs neither the package nor its dependencies?

Contour heights and a flight condition go in, a row each; the Kulfan fit, the input scaling, the mirrored second pass and
the confidence are all inside. What the graph computes is neuralfoil.main.get_aero_from_kulfan_parameters, in float32.
"""

import math
from pathlib import Path

import neuralfoil
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from recommender.contour import Array
from training.labels import OUTPUTS, SIZE, kulfan_fit, predict

CASES, SAMPLES = 4000, 24
_FREE_TRANSITION = [[1.0, 1.0]]  # at x/c = 1, the end of either side
_KEPT = 6  # the package's other 192 outputs describe the boundary layer


class _Graph:
    """Nodes and constants under names that cannot collide."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, value: object, dtype: type = np.float32) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def add(self, op: str, *inputs: str, out: str = "", **attributes: object) -> str:
        out = out or f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [out], name=f"node_{len(self.nodes)}", **attributes))
        return out

    def columns(self, value: str, chosen: list[int]) -> str:
        return self.add("Gather", value, self.constant(chosen, np.int64), axis=1)


def build() -> bytes:
    """The graph as bytes. Inputs: contour [N,130], alpha [N] deg, reynolds [N], n_crit [N]. Outputs: OUTPUTS, [N] each."""
    graph = _Graph()
    scaled = _scale_inputs(graph)
    # The same section upside down: its sides, lift, moment and transitions change places or signs.
    turned = graph.columns(scaled, [*range(8, 16), *range(8), *range(16, 23), 24, 23])
    mirrored = graph.add("Mul", turned, graph.constant([-1.0] * 17 + [1.0, -1.0] + [1.0] * 6))
    back = graph.columns(_evaluate(graph, mirrored), [0, 1, 2, 3, 5, 4])
    back = graph.add("Mul", back, graph.constant([1, -1, 1, -1, 1, 1]))
    _scale_outputs(graph, graph.add("Mul", graph.add("Add", _evaluate(graph, scaled), back), graph.constant(0.5)))
    inputs = [("contour", ["N", 130]), ("alpha", ["N"]), ("reynolds", ["N"]), ("n_crit", ["N"])]
    proto = helper.make_graph(
        graph.nodes,
        f"neuralfoil_{SIZE}",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N"]) for name in OUTPUTS],
        graph.constants,
    )
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", 17)], producer_name="unjar", ir_version=9)
    model.doc_string = "NeuralFoil, Copyright (c) 2023 Peter Sharpe, MIT License; see NOTICE"
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _scale_inputs(graph: _Graph) -> str:
    loose, closed = (graph.add("MatMul", "contour", graph.constant(fit)) for fit in kulfan_fit())
    folded = graph.add("Less", graph.columns(loose, [17]), graph.constant(0.0))
    shape = graph.add("Mul", graph.add("Where", folded, closed, loose), graph.constant([1.0] * 17 + [50.0]))
    axis = graph.constant([1], np.int64)
    degrees, reynolds, n_crit = (graph.add("Unsqueeze", name, axis) for name in ("alpha", "reynolds", "n_crit"))
    radians = graph.add("Mul", degrees, graph.constant(math.pi / 180))
    sine, cosine = graph.add("Sin", graph.add("Add", radians, radians)), graph.add("Cos", radians)
    drop = graph.add("Sub", graph.constant(1.0), graph.add("Mul", cosine, cosine))
    reynolds = graph.add("Div", graph.add("Sub", graph.add("Log", reynolds), graph.constant(12.5)), graph.constant(3.5))
    n_crit = graph.add("Div", graph.add("Sub", n_crit, graph.constant(9.0)), graph.constant(4.5))
    transition = graph.add("Add", graph.add("Sub", n_crit, n_crit), graph.constant(_FREE_TRANSITION))
    return graph.add("Concat", shape, sine, cosine, drop, reynolds, n_crit, transition, axis=1)


def _evaluate(graph: _Graph, value: str) -> str:
    """The network on scaled inputs [N,25] -> [N,6], its confidence lowered by the distance from its training data."""
    folder = Path(neuralfoil.__file__).parent / "nn_weights_and_biases"
    seen = np.load(folder / "scaled_input_distribution.npz")
    away = graph.add("Sub", value, graph.constant(seen["mean_inputs_scaled"]))
    turned = graph.add("MatMul", away, graph.constant(seen["inv_cov_inputs_scaled"]))
    distance = graph.add("ReduceSum", graph.add("Mul", turned, away), graph.constant([1], np.int64))
    inputs = len(seen["mean_inputs_scaled"])
    penalty = graph.add("Mul", distance, graph.constant([[0.5 / inputs] + [0.0] * (_KEPT - 1)]))
    weights = np.load(folder / f"nn-{SIZE}.npz")
    *hidden, last = sorted({int(key.split(".")[1]) for key in weights.files})
    for layer in (*hidden, last):
        weight, bias = (weights[f"net.{layer}.{part}"][: _KEPT if layer == last else None] for part in ("weight", "bias"))
        value = graph.add("Gemm", value, graph.constant(weight.T), graph.constant(bias))
        if layer != last:
            value = graph.add("Mul", value, graph.add("Sigmoid", value))
    return graph.add("Sub", value, penalty)


def _scale_outputs(graph: _Graph, fused: str) -> None:
    scale, shift = graph.constant([1.0, 0.5, 2.0, 0.05, 1.0, 1.0]), graph.constant([0.0, 0.0, -4.0, 0.0, 0.0, 0.0])
    scaled = graph.add("Add", graph.add("Mul", fused, scale), shift)
    confidence, lift, drag, moment, top, bottom = (graph.columns(scaled, [column]) for column in range(_KEPT))
    confidence = graph.add("Sigmoid", confidence)
    top, bottom = (graph.add("Clip", side, graph.constant(0.0), graph.constant(1.0)) for side in (top, bottom))
    axis = graph.constant([1], np.int64)
    for name, value in zip(OUTPUTS, (lift, drag, moment, confidence, top, bottom), strict=True):
        graph.add("Squeeze", value, axis, out=name)


def cases(heights: Array, count: int, seed: int) -> tuple[NDArray[np.intp], dict[str, NDArray[np.float32]]]:
    """Random rows of the catalogue and random flight conditions for them, as the graph takes them."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(heights), size=count)
    feeds = {
        "contour": heights[rows],
        "alpha": rng.uniform(-8.0, 16.0, count),
        "reynolds": np.exp(rng.uniform(math.log(5e4), math.log(1e7), count)),
        "n_crit": rng.choice([5.0, 9.0, 12.0], count),
    }
    return rows, {name: values.astype(np.float32) for name, values in feeds.items()}


def parity(graph: bytes, heights: Array, seed: int = 0) -> dict[str, float]:
    """Largest absolute gap to the package for every output, over CASES random cases."""
    _, feeds = cases(heights, CASES, seed)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    got, expected = session.run(list(OUTPUTS), feeds), predict(**feeds)
    return {name: float(np.abs(values - expected[name]).max()) for name, values in zip(OUTPUTS, got, strict=True)}


def samples(heights: Array, seed: int = 1) -> dict[str, list[float]]:
    """A few cases with the package's answers, for a test that has no package: columns, `row` being the catalogue's row."""
    rows, feeds = cases(heights, SAMPLES, seed)
    columns = {"row": rows, **feeds, **predict(**feeds)}
    return {name: np.asarray(values).tolist() for name, values in columns.items() if name != "contour"}
