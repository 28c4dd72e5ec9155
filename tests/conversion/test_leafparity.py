"""Does an independent prover contradict us?

leafparity walks a fitted tree ensemble and its ONNX export over every possible input, by code that shares nothing with ours.
It reads ai.onnx.ml operators up to opset 3, and our graphs hold an opset 5 TreeEnsemble. So each accepted graph is told again,
node for node, in the older operator with its tensors of doubles, and that is what is proved; and skl2onnx's plain export of
the same object is judged by both: a witness that it finds is a row on which our graph must answer as scikit-learn does.
"""

from dataclasses import replace
from typing import Any

import leafparity
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import ExtraTreesRegressor, GradientBoostingRegressor, RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from conversion.candidates import FLOAT32
from conversion.parity import Graph, asked
from conversion.question import Question
from conversion.rows import DOUBLES, RowSet, spoilt
from conversion.search import search
from conversion.translate import translate
from serving.runtime import open_session
from serving.signature import Array
from serving.verification import Gap, compare
from tests.conversion.asking import question
from tests.conversion.unrepaired import as_it_comes

RNG = np.random.default_rng(21)
X = RNG.standard_normal((160, 4)) * [1.0, 30.0, 0.01, 5.0]
Y = X[:, 0] + X[:, 1] / 30 + 0.2 * RNG.standard_normal(160)
GAPS = np.where(RNG.random(X.shape) < 0.15, np.nan, X)
TREES = {
    "tree": DecisionTreeRegressor(max_depth=6, random_state=0),
    "forest": RandomForestRegressor(4, max_depth=5, random_state=0),
    "extra trees": ExtraTreesRegressor(4, max_depth=5, random_state=0),
    "boosting": GradientBoostingRegressor(n_estimators=5, random_state=0),
}
KNOWS_GAPS = ("tree", "forest", "extra trees")


def proved(estimator: Any, graph: onnx.ModelProto, **given: Any) -> Any:
    return leafparity.analyze(estimator, graph, self_check_rows=500, cross_check_rows=500, worst_case_seconds=2.0, **given)


def told_again(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The TreeEnsemble as a TreeEnsembleRegressor of opset 3, after the same casts. What follows it scales and adds only."""
    node = next(node for node in graph.graph.node if node.op_type == "TreeEnsemble")
    given = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    rows = [one for one in graph.graph.node if one.op_type in ("Cast", "Identity") and one.output[0] in _before(graph, node)]
    factor, offset = _after(graph)
    regressor = helper.make_node(
        "TreeEnsembleRegressor", list(node.input), ["variable"], domain="ai.onnx.ml", **_older(given, factor, offset)
    )
    inputs = [graph.graph.input[0]]
    output = helper.make_tensor_value_info("variable", TensorProto.FLOAT, [None, 1])
    made = helper.make_graph([*rows, regressor], "told again", inputs, [output])
    return helper.make_model(
        made, opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)], ir_version=8
    )


def _before(graph: onnx.ModelProto, node: onnx.NodeProto) -> set[str]:
    """Every value that leads to the node."""
    found = set(node.input)
    for one in reversed(graph.graph.node):
        if found & set(one.output):
            found |= set(one.input)
    return found


def _after(graph: onnx.ModelProto) -> tuple[float, float]:
    """What each leaf is multiplied by, and what is added to their sum."""
    known = {tensor.name: float(numpy_helper.to_array(tensor).reshape(-1)[0]) for tensor in graph.graph.initializer}
    factor, offset, found = 1.0, 0.0, False
    for node in graph.graph.node:
        found |= node.op_type == "TreeEnsemble"
        if found and node.op_type in ("Mul", "Div", "Add"):
            number = known[node.input[1]]
            factor *= {"Mul": number, "Div": 1 / number, "Add": 1.0}[node.op_type]
            offset += number if node.op_type == "Add" else 0.0
    return factor, offset


def _older(given: dict[str, Any], factor: float, offset: float) -> dict[str, Any]:
    """Nodes are numbered within their tree there, and leaves are nodes."""
    splits, weights = numpy_helper.to_array(given["nodes_splits"]), numpy_helper.to_array(given["leaf_weights"])
    columns: dict[str, list[Any]] = {name: [] for name in ("tree", "node", "feature", "mode", "value", "true", "false", "nan")}
    leaves: dict[str, list[Any]] = {name: [] for name in ("tree", "node", "weight")}
    constants = [root for root in given["tree_roots"] if _constant(given, root)]
    offset += factor * sum(float(weights[given["nodes_truenodeids"][root]]) for root in constants)
    for tree, root in enumerate(root for root in given["tree_roots"] if root not in constants):
        waiting, count = [(root, False, 0)], 1
        while waiting:
            at, is_leaf, node = waiting.pop()
            true, false = (0, 0) if is_leaf else (count, count + 1)
            feature, value, nan = (0, 0.0, 0) if is_leaf else (given["nodes_featureids"][at], splits[at], _nan(given, at))
            for name, said in (
                ("tree", tree), ("node", node), ("feature", feature), ("mode", "LEAF" if is_leaf else "BRANCH_LEQ"),
                ("value", value), ("true", true), ("false", false), ("nan", nan),
            ):  # fmt: skip
                columns[name].append(said)
            if is_leaf:
                leaves["tree"].append(tree)
                leaves["node"].append(node)
                leaves["weight"].append(weights[at] * factor)
                continue
            count += 2
            waiting.append((given["nodes_truenodeids"][at], bool(given["nodes_trueleafs"][at]), true))
            waiting.append((given["nodes_falsenodeids"][at], bool(given["nodes_falseleafs"][at]), false))
    return {
        "n_targets": 1, "aggregate_function": "SUM", "post_transform": "NONE",
        "base_values_as_tensor": _doubles("base_values_as_tensor", [offset]),
        "nodes_treeids": columns["tree"], "nodes_nodeids": columns["node"], "nodes_featureids": columns["feature"],
        "nodes_modes": columns["mode"], "nodes_values_as_tensor": _doubles("nodes_values_as_tensor", columns["value"]),
        "nodes_truenodeids": columns["true"], "nodes_falsenodeids": columns["false"],
        "nodes_missing_value_tracks_true": columns["nan"],
        "target_treeids": leaves["tree"], "target_nodeids": leaves["node"], "target_ids": [0] * len(leaves["tree"]),
        "target_weights_as_tensor": _doubles("target_weights_as_tensor", leaves["weight"]),
    }  # fmt: skip


def _constant(given: dict[str, Any], root: int) -> bool:
    """A tree whose two sides are one leaf is a number that is added: where boosting starts."""
    same = given["nodes_truenodeids"][root] == given["nodes_falsenodeids"][root]
    return bool(same and given["nodes_trueleafs"][root] and given["nodes_falseleafs"][root])


def _nan(given: dict[str, Any], at: int) -> int:
    return int(given["nodes_missing_value_tracks_true"][at])


def _doubles(name: str, values: list[float]) -> onnx.TensorProto:
    return helper.make_tensor(name, TensorProto.DOUBLE, [len(values)], values)


def plain(estimator: Any) -> onnx.ModelProto:
    """skl2onnx's own float32 export."""
    asking = question(estimator)
    with as_it_comes():
        return translate(estimator, asking.schema, asking.methods, FLOAT32).graph


@pytest.mark.parametrize(("name", "rows"), [*((name, X) for name in TREES), *((name, GAPS) for name in KNOWS_GAPS)])
def test_every_input_reaches_the_leaves_that_scikit_learn_reaches(name: str, rows: Array) -> None:
    estimator = TREES[name].fit(rows, Y)
    accepted = search(question(estimator))
    assert accepted.evidence["evidence"] == "proved"
    for width in ("float32", "float64"):
        found = proved(estimator, told_again(accepted.graph), input_dtype=width)
        assert found.verdict["status"] == "EQUIVALENT", found.verdict["headline"]


def test_a_threshold_that_is_moved_by_one_unit_is_found() -> None:
    """The proof can fail: otherwise it would say nothing of ours."""
    estimator = TREES["forest"].fit(GAPS, Y)
    graph = told_again(search(question(estimator)).graph)
    splits = next(one for one in graph.graph.node[-1].attribute if one.name == "nodes_values_as_tensor").t
    moved = numpy_helper.to_array(splits).copy()
    moved[0] = np.nextafter(np.float32(moved[0]), np.float32(np.inf))
    splits.CopyFrom(numpy_helper.from_array(moved))
    assert proved(estimator, graph).verdict["status"] == "NOT EQUIVALENT"


@pytest.mark.parametrize("name", KNOWS_GAPS)
def test_a_witness_against_the_plain_export_is_a_row_on_which_ours_holds(name: str) -> None:
    estimator = TREES[name].fit(GAPS, Y)
    _check_witnesses(estimator, "float32")


def test_a_witness_against_a_scaler_in_float32_is_a_row_on_which_ours_holds() -> None:
    estimator = make_pipeline(StandardScaler(), DecisionTreeRegressor(max_depth=6, random_state=0)).fit(X, Y)
    _check_witnesses(estimator, "float64")


def _check_witnesses(estimator: Any, width: str) -> None:
    """leafparity refutes the plain export; so do our own rows, and the accepted graph is right on every witness."""
    asking, export = question(estimator), plain(estimator)
    found = proved(estimator, export, input_dtype=width)
    assert found.verdict["status"] == "NOT EQUIVALENT"
    rows = np.array([[float(one["witness"]["input"][f"f{i}"]) for i in range(X.shape[1])] for one in found.findings])
    accepted = search(asking)
    assert accepted.candidate.exact_trees
    held = accepted.session.answer({"X": rows.astype(width)}, ["predict"])["predict"]
    assert np.allclose(held, estimator.predict(rows.astype(width)), rtol=1e-5, atol=1e-5)
    sets = [*asking.sets, asked(asking.ask, RowSet("gaps", spoilt(asking.sets[0].rows.feeds, np.nan, ["X"])), asking.tie)]
    sets = [one for one in sets if one.rows.size]
    assert not all(gap.passed for gap in _gaps(export, replace(asking, sets=sets)))


@pytest.mark.parametrize("name", KNOWS_GAPS)
def test_what_it_proves_of_the_plain_export_our_rows_do_not_deny(name: str) -> None:
    estimator = TREES[name].fit(X, Y)
    export = plain(estimator)
    assert proved(estimator, export, input_dtype="float32", allow_missing=False).verdict["status"] == "EQUIVALENT"
    asking = question(estimator)
    finite = [one for one in asking.sets if np.isfinite(one.rows.feeds["X"]).all() and one.rows.kind not in DOUBLES]
    assert len(finite) > 5
    assert all(gap.passed for gap in _gaps(export, replace(asking, sets=finite)))


def _gaps(export: onnx.ModelProto, asking: Question) -> list[Gap]:
    """skl2onnx answers a column where scikit-learn answers a row; leafparity compares leaves, so that is let pass."""
    graph, found = Graph(open_session(export.SerializeToString()), asking.schema, FLOAT32), []
    for one in asking.sets:
        answered = graph.answer(one.rows.feeds, ["predict"])["predict"].reshape(-1)
        found.append(compare(one.answers["predict"], answered, asking.tolerance["predict"]))
    return found
