"""Is what is missing filled in as scikit-learn fills it, wherever the imputer stands?"""

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.experimental import enable_iterative_imputer as _enabled
from sklearn.impute import IterativeImputer, KNNImputer, MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from conversion.errors import Refused
from conversion.parity import asked, compared
from conversion.repairs import imputers
from conversion.rows import RowSet
from conversion.search import search
from serving.signature import Array
from tests.conversion.asking import question

__all__ = ["_enabled"]


@pytest.fixture
def gaps(rows: Array) -> Array:
    """One value in six is missing, and the whole first row."""
    missing = np.less(np.random.default_rng(3).random(rows.shape), 1 / 6)
    missing[0] = True
    return np.where(missing, np.nan, rows)


def agrees(estimator: Any, gaps: Array, value: float = np.nan) -> None:
    """Also on rows with other gaps, asked together and alone."""
    asking = question(estimator)
    accepted = search(asking)
    assert imputers.NAME in accepted.repairs
    assert accepted.candidate.real == np.float64
    assert accepted.signature.inputs[0].allow_nan == bool(np.isnan(value))
    rng = np.random.default_rng(8)
    shuffled = np.stack([rng.permutation(column) for column in gaps.T], axis=1)
    shuffled[rng.random(shuffled.shape) < 0.2] = value
    for rows in (gaps, shuffled, *(gaps[i : i + 1] for i in range(5))):
        one = asked(asking.ask, RowSet("gaps", {"X": rows}), asking.tie)
        for finding in compared(accepted.session, one, asking.tolerance):
            assert finding.gap.passed, str(finding)


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent", "constant"])
def test_a_statistic_fills_in(strategy: str, gaps: Array) -> None:
    agrees(SimpleImputer(strategy=strategy).fit(gaps), gaps)
    agrees(SimpleImputer(strategy=strategy, add_indicator=True).fit(gaps), gaps)


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values:UserWarning")
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("kind", [SimpleImputer, KNNImputer, IterativeImputer])
def test_a_column_without_any_value_is_left_out_unless_it_is_kept(kind: Any, kept: bool, gaps: Array) -> None:
    gaps[:, 2] = np.nan
    given = {"max_iter": 2, "tol": 10.0, "random_state": 0} if kind is IterativeImputer else {}
    agrees(kind(keep_empty_features=kept, **given).fit(gaps), gaps)


def test_a_number_may_stand_for_what_is_missing(gaps: Array) -> None:
    coded = np.where(np.isnan(gaps), -1.0, gaps)
    agrees(SimpleImputer(missing_values=-1, add_indicator=True).fit(coded), coded, value=-1.0)


@pytest.mark.parametrize("given", [{}, {"n_neighbors": 2, "add_indicator": True}])
def test_the_nearest_rows_fill_in(given: dict[str, Any], gaps: Array) -> None:
    agrees(KNNImputer(**given).fit(gaps), gaps)


def test_donors_equally_near_are_refused(gaps: Array) -> None:
    with pytest.raises(Refused, match="have several donors equally near, with different values"):
        search(question(KNNImputer().fit(np.round(gaps / 4))))


def test_weights_of_rounded_distances_are_refused(gaps: Array) -> None:
    with pytest.raises(Refused, match="KNNImputer with weights='distance'"):
        search(question(KNNImputer(weights="distance").fit(gaps)))


@pytest.mark.parametrize("inner", [None, DecisionTreeRegressor(max_depth=3)], ids=["ridge", "tree"])
def test_regressions_fill_in_round_by_round(inner: Any, gaps: Array) -> None:
    fitted = IterativeImputer(inner, max_iter=3, tol=10.0, min_value=-3, add_indicator=True, random_state=0).fit(gaps)
    agrees(fitted, gaps)


def test_draws_at_random_are_refused(gaps: Array) -> None:
    fitted = IterativeImputer(sample_posterior=True, max_iter=1, tol=10.0, random_state=0).fit(gaps)
    with pytest.raises(Refused, match="draws at random"):
        search(question(fitted))


@pytest.mark.parametrize(
    "steps",
    [
        (SimpleImputer(add_indicator=True), RandomForestClassifier(5, random_state=0)),
        (KNNImputer(), StandardScaler(), LogisticRegression()),
        (make_union(SimpleImputer(), MissingIndicator(features="all")), LogisticRegression(max_iter=1000)),
    ],
    ids=["indicator, forest", "neighbours, logistic", "flags, logistic"],
)
def test_what_follows_is_fed_in_double(steps: Any, gaps: Array, rows: Array) -> None:
    fitted = make_pipeline(*steps).fit(gaps, rows[:, 0] > 0)
    if "featureunion" in fitted.named_steps:
        assert search(question(fitted)).signature.inputs[0].allow_nan
    else:
        agrees(fitted, gaps)
