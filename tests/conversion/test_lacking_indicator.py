"""Does the graph say which values are missing?"""

import numpy as np
import pytest
from sklearn.impute import MissingIndicator

from conversion.errors import Refused
from conversion.repairs import indicator
from conversion.search import search
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.lacking import agrees, lacks


def test_skl2onnx_still_lacks_it() -> None:
    assert lacks(indicator.COVERED)


def test_missing_values_may_be_asked(rows: Array) -> None:
    accepted = agrees(MissingIndicator(features="all").fit(rows), rows, indicator.NAME)
    assert accepted.signature.inputs[0].allow_nan
    answer = accepted.session.answer({"X": np.array([[1.0, np.nan, 0.0, np.nan]])}, ["transform"])["transform"]
    assert answer.tolist() == [[False, True, False, True]]


@pytest.mark.parametrize("features", ["all", "missing-only"])
def test_a_number_may_stand_for_missing(features: str, rows: Array) -> None:
    whole = np.round(rows)
    fitted = MissingIndicator(missing_values=2.0, features=features, error_on_new=False).fit(whole)
    agrees(fitted, whole, indicator.NAME)


def test_one_that_refuses_a_newly_missing_feature_is_refused(rows: Array) -> None:
    with pytest.raises(Refused, match="scikit-learn refuses row"):
        search(question(MissingIndicator(missing_values=2.0).fit(np.round(rows))))
