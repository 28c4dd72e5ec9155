"""Does a graph add up rows in numpy's order, to the last bit?"""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture
from sklearn.naive_bayes import GaussianNB

from conversion.errors import Refused
from conversion.repairs import mixtures, naive_bayes
from conversion.search import search
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.lacking import agrees


@pytest.mark.parametrize("width", [1, 7, 8, 13, 16, 29, 128, 131, 300])
def test_sums_that_nearly_cancel_are_the_same_to_the_last_bit(width: int) -> None:
    rng = np.random.default_rng(width)
    rows = rng.normal(size=(60, width)) * 10.0 ** rng.integers(-2, 3, width)
    fitted = GaussianNB().fit(rows, np.arange(60) % 3)
    accepted = search(question(fitted))
    far = rng.normal(size=(200, width)) * 1e5
    answered = accepted.session.answer({"X": far}, ["predict_proba"])["predict_proba"]
    np.testing.assert_allclose(answered, fitted.predict_proba(far), rtol=1e-14, atol=1e-300)


def test_a_column_that_never_changed_agrees(rows: Array) -> None:
    flat = np.c_[rows[:, :2], np.full(len(rows), 7.0)]
    agrees(GaussianNB().fit(flat, np.arange(len(rows)) % 3), flat, naive_bayes.NAME)


@pytest.mark.parametrize("covariance", ["diag", "spherical"])
def test_a_mixture_whose_own_sums_cancel_is_refused(covariance: str, rows: Array) -> None:
    fitted = GaussianMixture(2, covariance_type=covariance, random_state=0).fit(rows + 1e6)
    with pytest.raises(Refused, match="put a StandardScaler before it"):
        search(question(fitted))
    agrees(GaussianMixture(2, covariance_type="full", random_state=0).fit(rows + 1e4), rows + 1e4, mixtures.NAME)
