"""Are rows found at which neighbours inside an object leave its answer open?"""

from typing import Any

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.impute import KNNImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conversion.child import chosen
from conversion.undecided import undecided
from tests.conversion.asking import question

ONE = KNeighborsClassifier(1)
LINE = LogisticRegression()
NUMBERS = np.array([[0.0], [1.0], [3.0], [10.0], [14.0], [20.0]])
SIDES = [0, 1, 1, 0, 0, 1]
HALFWAY, BESIDE = [6.5], [6.4]


@pytest.mark.parametrize(
    "holder",
    [
        make_pipeline(StandardScaler(), ONE),
        VotingClassifier([("near", ONE), ("line", LINE)]),
        StackingClassifier([("near", make_pipeline(StandardScaler(), ONE))], LINE, cv=2),
        CalibratedClassifierCV(ONE, cv=2, ensemble=False),
        BaggingClassifier(ONE, 1, bootstrap=False, random_state=0),
    ],
    ids=["pipeline", "voting", "stacking", "calibrated", "bagging"],
)
def test_a_row_halfway_is_found_wherever_the_neighbours_are(holder: Any) -> None:
    assert undecided(holder.fit(NUMBERS, SIDES), np.array([HALFWAY, BESIDE])).tolist() == [True, False]


def test_a_row_for_which_donors_are_equally_near_is_found() -> None:
    known = np.array([[0.0, 1.0], [2.0, 5.0], [9.0, 7.0], [20.0, 7.0]])
    fitted = make_pipeline(KNNImputer(n_neighbors=1), GaussianNB()).fit(known, [0, 1, 0, 1])
    asked = np.array([[1.0, np.nan], [1.2, np.nan], [14.5, np.nan], [1.0, 3.0]])
    assert undecided(fitted, asked).tolist() == [True, False, False, False]


def test_what_holds_no_neighbours_is_decided_everywhere() -> None:
    assert not undecided(make_pipeline(StandardScaler(), LINE).fit(NUMBERS, SIDES), NUMBERS).any()


def test_no_row_that_is_open_travels_with_the_model() -> None:
    grid = np.array([[x, y] for x in range(6) for y in range(6)], np.float64)
    asking = question(KNeighborsRegressor(2).fit(grid, grid[:, 0] * 7 + grid[:, 1]))
    assert asking.sets[0].undecided.any()
    assert not undecided(asking.estimator, chosen(asking, 12)["X"]).any()
