"""Do neighbours and centres answer as scikit-learn does, and are equal distances refused?"""

import re
from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.neighbors import (
    KNeighborsClassifier,
    KNeighborsRegressor,
    KNeighborsTransformer,
    RadiusNeighborsClassifier,
    RadiusNeighborsRegressor,
    RadiusNeighborsTransformer,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from conversion.errors import Refused
from conversion.repairs import near, radius
from conversion.repairs.neighbours import undecided
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
@pytest.mark.parametrize("given", [{}, {"p": 1}, {"p": 3}, {"metric": "chebyshev"}, {"n_neighbors": 1}])
def test_neighbours_vote_and_average_as_scikit_learn_weighs_them(
    weights: str, given: dict[str, Any], rows: Array, labels: Array
) -> None:
    check(KNeighborsClassifier(weights=weights, **given).fit(rows, labels), rows, "neighbours")
    check(KNeighborsRegressor(weights=weights, **given).fit(rows, rows[:, :2]), rows, "neighbours")


def test_all_training_rows_may_be_compared_without_a_tree(rows: Array, labels: Array) -> None:
    check(KNeighborsClassifier(algorithm="brute").fit(rows, labels), rows, "neighbours")
    check(KNeighborsClassifier(algorithm="brute").fit(rows.astype(np.float32), labels), rows, "neighbours")
    scaled = make_pipeline(StandardScaler(), KNeighborsClassifier(algorithm="brute", weights="distance"))
    check(scaled.fit(rows, labels), rows, "neighbours")


def test_weights_that_hang_on_scikit_learns_own_rounding_are_refused(rows: Array) -> None:
    with pytest.raises(Refused, match="weights='distance' hangs on its rounding; scale the features first"):
        search(question(KNeighborsRegressor(algorithm="brute", weights="distance").fit(rows + 1e4, rows[:, 0])))


def test_angles_leave_open_what_a_row_of_zeros_is_near_to(rows: Array, labels: Array) -> None:
    fitted = KNeighborsClassifier(metric="cosine").fit(rows, labels)
    assert undecided(fitted, np.stack([np.zeros(4), rows[0] + 0.01])).tolist() == [True, False]


def test_rows_in_blocks_are_the_rows(rows: Array, labels: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near, "BLOCK", 64)
    check(KNeighborsClassifier(weights="distance").fit(rows, labels), rows, "neighbours")
    check(KNeighborsRegressor(p=1).fit(rows, rows[:, 0]), rows, "neighbours")
    monkeypatch.setattr(radius, "BLOCK", 64)
    check(RadiusNeighborsRegressor(4.0, weights="distance").fit(rows, rows[:, 0]), rows, "radius")


def test_several_targets_each_have_their_votes(rows: Array, labels: Array) -> None:
    both = np.stack([labels, np.roll(labels, 7)], axis=1)
    check(KNeighborsClassifier(weights="distance").fit(rows, both), rows, "neighbours")
    check(RadiusNeighborsClassifier(4.0, outlier_label="most_frequent").fit(rows, both), rows, "radius")


@pytest.mark.parametrize("mode", ["distance", "connectivity"])
def test_a_graph_of_neighbours_has_a_column_for_each_training_row(mode: str, rows: Array) -> None:
    check(KNeighborsTransformer(mode=mode, n_neighbors=3).fit(rows), rows, "neighbours")
    check(RadiusNeighborsTransformer(mode=mode, radius=2.0).fit(rows), rows, "radius")


@pytest.mark.parametrize("given", [{}, {"weights": "distance", "p": 1}, {"algorithm": "brute"}])
def test_neighbours_within_a_radius_agree_where_there_are_none_too(given: dict[str, Any], rows: Array, labels: Array) -> None:
    whole = np.arange(len(rows)) % 5
    check(RadiusNeighborsRegressor(3.0, **given).fit(rows, whole if "p" in given else rows[:, 0]), rows, "radius")
    check(RadiusNeighborsClassifier(3.0, outlier_label="fremd", **given).fit(rows, labels.astype("U9")), rows, "radius")


def test_a_row_without_neighbours_is_refused_where_scikit_learn_refuses_it(rows: Array) -> None:
    session = search(question(RadiusNeighborsClassifier(6.0).fit(rows, rows[:, 0] > 0))).session
    with pytest.raises(Exception, match="out of data bounds"):
        session.answer({"X": rows[:1] + 1e6}, ["predict"])


def test_a_row_halfway_between_two_neighbours_is_undecided() -> None:
    line = np.array([[0.0], [1.0], [3.0], [10.0]])
    fitted = KNeighborsClassifier(1).fit(line, [0, 1, 1, 0])
    assert undecided(fitted, np.array([[0.5], [2.0], [6.5], [0.6]])).tolist() == [True, False, True, False]
    assert undecided(KNeighborsClassifier(4).fit(line, [0, 1, 1, 0]), line).tolist() == [False] * 4


def test_a_row_at_the_very_radius_is_undecided() -> None:
    fitted = RadiusNeighborsRegressor(1.0).fit(np.array([[0.0], [5.0]]), [0.0, 1.0])
    assert radius.undecided(fitted, np.array([[1.0], [1.1], [4.0]])).tolist() == [True, False, True]


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
    [({"metric": "canberra"}, "the metric 'canberra' is not covered"), ({"weights": np.sqrt}, "is not covered; covered are")],
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
