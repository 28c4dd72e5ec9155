"""Which large models must be converted within the default limits, as a user would?"""

from collections.abc import Iterator

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsRegressor

from benchmarks.training_data import Case, Data


def large() -> Iterator[Case]:
    yield Case("large: 500 trees", lambda: RandomForestClassifier(500, n_jobs=2, random_state=0), _noisy_classes)
    yield Case("large: 100,000 neighbours", lambda: KNeighborsRegressor(5), _many_rows)


def _noisy_classes() -> Data:
    """Labels with so much noise that each tree needs about 2,500 leaves."""
    rng = np.random.default_rng(31)
    X = rng.standard_normal((12_000, 12))
    score = X[:, 0] + X[:, 1] * X[:, 2] + 1.3 * rng.standard_normal(len(X))
    return Data(X, np.digitize(score, [-0.8, 0.8]))


def _many_rows() -> Data:
    rng = np.random.default_rng(37)
    X = rng.standard_normal((100_000, 20))
    return Data(X, X[:, 0] - 2 * X[:, 3] + 0.1 * rng.standard_normal(len(X)))
