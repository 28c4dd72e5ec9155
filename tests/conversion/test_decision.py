"""Is the margin of a label nothing but how near scikit-learn was to answering another one?"""

import warnings
from typing import Any

import numpy as np
import pytest
from sklearn import cluster, ensemble, multiclass, multioutput, naive_bayes, neighbors, svm
from sklearn.calibration import CalibratedClassifierCV
from sklearn.covariance import EllipticEnvelope
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import RFE
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression, Perceptron, RidgeClassifier, SGDClassifier, SGDOneClassSVM
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from conversion.decision import margins
from conversion.errors import Refused
from conversion.search import search
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.unrepaired import as_it_comes

THREE = [
    LogisticRegression(), RidgeClassifier(), Perceptron(random_state=0), SGDClassifier(random_state=0),
    SGDClassifier(loss="modified_huber", random_state=0), SGDClassifier(loss="log_loss", random_state=0),
    LinearDiscriminantAnalysis(), QuadraticDiscriminantAnalysis(reg_param=0.1), naive_bayes.GaussianNB(),
    svm.LinearSVC(random_state=0), svm.SVC(), svm.SVC(break_ties=True), svm.NuSVC(nu=0.2),
    MLPClassifier((8,), max_iter=80, random_state=0), GaussianProcessClassifier(max_iter_predict=20),
    neighbors.NearestCentroid(), neighbors.NearestCentroid(priors=[0.2, 0.3, 0.5]),
    multiclass.OneVsRestClassifier(LogisticRegression()), multiclass.OneVsOneClassifier(LogisticRegression()),
    multiclass.OutputCodeClassifier(LogisticRegression(), random_state=0),
    ensemble.VotingClassifier([("a", LogisticRegression()), ("b", naive_bayes.GaussianNB())], voting="soft"),
    ensemble.VotingClassifier([("a", LogisticRegression()), ("b", naive_bayes.GaussianNB()), ("c", svm.SVC())]),
    ensemble.StackingClassifier([("a", LogisticRegression())], naive_bayes.GaussianNB(), cv=3),
    CalibratedClassifierCV(svm.LinearSVC(random_state=0), cv=3), LabelSpreading(), SelfTrainingClassifier(LogisticRegression()),
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=3), RFE(LogisticRegression(), n_features_to_select=2),
    make_pipeline(StandardScaler(), svm.SVC()), cluster.KMeans(4, n_init=1, random_state=0),
    cluster.BisectingKMeans(5, random_state=0), cluster.Birch(n_clusters=3), cluster.MeanShift(bandwidth=4.0),
    GaussianMixture(3, random_state=0), EllipticEnvelope(random_state=0), SGDOneClassSVM(random_state=0), svm.OneClassSVM(),
]  # fmt: skip
TWO = [
    LogisticRegression(), SGDClassifier(loss="modified_huber", random_state=0), svm.SVC(), LinearDiscriminantAnalysis(),
    MLPClassifier((8,), max_iter=80, random_state=0), multiclass.OneVsRestClassifier(svm.LinearSVC(random_state=0)),
    multiclass.OneVsOneClassifier(LogisticRegression()), FixedThresholdClassifier(LogisticRegression(), threshold=0.2),
    FixedThresholdClassifier(svm.LinearSVC(random_state=0), threshold=0.7), GaussianProcessClassifier(),
    TunedThresholdClassifierCV(LogisticRegression(class_weight="balanced"), cv=3),
]  # fmt: skip


def fitted(estimator: Any, rows: Array, classes: int) -> Any:
    score = rows[:, 0] / 1.0 + (rows[:, 1] - 20) / 5.0 + np.random.default_rng(3).standard_normal(len(rows)) / 2
    labels = np.digitize(score, [-0.6, 0.6] if classes == 3 else [0.2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.fit(rows, labels)


def edges(model: Any, rows: Array) -> Array:
    """Rows beside which scikit-learn gives another label, to the last digits of a double."""
    rng = np.random.default_rng(0)
    first, second = rows[rng.integers(0, len(rows), (2, 200))]
    wanted = model.predict(first)
    apart = wanted != model.predict(second)
    low, high, wanted = first[apart], second[apart], wanted[apart]
    for _ in range(60):
        middle = (low + high) / 2
        same = model.predict(middle) == wanted
        low, high = np.where(same[:, None], middle, low), np.where(same[:, None], high, middle)
    return np.asarray(low)


def known(model: Any, rows: Array) -> Array:
    found = margins(model, rows)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("estimator", "classes"), [*((e, 3) for e in THREE), *((e, 2) for e in TWO)], ids=lambda e: type(e).__name__
)
def test_it_is_nothing_where_the_label_changes_and_something_elsewhere(estimator: Any, classes: int, rows: Array) -> None:
    model = fitted(estimator, rows, classes)
    at_edges, elsewhere = known(model, edges(model, rows)), known(model, rows)
    assert at_edges.shape[0] > 10
    assert at_edges.max() < 1e-6
    assert np.median(elsewhere) > 1e-3


def test_probabilities_that_are_equal_are_no_tie_where_scores_decide(rows: Array) -> None:
    model = fitted(SGDClassifier(loss="modified_huber", random_state=0), rows, 3)
    shares = np.sort(model.predict_proba(rows), axis=1)
    equal = shares[:, -1] == shares[:, -2]
    assert equal.sum() > 5
    assert np.median(known(model, rows)[equal]) > 1.0


@pytest.mark.parametrize("kind", [GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier])
def test_trees_are_apart_by_their_scores(kind: Any, rows: Array) -> None:
    model = fitted(kind(random_state=0), rows, 3)
    scores = model.predict_proba(rows) if kind is RandomForestClassifier else model.decision_function(rows)
    best = np.sort(scores, axis=1)
    assert np.array_equal(known(model, rows), best[:, -1] - best[:, -2])


def test_several_targets_are_as_near_as_the_nearest(rows: Array) -> None:
    targets = np.stack([rows[:, 0] > 0, rows[:, 1] > 20], axis=1).astype(int)
    model = multioutput.MultiOutputClassifier(LogisticRegression()).fit(rows, targets)
    each = [np.abs(member.decision_function(rows)) for member in model.estimators_]
    assert np.array_equal(known(model, rows), np.minimum(*each))


@pytest.mark.parametrize("loss", ["modified_huber", "log_loss"])
def test_labels_taken_from_saturated_probabilities_are_refused(loss: str, rows: Array) -> None:
    """skl2onnx as it comes; once the margin was taken from the probabilities, and a thousand wrong labels were ties."""
    model = fitted(SGDClassifier(loss=loss, random_state=0), rows, 3)
    with as_it_comes(), pytest.raises(Refused, match="out of tolerance for 'predict'"):
        search(question(model))


def test_what_is_frozen_decides_as_it_did(rows: Array) -> None:
    model = fitted(LogisticRegression(), rows, 3)
    assert np.array_equal(known(FrozenEstimator(model), rows), known(model, rows))


def test_an_estimator_without_a_rule_has_no_margin(rows: Array) -> None:
    chain = multioutput.ClassifierChain(LogisticRegression()).fit(rows, np.stack([rows[:, 0] > 0, rows[:, 1] > 20], axis=1))
    assert margins(chain, rows) is None
