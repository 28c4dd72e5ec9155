"""Is the stated bound never below what is seen, and refused where nothing can be said?"""

import warnings
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.linear_model import ElasticNet, LinearRegression, Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

from conversion.bounds import NotBounded, bound
from conversion.candidates import FLOAT32, FLOAT64, Candidate
from conversion.methods import methods_of
from conversion.rounding import SINGLE, Chain, apart
from conversion.schema import schema_of
from conversion.search import search
from conversion.translate import translate
from serving.runtime import open_session
from tests.conversion.asking import question

Array = np.ndarray[Any, Any]

MODELS = {
    "standard": StandardScaler(),
    "robust": RobustScaler(),
    "minmax": MinMaxScaler(),
    "maxabs": MaxAbsScaler(),
    "pca": PCA(2),
    "svd": TruncatedSVD(2, random_state=0),
    "linear": LinearRegression(),
    "two targets": Ridge(),
    "elastic": make_pipeline(MinMaxScaler(), ElasticNet(alpha=1e-3)),
    "network": make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(7, 5), max_iter=20, random_state=0)),
    "flat network": MLPRegressor(hidden_layer_sizes=(7,), activation="identity", max_iter=20, random_state=0),
    "encoder": make_pipeline(PCA(3), StandardScaler(), MLPRegressor(hidden_layer_sizes=(6,), max_iter=20, random_state=0)),
}


def fitted(name: str, rows: Array) -> Any:
    targets = rows[:, :2] if name in ("two targets", "encoder") else rows[:, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MODELS[name].fit(rows, targets)


def seen(model: Any, graph: onnx.ModelProto, rows: Array, candidate: Candidate) -> float:
    (answered,) = open_session(graph.SerializeToString()).run(None, {"X": rows.astype(candidate.real)})
    wanted = getattr(model, methods_of(model)[0])(rows)
    return float(np.abs(answered.reshape(wanted.shape) - wanted).max())


@pytest.mark.parametrize("candidate", [FLOAT32, FLOAT64], ids=lambda candidate: candidate.name)
@pytest.mark.parametrize("offset", [0.0, 1e3])
@pytest.mark.parametrize("name", MODELS)
def test_nothing_seen_is_beyond_the_bound(name: str, offset: float, candidate: Candidate, rows: Array) -> None:
    model = fitted(name, rows + offset)
    graph = translate(model, schema_of(model), methods_of(model), candidate).graph
    low, high = rows.min(axis=0) + offset, rows.max(axis=0) + offset
    found = bound(graph, model, low, high)
    drawn = np.random.default_rng(0).uniform(low, high, (2000, len(low))).astype(np.float32).astype(np.float64)
    inside = drawn[((drawn >= low) & (drawn <= high)).all(axis=1)]
    assert seen(model, graph, inside, candidate) <= found.largest
    assert np.isfinite(found.largest)


def test_the_bound_is_of_use_for_the_models_we_ship(rows: Array) -> None:
    accepted = search(question(fitted("encoder", rows)))
    assert accepted.evidence["evidence"] == "bounded"
    assert accepted.evidence["bound"]["largest"] <= 1e-5


@pytest.mark.parametrize("name", ["pca", "linear", "network"])
def test_a_changed_weight_raises_the_bound_by_at_least_what_it_does(name: str, rows: Array) -> None:
    model = fitted(name, rows)
    graph = translate(model, schema_of(model), methods_of(model), FLOAT64).graph
    low, high = rows.min(axis=0), rows.max(axis=0)
    before = bound(graph, model, low, high).largest
    for entry in graph.graph.initializer:
        array = numpy_helper.to_array(entry)
        if array.ndim == 2:
            entry.CopyFrom(numpy_helper.from_array(array * (1 + 1e-4), entry.name))
    after = bound(graph, model, low, high).largest
    assert after > 1000 * before
    assert seen(model, graph, rows, FLOAT64) <= after


def test_a_graph_of_another_form_is_not_bounded(rows: Array) -> None:
    model, other = fitted("network", rows), fitted("linear", rows)
    graph = translate(other, schema_of(other), methods_of(other), FLOAT64).graph
    with pytest.raises(NotBounded, match="another form"):
        bound(graph, model, rows.min(axis=0), rows.max(axis=0))


def test_what_no_bound_is_written_for_is_named(rows: Array) -> None:
    low, high = rows.min(axis=0), rows.max(axis=0)
    for model, said in (
        (MLPRegressor(hidden_layer_sizes=(3,), activation="tanh", max_iter=5), "the activation tanh"),
        (KMeans(2, n_init=1), "no bound is written for KMeans"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(rows, rows[:, 0])
        graph = translate(model, schema_of(model), ["predict"], FLOAT64).graph
        with pytest.raises(NotBounded, match=said):
            bound(graph, model, low, high)


def test_a_bound_above_the_tolerance_is_not_claimed(rows: Array) -> None:
    accepted = search(question(make_pipeline(StandardScaler(), LinearRegression()).fit(rows * 1e12, rows[:, 0] * 1e12)))
    assert accepted.evidence["evidence"] == "tested"
    assert "above the tolerance" in accepted.evidence["not_bounded"]


def test_one_sum_in_any_order_stays_within_its_bound() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = int(rng.integers(2, 300))
        rows, weights = rng.uniform(-1, 1, (50, n)).astype(np.float32), rng.standard_normal((n, 1)).astype(np.float32)
        chain = Chain.over(np.full(n, -1.0), np.full(n, 1.0))
        chain.product(weights.astype(np.float64), np.zeros(1), SINGLE)
        order = rng.permutation(n)
        computed = np.zeros(50, np.float32)
        for i in order:
            computed += rows[:, i] * weights[i, 0]
        exact = rows.astype(np.longdouble) @ weights.astype(np.longdouble)
        assert np.abs(computed - exact[:, 0]).max() <= chain.error[0]


def test_two_equal_chains_are_apart_by_their_rounding_alone() -> None:
    chains = [Chain.over(np.full(3, -1.0), np.full(3, 1.0)) for _ in range(2)]
    for chain in chains:
        chain.shift(np.full(3, 0.1), SINGLE)
    gap = apart(*chains)
    assert gap is not None
    assert (gap <= 3 * chains[0].error).all()
