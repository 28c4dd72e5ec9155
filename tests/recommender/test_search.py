"""Is the nearest found, among few and among many?"""

import numpy as np
import pytest

from recommender.search import Index


@pytest.mark.parametrize("size", [1, 5, 600, 20_000])
def test_the_nearest_are_those_that_counting_all_finds(size: int) -> None:
    rng = np.random.default_rng(size)
    points = rng.standard_normal((size, 24)) * 3 + 40
    for query in rng.standard_normal((20, 24)) * 3 + 40:
        rows, distances = Index(points).nearest(query, 7)
        every = np.linalg.norm(points - query, axis=1)
        assert rows.tolist() == np.argsort(every, kind="stable")[:7].tolist()
        assert distances.tolist() == pytest.approx(np.sort(every)[:7].tolist())


def test_a_point_finds_itself_at_no_distance() -> None:
    points = np.random.default_rng(0).standard_normal((3000, 24))
    rows, distances = Index(points).nearest(points[1234], 1)
    assert (rows.tolist(), distances.tolist()) == ([1234], [0.0])


def test_among_equals_the_earlier_comes_first() -> None:
    points = np.repeat(np.random.default_rng(0).standard_normal((500, 24)), 4, axis=0)
    rows, _ = Index(points).nearest(points[803], 4)
    assert rows.tolist() == [800, 801, 802, 803]


def test_of_nothing_nothing_is_near() -> None:
    rows, distances = Index(np.zeros((0, 24))).nearest(np.zeros(24), 3)
    assert (len(rows), len(distances)) == (0, 0)


def test_points_that_are_given_are_left_as_they_are() -> None:
    points = np.random.default_rng(0).standard_normal((100, 24)).astype(np.float32) + 40
    before = points.copy()
    assert Index(points).nearest(before[7], 1)[0].tolist() == [7]
    assert np.array_equal(points, before)
