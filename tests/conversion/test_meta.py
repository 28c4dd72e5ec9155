"""Do estimators that decide by others' answers decide as scikit-learn does: calibrated, stacked, one against the rest?"""

import dataclasses
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, StackingClassifier, StackingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from conversion.candidates import FLOAT64
from conversion.errors import Refused
from conversion.members import disagreement
from conversion.repairs import binary, calibrated, stacking
from conversion.search import search
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.lacking import agrees
from tests.conversion.unrepaired import as_it_comes

LINE = LogisticRegression(max_iter=1000)
SCORES = make_pipeline(StandardScaler(), LinearSVC(C=0.1))
FOREST = RandomForestClassifier(5, random_state=0)
TEXT, LARGE = np.array(["nein", "ja", "größer"]), np.array([2**40, -5, 7])


@pytest.fixture
def three(rows: Array) -> Array:
    noise = np.random.default_rng(2).normal(size=len(rows))
    return np.digitize(rows[:, 0] + rows[:, 3] / 2 + noise / 3, [-0.2, 1.2])


def test_skl2onnx_cannot_calibrate_scores_inside_a_pipeline(rows: Array, three: Array) -> None:
    with as_it_comes(), pytest.raises(Refused, match="Option 'zipmap' not in"):
        search(question(CalibratedClassifierCV(SCORES, cv=2).fit(rows, three)))


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
@pytest.mark.parametrize("inner", [SCORES, FOREST], ids=["scores", "forest"])
def test_calibrated_shares_agree(inner: Any, method: str, rows: Array, three: Array) -> None:
    agrees(CalibratedClassifierCV(inner, method=method, cv=2).fit(rows, TEXT[three]), rows, calibrated.NAME)


def test_where_every_share_is_zero_they_are_alike(rows: Array, three: Array) -> None:
    """scipy's expit is zero below -709, though e^-720 is not."""
    fitted = CalibratedClassifierCV(LINE, cv=2).fit(rows, three)
    for member in fitted.calibrated_classifiers_:
        for number, calibrator in enumerate(member.calibrators):
            calibrator.a_, calibrator.b_ = 0.0, 720.0 + number
    asked = question(fitted)
    assert np.allclose(asked.ask({"X": rows[:1]})["predict_proba"], 1 / 3)
    assert search(asked).candidate.name == "float64"


def test_two_classes_are_calibrated_by_one_fitted_on_all_rows(rows: Array, three: Array) -> None:
    fitted = CalibratedClassifierCV(GradientBoostingClassifier(n_estimators=4), cv=2, ensemble=False).fit(rows, three > 0)
    agrees(fitted, rows, calibrated.NAME)


def test_a_frozen_classifier_is_calibrated(rows: Array, three: Array) -> None:
    frozen = FrozenEstimator(LINE.fit(rows, LARGE[three]))
    agrees(CalibratedClassifierCV(frozen).fit(rows, LARGE[three]), rows, calibrated.NAME)


def test_a_temperature_is_refused_since_it_hangs_on_the_batch(rows: Array, three: Array) -> None:
    with pytest.raises(Refused, match="when all rows of a batch look so"):
        search(question(CalibratedClassifierCV(LINE, method="temperature", cv=2).fit(rows, three)))


MEMBERS = [("scores", SCORES), ("forest", FOREST), ("bayes", GaussianNB())]


@pytest.mark.parametrize(("method", "passes"), [("auto", False), ("auto", True), ("predict", True)])
def test_a_stack_hands_on_what_its_members_answer(method: str, passes: bool, rows: Array, three: Array) -> None:
    stack = StackingClassifier(MEMBERS, LINE, stack_method=method, passthrough=passes, cv=2)
    agrees(stack.fit(rows, TEXT[three]), rows, stacking.NAME)


def test_a_stack_of_two_classes_hands_on_the_second_share(rows: Array, three: Array) -> None:
    agrees(StackingClassifier([*MEMBERS, ("gone", "drop")], FOREST, cv=2).fit(rows, three > 0), rows, stacking.NAME)


def test_a_stack_may_hand_on_scores_and_answer_with_them(rows: Array, three: Array) -> None:
    members = [("pairs", make_pipeline(StandardScaler(), SVC())), ("line", LINE)]
    stack = StackingClassifier(members, LinearSVC(C=0.1), stack_method="decision_function", cv=2)
    agrees(stack.fit(rows, LARGE[three]), rows, stacking.NAME)


def test_members_of_a_stack_that_answer_otherwise_are_named(rows: Array, three: Array) -> None:
    stack = StackingClassifier([("line", LINE)], DecisionTreeClassifier(max_depth=1), cv=2).fit(rows, three)
    asking = question(stack)
    assert disagreement(asking, FLOAT64) == ""
    # Asked for equality to the last bit, shares from another library's exponential are otherwise.
    said = disagreement(dataclasses.replace(asking, tie=0.0), FLOAT64)
    assert said.startswith("its members answer otherwise: ")


def test_a_stack_of_regressors_agrees(rows: Array) -> None:
    members = [("line", Ridge()), ("near", KNeighborsRegressor(3)), ("tree", DecisionTreeRegressor(max_depth=3))]
    stack = StackingRegressor(members, DecisionTreeRegressor(max_depth=4), cv=2, passthrough=True)
    agrees(stack.fit(rows, rows[:, 0] * rows[:, 1]), rows, stacking.NAME)


@pytest.mark.parametrize("inner", [SCORES, GaussianNB()], ids=["scores", "shares"])
@pytest.mark.parametrize("kind", [OneVsRestClassifier, OneVsOneClassifier])
def test_one_against_others_agrees(kind: Any, inner: Any, rows: Array, three: Array) -> None:
    agrees(kind(inner).fit(rows, LARGE[three]), rows, binary.NAME)
    agrees(kind(inner).fit(rows, TEXT[three // 2]), rows, binary.NAME)


def test_the_smallest_shares_count_where_they_are_divided_by_their_sum(rows: Array, three: Array) -> None:
    agrees(OneVsRestClassifier(LINE).fit(rows * [1, 1, 100, 1], three), rows * [1, 1, 100, 1], binary.NAME)


def test_labels_that_do_not_exclude_each_other_are_columns(rows: Array, three: Array) -> None:
    several = np.stack([three == 1, rows[:, 1] > 20, three > 1, rows[:, 2] > 0], axis=1).astype(int)
    accepted = agrees(OneVsRestClassifier(SCORES).fit(rows, several), rows, binary.NAME)
    assert [output.shape for output in accepted.signature.outputs] == [(-1, 4), (-1, 4)]
