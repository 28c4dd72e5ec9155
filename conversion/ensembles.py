"""What does a fitted tree ensemble compute, told in plain arrays that no library has touched?

Every scikit-learn ensemble here is: trees whose leaves add to targets, a factor, a constant, a link. `ensemble_of` reads
that from the fitted object; `forests` writes it as a graph; `proof` compares the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from serving.signature import Array

CLASSIFIERS = (
    DecisionTreeClassifier, ExtraTreeClassifier, RandomForestClassifier, ExtraTreesClassifier, GradientBoostingClassifier,
    HistGradientBoostingClassifier,
)  # fmt: skip
REGRESSORS = (
    DecisionTreeRegressor, ExtraTreeRegressor, RandomForestRegressor, ExtraTreesRegressor, GradientBoostingRegressor,
    HistGradientBoostingRegressor,
)  # fmt: skip
DETECTORS = (IsolationForest,)
COVERED = (*CLASSIFIERS, *REGRESSORS, *DETECTORS)


class NotCovered(Exception):
    """An ensemble that uses what is not written here; the text names it."""


@dataclass(frozen=True)
class Tree:
    """One binary tree. A row goes left where its feature is <= threshold, or is NaN and `nan_left` says so.

    All arrays have one element per node; leaves have left = -1 and their value in `leaf`. `target` is what a leaf adds to.
    """

    feature: Array
    threshold: Array
    left: Array
    right: Array
    nan_left: Array
    leaf: Array
    target: int


@dataclass(frozen=True)
class Ensemble:
    """link(offset + factor * sum of the trees' leaves), for each target.

    `real` is the precision in which scikit-learn compares: it casts rows to float32 before its Cython trees, and keeps
    float64 for histogram boosting.
    """

    trees: tuple[Tree, ...]
    targets: int
    factor: float
    offset: Array
    link: str
    real: str
    divisor: float = 1.0


def ensemble_of(model: Any) -> Ensemble:
    """Raises NotCovered for what cannot be told this way."""
    if isinstance(model, IsolationForest):
        return _isolation(model)
    if isinstance(model, HistGradientBoostingClassifier | HistGradientBoostingRegressor):
        return _histogram(model)
    if isinstance(model, GradientBoostingClassifier | GradientBoostingRegressor):
        return _boosted(model)
    members = getattr(model, "estimators_", [model])
    if getattr(model, "n_outputs_", 1) > 1 and isinstance(model, CLASSIFIERS):
        raise NotCovered("several targets in one classifier")
    targets = members[0].tree_.value.shape[1 if isinstance(model, REGRESSORS) else 2]
    trees = tuple(tree for member in members for tree in _cython(member.tree_, range(targets)))
    return Ensemble(trees, targets, 1.0, np.zeros(targets), "identity", "float32", float(len(members)))


def _cython(tree: Any, targets: Sequence[int], leaf: Array | None = None, features: Array | None = None) -> list[Tree]:
    """One tree for each target: a node of the ONNX operator's leaves adds to one target only."""
    values = tree.value.reshape(tree.node_count, -1) if leaf is None else leaf.reshape(-1, 1)
    feature = tree.feature if features is None else np.where(tree.feature >= 0, features[tree.feature], 0)
    return [
        Tree(
            np.maximum(feature, 0), tree.threshold, tree.children_left, tree.children_right,
            tree.missing_go_to_left.astype(bool), values[:, column], target,
        )
        for column, target in enumerate(targets)
    ]  # fmt: skip


def _boosted(model: Any) -> Ensemble:
    stages = model.estimators_
    trees = tuple(tree for stage in stages for k, member in enumerate(stage) for tree in _cython(member.tree_, [k]))
    targets = stages.shape[1]
    offset = _initial(model, targets)
    link = "identity"
    if isinstance(model, GradientBoostingClassifier):
        link = "softmax" if targets > 1 else {"log_loss": "logistic", "exponential": "logistic of twice"}[model.loss]
    return Ensemble(trees, targets, float(model.learning_rate), offset, link, "float32")


def _initial(model: Any, targets: int) -> Array:
    """The raw prediction before the first tree, when it is the same for every row."""
    if isinstance(model.init_, str):
        return np.zeros(targets)
    if not isinstance(model.init_, DummyClassifier | DummyRegressor):
        raise NotCovered(f"boosting that starts from {type(model.init_).__name__}")
    row = np.zeros((1, model.n_features_in_), np.float32)
    return np.asarray(model._raw_predict_init(row), np.float64).reshape(-1)


def _histogram(model: Any) -> Ensemble:
    if model.is_categorical_ is not None and np.any(model.is_categorical_):
        raise NotCovered("splits on categories in histogram boosting")
    trees = tuple(_from_nodes(one.nodes, k) for stage in model._predictors for k, one in enumerate(stage))
    targets = len(model._predictors[0]) if model._predictors else 1
    link = {"HalfSquaredError": "identity", "AbsoluteError": "identity", "PinballLoss": "identity",
            "HalfPoissonLoss": "exponential", "HalfGammaLoss": "exponential", "HalfBinomialLoss": "logistic",
            "HalfMultinomialLoss": "softmax"}.get(type(model._loss).__name__)  # fmt: skip
    if link is None:
        raise NotCovered(f"the loss {type(model._loss).__name__}")
    return Ensemble(trees, targets, 1.0, np.asarray(model._baseline_prediction, np.float64).reshape(-1), link, "float64")


def _from_nodes(nodes: Any, target: int) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    child = {side: np.where(leaf, -1, nodes[side].astype(np.int64)) for side in ("left", "right")}
    return Tree(
        nodes["feature_idx"].astype(np.int64), nodes["num_threshold"], child["left"], child["right"],
        nodes["missing_go_to_left"].astype(bool), nodes["value"], target,
    )  # fmt: skip


def _isolation(model: Any) -> Ensemble:
    """decision_function = -2 ** (-mean depth / c(max_samples)) - offset_ (Liu, Ting, Zhou: Isolation Forest, ICDM 2008)."""
    trees: list[Tree] = []
    for member, features in zip(model.estimators_, model.estimators_features_, strict=True):
        tree = member.tree_
        depth = np.asarray(tree.compute_node_depths(), np.float64)
        leaf = depth + _average_path(tree.n_node_samples) - 1.0
        trees += _cython(tree, [0], leaf, np.asarray(features))
    normal = len(model.estimators_) * float(_average_path(np.array([model._max_samples]))[0])
    return Ensemble(tuple(trees), 1, 1.0, np.array([-float(model.offset_)]), "isolation", "float32", normal)


def _average_path(samples: Array) -> Array:
    samples = np.asarray(samples, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        many = 2.0 * (np.log(samples - 1.0) + np.euler_gamma) - 2.0 * (samples - 1.0) / samples
    return np.where(samples <= 1, 0.0, np.where(samples == 2, 1.0, many))
