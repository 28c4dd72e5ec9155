"""Are ensembles of trees, and ensembles of those, proved and answered exactly?"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    AdaBoostClassifier,
    AdaBoostRegressor,
    BaggingClassifier,
    BaggingRegressor,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    RandomTreesEmbedding,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from conversion.search import search
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.exact import agrees
from tests.conversion.lacking import agrees as accepted


def three(rows: Array) -> Array:
    return np.array(["clark", "göttingen", "naca"])[np.digitize(rows[:, 0] + rows[:, 3] / 9, [-0.5, 0.5])]


def binary(rows: Array) -> Array:
    return np.asarray(rows[:, 0] * rows[:, 3] > 0)


def large(rows: Array) -> Array:
    return 2**40 + np.digitize(rows[:, 0], [-0.5, 0.5]).astype(np.int64)


def real(rows: Array) -> Array:
    return np.asarray(1e7 * rows[:, 0] + rows[:, 1])


def two_reals(rows: Array) -> Array:
    return rows[:, :2]


FEW = RandomForestClassifier(4, max_depth=3, random_state=0)
SOME = RandomForestRegressor(4, max_depth=4, random_state=0)
FITTED: dict[str, tuple[Any, Callable[[Array], Array] | None]] = {
    "bagging": (BaggingRegressor(n_estimators=6, random_state=0), real),
    "bagging of two": (BaggingRegressor(n_estimators=6, random_state=0), two_reals),
    "bagging of columns": (BaggingRegressor(n_estimators=6, max_features=2, bootstrap_features=True, random_state=0), real),
    "bagging of labels": (BaggingClassifier(n_estimators=4, max_features=0.5, random_state=0), binary),
    "bagging that misses classes": (BaggingClassifier(n_estimators=6, max_samples=3, random_state=1), three),
    "bagging of forests": (BaggingClassifier(FEW, n_estimators=3, max_samples=4, max_features=3, random_state=0), large),
    "bagging of boosting": (BaggingRegressor(HistGradientBoostingRegressor(max_iter=3), n_estimators=3, random_state=0), real),
    "adaboost": (AdaBoostClassifier(n_estimators=8, random_state=0), three),
    "adaboost of two": (AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=8, random_state=0), binary),
    "adaboost of forests": (AdaBoostClassifier(FEW, n_estimators=3, random_state=0), large),
    "weighted median": (AdaBoostRegressor(n_estimators=9, random_state=0), real),
    "weighted median of stumps": (AdaBoostRegressor(DecisionTreeRegressor(max_depth=1), n_estimators=9, random_state=0), real),
    "weighted median of forests": (AdaBoostRegressor(SOME, n_estimators=4, random_state=0), real),
    "embedding": (RandomTreesEmbedding(5, random_state=0), None),
    "voting": (VotingClassifier([("a", DecisionTreeClassifier(max_depth=2)), ("b", FEW)], voting="soft"), three),
    "voting with weights": (
        VotingClassifier([("a", DecisionTreeClassifier(max_depth=2)), ("b", FEW)], voting="soft", weights=[1, 3]),
        large,
    ),
    "hard voting": (
        VotingClassifier(
            [("a", DecisionTreeClassifier(max_depth=2)), ("b", FEW), ("c", HistGradientBoostingClassifier(max_iter=3))],
            weights=[1, 2, 1],
        ),
        three,
    ),
    "mean of regressors": (VotingRegressor([("a", DecisionTreeRegressor(max_depth=2)), ("b", SOME)]), real),
    "weighted mean": (VotingRegressor([("a", DecisionTreeRegressor(max_depth=2)), ("b", SOME)], weights=[1, 0.3]), real),
    "several targets": (MultiOutputRegressor(HistGradientBoostingRegressor(max_iter=4)), two_reals),
    "several targets, boosting": (MultiOutputRegressor(GradientBoostingRegressor(n_estimators=4)), two_reals),
    "boosting from a tree": (GradientBoostingRegressor(n_estimators=4, init=DecisionTreeRegressor(max_depth=2)), real),
    "searched": (GridSearchCV(BaggingClassifier(n_estimators=2), {"max_samples": [0.5, 1.0]}, cv=2), three),
}


@pytest.mark.parametrize("name", FITTED)
def test_trees_inside_are_proved_and_every_answer_is_scikit_learns(name: str, rows: Array) -> None:
    model, targets = FITTED[name]
    model = model.fit(rows) if targets is None else model.fit(rows, targets(rows))
    proof = agrees(model, rows)
    assert proof.trees > 1
    assert proof.rounding < 1e-6


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    "model",
    [
        BaggingClassifier(DecisionTreeClassifier(max_depth=3), n_estimators=4, random_state=0),
        RandomForestClassifier(6, max_depth=3, random_state=0),
        AdaBoostClassifier(DecisionTreeClassifier(max_depth=2), n_estimators=6, random_state=0),
        VotingClassifier([("a", DecisionTreeClassifier(max_depth=2)), ("b", DecisionTreeClassifier(max_depth=3))]),
    ],
)
def test_votes_that_tie_on_whole_numbers_fall_as_in_scikit_learn(model: Any, seed: int) -> None:
    grid = np.stack(np.meshgrid(*[np.arange(6.0)] * 3), axis=-1).reshape(-1, 3)
    rng = np.random.default_rng(seed)
    labels = (grid.sum(axis=1).astype(int) + rng.integers(0, 2, len(grid))) % 3
    agrees(model.fit(grid, labels), grid)


def test_equal_weights_and_equal_predictions_have_scikit_learns_median() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(5.0)] * 3), axis=-1).reshape(-1, 3)
    model = AdaBoostRegressor(DecisionTreeRegressor(max_depth=2), n_estimators=20, random_state=0)
    model.fit(grid, grid.sum(axis=1) // 2)
    model.estimator_weights_[:] = 1.0
    agrees(model, grid)


@pytest.mark.parametrize(
    "model",
    [
        BaggingClassifier(LogisticRegression(), n_estimators=3, max_features=2, random_state=0),
        BaggingClassifier(SVC(), n_estimators=3, max_samples=30, random_state=0),
        AdaBoostClassifier(LogisticRegression(), n_estimators=3, random_state=0),
    ],
)
def test_members_that_are_no_trees_are_written_in_double(model: Any, rows: Array) -> None:
    assert accepted(model.fit(rows, three(rows)), rows, "bagging").candidate.real == np.float64


def test_the_median_of_regressors_that_are_no_trees_is_accepted(rows: Array) -> None:
    model = AdaBoostRegressor(Ridge(), n_estimators=4, random_state=0).fit(rows, real(rows))
    assert search(question(model)).evidence["not_proved"] == "Ridge takes part in the answer"


def test_boosting_that_starts_from_another_regressor_is_accepted(rows: Array) -> None:
    model = GradientBoostingRegressor(n_estimators=4, init=Ridge()).fit(rows, real(rows))
    assert search(question(model)).candidate.exact_trees
