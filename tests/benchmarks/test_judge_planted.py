"""Does the judge notice a graph that is wrong in one place? As skl2onnx writes it, or spoilt by hand."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Binarizer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from benchmarks.judge import Verdict, judge
from conversion.candidates import candidates_for
from conversion.search import search
from conversion.translate import set_shapes, translate
from serving.runtime import open_session
from serving.signature import DATATYPES, Array, Signature, Tensor
from tests.conversion.asking import question
from tests.conversion.unrepaired import as_it_comes

RNG = np.random.default_rng(8)
X = RNG.standard_normal((120, 3)) * [1.0, 4.0, 0.5] + [0.0, 2.0, 1.0]
SCORE = X[:, 0] + X[:, 1] / 4 + 0.8 * RNG.standard_normal(120)
TWO, THREE = (SCORE > 0.5).astype(int), np.digitize(SCORE, [0.0, 1.0])
GAPS = np.where(RNG.random(X.shape) < 0.2, np.nan, X)


@dataclass
class Served:
    """A graph as the server would run it, with the tolerance that it states."""

    graph: onnx.ModelProto
    signature: Signature
    parity: dict[str, Any]

    def __post_init__(self) -> None:
        self.session = open_session(self.graph.SerializeToString())

    def run(self, feeds: dict[str, Array]) -> dict[str, Array]:
        names = [tensor.name for tensor in self.signature.outputs]
        return dict(zip(names, self.session.run(names, feeds), strict=True))


def converted(estimator: Any) -> Served:
    asking = question(estimator)
    accepted = search(asking)
    tolerance = {name: asdict(given) for name, given in asking.tolerance.items()}
    return Served(accepted.graph, accepted.signature, {"tolerance": tolerance})


def unrepaired(estimator: Any, *, double: bool = False, allow_nan: bool = False) -> Served:
    """What skl2onnx writes by itself, with the signature of its graph."""
    asking = question(estimator)
    with as_it_comes():
        candidate = [one for one in candidates_for(estimator) if not one.exact_trees][0 if double else -1]
        graph = translate(estimator, asking.schema, asking.methods, candidate).graph
    set_shapes(graph, {name: answer.shape[1:] for name, answer in asking.sets[0].answers.items()})
    width = asking.schema.columns[0].width
    inputs = (Tensor("X", DATATYPES[candidate.real], (-1, width), allow_nan),)
    outputs = tuple(Tensor(name, "FP64", (-1,)) for name in asking.methods)
    tolerance = {name: {"atol": 1e-5, "rtol": 1e-5} for name in asking.methods}
    return Served(graph, Signature(inputs, outputs), {"tolerance": tolerance})


def judged(estimator: Any, model: Any, rows: Array = X, seed: int = 5) -> Verdict:
    return judge(estimator, rows, model, seed)


SCALED = StandardScaler().fit_transform(X)
UNREPAIRED: dict[str, tuple[Callable[[], Any], Array]] = {
    "forest that routes gaps": (lambda: RandomForestClassifier(5, random_state=0).fit(GAPS, THREE), GAPS),
    "tuned threshold": (lambda: TunedThresholdClassifierCV(LogisticRegression(), random_state=0).fit(SCALED, TWO), SCALED),
    "labels by decision": (lambda: SGDClassifier(loss="modified_huber", random_state=0).fit(SCALED, THREE), SCALED),
    "network of several outputs": (
        lambda: MLPRegressor(hidden_layer_sizes=(4,), max_iter=30).fit(SCALED, SCALED[:, :2]),
        SCALED,
    ),
    "greater or equal for greater": (lambda: Binarizer(threshold=1.0).fit(np.round(X)), np.round(X)),
    "weights of the neighbours": (lambda: KNeighborsRegressor(3, weights="distance").fit(X, SCORE), X),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", UNREPAIRED)
def test_what_skl2onnx_gets_wrong_by_itself_is_noticed(name: str) -> None:
    make, rows = UNREPAIRED[name]
    estimator = make()
    model = unrepaired(estimator, double=name == "greater or equal for greater", allow_nan=bool(np.isnan(rows).any()))
    assert judged(estimator, model, rows).mismatches


def _initializer(graph: onnx.ModelProto, change: Callable[[Array], Array], size: int) -> None:
    """Changes the first initializer of real numbers that has this many."""
    for tensor in graph.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype.kind == "f" and array.size == size:
            tensor.CopyFrom(numpy_helper.from_array(change(array.copy()).astype(array.dtype), tensor.name))
            return
    raise AssertionError("no such initializer")


def _trees(graph: onnx.ModelProto) -> dict[str, Any]:
    node = next(node for node in graph.graph.node if node.op_type == "TreeEnsemble")
    return {attribute.name: attribute for attribute in node.attribute}


def test_a_right_graph_is_not_blamed_on_any_seed() -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, THREE)
    served = converted(model)
    for seed in (1, 2, 3):
        verdict = judged(model, served, seed=seed)
        assert verdict.mismatches == []
        assert verdict.rows > 3000


def test_one_class_with_another_bias_is_noticed() -> None:
    model = LogisticRegression().fit(X, THREE)
    served = converted(model)

    def moved(bias: Array) -> Array:
        bias.reshape(-1)[1] += 1e-3
        return bias

    _initializer(served.graph, moved, 3)
    served.__post_init__()
    assert any("predict_proba" in said for said in judged(model, served).mismatches)
    labels = Signature(served.signature.inputs, served.signature.outputs[:1])
    alone = Served(served.graph, labels, {"tolerance": {"predict": {"atol": 0.0, "rtol": 0.0}}})
    assert judged(model, alone).mismatches


def test_swapped_labels_are_noticed() -> None:
    model = LogisticRegression().fit(X, THREE)
    served = converted(model)
    answer = served.run

    def swapped(feeds: dict[str, Array]) -> dict[str, Array]:
        found = answer(feeds)
        return found | {"predict": np.array([0, 2, 1])[found["predict"]]}

    served.run = swapped  # type: ignore[method-assign]
    assert judged(model, served).mismatches


def test_one_threshold_moved_by_one_unit_of_float32_is_noticed() -> None:
    rows = np.arange(12.0)[:, None] * 1.1
    model = DecisionTreeClassifier().fit(rows, [0, 0, 1, 1, 0, 0, 1, 1, 2, 2, 1, 1])
    served = converted(model)
    assert judged(model, served, rows).mismatches == []
    splits = _trees(served.graph)["nodes_splits"]
    array = numpy_helper.to_array(splits.t).copy()
    array[-1] = np.nextafter(np.float32(array[-1]), np.float32(-np.inf))
    splits.t.CopyFrom(numpy_helper.from_array(array))
    served.__post_init__()
    assert judged(model, served, rows).mismatches


def test_missing_values_sent_to_the_other_side_are_noticed() -> None:
    model = HistGradientBoostingClassifier(max_iter=3).fit(GAPS, TWO)
    served = converted(model)
    assert judged(model, served, GAPS).mismatches == []
    sides = _trees(served.graph)["nodes_missing_value_tracks_true"]
    sides.ints[:] = [1 - side for side in sides.ints]
    served.__post_init__()
    assert any("missing values" in said for said in judged(model, served, GAPS).mismatches)


def test_a_column_that_is_not_read_is_noticed() -> None:
    model = Ridge().fit(X, SCORE)
    served = converted(model)
    _initializer(served.graph, lambda weights: weights * np.array([1.0, 1.0, 0.0]).reshape(weights.shape), 3)
    served.__post_init__()
    assert judged(model, served).mismatches


def test_a_vote_lost_among_three_classes_is_noticed() -> None:
    """Scikit-learn's probabilities stand beside the votes of an SVC; only the votes excuse a label."""
    model = SVC().fit(X, THREE)
    served = converted(model)
    answer = served.run

    def second_best(feeds: dict[str, Array]) -> dict[str, Array]:
        found = answer(feeds)
        scores = np.sort(found["decision_function"], axis=1)
        near = scores[:, -1] - scores[:, -2] < 1.1
        other = np.argsort(found["decision_function"], axis=1)[:, -2]
        return found | {"predict": np.where(near, other, found["predict"])}

    served.run = second_best  # type: ignore[method-assign]
    assert judged(model, served).mismatches
