"""Do linear classifiers and networks give scikit-learn's own labels, scores and shares, whatever the classes?"""

from typing import Any

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier, SGDOneClassSVM
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import MaxAbsScaler
from sklearn.svm import LinearSVC

from conversion.candidates import FLOAT64
from conversion.errors import Refused
from conversion.methods import methods_of
from conversion.repairs import affine, linear
from conversion.schema import schema_of
from conversion.search import search
from conversion.translate import set_shapes, translate
from serving.runtime import open_session
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.bounded_models import fit, made, network
from tests.conversion.lacking import agrees
from tests.conversion.unrepaired import as_it_comes

ROWS, TARGETS = made(0, 1.0, 0.0)


def both(model: Any, rows: Array) -> dict[str, tuple[Array, Array]]:
    """Each method's answers of the double graph and of scikit-learn."""
    methods = methods_of(model)
    wanted = {name: np.asarray(getattr(model, name)(rows)) for name in methods}
    graph = translate(model, schema_of(model), methods, FLOAT64).graph
    set_shapes(graph, {name: answer.shape[1:] for name, answer in wanted.items()})
    given = open_session(graph.SerializeToString()).run(methods, {"X": rows})
    return {name: (one, wanted[name]) for name, one in zip(methods, given, strict=True)}


@pytest.mark.parametrize("classes", [[-3, 4, 7], [2**40, 0, 1], ["ä", "b", "字"], [0.0, 1.0, 2.0]], ids=str)
@pytest.mark.parametrize(
    "model",
    [LogisticRegression(), LinearSVC(), LinearDiscriminantAnalysis(), RidgeClassifier(), network(MLPClassifier, "relu")],
    ids=lambda model: type(model).__name__,
)
def test_labels_of_any_kind_are_those_of_the_scores(model: Any, classes: list[Any]) -> None:
    numbers = np.digitize(ROWS[:, 0], [-0.5, 0.5])
    for count in (2, 3):
        fitted = fit(model, ROWS, np.array(classes)[np.minimum(numbers, count - 1)])
        far = np.concatenate([ROWS, ROWS * 1000, np.zeros_like(ROWS[:2])])
        for given, wanted in both(fitted, far).values():
            assert given.shape == wanted.shape
            if wanted.dtype.kind == "f" and wanted.ndim == 2:
                np.testing.assert_allclose(given, wanted, rtol=1e-9, atol=1e-12)
        labels, wanted = both(fitted, far)["predict"]
        assert (labels == wanted).all()


def test_a_binary_discriminant_gives_the_logistic_function_of_its_score() -> None:
    fitted = LinearDiscriminantAnalysis().fit(ROWS, TARGETS["two"])
    with as_it_comes(), pytest.raises(Refused):
        search(question(fitted))
    agrees(fitted, ROWS, linear.NAME)


def test_rows_on_the_boundary_of_one_class_are_inside() -> None:
    fitted = SGDOneClassSVM(random_state=0).fit(ROWS)
    fitted.coef_, fitted.offset_ = np.array([1.0, 0, 0, 0, 0]), np.zeros(1)
    labels, wanted = both(fitted, np.array([[0.0, 1, 2, 3, 4], [-0.0, 1, 2, 3, 4], [-1e-300, 0, 0, 0, 0]]))["predict"]
    assert labels.tolist() == wanted.tolist() == [1, 1, -1]


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_shares_that_all_vanish_are_even_exactly_where_scikit_learn_makes_them_even() -> None:
    fitted = SGDClassifier(loss="log_loss", random_state=0).fit(ROWS, TARGETS["three"])
    fitted.coef_, fitted.intercept_ = np.array([[1.0, 0, 0, 0, 0], [1.0, 0, 0, 0, 0], [0.999, 0, 0, 0, 0]]), np.zeros(3)
    rows = np.zeros((400, 5))
    rows[:, 0] = -np.linspace(705, 750, 400)
    given, wanted = both(fitted, rows)["predict_proba"]
    assert (wanted == 1 / 3).all(axis=1).any()
    np.testing.assert_allclose(given, wanted, rtol=1e-9)


def test_several_labels_for_a_row_are_refused() -> None:
    several = (ROWS[:, :2] > 0).astype(int)
    for model in (RidgeClassifier(), network(MLPClassifier, "relu")):
        with pytest.raises(Refused, match="several labels to one row"):
            search(question(fit(model, ROWS, several)))


def test_a_scaler_that_clips_clips() -> None:
    fitted = MaxAbsScaler(clip=True).fit(ROWS)
    with as_it_comes(), pytest.raises(Refused):
        search(question(fitted))
    agrees(fitted, ROWS, affine.NAME)
