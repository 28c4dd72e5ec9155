"""Is no honest pickle refused, however it was written? `benchmarks/pickles.py` asks every model."""

import warnings

import numpy as np
import pytest

from benchmarks.models import cases
from benchmarks.pickles import refusal, written
from conversion.load import load

# One of each kind of state: Cython trees and losses, trees of neighbours, generators, sparse matrices, functions, partials.
NAMES = (
    "HistGradientBoostingClassifier", "histogram boosting, categories", "KNeighborsRegressor", "IsolationForest",
    "SGDRegressor", "GaussianProcessRegressor", "TfidfVectorizer", "SplineTransformer", "FeatureAgglomeration",
    "log, scaler, ridge", "mixed columns, logistic", "random search over a forest", "threshold tuned", "MLPRegressor",
    "SelectKBest",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_from_every_protocol_and_compressor(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator, data = cases()[name].fitted()
        assert [(how, said) for how, content in written(estimator) if (said := refusal(content, type(estimator)))] == []
        method = "predict" if hasattr(estimator, "predict") else "transform"
        once = getattr(load(dict(written(estimator))["joblib, ('xz', 3)"]).estimator, method)(data.X[:20])
        wanted = getattr(estimator, method)(data.X[:20])
    dense = [part.toarray() if hasattr(part, "toarray") else np.asarray(part) for part in (once, wanted)]
    assert np.array_equal(dense[0], dense[1])
