"""Do splits on categories go where they go in scikit-learn: known, unknown, missing, between two of them?"""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.multioutput import MultiOutputRegressor

from conversion.errors import NotCovered
from conversion.trees.proof import prove
from conversion.trees.terms import told
from serving.signature import Array
from tests.conversion.exact import agrees, answers_alike, written

NAMES = ["weight", "kind", "length", "colour"]


@pytest.fixture(scope="module")
def mixed() -> Array:
    """Columns 1 and 3 hold categories: many, with gaps, below zero and in fractions; a tenth of the colours is missing."""
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(400, 4)).astype(np.float32).astype(np.float64)
    rows[:, 1] = rng.choice(np.arange(-20, 100, 3), 400)
    rows[:, 3] = rng.choice([0.0, 0.1, 0.25, 7.0, 1e6], 400)
    rows[rng.random(400) < 0.1, 3] = np.nan
    return rows


def target(rows: Array) -> Array:
    return np.asarray(np.where(rows[:, 1] % 2 == 0, rows[:, 0], -rows[:, 0]) + (rows[:, 3] > 0.2))


def near(rows: Array) -> Array:
    """Categories, what is next to them by one step, halfway between them, NaN, -0.0 and far out; in random pairs."""
    rng = np.random.default_rng(6)
    columns = []
    for column in rows.T:
        known = np.unique(column[~np.isnan(column)])
        beside = [np.nextafter(known, -np.inf), np.nextafter(known, np.inf), known + 1, (known[1:] + known[:-1]) / 2]
        pool = np.concatenate([known, known, *beside, [np.nan, -0.0, -1.0, 256.0, 1e300]])
        columns.append(rng.choice(pool, 3000))
    return np.stack(columns, axis=1)


def goes_alike(model: Any, rows: Array) -> None:
    graph = written(model)
    assert prove(graph, model).splits > 20
    answers_alike(graph, model, np.concatenate([rows, near(rows)]), 1e-13)


@pytest.mark.parametrize("columns", [[1, 3], [3], [True, True, False, True], [False] * 4])
def test_categories_by_number_are_proved(columns: list[Any], mixed: Array) -> None:
    rows = mixed.copy()
    rows[:, 0] = rows[:, 0].round(1)
    goes_alike(HistGradientBoostingRegressor(max_iter=15, categorical_features=columns).fit(rows, target(rows)), rows)


def test_classes_are_decided_by_categories_too(mixed: Array) -> None:
    labels = np.array(["a", "b", "c"])[np.digitize(target(mixed), [-0.3, 0.6])]
    goes_alike(HistGradientBoostingClassifier(max_iter=6, categorical_features=[1, 3]).fit(mixed, labels), mixed)
    goes_alike(HistGradientBoostingClassifier(max_iter=9, categorical_features=[1]).fit(mixed, target(mixed) > 0), mixed)


def test_nothing_but_categories_is_proved(mixed: Array) -> None:
    rows = mixed[:, [1, 3]]
    model = HistGradientBoostingRegressor(max_iter=9, categorical_features=[0, 1]).fit(rows, target(mixed))
    goes_alike(model, rows)


def test_as_many_categories_as_there_can_be_are_proved() -> None:
    rows = np.repeat(np.arange(255.0), 12).reshape(-1, 1)
    made = np.random.default_rng(0).normal(size=255)[rows[:, 0].astype(int)]
    model = HistGradientBoostingRegressor(max_iter=5, categorical_features=[0], min_samples_leaf=2).fit(rows, made)
    agrees(model, rows)


def test_several_targets_share_their_categories(mixed: Array) -> None:
    model = MultiOutputRegressor(HistGradientBoostingRegressor(max_iter=5, categorical_features=[1, 3]))
    goes_alike(model.fit(mixed, np.stack([target(mixed), -(target(mixed) ** 2)], axis=1)), mixed)


def test_numbers_in_a_data_frame_are_proved(mixed: Array) -> None:
    frame = pd.DataFrame(mixed, columns=NAMES)
    model = HistGradientBoostingRegressor(max_iter=9, categorical_features=["kind", "colour"]).fit(frame, target(mixed))
    graph = written(model)
    assert prove(graph, model).splits > 20


def test_categories_that_are_texts_are_refused_by_name(mixed: Array) -> None:
    frame = pd.DataFrame({"kind": pd.Categorical(["a", "b"] * 200), "weight": mixed[:, 0]})
    with pytest.raises(NotCovered, match="categories that are texts"):
        told(HistGradientBoostingRegressor(max_iter=3, categorical_features="from_dtype").fit(frame, target(mixed)))


def test_a_threshold_on_a_classifier_with_categories_is_written(mixed: Array) -> None:
    inner = HistGradientBoostingClassifier(max_iter=9, categorical_features=[1, 3])
    model = FixedThresholdClassifier(inner, threshold=0.3).fit(mixed, (target(mixed) > 0).astype(int))
    answers_alike(written(model), model, np.concatenate([mixed, near(mixed)]), 1e-13)
