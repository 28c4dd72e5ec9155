"""Do neighbours and centres answer as scikit-learn does, and are equal distances refused?"""

import re
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conversion.errors import Refused
from conversion.search import search
from serving.verification import Tolerance, compare
from tests.conversion.asking import question
from tests.conversion.unrepaired import as_it_comes

Array = np.ndarray[Any, Any]
NAMES = np.array(["round", "flach", "größer"])


def check(estimator: Any, rows: Array, *repairs: str) -> None:
    """The search accepts, and the graph agrees on rows that it did not choose."""
    asked = question(estimator)
    accepted = search(asked)
    assert set(repairs) <= set(accepted.repairs)
    rng = np.random.default_rng(7)
    near = rows[rng.integers(0, len(rows), 300)] + rows.std(axis=0) * rng.standard_t(3, (300, rows.shape[1]))
    feeds = {"X": np.concatenate([near, np.round(near), rows]).astype(np.float32).astype(np.float64)}
    wanted, answered = asked.ask(feeds), accepted.session.answer(feeds, asked.methods)
    for name, expected in wanted.items():
        tolerance = Tolerance(1e-5, 1e-5) if expected.dtype.kind == "f" else Tolerance()
        assert compare(expected, answered[name], tolerance).wrong == 0, name


@pytest.fixture(scope="module")
def rows() -> Array:
    """Not on any grid, that of float32 included: there, sums of absolute differences are exact and often equal."""
    return np.random.default_rng(1).normal(size=(200, 4)) * [1.0, 5.0, 0.1, 2.0] + [0.0, 20.0, 0.0, 1.0]


@pytest.fixture(scope="module")
def labels(rows: Array) -> Array:
    return NAMES[np.random.default_rng(3).integers(0, 3, len(rows))]


def test_skl2onnx_takes_the_uniform_mean_for_distance_weights(rows: Array) -> None:
    with as_it_comes(), pytest.raises(Refused, match="out of tolerance for 'predict'"):
        search(question(KNeighborsRegressor(weights="distance").fit(rows, rows[:, 0])))


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("given", [{}, {"p": 1}, {"algorithm": "brute"}, {"n_neighbors": 1}])
def test_neighbours_vote_and_average_as_scikit_learn_weighs_them(
    weights: str, given: dict[str, Any], rows: Array, labels: Array
) -> None:
    check(KNeighborsClassifier(weights=weights, **given).fit(rows, labels), rows, "neighbours")
    check(KNeighborsRegressor(weights=weights, **given).fit(rows, rows[:, :2]), rows, "neighbours")


def test_whole_labels_of_any_size_come_back(rows: Array, labels: Array) -> None:
    check(KNeighborsClassifier().fit(rows, (labels == NAMES[0]) * 2**40 - 3), rows, "neighbours")


def test_a_scaler_before_neighbours_is_not_rounded(rows: Array, labels: Array) -> None:
    pipeline = make_pipeline(StandardScaler(), KNeighborsClassifier(weights="distance")).fit(rows, labels)
    assert search(question(pipeline)).candidate.name == "float64"
    check(pipeline, rows, "neighbours")


def test_equal_distances_that_decide_are_refused(rows: Array) -> None:
    grid = np.round(rows)
    with pytest.raises(Refused, match=r"equally near to \[.*depends on the layout of scikit-learn's tree"):
        search(question(KNeighborsRegressor().fit(grid, np.arange(len(grid)))))


def test_equal_distances_behind_a_scaler_are_refused_too(rows: Array) -> None:
    grid = np.round(rows)
    with pytest.raises(Refused, match="depends on the layout of scikit-learn's tree"):
        search(question(make_pipeline(StandardScaler(), KNeighborsRegressor()).fit(grid, np.arange(len(grid)))))


def test_repeated_rows_with_one_target_are_no_tie(rows: Array) -> None:
    check(KNeighborsRegressor(2).fit(np.repeat(rows, 2, axis=0), np.repeat(rows[:, 0], 2)), rows, "neighbours")


@pytest.mark.parametrize(
    ("given", "reason"),
    [({"metric": "chebyshev"}, "the metric 'chebyshev' is not covered"), ({"weights": np.sqrt}, "is not covered; covered are")],
)
def test_what_is_not_written_is_refused_by_name(given: dict[str, Any], reason: str, rows: Array) -> None:
    with pytest.raises(Refused, match=re.escape(reason)):
        search(question(KNeighborsRegressor(**given).fit(rows, rows[:, 0])))


@pytest.mark.parametrize("model", [KMeans, MiniBatchKMeans])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_distances_to_centres_hold_far_from_the_origin(model: Any, offset: float, rows: Array) -> None:
    check(model(4, n_init=1, random_state=0).fit(rows + offset), rows + offset, "centres")


def test_skl2onnx_answers_nan_near_a_centre(rows: Array) -> None:
    with as_it_comes(), pytest.raises(Refused, match=r"scikit-learn answered 0\.0, the graph nan"):
        search(question(KMeans(4, n_init=1, random_state=0).fit(rows)))
