"""Is a graph that was tampered with found out from the graph alone: another bound, or none?"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from sklearn.feature_selection import SelectKBest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.multioutput import RegressorChain
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVR

from conversion.candidates import FLOAT64
from conversion.error_bounds.bounds import Bound, NotBounded, bound
from conversion.methods import methods_of
from conversion.schema import schema_of
from conversion.translate import translate
from serving.runtime import open_session
from serving.signature import Array
from tests.conversion.bounded_models import fit, made, network, scaled

ROWS, TARGETS = made(0, 1.0, 3.0)
LOW, HIGH = ROWS.min(axis=0), ROWS.max(axis=0)
MODELS: dict[str, tuple[Any, str]] = {
    "two": (LogisticRegression(), "two"),
    "three": (LogisticRegression(), "three"),
    "shares": (scaled(SGDClassifier(loss="log_loss", random_state=0)), "three"),
    "network": (scaled(network(MLPClassifier, "tanh")), "three"),
    "regression": (scaled(network(MLPRegressor, "relu")), "several"),
    "selected": (make_pipeline(SelectKBest(k=3), MinMaxScaler(clip=True)), "three"),
    "kernel": (scaled(SVR()), "positive"),
    "ridge": (KernelRidge(kernel="rbf", gamma=0.1), "positive"),
    "chain": (RegressorChain(Ridge(), order=[1, 0]), "several"),
}


def written(name: str) -> tuple[Any, onnx.ModelProto]:
    model, target = MODELS[name]
    fitted = fit(model, ROWS, TARGETS[target])
    return fitted, translate(fitted, schema_of(fitted), methods_of(fitted), FLOAT64).graph


def of(graph: onnx.ModelProto, fitted: Any) -> Bound:
    return bound(graph, fitted, LOW, HIGH)


def nodes(graph: onnx.ModelProto, kind: str) -> list[Any]:
    return [node for node in graph.graph.node if node.op_type == kind]


def constants(graph: onnx.ModelProto) -> dict[str, Any]:
    return {entry.name: entry for entry in graph.graph.initializer}


def change(graph: onnx.ModelProto, name: str, by: Callable[[Array], Array]) -> None:
    entry = constants(graph)[name]
    entry.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(by(numpy_helper.to_array(entry))), name))


@pytest.mark.parametrize("name", MODELS)
def test_an_untouched_graph_is_bounded(name: str) -> None:
    fitted, graph = written(name)
    assert of(graph, fitted).largest < 1e-10


@pytest.mark.parametrize("name", MODELS)
def test_no_changed_number_stays_unseen(name: str) -> None:
    fitted, graph = written(name)
    for entry in list(graph.graph.initializer):
        array = numpy_helper.to_array(entry)
        for place in range(min(array.size, 12)):
            if array.dtype.kind != "f" or array.reshape(-1)[place] == 0:
                continue
            changed = onnx.ModelProto()
            changed.CopyFrom(graph)
            flat = array.reshape(-1).copy()
            flat[place] *= 1.001
            change(changed, entry.name, lambda _: flat.reshape(array.shape))  # noqa: B023
            try:
                found = of(changed, fitted)
            except NotBounded:
                continue
            seen = seen_gap(fitted, changed)
            assert max(found.largest, found.margin or 0.0) > 1e-9, entry.name
            assert seen <= found.largest


def seen_gap(fitted: Any, graph: onnx.ModelProto) -> float:
    names = [output.name for output in graph.graph.output]
    given = dict(zip(names, open_session(graph.SerializeToString()).run(names, {"X": ROWS}), strict=True))
    gaps = [0.0]
    for name, answer in given.items():
        wanted = getattr(fitted, name)(ROWS)
        if wanted.dtype.kind == "f":
            gaps.append(float(np.abs(answer.reshape(wanted.shape) - wanted).max()))
    return max(gaps)


def refused(name: str, tamper: Callable[[onnx.ModelProto], None], said: str) -> None:
    fitted, graph = written(name)
    tamper(graph)
    with pytest.raises(NotBounded, match=said):
        of(graph, fitted)


def grows(name: str, tamper: Callable[[onnx.ModelProto], None]) -> None:
    fitted, graph = written(name)
    tamper(graph)
    found = of(graph, fitted)
    assert max(found.largest, found.margin or 0.0) > 0.1
    assert seen_gap(fitted, graph) <= found.largest


def set_attribute(node: Any, name: str, value: Any) -> None:
    kept = [one for one in node.attribute if one.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute(name, value)])


def test_classes_in_another_order_are_refused() -> None:
    for name in ("two", "three"):
        refused(name, lambda graph: change(graph, nodes(graph, "Gather")[-1].input[0], lambda a: a[::-1]), "classes are")


def test_the_largest_of_another_tensor_is_seen() -> None:
    def of_shares(graph: onnx.ModelProto) -> None:
        nodes(graph, "ArgMax")[0].input[0] = nodes(graph, "Softmax")[0].output[0]

    def of_a_layer(graph: onnx.ModelProto) -> None:
        nodes(graph, "ArgMax")[0].input[0] = nodes(graph, "Tanh")[0].output[0]

    refused("three", of_shares, "another form|not bounded")
    refused("network", of_a_layer, "another form")


def test_the_last_of_equals_is_refused() -> None:
    refused("three", lambda graph: set_attribute(nodes(graph, "ArgMax")[0], "select_last_index", 1), "select_last_index")


def test_softmax_over_the_rows_is_refused() -> None:
    refused("three", lambda graph: set_attribute(nodes(graph, "Softmax")[0], "axis", 0), "axis=0")


def test_another_threshold_or_side_of_it_is_refused() -> None:
    def other_side(graph: onnx.ModelProto) -> None:
        nodes(graph, "Greater")[0].op_type = "GreaterOrEqual"

    refused("two", lambda graph: change(graph, nodes(graph, "Greater")[0].input[1], lambda a: a + 1e-3), "takes the label by")
    refused("two", other_side, "takes the label by")


def test_a_missing_bias_raises_the_bound() -> None:
    def without(graph: onnx.ModelProto) -> None:
        del nodes(graph, "Gemm")[0].input[2]

    grows("regression", without)


def test_another_activation_is_refused() -> None:
    def other(graph: onnx.ModelProto) -> None:
        nodes(graph, "Relu")[0].op_type = "Tanh"

    refused("regression", other, "another form")


def test_columns_in_another_order_raise_the_bound() -> None:
    def swapped(graph: onnx.ModelProto) -> None:
        change(graph, nodes(graph, "ArrayFeatureExtractor")[0].input[1], lambda a: a.reshape(-1)[::-1].reshape(a.shape))

    grows("selected", swapped)
    grows("chain", lambda graph: change(graph, nodes(graph, "Gather")[-1].input[1], lambda a: a[::-1]))


def test_columns_that_are_not_there_are_refused() -> None:
    refused("chain", lambda graph: change(graph, nodes(graph, "Gather")[-1].input[1], lambda a: a + 7), "are gathered of 2")


def test_another_end_of_a_clip_is_refused() -> None:
    refused("selected", lambda graph: change(graph, nodes(graph, "Clip")[0].input[2], lambda a: a * 2), "another form")


def test_a_distance_that_is_cut_elsewhere_or_summed_otherwise_is_refused() -> None:
    def over_rows(graph: onnx.ModelProto) -> None:
        change(graph, nodes(graph, "ReduceSumSquare")[0].input[1], lambda a: a * 0)

    for name in ("kernel", "ridge"):
        refused(name, lambda graph: change(graph, nodes(graph, "Max")[0].input[1], lambda a: a + 1e-3), "Max of other")
        refused(name, over_rows, "over the rows|not bounded")


def test_a_reshape_that_mixes_rows_is_refused() -> None:
    fitted, graph = written("regression")
    last = graph.graph.node[-1]
    value = last.output[0]
    last.output[0] = "before"
    graph.graph.initializer.append(numpy_helper.from_array(np.array([-1, 1]), "mixed"))
    graph.graph.node.append(helper.make_node("Reshape", ["before", "mixed"], [value]))
    with pytest.raises(NotBounded, match="Reshape"):
        of(graph, fitted)


def test_shares_written_otherwise_are_refused() -> None:
    def without_minus(graph: onnx.ModelProto) -> None:
        nodes(graph, "Neg")[0].op_type = "Identity"

    def about_two(graph: onnx.ModelProto) -> None:
        power = nodes(graph, "Exp")[0].output[0]
        (place,) = [node.input[0] for node in nodes(graph, "Add") if power in node.input]
        change(graph, place, lambda a: a * 2)

    def over_rows(graph: onnx.ModelProto) -> None:
        change(graph, nodes(graph, "ReduceSum")[0].input[1], lambda a: a * 0)

    refused("shares", without_minus, "Div reads")
    refused("shares", about_two, "Div reads")
    refused("shares", over_rows, "no bound")


def test_a_constant_that_spreads_over_columns_is_refused() -> None:
    fitted, graph = written("two")
    node = nodes(graph, "Sub")[-1]
    place = 0 if node.input[0] in constants(graph) else 1
    change(graph, node.input[place], lambda a: np.repeat(a, 3))
    with pytest.raises(NotBounded):
        of(graph, fitted)


def test_a_constant_that_stands_upright_is_refused() -> None:
    fitted, graph = written("regression")
    node = nodes(graph, "Div")[0]
    change(graph, node.input[1], lambda a: a.reshape(-1, 1))
    with pytest.raises(NotBounded, match="spreads"):
        of(graph, fitted)


def test_an_object_that_lacks_a_part_is_not_bounded_rather_than_an_error() -> None:
    fitted, graph = written("regression")
    del fitted[-1].coefs_
    with pytest.raises(NotBounded, match="other parts than expected"):
        of(graph, fitted)


def test_a_graph_with_strange_nodes_is_not_bounded_rather_than_an_error() -> None:
    fitted, graph = written("regression")
    for kind in ("Clip", "Concat", "Gather", "Cast", "ReduceSumSquare", "Max", "Where", "Reshape", "Gemm", "Shape", "Div"):
        changed = onnx.ModelProto()
        changed.CopyFrom(graph)
        nodes(changed, "Relu")[0].op_type = kind
        with pytest.raises(NotBounded):
            of(changed, fitted)


def by_differences(model: GaussianProcessRegressor, axes: int = 2) -> onnx.ModelProto:
    """The mean of a process with ConstantKernel * RBF, its distances by differences, feature by feature."""
    length = np.full(1, model.kernel_.k2.length_scale)
    given = {
        "length": length, "one": np.array([1]), "points": (model.X_train_ / length)[None], "axes": np.array([axes]),
        "half": np.array([-0.5]), "height": np.array([model.kernel_.k1.constant_value]), "alpha": model.alpha_[:, None],
    }  # fmt: skip
    chain = [
        ("Div", "length"), ("Unsqueeze", "one"), ("Sub", "points"), ("ReduceSumSquare", "axes"),
        ("Mul", "half"), ("Exp",), ("Mul", "height"), ("MatMul", "alpha"),
    ]  # fmt: skip
    nodes_, last = [], "X"
    for place, (kind, *constant) in enumerate(chain):
        result = "predict" if place + 1 == len(chain) else f"t{place}"
        more = {"keepdims": 0} if kind == "ReduceSumSquare" else {}
        nodes_.append(helper.make_node(kind, [last, *constant], [result], **more))
        last = result
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, ["n", k]) for name, k in (("X", 5), ("predict", 1))]
    values = [numpy_helper.from_array(array, name) for name, array in given.items()]
    graph = helper.make_graph(nodes_, "by differences", ends[:1], ends[1:], values)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def test_distances_by_differences_are_bounded_and_their_points_compared() -> None:
    model = GaussianProcessRegressor(ConstantKernel(2.0) * RBF(3.0), optimizer=None, alpha=0.1)
    fitted = fit(model, ROWS[:40], TARGETS["rows"][:40])
    graph = by_differences(fitted)
    untouched = of(graph, fitted).largest
    assert seen_gap(fitted, graph) <= untouched < 1e-9
    change(graph, "points", lambda a: a + 1e-3)
    assert seen_gap(fitted, graph) <= of(graph, fitted).largest
    assert of(graph, fitted).largest > 1e-4
    with pytest.raises(NotBounded, match="over other axes"):
        of(by_differences(fitted, 1), fitted)
