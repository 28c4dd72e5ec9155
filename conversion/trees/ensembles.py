"""What does a fitted tree ensemble compute, told in plain arrays that no library has touched?

Every scikit-learn ensemble here is: trees whose leaves are added to targets, in the order of the trees. `ensemble_of` reads
that from the fitted object; `forests` writes it into a graph; `answers` says what becomes of the sums; `proof` reads it back.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    IsolationForest,
    RandomForestClassifier,
    RandomForestRegressor,
    RandomTreesEmbedding,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor

from conversion.errors import NotCovered
from serving.signature import Array

TREE_CLASSIFIERS = (DecisionTreeClassifier, ExtraTreeClassifier)
TREE_REGRESSORS = (DecisionTreeRegressor, ExtraTreeRegressor)
VOTING_FORESTS = (*TREE_CLASSIFIERS, RandomForestClassifier, ExtraTreesClassifier)
AVERAGING_FORESTS = (*TREE_REGRESSORS, RandomForestRegressor, ExtraTreesRegressor)
BOOSTED = (GradientBoostingClassifier, GradientBoostingRegressor)
HISTOGRAMS = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)


@dataclass(frozen=True)
class Tree:
    """One binary tree. A row goes left where its feature is <= threshold, or is NaN and `nan_left` says so.

    All arrays have one element per node; leaves have left = -1, their value in `leaf`, and add it to their `target`.
    At a node in `members` the row goes left where its feature is one of these numbers instead.
    """

    feature: Array
    threshold: Array
    left: Array
    right: Array
    nan_left: Array
    leaf: Array
    target: Array
    members: Mapping[int, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Ensemble:
    """For each target the leaves of its trees, added to zero in the order of the trees; then over `divisor`.

    `real` is the precision in which scikit-learn compares: it casts rows to float32 before its Cython trees, and keeps
    float64 for histogram boosting.
    """

    trees: tuple[Tree, ...]
    targets: int
    real: str = "float32"
    divisor: float = 1.0


def ensemble_of(model: Any) -> Ensemble:
    """Raises NotCovered for what cannot be told this way."""
    for kinds, told in _TOLD.items():
        if isinstance(model, kinds):
            if not hasattr(model, "n_features_in_"):
                raise NotCovered(f"{type(model).__name__} is not fitted")
            return told(model)
    raise NotCovered(f"{type(model).__name__} is no tree ensemble")


def _forest(model: Any) -> Ensemble:
    members = getattr(model, "estimators_", [model])
    if getattr(model, "n_outputs_", 1) > 1 and isinstance(model, VOTING_FORESTS):
        raise NotCovered("several targets in one classifier")
    targets = members[0].tree_.value.shape[1 if isinstance(model, AVERAGING_FORESTS) else 2]
    trees = tuple(tree for member in members for tree in cython_trees(member.tree_, range(targets)))
    return Ensemble(trees, targets, divisor=float(len(members)))


def cython_trees(tree: Any, targets: Sequence[int], leaf: Array | None = None) -> Iterator[Tree]:
    """One tree for each target: a node of the ONNX operator's leaves adds to one target only. `leaf`: (nodes, targets)."""
    values = tree.value.reshape(tree.node_count, -1) if leaf is None else leaf
    told = Tree(
        np.maximum(tree.feature, 0), tree.threshold, tree.children_left, tree.children_right,
        tree.missing_go_to_left.astype(bool), values[:, 0], np.zeros(tree.node_count, np.int64),
    )  # fmt: skip
    for column, target in enumerate(targets):
        yield replace(told, leaf=values[:, column], target=np.full(tree.node_count, target))


def constant(value: float, target: int) -> Tree:
    """A tree that is one leaf."""
    one = np.zeros(1, np.int64)
    return Tree(one, np.zeros(1), one - 1, one - 1, np.zeros(1, bool), np.array([value]), np.array([target]))


def _boosted(model: Any) -> Ensemble:
    """predict_stages: the initial value, and then, stage by stage, learning rate * leaf."""
    targets, rate = model.estimators_.shape[1], np.float64(model.learning_rate)
    trees = [constant(value, target) for target, value in enumerate(_initial(model, targets))]
    for stage in model.estimators_:
        for target, member in enumerate(stage):
            trees += cython_trees(member.tree_, [target], rate * member.tree_.value.reshape(-1, 1))
    return Ensemble(tuple(trees), targets)


def starts_alike(model: Any) -> bool:
    """Does boosting start from the same number for every row?"""
    return isinstance(model.init_, str | DummyClassifier | DummyRegressor)


def _initial(model: Any, targets: int) -> Array:
    """The raw prediction before the first tree; zero where `answers` adds what differs from row to row."""
    if not starts_alike(model):
        return np.zeros(targets)
    row = np.zeros((1, model.n_features_in_), np.float32)
    return np.asarray(model._raw_predict_init(row), np.float64).reshape(-1)


def _histogram(model: Any) -> Ensemble:
    """_raw_predict: the baseline, and then the leaves, stage by stage."""
    baseline = np.asarray(model._baseline_prediction, np.float64).reshape(-1)
    trees = [constant(value, target) for target, value in enumerate(baseline)]
    trees += [_from_nodes(one, target) for stage in model._predictors for target, one in enumerate(stage)]
    return Ensemble(tuple(trees), len(baseline), "float64")


def _codes_to_the_left(predictor: Any) -> dict[int, Array]:
    """The category codes that go left at each split on categories: 256 bits in eight words."""
    nodes = np.flatnonzero(predictor.nodes["is_categorical"].astype(bool) & ~predictor.nodes["is_leaf"].astype(bool))
    words = np.asarray(predictor.raw_left_cat_bitsets, np.uint32)[predictor.nodes["bitset_idx"][nodes]]
    bits = (words[:, :, None] >> np.arange(32, dtype=np.uint32)) & 1
    return {int(node): np.flatnonzero(bits[k].ravel()) for k, node in enumerate(nodes)}


def _from_nodes(predictor: Any, target: int) -> Tree:
    nodes = predictor.nodes
    leaf = nodes["is_leaf"].astype(bool)
    child = {side: np.where(leaf, -1, nodes[side].astype(np.int64)) for side in ("left", "right")}
    return Tree(
        nodes["feature_idx"].astype(np.int64), nodes["num_threshold"], child["left"], child["right"],
        nodes["missing_go_to_left"].astype(bool), nodes["value"], np.full(len(nodes), target), _codes_to_the_left(predictor),
    )  # fmt: skip


def _isolation(model: Any) -> Ensemble:
    """_compute_score_samples: depth + c(samples) - 1, over trees * c(max_samples) (Liu, Ting, Zhou, ICDM 2008)."""
    trees: list[Tree] = []
    for member, features in zip(model.estimators_, model.estimators_features_, strict=True):
        tree = member.tree_
        depth = np.asarray(tree.compute_node_depths(), np.float64) + _average_path(tree.n_node_samples) - 1.0
        trees += [_of_columns(one, features) for one in cython_trees(tree, [0], depth.reshape(-1, 1))]
    divisor = len(model.estimators_) * float(_average_path(np.array([model._max_samples]))[0])
    if divisor == 0.0:
        raise NotCovered("an isolation forest of single rows")
    return Ensemble(tuple(trees), 1, divisor=divisor)


def _average_path(samples: Array) -> Array:
    samples = np.asarray(samples, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        many = 2.0 * (np.log(samples - 1.0) + np.euler_gamma) - 2.0 * (samples - 1.0) / samples
    return np.where(samples <= 1, 0.0, np.where(samples == 2, 1.0, many))


def _of_columns(tree: Tree, columns: Any) -> Tree:
    """The tree of some columns as one of all of them."""
    return replace(tree, feature=np.asarray(columns, np.int64)[tree.feature])


def _bagged(model: Any) -> Ensemble:
    """Bagging over single trees. A member that has not seen a class adds nothing to it (_parallel_predict_proba)."""
    voting = isinstance(model, BaggingClassifier)
    kinds = TREE_CLASSIFIERS if voting else TREE_REGRESSORS
    trees: list[Tree] = []
    for member, columns in zip(model.estimators_, model.estimators_features_, strict=True):
        if not isinstance(member, kinds):
            raise NotCovered(f"bagging over {type(member).__name__}")
        targets = [int(one) for one in member.classes_] if voting else range(member.tree_.value.shape[1])
        trees += [_of_columns(one, columns) for one in cython_trees(member.tree_, targets)]
    count = model.n_classes_ if voting else model.estimators_[0].tree_.value.shape[1]
    return Ensemble(tuple(trees), int(count), divisor=float(model.n_estimators))


def _adaptive(model: Any) -> Ensemble:
    """AdaBoostClassifier.decision_function over single trees: a leaf's class gains the tree's weight, the others lose."""
    count = len(model.classes_)
    trees: list[Tree] = []
    for member, weight in zip(model.estimators_, model.estimator_weights_, strict=False):
        if not isinstance(member, TREE_CLASSIFIERS):
            raise NotCovered(f"AdaBoostClassifier over {type(member).__name__}")
        label = member.classes_[np.argmax(member.tree_.value[:, 0], axis=1)]
        leaf = np.where(label[:, None] == model.classes_, weight, -1 / (count - 1) * weight)
        trees += cython_trees(member.tree_, range(count), leaf)
    return Ensemble(tuple(trees), count, divisor=float(model.estimator_weights_.sum()))


def members_apart(models: Sequence[Any]) -> Ensemble:
    """The answers of single regression trees side by side, one target each."""
    if not all(isinstance(member, TREE_REGRESSORS) for member in models):
        raise NotCovered("not all members are single regression trees")
    return Ensemble(tuple(t for k, one in enumerate(models) for t in cython_trees(one.tree_, [k])), len(models))


def _leaves(model: Any) -> Ensemble:
    """RandomTreesEmbedding.transform: a one for the leaf that a row falls into, in each tree."""
    trees, first = [], 0
    for member, known in zip(model.estimators_, model.one_hot_encoder_.categories_, strict=True):
        tree = member.tree_
        if not np.array_equal(known, np.flatnonzero(tree.children_left < 0)):
            raise NotCovered("leaves that no training row reached")
        place = np.zeros(tree.node_count, np.int64)
        place[known] = first + np.arange(len(known))
        trees += [replace(one, target=place) for one in cython_trees(tree, [0], np.ones((tree.node_count, 1)))]
        first += len(known)
    return Ensemble(tuple(trees), first)


_TOLD: dict[tuple[type, ...], Callable[[Any], Ensemble]] = {
    (*VOTING_FORESTS, *AVERAGING_FORESTS): _forest,
    BOOSTED: _boosted,
    HISTOGRAMS: _histogram,
    (IsolationForest,): _isolation,
    (BaggingClassifier, BaggingRegressor): _bagged,
    (AdaBoostClassifier,): _adaptive,
    (RandomTreesEmbedding,): _leaves,
}
