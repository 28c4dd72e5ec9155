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


@pytest.mark.parametrize("width", [2, 7, 8, 13, 16, 29, 128, 131, 300])
def test_sums_whose_difference_is_rounding_are_the_same_to_the_last_bit(width: int) -> None:
    """All but one column never changed in training: their terms are huge, and the same for every class."""
    rng = np.random.default_rng(width)
    rows = np.tile(rng.normal(size=width), (60, 1))
    rows[:, width // 2] = rng.normal(size=60)
    fitted = GaussianNB().fit(rows, np.arange(60) % 3)
    accepted = search(question(fitted))
    assert naive_bayes.NAME in accepted.repairs
    unseen = rng.normal(size=(300, width))
    answered = accepted.session.answer({"X": unseen}, ["predict_proba"])["predict_proba"]
    wanted = fitted.predict_proba(unseen)
    assert 0.01 < wanted.max(axis=1).min() < 0.99
    np.testing.assert_allclose(answered, wanted, rtol=1e-12)


@pytest.mark.parametrize("covariance", ["diag", "spherical"])
def test_a_mixture_whose_own_sums_cancel_is_refused(covariance: str, rows: Array) -> None:
    fitted = GaussianMixture(2, covariance_type=covariance, random_state=0).fit(rows + 1e6)
    with pytest.raises(Refused, match="put a StandardScaler before it"):
        search(question(fitted))
    agrees(GaussianMixture(2, covariance_type="full", random_state=0).fit(rows + 1e4), rows + 1e4, mixtures.NAME)
