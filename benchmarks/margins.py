"""Where does scikit-learn's own `predict` leave a label open within a tolerance?

For each kind of estimator the quantity is taken that its `predict` compares (read in scikit-learn 1.9's source), never a
probability that stands beside it. A kind that is not known here leaves nothing open. Knows nothing of the conversion room.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from sklearn import ensemble as e
from sklearn import multioutput as mo
from sklearn.base import is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import AffinityPropagation, Birch, BisectingKMeans, KMeans, MeanShift, MiniBatchKMeans
from sklearn.covariance import EllipticEnvelope
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.ensemble._forest import ForestClassifier
from sklearn.feature_selection import RFE
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process._gpc import _BinaryGaussianProcessClassifierLaplace
from sklearn.linear_model import SGDOneClassSVM
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.metrics import pairwise_distances
from sklearn.mixture._base import BaseMixture
from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
from sklearn.model_selection._search import BaseSearchCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.naive_bayes import _BaseNB
from sklearn.neighbors import KNeighborsClassifier, LocalOutlierFactor, NearestCentroid, RadiusNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.semi_supervised import LabelPropagation, LabelSpreading, SelfTrainingClassifier
from sklearn.svm import OneClassSVM
from sklearn.svm._base import BaseSVC
from sklearn.tree import DecisionTreeClassifier

from benchmarks.reference import asked

Open = Callable[[Any, Any, float], Any]


def ties(estimator: Any, native: Any, atol: float) -> Any:
    """(rows,) or (rows, outputs): may the label be another one when each compared quantity moves by `atol`?"""
    for kinds, open_ in _RULES:
        if isinstance(estimator, kinds):
            return np.asarray(open_(estimator, native, atol), bool)
    return np.zeros(len(native) if isinstance(native, list) else native.shape[0], bool)


def _near(scores: Any, threshold: float, atol: float) -> Any:
    return np.abs(np.asarray(scores) - threshold) <= atol


def _best_two(scores: Any, atol: float) -> Any:
    if scores.shape[1] < 2:
        return np.zeros(len(scores), bool)
    best = np.sort(scores, axis=1)
    # Two infinities are as near to each other as can be; their difference is not a number.
    with np.errstate(invalid="ignore"):
        return (best[:, -1] - best[:, -2] <= atol) | (best[:, -1] == best[:, -2])


def _by_decision(estimator: Any, native: Any, atol: float) -> Any:
    """One score against 0, or the largest of several."""
    scores = asked(estimator, "decision_function", native)
    labels = getattr(getattr(estimator, "_label_binarizer", None), "y_type_", "")
    if scores.ndim == 1 or labels.startswith("multilabel"):
        return _near(scores, 0.0, atol)
    return _best_two(scores, atol)


def _by_probability(estimator: Any, native: Any, atol: float) -> Any:
    answer = _probabilities(estimator, native)
    if isinstance(answer, list):
        return np.column_stack([_best_two(part, atol) for part in answer])
    return _best_two(answer, atol)


def _probabilities(estimator: Any, native: Any) -> Any:
    """One array, or a list of one for each output."""
    plain = estimator.predict_proba(native)
    return [np.asarray(part) for part in plain] if isinstance(plain, list) else np.asarray(plain)


def _by_joint_log_likelihood(estimator: Any, native: Any, atol: float) -> Any:
    return _best_two(asked(estimator, "predict_joint_log_proba", native), atol)


def _mixture(estimator: Any, native: Any, atol: float) -> Any:
    return _best_two(asked(estimator, "_estimate_weighted_log_prob", native), atol)


def _network(estimator: Any, native: Any, atol: float) -> Any:
    several = estimator._label_binarizer.y_type_.startswith("multilabel")
    chances = asked(estimator, "predict_proba", native)
    return _near(chances, 0.5, atol) if several else _best_two(chances, atol)


def _latent(estimator: Any, native: Any, atol: float) -> Any:
    return _near(estimator.latent_mean_and_variance(native)[0], 0.0, atol)


def _process(estimator: Any, native: Any, atol: float) -> Any:
    return ties(estimator.base_estimator_, np.asarray(native), atol)


def _neighbours(estimator: Any, native: Any, atol: float) -> Any:
    """Equal votes go to the first class by rule, so only weights that are computed leave one open."""
    if estimator.weights == "uniform":
        return np.zeros(len(native), bool)
    return _by_probability(estimator, native, atol)


def _nearest_first(distances: Any, labels: Any, atol: float) -> Any:
    """Is a centre with another label as near as the nearest?"""
    rows = np.arange(len(distances))
    first = distances.argmin(axis=1)
    others = np.where(labels[None, :] == labels[first][:, None], np.inf, distances)
    return others.min(axis=1) - distances[rows, first] <= atol


def _centres(estimator: Any, native: Any, atol: float) -> Any:
    centres = estimator.cluster_centers_
    return _nearest_first(pairwise_distances(native, centres), np.arange(len(centres)), atol)


def _birch(estimator: Any, native: Any, atol: float) -> Any:
    return _nearest_first(pairwise_distances(native, estimator.subcluster_centers_), estimator.subcluster_labels_, atol)


def _centroids(estimator: Any, native: Any, atol: float) -> Any:
    if not np.isclose(estimator.class_prior_, 1 / len(estimator.classes_)).all():
        return _by_decision(estimator, native, atol)
    distances = pairwise_distances(native, estimator.centroids_, metric=estimator.metric)
    return _nearest_first(distances, np.arange(len(estimator.classes_)), atol)


def _bisected(estimator: Any, native: Any, atol: float) -> Any:
    """At each fork the nearer of two centres is taken."""
    found = np.zeros(len(native), bool)
    waiting = [(estimator._bisecting_tree, np.arange(len(native)))]
    while waiting:
        node, rows = waiting.pop()
        if node.left is None or not len(rows):
            continue
        centres = np.vstack([node.left.center, node.right.center]) + getattr(estimator, "_X_mean", 0.0)
        far = pairwise_distances(np.asarray(native)[rows], centres)
        found[rows] |= np.abs(far[:, 0] - far[:, 1]) <= atol
        left = far[:, 0] <= far[:, 1]
        waiting += [(node.left, rows[left]), (node.right, rows[~left])]
    return found


def _pairs(classes: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(classes) for j in range(i + 1, classes)]


def _duels(scores: Any, winners: Any, loose: Any, atol: float) -> Any:
    """May another class win when the loose duels go the other way? (rows, classes), and two of (rows, pairs)."""
    more, less = np.zeros(scores.shape), np.zeros(scores.shape)
    for k, pair in enumerate(_pairs(scores.shape[1])):
        for one in pair:
            won = winners[:, k] == one
            more[:, one] += loose[:, k] & ~won
            less[:, one] += loose[:, k] & won
    rows, first = np.arange(len(scores)), scores.argmax(axis=1)
    lowest = (scores - less)[rows, first]
    highest = scores + more
    highest[rows, first] = -np.inf
    return (highest.max(axis=1) >= lowest - atol) & (loose.any(axis=1) | (atol > 0))


def _support_vectors(estimator: Any, native: Any, atol: float) -> Any:
    """libsvm counts the duels between classes; the first class with the most votes wins, by rule."""
    if estimator.break_ties and len(estimator.classes_) > 2:
        return _by_decision(estimator, native, atol)
    plain = copy.copy(estimator)
    plain.decision_function_shape = "ovo"
    duels = asked(plain, "decision_function", native)
    if duels.ndim == 1:
        return _near(duels, 0.0, atol)
    winners = np.column_stack([np.where(duels[:, k] > 0, *pair) for k, pair in enumerate(_pairs(len(estimator.classes_)))])
    votes = np.stack([(winners == i).sum(axis=1) for i in range(len(estimator.classes_))], axis=1).astype(float)
    # The lower index wins among equals: a fraction of a vote says so.
    votes -= np.arange(votes.shape[1]) / (4.0 * votes.shape[1])
    return _duels(votes, winners, _near(duels, 0.0, atol), 0.0)


def _one_against_one(estimator: Any, native: Any, atol: float) -> Any:
    native = np.asarray(native)
    indices = estimator.pairwise_indices_ or [slice(None)] * _count(estimator)
    parts = [native[:, index] for index in indices]
    loose = np.column_stack([ties(one, part, atol) for one, part in zip(estimator.estimators_, parts, strict=True)])
    if estimator.n_classes_ == 2:
        return loose[:, 0]
    said = [one.predict(part) for one, part in zip(estimator.estimators_, parts, strict=True)]
    winners = np.column_stack([np.where(s == 1, j, i) for s, (i, j) in zip(said, _pairs(estimator.n_classes_), strict=True)])
    return _duels(asked(estimator, "decision_function", native), winners, loose, atol)


def _count(estimator: Any) -> int:
    return len(estimator.estimators_)


def _binary_scores(estimators: Sequence[Any], native: Any) -> Any:
    """As scikit-learn's `_predict_binary`, a column each."""
    columns = []
    for one in estimators:
        if is_classifier(one) and not hasattr(one, "decision_function"):
            columns.append(asked(one, "predict_proba", native)[:, 1])
        else:
            method = "decision_function" if hasattr(one, "decision_function") else "predict"
            columns.append(np.ravel(asked(one, method, native)))
    return np.column_stack(columns)


def _one_against_the_rest(estimator: Any, native: Any, atol: float) -> Any:
    scores = _binary_scores(estimator.estimators_, native)
    if estimator.label_binarizer_.y_type_ == "multiclass":
        return _best_two(scores, atol)
    first = estimator.estimators_[0]
    threshold = 0.0 if hasattr(first, "decision_function") and is_classifier(first) else 0.5
    found = _near(scores, threshold, atol)
    return found if estimator.multilabel_ else found[:, 0]


def _output_codes(estimator: Any, native: Any, atol: float) -> Any:
    distances = pairwise_distances(_binary_scores(estimator.estimators_, native), estimator.code_book_)
    return _nearest_first(distances, np.arange(len(estimator.classes_)), atol)


def _threshold(estimator: Any, native: Any, atol: float) -> Any:
    inner = getattr(estimator, "estimator_", estimator.estimator)
    tuned = isinstance(estimator, TunedThresholdClassifierCV)
    positive = estimator._curve_scorer._get_pos_label() if tuned else estimator.pos_label
    methods = ["predict_proba", "decision_function"] if estimator.response_method == "auto" else [estimator.response_method]
    method = next(name for name in methods if hasattr(inner, name))
    second = positive is None or positive == estimator.classes_[1]
    scores = asked(inner, method, native)
    scores = scores[:, int(second)] if method == "predict_proba" else (scores if second else -scores)
    wanted = estimator.best_threshold_ if tuned else estimator.threshold
    wanted = {"predict_proba": 0.5, "decision_function": 0.0}[method] if isinstance(wanted, str) else wanted
    return _near(scores, wanted, atol)


def _ballot(weights: Any, ballots: Any, loose: Any) -> Any:
    """May another label win when the loose voters change their minds? `ballots`, `loose`: (rows, voters)."""
    votes = np.stack([(weights * (ballots == label)).sum(axis=1) for label in np.unique(ballots)], axis=1)
    if votes.shape[1] < 2:
        return loose.any(axis=1)
    moved = (weights * loose).sum(axis=1)
    best = np.sort(votes, axis=1)
    return (moved > 0) & (best[:, -1] - best[:, -2] <= 2 * moved)


def _votes(estimator: Any, native: Any, atol: float) -> Any:
    if estimator.voting == "soft":
        return _by_probability(estimator, native, atol)
    given = estimator._weights_not_none
    weights = np.ones(_count(estimator)) if given is None else np.asarray(given, float)
    voters = estimator.estimators_
    ballots = np.column_stack([one.predict(native) for one in voters])
    return _ballot(weights, ballots, np.column_stack([ties(one, native, atol) for one in voters]))


def _bagged(estimator: Any, native: Any, atol: float) -> Any:
    if hasattr(estimator.estimators_[0], "predict_proba"):
        return _by_probability(estimator, native, atol)
    parts = [np.asarray(native)[:, columns] for columns in estimator.estimators_features_]
    pairs = list(zip(estimator.estimators_, parts, strict=True))
    ballots = np.column_stack([one.predict(part) for one, part in pairs])
    return _ballot(np.ones(len(pairs)), ballots, np.column_stack([ties(one, part, atol) for one, part in pairs]))


def _outputs(estimator: Any, native: Any, atol: float) -> Any:
    return np.column_stack([ties(one, native, atol) for one in estimator.estimators_])


def _chain(estimator: Any, native: Any, atol: float) -> Any:
    """What one model of the chain leaves open is open for those after it."""
    seen = np.asarray(native)
    found = np.zeros((len(seen), _count(estimator)), bool)
    for one, column in zip(estimator.estimators_, estimator.order_, strict=True):
        found[:, column] = ties(one, seen, atol) | (found.any(axis=1) & (estimator.chain_method_ == "predict"))
        said = asked(one, estimator.chain_method_, seen)
        seen = np.column_stack([seen, said[:, 1] if said.ndim == 2 else said])
    return found


def _inner(name: str) -> Open:
    return lambda estimator, native, atol: ties(getattr(estimator, name), native, atol)


def _transformed(estimator: Any, native: Any, atol: float) -> Any:
    last = estimator.final_estimator_ if hasattr(estimator, "final_estimator_") else estimator.estimator_
    return ties(last, estimator.transform(native), atol)


def _pipeline(estimator: Any, native: Any, atol: float) -> Any:
    before = native if len(estimator) == 1 else estimator[:-1].transform(native)
    return ties(estimator[-1], before, atol)


def _rules() -> Iterator[tuple[tuple[type, ...], Open]]:
    yield (Pipeline,), _pipeline
    yield (BaseSearchCV,), _inner("best_estimator_")
    yield (FrozenEstimator,), _inner("estimator")
    yield (SelfTrainingClassifier,), _inner("estimator_")
    yield (FixedThresholdClassifier, TunedThresholdClassifierCV), _threshold
    yield (RFE, e.StackingClassifier), _transformed
    yield (e.VotingClassifier,), _votes
    yield (e.BaggingClassifier,), _bagged
    yield (mo.MultiOutputClassifier,), _outputs
    yield (mo.ClassifierChain,), _chain
    yield (OneVsRestClassifier,), _one_against_the_rest
    yield (OneVsOneClassifier,), _one_against_one
    yield (OutputCodeClassifier,), _output_codes
    yield (BaseSVC,), _support_vectors
    yield (_BinaryGaussianProcessClassifierLaplace,), _latent
    yield (GaussianProcessClassifier,), _process
    yield (_BaseNB,), _by_joint_log_likelihood
    yield (BaseMixture,), _mixture
    yield (MLPClassifier,), _network
    yield (KNeighborsClassifier, RadiusNeighborsClassifier), _neighbours
    yield (NearestCentroid,), _centroids
    yield (BisectingKMeans,), _bisected
    yield (KMeans, MiniBatchKMeans, AffinityPropagation, MeanShift), _centres
    yield (Birch,), _birch
    yield (DecisionTreeClassifier, ForestClassifier, CalibratedClassifierCV, LabelPropagation, LabelSpreading), _by_probability
    yield (LinearClassifierMixin, QuadraticDiscriminantAnalysis, OneClassSVM, SGDOneClassSVM), _by_decision
    yield (e.GradientBoostingClassifier, e.HistGradientBoostingClassifier, e.AdaBoostClassifier), _by_decision
    yield (e.IsolationForest, LocalOutlierFactor, EllipticEnvelope), _by_decision


_RULES = tuple(_rules())
