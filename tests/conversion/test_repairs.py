"""Is what skl2onnx gets wrong caught, and put right?"""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from skl2onnx import _supported_operators as supported
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType
from sklearn.neural_network import MLPRegressor

from conversion import search, translate
from conversion.candidates import FLOAT32
from conversion.errors import Refused
from conversion.methods import methods_of
from conversion.repairs import mlp_shape
from conversion.schema import schema_of
from serving.runtime import open_session
from tests.conversion.asking import question

Array = np.ndarray[Any, Any]


@pytest.fixture(scope="module")
def network(rows: Array) -> MLPRegressor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MLPRegressor(hidden_layer_sizes=(5,), max_iter=20, random_state=0).fit(rows, rows[:, :2])


@pytest.fixture
def unrepaired(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """skl2onnx as it comes."""
    saved = supported.sklearn_operator_name_map[MLPRegressor]
    supported.sklearn_operator_name_map[MLPRegressor] = "SklearnMLPRegressor"
    monkeypatch.setattr(mlp_shape, "register", lambda: None)
    yield
    supported.sklearn_operator_name_map[MLPRegressor] = saved


@pytest.mark.usefixtures("unrepaired")
def test_skl2onnx_still_answers_a_column_for_two_outputs(network: MLPRegressor, rows: Array) -> None:
    graph = convert_sklearn(network, initial_types=[("X", FloatTensorType([None, 4]))])
    (answered,) = open_session(graph.SerializeToString()).run(None, {"X": rows[:3].astype(np.float32)})
    assert answered.shape == (6, 1)
    assert network.predict(rows[:3]).shape == (3, 2)


@pytest.mark.usefixtures("unrepaired")
def test_the_unrepaired_graph_is_rejected_for_its_shape(network: MLPRegressor) -> None:
    with pytest.raises(Refused, match=r"scikit-learn answered shape \[1000, 2\], the graph shape \[2000, 1\]"):
        search.search(question(network))


def test_the_repaired_graph_is_accepted(network: MLPRegressor) -> None:
    accepted = search.search(question(network))
    assert accepted.repairs == ("mlp_shape",)
    assert accepted.signature.outputs[0].shape == (-1, 2)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.parametrize("targets", [1, 3])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_every_activation_and_number_of_outputs_holds(activation: str, targets: int, rows: Array) -> None:
    wanted = rows[:, 0] if targets == 1 else rows[:, :targets]
    fitted = MLPRegressor(hidden_layer_sizes=(4, 3), activation=activation, max_iter=10, random_state=0).fit(rows, wanted)
    accepted = search.search(question(fitted))
    assert all(finding.gap.passed for finding in accepted.findings)


def test_a_name_for_every_output_is_a_method_of_the_object(network: MLPRegressor) -> None:
    made = translate.translate(network, schema_of(network), methods_of(network), FLOAT32)
    assert [output.name for output in made.graph.graph.output] == ["predict"]
