"""Does a row reach the estimator that it is meant for, through whatever stands before and around it?"""

from typing import Any

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import BaggingRegressor, RandomForestClassifier, VotingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, StandardScaler
from sklearn.tree import DecisionTreeRegressor

from conversion.learned import scale, thresholds
from conversion.rows import row_sets
from conversion.schema import schema_of
from conversion.views import NoWay, views
from serving.signature import Array


def tree_inside(model: Any) -> Any:
    return next(view for view in views(model) if hasattr(view.estimator, "tree_"))


def label(rows: Array) -> Array:
    return np.asarray((rows[:, 0] + rows[:, 1] / 5 > 4).astype(int))


def scaled_columns() -> Any:
    return ColumnTransformer([("a", StandardScaler(), [2, 1]), ("b", MinMaxScaler(), [0])], remainder="passthrough")


WRAPPED = [
    lambda: FixedThresholdClassifier(RandomForestClassifier(3, max_depth=3, random_state=0), threshold=0.3),
    lambda: GridSearchCV(make_pipeline(StandardScaler(), RandomForestClassifier(3, random_state=0)), {}, cv=2),
    lambda: BaggingRegressor(DecisionTreeRegressor(max_depth=3), 3, max_features=2, random_state=0),
    lambda: VotingRegressor([("r", Ridge()), ("t", DecisionTreeRegressor(max_depth=3, random_state=0))]),
    lambda: make_pipeline(scaled_columns(), DecisionTreeRegressor(max_depth=3, random_state=0)),
]


@pytest.mark.parametrize("make", WRAPPED)
def test_rows_reach_both_sides_of_splits_inside_other_estimators(make: Any, rows: Array) -> None:
    model = make().fit(rows, label(rows))
    view = tree_inside(model)
    inner = view.forward(thresholds(model, rows, np.random.default_rng(0)))
    tree = view.estimator.tree_
    column = inner[:, tree.feature[0]] - tree.threshold[0]
    near = np.abs(column) < 1e-5 * (1 + abs(tree.threshold[0]))
    assert (column[near] <= 0).any()
    assert (column[near] > 0).any()


@pytest.mark.parametrize("make", WRAPPED)
def test_typical_rows_of_a_wrapper_lie_where_its_inner_estimator_has_learned(make: Any, rows: Array) -> None:
    model = make().fit(rows, label(rows))
    centre, spread = scale(model, rows.shape[1])
    # The trees inside split on the second feature, whose rows lie around 20.
    assert abs(centre[1] - 20) < 10
    assert 0.5 < spread[1] < 15


def test_what_a_step_drops_is_kept_on_the_way_back(rows: Array) -> None:
    model = make_pipeline(scaled_columns(), Ridge()).fit(rows, rows[:, 0])
    ridge = list(views(model))[-1]
    assert np.allclose(ridge.back(ridge.forward(rows), rows), rows)


def test_a_step_without_an_inverse_is_no_way_back(rows: Array) -> None:
    model = make_pipeline(PolynomialFeatures(2), LogisticRegression()).fit(rows[:, :2] / 20, label(rows))
    last = list(views(model))[-1]
    with pytest.raises(NoWay):
        last.back(last.forward(rows[:, :2]), rows[:, :2])


def test_rows_halfway_between_two_known_ones_are_equally_near_to_both(rows: Array) -> None:
    model = make_pipeline(StandardScaler(), KNeighborsRegressor(1)).fit(rows, rows[:, 0])
    halfway = next(one.feeds["X"] for one in row_sets(model, schema_of(model)) if one.kind == "halfway")
    distances, _ = model[-1].kneighbors(model[0].transform(halfway), 2)
    assert (np.abs(distances[:, 0] - distances[:, 1]) < 1e-5).mean() > 0.15
