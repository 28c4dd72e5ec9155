"""Is a graph refused as soon as any operator, setting, constant or edge in it is another one than was written?"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.multioutput import MultiOutputRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from conversion.candidates import EXACT_FLOAT64
from conversion.methods import methods_of
from conversion.schema import schema_of
from conversion.translate import translate
from conversion.trees.proof import NotProved, prove
from serving.signature import Array

FEW = RandomForestClassifier(2, max_depth=2, random_state=0)
PARTS = [("a", make_pipeline(SimpleImputer(), StandardScaler()), [2, 0]), ("b", MinMaxScaler(clip=True), [3])]
MODELS: dict[str, Any] = {
    "texts": RandomForestClassifier(2, max_depth=2, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=2, max_depth=2, loss="exponential"),
    "boosting of three": GradientBoostingClassifier(n_estimators=2, max_depth=2),
    "categories": HistGradientBoostingClassifier(max_iter=3, categorical_features=[1], min_samples_leaf=5),
    "outliers": IsolationForest(n_estimators=2, max_samples=8, random_state=0),
    "bagging of forests": BaggingClassifier(FEW, n_estimators=2, max_samples=9, max_features=3, random_state=0),
    "adaboost": AdaBoostClassifier(n_estimators=2, random_state=0),
    "adaboost of three": AdaBoostClassifier(FEW, n_estimators=2, random_state=0),
    "median": AdaBoostRegressor(DecisionTreeRegressor(max_depth=2), n_estimators=3, random_state=0),
    "hard votes": VotingClassifier([("a", DecisionTreeClassifier(max_depth=1)), ("b", FEW)], weights=[2, 1]),
    "weighted mean": VotingRegressor([("a", DecisionTreeRegressor(max_depth=1)), ("b", DecisionTreeRegressor(max_depth=2))]),
    "two targets": MultiOutputRegressor(RandomForestRegressor(2, max_depth=2, random_state=0)),
    "scaled": make_pipeline(ColumnTransformer(PARTS, remainder="passthrough"), DecisionTreeClassifier(max_depth=2)),
    "binary": make_pipeline(MinMaxScaler(), Binarizer(threshold=0.4), DecisionTreeClassifier(max_depth=2)),
}
TWO = {"boosting", "adaboost", "categories"}
OTHER = {
    "Add": "Sub", "Sub": "Add", "Mul": "Div", "Div": "Mul", "Greater": "GreaterOrEqual", "GreaterOrEqual": "Greater",
    "Less": "LessOrEqual", "ArgMax": "ArgMin", "Softmax": "LogSoftmax", "Sigmoid": "Tanh", "Sum": "Max", "Neg": "Abs",
    "Pow": "Mul", "Equal": "Less", "IsNaN": "Not", "MatMul": "Mul",
}  # fmt: skip


def fitted(name: str, rows: Array) -> Any:
    rows = rows[:120].copy()
    rows[:, 1] = (np.abs(rows[:, 1]).round() % 7) + 1
    count = np.digitize(rows[:, 0], [-0.5, 0.5])
    model = MODELS[name]
    if name == "outliers":
        return model.fit(rows)
    if name == "two targets":
        return model.fit(rows, rows[:, :2])
    if name in ("median", "weighted mean"):
        return model.fit(rows, rows[:, 0] * rows[:, 1])
    return model.fit(rows, (rows[:, 1] > 3) ^ (rows[:, 0] > 0) if name in TWO else np.array(["a", "b", "ç"])[count])


def changed(array: Array) -> Array:
    """The array with its last element changed by the least."""
    array = array.copy()
    if array.dtype == object:
        array.flat[-1] = f"{array.flat[-1]}x"
    else:
        array.flat[-1] = np.nextafter(array.flat[-1], np.inf) if array.dtype.kind == "f" else array.flat[-1] + 1
    return array


def tampered(graph: onnx.ModelProto) -> Iterator[tuple[str, onnx.ModelProto]]:
    """One change in each, of what the outputs are made of."""
    wanted = {output.name for output in graph.graph.output}
    for node in reversed(graph.graph.node):
        wanted |= set(node.input) if wanted & set(node.output) else set()
    for k, one in enumerate(graph.graph.initializer):
        if one.name not in wanted:
            continue
        copy = onnx.ModelProto.FromString(graph.SerializeToString())
        array = changed(numpy_helper.to_array(one))
        copy.graph.initializer[k].CopyFrom(helper.make_tensor(one.name, one.data_type, array.shape, array.ravel().tolist()))
        yield f"constant {one.name}", copy
    for k, node in enumerate(graph.graph.node):
        for what, new in other_nodes(node, graph) if wanted & set(node.output) else ():
            copy = onnx.ModelProto.FromString(graph.SerializeToString())
            copy.graph.node[k].CopyFrom(new)
            yield f"{what} of {node.op_type} {node.name}", copy


def other_nodes(node: onnx.NodeProto, graph: onnx.ModelProto) -> Iterator[tuple[str, onnx.NodeProto]]:
    def copied() -> onnx.NodeProto:
        return onnx.NodeProto.FromString(node.SerializeToString())

    if node.op_type in OTHER:
        (new := copied()).op_type = OTHER[node.op_type]
        yield "operator", new
    (new := copied()).domain = "another"
    yield "domain", new
    for k, attribute in enumerate(node.attribute):
        value, new = helper.get_attribute_value(attribute), copied()
        if isinstance(value, TensorProto):
            array = numpy_helper.to_array(value).copy()
            last = ~np.isnan(array) if array.dtype.kind == "f" else np.ones(len(array), bool)
            array[last] = changed(array[last]) if attribute.name != "nodes_modes" else array[last] + 1
            value = numpy_helper.from_array(array, attribute.name)
        else:
            value = [one + 1 for one in value] if attribute.type == onnx.AttributeProto.INTS else value + 1
        new.attribute[k].CopyFrom(helper.make_attribute(attribute.name, value))
        yield f"{attribute.name}", new
    for k in range(len(node.input)):
        for instead in ("X", node.input[k - 1]):
            (new := copied()).input[k] = instead
            if unlike(node.input[k], instead, graph):
                yield f"edge {k}, now from {instead},", new


def unlike(first: str, second: str, graph: onnx.ModelProto) -> bool:
    """Are these two tensors different, beyond a name and a cast from double to double?"""
    made = {output: node for node in graph.graph.node for output in node.output}

    def origin(name: str) -> str:
        while name in made and (made[name].op_type == "Identity" or is_double(made[name])) and made[name].input:
            name = made[name].input[0]
        return name

    def is_double(node: onnx.NodeProto) -> bool:
        before = made.get(node.input[0]) if node.input else None
        plain = before is None or before.op_type == "Cast"
        return node.op_type == "Cast" and node.attribute[0].i == TensorProto.DOUBLE and plain

    return origin(first) != origin(second)


@pytest.mark.parametrize("name", MODELS)
def test_no_change_anywhere_is_still_proved(name: str, rows: Array) -> None:
    model = fitted(name, rows)
    graph = translate(model, schema_of(model), methods_of(model), EXACT_FLOAT64).graph
    prove(graph, model)
    proved, tried = [], 0
    for what, copy in tampered(graph):
        tried += 1
        try:
            prove(copy, model)
        except NotProved:
            continue
        proved.append(what)
    assert tried > 40
    assert not proved


def test_two_outputs_that_are_exchanged_are_not_proved(rows: Array) -> None:
    model = fitted("two targets", rows)
    graph = translate(model, schema_of(model), methods_of(model), EXACT_FLOAT64).graph
    (last,) = [node for node in graph.graph.node if node.op_type == "Concat"]
    last.input[0], last.input[1] = last.input[1], last.input[0]
    with pytest.raises(NotProved):
        prove(graph, model)


def test_a_graph_without_the_cast_to_float32_is_not_proved(rows: Array) -> None:
    model = fitted("texts", rows)
    graph = translate(model, schema_of(model), methods_of(model), EXACT_FLOAT64).graph
    (cast,) = [node for node in graph.graph.node if node.op_type == "Cast" and node.attribute[0].i == TensorProto.FLOAT]
    cast.attribute[0].i = TensorProto.DOUBLE
    with pytest.raises(NotProved, match="reaches the trees as"):
        prove(graph, model)


def test_a_constant_that_a_caller_can_replace_is_not_proved(rows: Array) -> None:
    model = fitted("boosting", rows)
    graph = translate(model, schema_of(model), methods_of(model), EXACT_FLOAT64).graph
    one = graph.graph.initializer[0]
    graph.graph.input.append(helper.make_tensor_value_info(one.name, one.data_type, list(one.dims)))
    with pytest.raises(NotProved, match="can be replaced"):
        prove(graph, model)


def test_another_fitted_model_is_not_what_a_graph_was_proved_for(rows: Array) -> None:
    model = fitted("texts", rows)
    graph = translate(model, schema_of(model), methods_of(model), EXACT_FLOAT64).graph
    other = RandomForestClassifier(2, max_depth=2, random_state=1).fit(
        rows, np.array(["a", "b", "ç"])[(rows[:, 1] > 20).astype(int)]
    )
    with pytest.raises(NotProved):
        prove(graph, other)
