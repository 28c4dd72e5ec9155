"""Are affine steps folded into the matrix product that follows, and is a wrong folding refused as anything else?"""

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler
from sklearn.svm import SVC

from conversion import folding
from conversion.candidates import FLOAT64, FOLDED
from conversion.folding import NothingToFold, fold
from conversion.schema import schema_of
from conversion.search import Accepted, search
from conversion.translate import translate
from serving.runtime import open_session
from serving.signature import Array
from tests.conversion.asking import question


def network(**more: Any) -> MLPRegressor:
    return MLPRegressor(hidden_layer_sizes=(6,), max_iter=40, random_state=0, **more)


MODELS: dict[str, tuple[list[Any], list[str]]] = {
    "scaler, network": ([StandardScaler(), network()], ["Gemm", "Relu", "Gemm"]),
    "centring alone": ([StandardScaler(with_std=False), network()], ["Gemm", "Relu", "Gemm"]),
    "scale alone": ([StandardScaler(with_mean=False), network()], ["Gemm", "Relu", "Gemm"]),
    "two scalers": ([MinMaxScaler(), RobustScaler(), network()], ["Gemm", "Relu", "Gemm"]),
    "largest": ([MaxAbsScaler(), network()], ["Gemm", "Relu", "Gemm"]),
    "PCA, scaler, network": ([PCA(2), StandardScaler(), network()], ["Gemm", "Gemm", "Relu", "Gemm"]),
    "PCA, linear": ([PCA(2), Ridge()], ["Gemm"]),
}


def fitted(steps: list[Any], rows: Array) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make_pipeline(*steps).fit(rows, rows[:, :2] @ np.array([[1.0], [2.0]]).ravel())


def operators(accepted: Accepted) -> list[str]:
    return [node.op_type for node in accepted.graph.graph.node if node.op_type not in ("Identity", "Reshape", "Gather")]


@pytest.mark.parametrize("name", MODELS)
def test_the_beginning_becomes_a_product_and_stays_bounded(name: str, rows: Array) -> None:
    steps, wanted = MODELS[name]
    accepted = search(question(fitted(steps, rows)))
    assert accepted.candidate == FOLDED
    assert operators(accepted) == wanted
    assert accepted.evidence["evidence"] == "bounded"


def test_a_constant_column_and_far_means(rows: Array) -> None:
    far = np.concatenate([rows * 1e-3 + 1e6, np.full((len(rows), 1), 7.0)], axis=1)
    estimator = fitted([StandardScaler(), LinearRegression()], far)
    accepted = search(question(estimator, 1e-3))
    answered = accepted.session.session.run(["predict"], {"X": far})[0]
    assert np.allclose(answered.ravel(), estimator.predict(far), rtol=1e-3, atol=1e-3)


def test_a_classifier_behind_a_scaler_keeps_its_labels(rows: Array) -> None:
    estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, rows[:, 0] > np.median(rows[:, 0]))
    accepted = search(question(estimator))
    labels = accepted.session.session.run(["predict"], {"X": rows})[0]
    assert np.array_equal(labels, estimator.predict(rows))


@pytest.mark.parametrize("fault", ["the offset is lost", "the scale is lost", "the product is turned round"])
def test_a_wrong_folding_is_refused_and_the_plain_graph_taken(fault: str, rows: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault == "the offset is lost":
        monkeypatch.setattr(folding._Map, "moved", lambda self, by: self)
    elif fault == "the scale is lost":
        monkeypatch.setattr(folding._Map, "scaled", lambda self, by: self)
    else:
        through = folding._Map.through
        monkeypatch.setattr(folding._Map, "through", lambda self, matrix: through(self, matrix[:, ::-1]))
    accepted = search(question(fitted([StandardScaler(), network()], rows + 3)))
    assert accepted.candidate == FLOAT64
    (first,) = [one for one in accepted.tried if one.name == FOLDED.name]
    assert first.finding is not None


@pytest.mark.parametrize("steps", [[SelectKBest(k=2), Ridge()], [MinMaxScaler(clip=True), Ridge()]])
def test_what_is_not_affine_is_left_as_it_is(steps: list[Any], rows: Array) -> None:
    estimator = fitted(steps, rows)
    graph = translate(estimator, schema_of(estimator), ["predict"], FLOAT64).graph
    with pytest.raises(NothingToFold):
        fold(graph)


def test_a_kernel_behind_a_scaler_is_no_product(rows: Array) -> None:
    estimator = make_pipeline(StandardScaler(), SVC()).fit(rows, rows[:, 0] > np.median(rows[:, 0]))
    assert search(question(estimator)).candidate != FOLDED


def test_a_wide_detour_is_not_multiplied_out(rows: Array) -> None:
    """Two columns between many and many: one product of all would be more work than both."""
    wide = np.repeat(rows, 8, axis=1) + 0.01 * np.arange(8 * rows.shape[1])
    model = make_pipeline(PCA(2), MLPRegressor(hidden_layer_sizes=(64,), max_iter=5, random_state=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(wide, wide[:, 0])
    graph = fold(translate(model, schema_of(model), ["predict"], FLOAT64).graph)
    shapes = [tuple(entry.dims) for entry in graph.graph.initializer if entry.name.startswith("folded_weights")]
    assert shapes == [(wide.shape[1], 2), (2, 64)]
    answered = open_session(graph.SerializeToString()).run(["predict"], {"X": wide})[0]
    assert np.allclose(answered.ravel(), model.predict(wide))
