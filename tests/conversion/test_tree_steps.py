"""Do rows that are scaled, filled in, selected or put in another order reach the trees bit for bit?"""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier, ExtraTreesClassifier, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.feature_selection import SelectFromModel, SelectKBest, VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from conversion.trees.proof import NotProved, prove
from serving.signature import Array
from tests.conversion.exact import agrees, answers_alike, edges, written


def labels(rows: Array) -> Array:
    return np.digitize(np.nan_to_num(rows[:, 0]) + np.nan_to_num(rows[:, 3]) / 9, [-0.5, 0.5])


PARTS = [("a", StandardScaler(), [3, 1]), ("b", make_pipeline(MinMaxScaler(), MaxAbsScaler()), [2])]
BEFORE: dict[str, Any] = {
    "standard": StandardScaler(),
    "mean alone": StandardScaler(with_std=False),
    "spread alone": StandardScaler(with_mean=False),
    "robust": RobustScaler(quantile_range=(10, 80)),
    "robust without centre": RobustScaler(with_centering=False),
    "range": MinMaxScaler((-1, 3)),
    "range, clipped": MinMaxScaler((-1, 3), clip=True),
    "largest": MaxAbsScaler(),
    "largest, clipped": MaxAbsScaler(clip=True),
    "binary": Binarizer(threshold=0.3),
    "all in turn": make_pipeline(StandardScaler(), MinMaxScaler(), RobustScaler(), MaxAbsScaler()),
    "best": make_pipeline(SelectKBest(k=2), StandardScaler()),
    "selected by trees": SelectFromModel(DecisionTreeRegressor(random_state=0)),
    "varying": VarianceThreshold(0.5),
    "unchanged": FunctionTransformer(),
    "columns": ColumnTransformer(PARTS, remainder="passthrough"),
    "columns, some dropped": ColumnTransformer([("p", "passthrough", [2, 0]), *PARTS[:1]], remainder="drop"),
    "columns in another order": ColumnTransformer([("a", StandardScaler(), [2, 3, 0, 1])]),
    "columns by numpy's numbers": ColumnTransformer([("a", RobustScaler(), np.array([2, 0]))], remainder=MinMaxScaler()),
    "columns inside columns": ColumnTransformer([("a", ColumnTransformer(PARTS), slice(0, 4)), ("d", "drop", [1])]),
    "united": FeatureUnion([("a", StandardScaler()), ("b", MinMaxScaler()), ("c", "passthrough")]),
}
FILLED = {
    "mean": SimpleImputer(),
    "median, indicated": SimpleImputer(strategy="median", add_indicator=True),
    "constant": SimpleImputer(strategy="constant", fill_value=-7.25),
    "empty column kept": SimpleImputer(keep_empty_features=True),
}


@pytest.mark.parametrize("name", BEFORE)
def test_a_forest_behind_elementwise_steps_is_proved(name: str, rows: Array) -> None:
    offset = rows + np.array([1e5, 0.0, -3e3, 0.0])
    for last in (ExtraTreesClassifier(4, random_state=0), DecisionTreeRegressor(random_state=0)):
        agrees(make_pipeline(BEFORE[name], last).fit(offset, labels(rows)), offset)


def test_members_that_scale_their_columns_are_proved(rows: Array) -> None:
    member = make_pipeline(SimpleImputer(), StandardScaler(), DecisionTreeClassifier(max_depth=4))
    model = BaggingClassifier(member, n_estimators=4, max_features=2, random_state=0)
    agrees(model.fit(rows, labels(rows)), rows)


def test_histogram_boosting_behind_a_scaler_is_proved(rows: Array) -> None:
    agrees(make_pipeline(StandardScaler(), HistGradientBoostingRegressor(max_iter=5)).fit(rows, rows[:, 0]), rows)


@pytest.mark.parametrize("name", FILLED)
def test_missing_values_are_filled_in_to_the_last_bit(name: str, rows: Array) -> None:
    gaps = rows.copy()
    gaps[np.random.default_rng(0).random(rows.shape) < 0.2] = np.nan
    gaps[:, 1] = np.nan if name == "empty column kept" else gaps[:, 1]
    model = make_pipeline(FILLED[name], StandardScaler(), DecisionTreeClassifier(random_state=0)).fit(gaps, labels(gaps))
    agrees(model, gaps)


def test_a_number_that_stands_for_missing_is_filled_in(rows: Array) -> None:
    gaps = np.where(np.random.default_rng(0).random(rows.shape) < 0.2, -1.0, rows.round(1))
    model = make_pipeline(SimpleImputer(missing_values=-1, strategy="most_frequent"), DecisionTreeClassifier(random_state=0))
    agrees(model.fit(gaps, labels(rows)), gaps)


def test_missing_values_pass_a_scaler_and_are_routed_by_the_trees(rows: Array) -> None:
    gaps = rows.copy()
    gaps[np.random.default_rng(0).random(rows.shape) < 0.2] = np.nan
    model = make_pipeline(MinMaxScaler(clip=True), RandomForestRegressor(4, random_state=0)).fit(gaps, labels(gaps))
    agrees(model, gaps)


def test_a_data_frame_of_numbers_is_proved(rows: Array) -> None:
    frame = pd.DataFrame(rows, columns=list("abcd"))
    part = ColumnTransformer([("s", StandardScaler(), ["d", "b"])], remainder="passthrough")
    model = Pipeline([("c", part), ("t", ExtraTreesClassifier(4, random_state=0))]).fit(frame, labels(rows))
    assert prove(written(model), model).trees == 12


def test_columns_of_texts_are_left_to_who_wrote_them_before(rows: Array) -> None:
    frame = pd.DataFrame({"kind": np.array(["a", "b"], object)[(rows[:, 0] > 0).astype(int)], "weight": rows[:, 1]})
    parts = ColumnTransformer([("k", OneHotEncoder(), ["kind"]), ("w", StandardScaler(), ["weight"])])
    model = make_pipeline(parts, DecisionTreeClassifier(random_state=0)).fit(frame, labels(rows))
    graph = written(model)
    assert [node.op_type for node in graph.graph.node].count("TreeEnsemble") == 1
    with pytest.raises(NotProved, match="text"):
        prove(graph, model)


@pytest.mark.parametrize("step", [PCA(2), QuantileTransformer(n_quantiles=5), FunctionTransformer(np.log1p)])
def test_a_step_that_is_not_elementwise_stands_in_the_way(step: Any, rows: Array) -> None:
    model = make_pipeline(step, ExtraTreesClassifier(4, random_state=0)).fit(np.abs(rows), labels(rows))
    graph = written(model)
    with pytest.raises(NotProved, match="before the trees, and is not known"):
        prove(graph, model)


def test_constant_columns_and_tiny_scales_are_divided_as_scikit_learn_does(rows: Array) -> None:
    odd = rows * [1e-9, 1e12, 1.0, 0.0]
    model = make_pipeline(StandardScaler(), ExtraTreesClassifier(4, random_state=0)).fit(odd, labels(rows))
    graph = written(model)
    prove(graph, model)
    answers_alike(graph, model, np.clip(edges(odd), -1e20, 1e20), 1e-14)
