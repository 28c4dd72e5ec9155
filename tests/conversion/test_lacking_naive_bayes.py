"""Do the naive Bayes classifiers share out the rows as scikit-learn does, rounding included?"""

from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import BernoulliNB, CategoricalNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler

from conversion.repairs import naive_bayes
from conversion.search import search
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.lacking import agrees

LABELS = {"text": np.array(["a", "b", "c"]), "large": np.array([3, 2**40, -1]), "truth": np.array([False, True, True])}


@pytest.fixture(scope="module")
def three(rows: Array) -> Array:
    return np.digitize(rows[:, 1] + np.random.default_rng(5).normal(size=len(rows)), [17, 22])


@pytest.fixture(scope="module")
def counts(rows: Array) -> Array:
    return np.abs(np.round(rows))


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("kind", [GaussianNB(), MultinomialNB(), ComplementNB(norm=True), BernoulliNB(binarize=20.0)])
def test_every_kind_of_label_comes_back(kind: Any, labels: str, counts: Array, three: Array) -> None:
    agrees(kind.fit(counts, LABELS[labels][three]), counts, naive_bayes.NAME)


@pytest.mark.parametrize("kind", [GaussianNB(), MultinomialNB(), ComplementNB(), BernoulliNB()])
def test_a_single_class_agrees(kind: Any, counts: Array) -> None:
    agrees(kind.fit(counts, np.zeros(len(counts))), counts, naive_bayes.NAME)


def test_what_was_fitted_in_float32_agrees(rows: Array, three: Array) -> None:
    agrees(GaussianNB().fit(rows.astype(np.float32), three), rows, naive_bayes.NAME)


def test_a_prior_of_nothing_agrees(rows: Array, three: Array) -> None:
    agrees(GaussianNB(priors=[0.5, 0.5, 0.0]).fit(rows, three), rows, naive_bayes.NAME)


def test_flags_that_are_none_of_its_making_agree(counts: Array, three: Array) -> None:
    flags = (counts > 1).astype(np.float64)
    agrees(BernoulliNB(binarize=None).fit(flags, three), flags, naive_bayes.NAME)


def test_flags_of_scaled_rows_agree(rows: Array, three: Array) -> None:
    agrees(make_pipeline(StandardScaler(), BernoulliNB()).fit(rows, three), rows, naive_bayes.NAME)


def test_categories_made_by_bins_agree(rows: Array, three: Array) -> None:
    binned = KBinsDiscretizer(5, encode="ordinal", quantile_method="averaged_inverted_cdf")
    agrees(make_pipeline(binned, CategoricalNB(min_categories=7)).fit(rows, three), rows, naive_bayes.NAME)


def test_categories_never_seen_are_not_answered_as_another_features(three: Array) -> None:
    seen = np.random.default_rng(3).integers(0, [2, 3, 4, 5], (len(three), 4)).astype(np.float64)
    accepted = agrees(CategoricalNB().fit(seen, three), seen, naive_bayes.NAME)
    for strange in (2.0, -1.0, np.nan, 1e300):
        row = {"X": np.array([[strange, 0.0, 0.0, 0.0]])}
        assert np.isnan(accepted.session.answer(row, ["predict_proba"])["predict_proba"]).all()


def test_shares_of_long_texts_are_rounded_as_scikit_learn_rounds_them() -> None:
    rng = np.random.default_rng(1)
    texts = [" ".join(rng.choice("fast slow wing part good bad model engine".split(), 6)) for _ in range(150)]
    fitted = make_pipeline(CountVectorizer(), MultinomialNB()).fit(texts, np.arange(150) % 3)
    accepted = search(question(fitted))
    longest = " ".join(rng.choice("fast slow wing part good bad model engine".split(), 40_000))
    wanted = fitted.predict_proba([longest])
    answered = accepted.session.answer({"X": np.array([[longest]], object)}, ["predict_proba"])["predict_proba"]
    np.testing.assert_allclose(answered, wanted, rtol=1e-7)
