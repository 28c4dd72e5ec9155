"""Is a label left open by what scikit-learn's `predict` compares, and by nothing else?"""

from typing import Any

import numpy as np
import pytest
from sklearn.base import is_classifier, is_clusterer, is_outlier_detector
from sklearn.cluster import BisectingKMeans, KMeans
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_selection import RFE
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import ClassifierChain
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from benchmarks.edge_rows import edge_rows
from benchmarks.margins import _RULES, ties
from benchmarks.models import estimators

RNG = np.random.default_rng(12)
X = RNG.standard_normal((150, 3))
SCORE = X[:, 0] - X[:, 1] + 0.5 * RNG.standard_normal(150)
TWO, THREE = (SCORE > 0).astype(int), np.digitize(SCORE, [-0.5, 0.5])
Y2 = np.column_stack([TWO, X[:, 2] > 0]).astype(int)
SCALED_SVC = make_pipeline(StandardScaler(), SVC())

DECIDED_BY_NUMBERS: list[tuple[Any, Any]] = [
    (LogisticRegression(), TWO), (LogisticRegression(), THREE), (SGDClassifier(loss="modified_huber"), THREE),
    (SCALED_SVC, THREE),
    (GaussianNB(), THREE), (NearestCentroid(), THREE), (KMeans(3, n_init=1), None), (BisectingKMeans(4), None),
    (FixedThresholdClassifier(LogisticRegression(), threshold=0.2), TWO), (OneVsRestClassifier(LinearSVC()), THREE),
    (OneVsOneClassifier(LogisticRegression()), THREE), (RFE(LogisticRegression(), n_features_to_select=2), TWO),
    (GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [1.0]}), THREE),
    (VotingClassifier([("a", LogisticRegression()), ("b", GaussianNB()), ("c", SVC())]), THREE),
    (BaggingClassifier(LinearSVC(), 5, random_state=0), TWO), (ClassifierChain(LogisticRegression()), Y2),
    (StackingClassifier([("a", LogisticRegression()), ("b", GaussianNB())]), TWO),
]  # fmt: skip


@pytest.mark.parametrize(("estimator", "y"), DECIDED_BY_NUMBERS)
def test_where_the_label_changes_it_is_open_and_hardly_anywhere_else(estimator: Any, y: Any) -> None:
    fitted = estimator.fit(X) if y is None else estimator.fit(X, y)
    kinds = dict(edge_rows(X, fitted.predict, np.random.default_rng(1)))
    assert (
        ties(fitted, kinds["where the answer changes"], 1e-5)
        .reshape(len(kinds["where the answer changes"]), -1)
        .any(axis=1)
        .all()
    )
    assert ties(fitted, X, 1e-5).mean() < 0.02


def test_probabilities_that_saturate_excuse_nothing() -> None:
    """SGD's modified Huber gives 0, 0 and 1 or a third each; its labels come from the decisions all the same."""
    fitted = SGDClassifier(loss="modified_huber", random_state=0).fit(X, THREE)
    far = 30.0 * X
    chances = np.sort(fitted.predict_proba(far), axis=1)
    level = chances[:, -1] - chances[:, -2] <= 1e-5
    assert level.any()
    assert not ties(fitted, far[level], 1e-5).any()


def test_a_threshold_moves_where_labels_are_open() -> None:
    fitted = FixedThresholdClassifier(LogisticRegression(), threshold=0.8).fit(X, TWO)
    even = X - np.outer(fitted.estimator_.decision_function(X), fitted.estimator_.coef_[0]) / (fitted.estimator_.coef_**2).sum()
    assert np.allclose(fitted.predict_proba(even), 0.5)
    assert not ties(fitted, even, 1e-5).any()


def test_equal_votes_of_neighbours_are_settled_by_rule() -> None:
    fitted = KNeighborsClassifier(2).fit(X, TWO)
    split = (fitted.predict_proba(X) == 0.5).all(axis=1)
    assert split.any()
    assert not ties(fitted, X[split], 1e-5).any()


def test_equal_votes_of_voters_are_settled_by_rule_unless_a_voter_is_undecided() -> None:
    voters = [("a", LogisticRegression()), ("b", RandomForestClassifier(3, random_state=0))]
    fitted = VotingClassifier(voters).fit(X, TWO)
    ballots = np.column_stack([one.predict(X) for one in fitted.estimators_])
    even = ballots[:, 0] != ballots[:, 1]
    assert even.any()
    assert not ties(fitted, X[even], 1e-9).any()


def test_votes_of_three_duels_that_circle_are_settled_by_rule() -> None:
    fitted = SVC(decision_function_shape="ovo", gamma=3.0).fit(X, np.random.default_rng(2).integers(0, 3, 150))
    rows = np.random.default_rng(3).standard_normal((4000, 3))
    duels = fitted.decision_function(rows)
    circle = (duels[:, 0] > 0) & (duels[:, 1] < 0) & (duels[:, 2] > 0)
    firm = circle & (np.abs(duels) > 1e-5).all(axis=1)
    assert firm.any()
    assert not ties(fitted, rows[firm], 1e-5).any()


def test_an_estimator_that_is_not_known_leaves_nothing_open() -> None:
    class Stranger:
        def predict_proba(self, rows: Any) -> Any:
            return np.full((len(rows), 2), 0.5)

    assert not ties(Stranger(), X, 1.0).any()
    assert ties(LogisticRegression().fit(X, TWO), X, 100.0).all()


@pytest.mark.filterwarnings("ignore:Class Passive")
def test_every_estimator_of_scikit_learn_that_gives_labels_has_a_rule_or_needs_none() -> None:
    kinds = tuple(kind for some, _ in _RULES for kind in some)
    labelling = [
        case.name
        for case in estimators()
        if (is_classifier(one := case.make()) or is_clusterer(one) or is_outlier_detector(one)) and hasattr(one, "predict")
        if not isinstance(one, kinds)
    ]
    assert set(labelling) <= {"DummyClassifier", "AgglomerativeClustering"}
