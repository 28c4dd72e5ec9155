"""Do tree ensembles answer exactly, and is a changed split noticed?"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from conversion.candidates import EXACT_FLOAT32, EXACT_FLOAT64, candidates_for
from conversion.errors import NotCovered
from conversion.methods import methods_of
from conversion.schema import schema_of
from conversion.search import Accepted, search
from conversion.translate import translate
from conversion.trees.proof import NotProved, prove
from conversion.trees.terms import told
from tests.conversion.asking import question
from tests.conversion.exact import agrees

Array = np.ndarray[Any, Any]


def binary(rows: Array) -> Array:
    return np.asarray(rows[:, 0] > 0)


def three(rows: Array) -> Array:
    return np.array(["clark", "göttingen", "naca"])[np.digitize(rows[:, 0], [-0.5, 0.5])]


def real(rows: Array) -> Array:
    return np.asarray(1e7 * rows[:, 0] + rows[:, 1])


def two_reals(rows: Array) -> Array:
    return rows[:, :2]


FITTED: dict[str, tuple[Any, Callable[[Array], Array] | None]] = {
    "tree": (DecisionTreeRegressor(random_state=0), real),
    "tree of labels": (DecisionTreeClassifier(random_state=0), three),
    "extra tree": (ExtraTreeRegressor(random_state=0), real),
    "extra tree of labels": (ExtraTreeClassifier(random_state=0), binary),
    "forest": (RandomForestRegressor(9, random_state=0), real),
    "forest of two": (RandomForestRegressor(9, random_state=0), two_reals),
    "forest of labels": (RandomForestClassifier(10, random_state=0, max_depth=3), three),
    "forest that ties": (RandomForestClassifier(4, random_state=0), binary),
    "extra trees": (ExtraTreesRegressor(9, random_state=0), real),
    "extra trees of labels": (ExtraTreesClassifier(9, random_state=0), three),
    "boosted": (GradientBoostingRegressor(n_estimators=9, random_state=0), real),
    "boosted quantile": (GradientBoostingRegressor(n_estimators=9, random_state=0, loss="quantile"), real),
    "boosted from zero": (GradientBoostingRegressor(n_estimators=9, random_state=0, init="zero"), real),
    "boosted binary": (GradientBoostingClassifier(n_estimators=9, random_state=0), binary),
    "boosted exponential": (GradientBoostingClassifier(n_estimators=9, random_state=0, loss="exponential"), binary),
    "boosted three": (GradientBoostingClassifier(n_estimators=9, random_state=0), three),
    "histogram": (HistGradientBoostingRegressor(max_iter=9, random_state=0), real),
    "histogram gamma": (HistGradientBoostingRegressor(max_iter=9, loss="gamma"), lambda rows: np.exp(rows[:, 0])),
    "histogram binary": (HistGradientBoostingClassifier(max_iter=9, random_state=0), binary),
    "histogram three": (HistGradientBoostingClassifier(max_iter=9, random_state=0), three),
    "isolation": (IsolationForest(n_estimators=9, random_state=0), None),
    "isolation of some features": (IsolationForest(n_estimators=9, max_features=2, random_state=0), None),
    "a leaf and nothing else": (DecisionTreeRegressor(max_depth=2), lambda rows: np.ones(len(rows))),
    "one class": (RandomForestClassifier(3, random_state=0), lambda rows: np.zeros(len(rows))),
}
WITH_NAN = ["tree", "tree of labels", "forest", "forest of labels", "extra trees", "histogram", "histogram three"]


def fitted(name: str, rows: Array) -> Any:
    model, targets = FITTED[name]
    return model.fit(rows) if targets is None else model.fit(rows, targets(np.nan_to_num(rows)))


@pytest.mark.parametrize("name", FITTED)
def test_an_ensemble_is_proved_and_every_answer_is_scikit_learns(name: str, rows: Array) -> None:
    assert agrees(fitted(name, rows), rows).rounding < 1e-6


@pytest.mark.parametrize("name", ["forest of labels", "histogram gamma", "isolation"])
def test_an_exact_candidate_is_accepted_first(name: str, rows: Array) -> None:
    accepted = search(question(fitted(name, rows)))
    assert accepted.evidence["evidence"] == "proved"
    assert [one.name for one in accepted.tried] == [accepted.candidate.name]


@pytest.mark.parametrize("name", WITH_NAN)
def test_a_missing_value_goes_to_the_side_it_was_fitted_to(name: str, rows: Array) -> None:
    missing = rows.copy()
    missing[np.random.default_rng(0).random(rows.shape) < 0.2] = np.nan
    agrees(fitted(name, missing), missing)


def test_missing_values_are_taken_where_scikit_learn_takes_them(rows: Array) -> None:
    missing = np.where(np.random.default_rng(0).random(rows.shape) < 0.2, np.nan, rows)
    assert search(question(fitted("tree of labels", missing))).signature.inputs[0].allow_nan


def test_votes_that_tie_fall_as_they_do_in_scikit_learn() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(-1, 3)
    labels = (grid.sum(axis=1) % 2).astype(int)
    model = RandomForestClassifier(2, random_state=0, max_depth=4).fit(grid, labels)
    assert (model.predict_proba(grid) == 0.5).all(axis=1).sum() > 5
    agrees(model, grid)


def test_many_trees_are_added_in_scikit_learns_order() -> None:
    rng = np.random.default_rng(0)
    rows, labels = rng.integers(0, 5, (300, 4)).astype(np.float64), rng.integers(0, 2, 300)
    model = RandomForestClassifier(150, random_state=0, max_depth=4, n_jobs=1).fit(rows, labels)
    agrees(model, rows, loose=0.0)


def test_the_order_of_candidates_keeps_scikit_learns_precision(rows: Array) -> None:
    assert candidates_for(fitted("forest", rows))[0] == EXACT_FLOAT32
    assert candidates_for(fitted("histogram", rows))[0] == EXACT_FLOAT64
    scaled = make_pipeline(StandardScaler(), RandomForestRegressor(2)).fit(rows, real(rows))
    assert all(candidate.real == np.float64 for candidate in candidates_for(scaled))
    assert not any(candidate.exact_trees for candidate in candidates_for(LinearRegression().fit(rows, real(rows))))


def test_what_is_not_covered_says_so(rows: Array) -> None:
    several = RandomForestClassifier(2, random_state=0).fit(rows, np.stack([binary(rows), binary(-rows)], axis=1))
    with pytest.raises(NotCovered, match="several targets"):
        told(several)
    with pytest.raises(NotCovered, match="LinearRegression takes part"):
        told(GradientBoostingRegressor(n_estimators=2, init=LinearRegression()).fit(rows, real(rows)))
    with pytest.raises(NotCovered, match="not fitted"):
        told(RandomForestRegressor())


def changed(graph: onnx.ModelProto, name: str, change: Callable[[Array], Any]) -> onnx.ModelProto:
    """A copy of the graph with one attribute of its trees changed."""
    copy = onnx.ModelProto.FromString(graph.SerializeToString())
    (node,) = [node for node in copy.graph.node if node.op_type == "TreeEnsemble"]
    for attribute in node.attribute:
        if attribute.name == name:
            value = helper.get_attribute_value(attribute)
            tensor = isinstance(value, onnx.TensorProto)
            array = np.array(numpy_helper.to_array(value) if tensor else value)
            array[...] = change(array)
            new = numpy_helper.from_array(array, name) if tensor else array.tolist()
            attribute.CopyFrom(helper.make_attribute(name, new))
    return copy


def first(array: Array, value: Any) -> Array:
    array = array.copy()
    array.flat[0] = value
    return array


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("nodes_splits", lambda a: first(a, np.nextafter(a[0], np.inf))),
        ("nodes_splits", lambda a: a.astype(np.float32).astype(np.float64)),
        ("nodes_featureids", lambda a: first(a, (a[0] + 1) % 4)),
        ("nodes_missing_value_tracks_true", lambda a: 1 - a),
        ("nodes_truenodeids", lambda a: a[::-1]),
        ("nodes_falseleafs", lambda a: 1 - a),
        ("nodes_modes", lambda a: first(a, 1)),
        ("leaf_weights", lambda a: first(a, np.nextafter(a[0], np.inf))),
        ("leaf_targetids", lambda a: first(a, 1 - a[0])),
        ("aggregate_function", lambda a: 0),
        ("post_transform", lambda a: 1),
        ("tree_roots", lambda a: a[::-1]),
    ],
)
def test_a_graph_with_one_thing_changed_is_not_proved(name: str, change: Callable[[Array], Any], rows: Array) -> None:
    model = fitted("forest of two", rows)
    graph = translate(model, schema_of(model), methods_of(model), EXACT_FLOAT32).graph
    prove(graph, model)
    with pytest.raises(NotProved):
        prove(changed(graph, name, change), model)


def test_rows_that_are_changed_on_their_way_to_the_trees_are_not_proved(rows: Array) -> None:
    model = fitted("forest", rows)
    graph = translate(model, schema_of(model), methods_of(model), EXACT_FLOAT32).graph
    (node,) = [node for node in graph.graph.node if node.op_type == "TreeEnsemble"]
    graph.graph.node.append(helper.make_node("Neg", [node.input[0]], ["turned"]))
    node.input[0] = "turned"
    with pytest.raises(NotProved, match="a Neg stands between"):
        prove(graph, model)


def test_a_search_that_ends_leaves_skl2onnx_as_it_was(rows: Array) -> None:
    accepted: Accepted = search(question(fitted("forest", rows)))
    assert accepted.candidate == EXACT_FLOAT32
    from skl2onnx import get_model_alias

    assert get_model_alias(RandomForestRegressor) == "SklearnRandomForestRegressor"
