"""Are chains and other estimators of estimators written from what they hold?"""

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, RegressorChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from conversion.errors import Refused
from conversion.repairs import chains
from conversion.search import search
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.lacking import agrees, lacks

SCALED = make_pipeline(StandardScaler(), LogisticRegression())
CLASSIFIERS = [SCALED, DecisionTreeClassifier(max_depth=3), RandomForestClassifier(5, random_state=0)]


@pytest.fixture
def targets(rows: Array) -> Array:
    wanted: Array = rows[:, :3] @ np.array([[1.0, 2.0, -1.0], [0.3, 0.1, 0.2], [5.0, -3.0, 1.0]])
    return wanted


def test_skl2onnx_still_lacks_them() -> None:
    assert lacks(chains.COVERED)


@pytest.mark.parametrize("inner", [Ridge(), DecisionTreeRegressor(max_depth=4)], ids=str)
def test_a_chain_of_regressors_agrees_in_any_order(inner: Any, rows: Array, targets: Array) -> None:
    agrees(RegressorChain(inner, order=[2, 0, 1]).fit(rows, targets), rows, chains.NAME)


@pytest.mark.parametrize("inner", CLASSIFIERS, ids=["scaled", "tree", "forest"])
def test_a_chain_of_classifiers_agrees(inner: Any, rows: Array, targets: Array) -> None:
    wanted = (targets > targets.mean(axis=0)).astype(int)
    agrees(ClassifierChain(inner, order=[1, 2, 0]).fit(rows, wanted), rows, chains.NAME)


@pytest.mark.parametrize(
    ("inner", "method"),
    [(SCALED, "predict_proba"), (SCALED, "decision_function"), (LinearSVC(tol=1e-2, C=0.01), "decision_function")],
)
def test_a_chain_is_fed_with_what_it_was_fitted_on(inner: Any, method: str, rows: Array, targets: Array) -> None:
    wanted = (targets > targets.mean(axis=0)).astype(int)
    agrees(ClassifierChain(inner, chain_method=method).fit(rows, wanted), rows, chains.NAME)


@pytest.mark.parametrize("inner", CLASSIFIERS[:2], ids=["scaled", "tree"])
@pytest.mark.parametrize("names", [np.array(["é", "b", "z"]), np.array([2**40, -5, 7])], ids=["text", "int64"])
def test_output_codes_agree(inner: Any, names: Array, rows: Array) -> None:
    labels = names[np.digitize(rows[:, 0], [-0.5, 0.9])]
    agrees(OutputCodeClassifier(inner, code_size=2, random_state=0).fit(rows, labels), rows, chains.NAME)


def test_votes_equally_near_two_codes_are_refused(rows: Array) -> None:
    forest = RandomForestClassifier(10, random_state=0)
    fitted = OutputCodeClassifier(forest, code_size=2, random_state=0).fit(rows, np.digitize(rows[:, 0], [-0.5, 0.9]))
    with pytest.raises(Refused, match="equally near two codes"):
        search(question(fitted))


@pytest.mark.parametrize("inner", CLASSIFIERS, ids=["scaled", "tree", "forest"])
def test_self_training_agrees(inner: Any, rows: Array) -> None:
    known = np.where(np.arange(len(rows)) % 2, np.where(rows[:, 0] > 0, 2**40, 7), -1)
    agrees(SelfTrainingClassifier(inner).fit(rows, known), rows, chains.NAME)
