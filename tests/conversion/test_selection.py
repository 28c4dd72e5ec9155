"""Is a selector of features the columns that it chose, and what it predicts only where that is asked for?"""

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_selection import RFE, RFECV, SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelEncoder, StandardScaler

from conversion.errors import Refused
from conversion.repairs import selection
from conversion.schema import schema_of
from conversion.search import search
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.lacking import agrees

LINE = LogisticRegression(max_iter=1000)
SELECTORS = [RFE(LINE, n_features_to_select=2), RFECV(LINE, cv=2), SequentialFeatureSelector(Ridge(), n_features_to_select=1)]


@pytest.fixture
def labels(rows: Array) -> Array:
    names = np.array(["nein", "ja", "größer"])
    chosen: Array = names[np.digitize(rows[:, 0] + rows[:, 3], [0.0, 2.0])]
    return chosen


@pytest.mark.parametrize("selector", SELECTORS[:2], ids=["rfe", "rfecv"])
def test_a_selector_transforms(selector: Any, rows: Array, labels: Array) -> None:
    accepted = agrees(selector.fit(rows, labels), rows, selection.NAME)
    assert [output.name for output in accepted.signature.outputs] == ["transform"]


def test_a_sequential_selector_transforms(rows: Array) -> None:
    agrees(SELECTORS[2].fit(rows, rows[:, 1]), rows, selection.NAME)


@pytest.mark.parametrize("last", [LINE, RandomForestClassifier(5, random_state=0)], ids=["line", "forest"])
def test_features_are_eliminated_before_other_steps(last: Any, rows: Array, labels: Array) -> None:
    agrees(make_pipeline(StandardScaler(), RFE(LINE), last).fit(rows, labels), rows, selection.NAME)


def test_a_selector_predicts_where_that_is_asked_for(rows: Array, labels: Array) -> None:
    fitted = make_pipeline(StandardScaler(), RFE(LINE)).fit(rows, labels)
    asked = question(fitted, methods=["predict", "predict_proba"])
    accepted = search(asked)
    feeds = {"X": np.random.default_rng(4).normal(size=(50, 4)) * 9}
    found, wanted = accepted.session.answer(feeds, asked.methods), asked.ask(feeds)
    assert (found["predict"] == wanted["predict"]).all()
    assert np.abs(found["predict_proba"] - wanted["predict_proba"]).max() < 1e-12


def test_a_frozen_estimator_is_the_one_that_it_holds(rows: Array, labels: Array) -> None:
    frozen = FrozenEstimator(StandardScaler().fit(rows))
    agrees(make_pipeline(frozen, RandomForestClassifier(5, random_state=0)).fit(rows, labels), rows, "exact_trees")
    assert search(question(FrozenEstimator(LINE.fit(rows, labels)))).candidate.name == "float64"


@pytest.mark.parametrize(
    ("fitted", "reason"),
    [
        (DictVectorizer().fit([{"a": 1.0}]), "DictVectorizer takes mappings of names to values.*build the table with pandas"),
        (LabelEncoder().fit([1, 2]), "LabelEncoder turns labels into numbers and takes no rows"),
    ],
)
def test_what_takes_no_rows_is_refused_by_name(fitted: Any, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        schema_of(fitted)
