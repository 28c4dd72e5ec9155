"""How far was scikit-learn from answering another label, by what its `predict` really compares?

The margin is in the units of the compared score. Where no rule is written here it is unknown, and no label may differ.
"""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from sklearn import cluster, ensemble, feature_selection, linear_model, mixture, model_selection, multiclass, neighbors
from sklearn.base import OutlierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model._base import LinearClassifierMixin
from sklearn.metrics import pairwise_distances
from sklearn.model_selection._search import BaseSearchCV
from sklearn.multiclass import _predict_binary, _threshold_for_binary_predict
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import _BaseNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.semi_supervised import LabelPropagation, LabelSpreading, SelfTrainingClassifier
from sklearn.svm._base import BaseSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils._response import _get_response_values_binary

from conversion.repairs import neighbours
from conversion.views import NoWay, views
from serving.signature import Array

Rule = Callable[[Any, Any], Array | None]


def margins(estimator: Any, rows: Any) -> Array | None:
    """For each of the rows, as the estimator takes them, the margin of its label: (n,), not negative; None if unknown."""
    for kinds, rule in _RULES:
        if isinstance(estimator, kinds):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return rule(estimator, rows)
    return None


def undecided(estimator: Any, rows: Any) -> Array:
    """Where some neighbours' search in the object has more equally near rows than it takes: its layout decides. (n,)."""
    found = np.zeros(len(rows), bool)
    for view in views(estimator):
        if isinstance(view.estimator, neighbours.COVERED):
            try:
                found |= neighbours.undecided(view.estimator, np.asarray(view.forward(rows), np.float64))
            except (NoWay, ValueError, TypeError, KeyError, IndexError):
                continue
    return found


def _best_two(scores: Any) -> Array:
    """Between the two best columns; a single column is compared with zero. Of several targets the closest counts."""
    if isinstance(scores, list):
        return np.asarray(np.min([_best_two(one) for one in scores], axis=0))
    scores = np.asarray(scores, np.float64)
    if scores.ndim == 1 or scores.shape[1] == 1:
        return np.asarray(np.abs(scores.reshape(-1)))
    best = np.partition(scores, -2, axis=1)
    with np.errstate(invalid="ignore"):
        # Two infinite scores of one sign are equal.
        return np.asarray(np.nan_to_num(best[:, -1] - best[:, -2], nan=0.0, posinf=np.inf))


def _least(parts: Iterable[Array | None]) -> Array | None:
    """The smallest margin of several decisions that all take part; unknown ones are left out."""
    known = [part for part in parts if part is not None]
    return np.asarray(np.min(known, axis=0)) if known else None


def _by(method: str) -> Rule:
    return lambda model, rows: _best_two(getattr(model, method)(rows))


def _held(attribute: str) -> Rule:
    """The estimator in this attribute decides, on the same rows."""
    return lambda model, rows: margins(getattr(model, attribute), rows)


def _after_transform(attribute: str) -> Rule:
    return lambda model, rows: margins(getattr(model, attribute), model.transform(rows))


def _pipeline(model: Any, rows: Any) -> Array | None:
    return margins(model[-1], model[:-1].transform(rows) if len(model.steps) > 1 else rows)


def _threshold(model: Any, rows: Any) -> Array:
    """`_threshold_scores_to_class_labels`: the positive class's score against the threshold."""
    tuned = isinstance(model, model_selection.TunedThresholdClassifierCV)
    positive = model._curve_scorer._get_pos_label() if tuned else model.pos_label
    threshold = model.best_threshold_ if tuned else model.threshold
    inner = getattr(model, "estimator_", model.estimator)
    score, _, used = _get_response_values_binary(
        inner, rows, model._get_response_method(), pos_label=positive, return_response_method_used=True
    )
    if threshold == "auto":
        threshold = 0.5 if used == "predict_proba" else 0.0
    return np.asarray(np.abs(score - threshold))


def _vote(model: Any, rows: Any) -> Array | None:
    if model.voting == "soft":
        return _best_two(model.predict_proba(rows))
    return _least(margins(member, rows) for member in model.estimators_)


def _multi_layer(model: Any, rows: Any) -> Array:
    """One unit is compared with a half; of several the largest is taken, or each is compared where labels are several."""
    scores = model._forward_pass_fast(rows)
    if model.n_outputs_ == 1 or model.out_activation_ == "logistic":
        return np.asarray(np.abs(scores - 0.5).min(axis=1))
    return _best_two(scores)


def _support_vectors(model: Any, rows: Any) -> Array:
    """libsvm counts votes, one for each pair of classes; with `break_ties` the scores of the classes are compared too."""
    pairs = np.asarray(np.abs(model._decision_function(rows).reshape(len(rows), -1)).min(axis=1))
    return np.minimum(pairs, _best_two(model.decision_function(rows))) if model.break_ties else pairs


def _one_against_rest(model: Any, rows: Any) -> Array:
    scores = np.stack([_predict_binary(member, rows) for member in model.estimators_], axis=1)
    if model.label_binarizer_.y_type_ == "multiclass":
        return _best_two(scores)
    return np.asarray(np.abs(scores - _threshold_for_binary_predict(model.estimators_[0])).min(axis=1))


def _one_against_one(model: Any, rows: Any) -> Array | None:
    """Votes of the members, then their scores. With a kernel of rows against rows each member sees a part of them."""
    seen = model.pairwise_indices_
    given = [rows] * len(model.estimators_) if seen is None else [rows[:, columns] for columns in seen]
    votes = [margins(member, part) for member, part in zip(model.estimators_, given, strict=True)]
    scores = model.decision_function(rows)
    if scores.ndim == 1:
        scores = scores - _threshold_for_binary_predict(model.estimators_[0])
    return _least([_best_two(scores), *votes])


def _code_book(model: Any, rows: Any) -> Array:
    answered = np.array([_predict_binary(member, rows) for member in model.estimators_], np.float64).T
    return _best_two(-pairwise_distances(answered, model.code_book_))


def _centroid(model: Any, rows: Any) -> Array:
    if np.isclose(model.class_prior_, 1 / len(model.classes_)).all():
        return _best_two(-pairwise_distances(rows, model.centroids_, metric=model.metric))
    return _best_two(model._decision_function(rows))


def _nearest(attribute: str) -> Rule:
    return lambda model, rows: _best_two(-pairwise_distances(rows, getattr(model, attribute)))


def _sub_clusters(model: Any, rows: Any) -> Array:
    """Birch: the nearest sub-cluster of another label than the nearest one's."""
    away = pairwise_distances(rows, model.subcluster_centers_)
    best = np.stack([away[:, model.subcluster_labels_ == label].min(axis=1) for label in np.unique(model.subcluster_labels_)])
    return _best_two(-best.T)


def _bisecting(model: Any, rows: Any) -> Array:
    """Down the tree of clusters; the closest decision on a row's way counts."""
    rows = np.asarray(rows, np.float64)
    margin, shift = np.full(len(rows), np.inf), getattr(model, "_X_mean", 0.0)
    waiting = [(model._bisecting_tree, np.arange(len(rows)))]
    while waiting:
        node, at = waiting.pop()
        if node.left is None or not len(at):
            continue
        away = pairwise_distances(rows[at], np.vstack((node.left.center, node.right.center)) + shift)
        margin[at] = np.minimum(margin[at], np.abs(away[:, 0] - away[:, 1]))
        left = away[:, 0] <= away[:, 1]
        waiting += [(node.left, at[left]), (node.right, at[~left])]
    return margin


def _several(model: Any, rows: Any) -> Array | None:
    """Every target has an estimator; a row is as close as its closest."""
    found = [margins(member, rows) for member in model.estimators_]
    return None if any(one is None for one in found) else _least(found)


# The first that fits: what decides in scikit-learn 1.9, read in each class's `predict`.
_RULES: list[tuple[tuple[type, ...], Rule]] = [
    ((Pipeline,), _pipeline),
    ((BaseSearchCV,), _held("best_estimator_")),
    ((FrozenEstimator,), _held("estimator")),
    ((SelfTrainingClassifier,), _held("estimator_")),
    ((feature_selection.RFE,), _after_transform("estimator_")),
    ((ensemble.StackingClassifier,), _after_transform("final_estimator_")),
    ((model_selection.FixedThresholdClassifier, model_selection.TunedThresholdClassifierCV), _threshold),
    ((ensemble.VotingClassifier,), _vote),
    ((MultiOutputClassifier,), _several),
    ((MLPClassifier,), _multi_layer),
    ((BaseSVC,), _support_vectors),
    ((multiclass.OneVsRestClassifier,), _one_against_rest),
    ((multiclass.OneVsOneClassifier,), _one_against_one),
    ((multiclass.OutputCodeClassifier,), _code_book),
    ((neighbors.NearestCentroid,), _centroid),
    ((_BaseNB,), _by("predict_joint_log_proba")),
    ((mixture.GaussianMixture, mixture.BayesianGaussianMixture), _by("_estimate_weighted_log_prob")),
    ((LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis, LinearClassifierMixin), _by("decision_function")),
    ((linear_model.SGDOneClassSVM, ensemble.IsolationForest, OutlierMixin), _by("decision_function")),
    ((ensemble.GradientBoostingClassifier, ensemble.AdaBoostClassifier), _by("decision_function")),
    ((ensemble.HistGradientBoostingClassifier,), _by("_raw_predict")),
    ((CalibratedClassifierCV, ensemble.BaggingClassifier, GaussianProcessClassifier), _by("predict_proba")),
    ((ensemble.RandomForestClassifier, ensemble.ExtraTreesClassifier, DecisionTreeClassifier), _by("predict_proba")),
    ((neighbors.KNeighborsClassifier, neighbors.RadiusNeighborsClassifier), _by("predict_proba")),
    ((LabelPropagation, LabelSpreading), _by("predict_proba")),
    ((cluster.BisectingKMeans,), _bisecting),
    ((cluster.Birch,), _sub_clusters),
    ((cluster.KMeans, cluster.MiniBatchKMeans, cluster.MeanShift, cluster.AffinityPropagation), _nearest("cluster_centers_")),
]
