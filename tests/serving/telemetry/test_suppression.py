"""Can anybody learn of fewer than k rows, from one report or from several?"""

from hypothesis import given
from hypothesis import strategies as st

from serving.telemetry.suppression import cells, named, pooled

COUNTS = st.lists(st.one_of(st.just(0), st.integers(1, 30), st.integers(0, 10**6)), min_size=1, max_size=20)


@given(COUNTS, st.integers(2, 20))
def test_no_small_cell_is_told_and_none_can_be_worked_out(counts: list[int], fewest: int) -> None:
    safe = pooled(counts, fewest)
    if safe is None:
        # Nothing is told, so that nothing can be subtracted.
        assert 0 < sum(counts) < fewest or sum(count > 0 for count in counts) == 1
        return
    kept, together = safe
    assert all(count == 0 or count >= fewest for count in kept if count is not None)
    hidden = [count for count, told in zip(counts, kept, strict=True) if told is None]
    assert sum(hidden) == together
    if hidden:
        assert len(hidden) >= 2
        assert together >= fewest


@given(COUNTS, st.integers(2, 20))
def test_the_total_is_kept(counts: list[int], fewest: int) -> None:
    safe = pooled(counts, fewest)
    if safe is not None:
        assert sum(count for count in safe[0] if count is not None) + safe[1] == sum(counts)


def test_a_single_small_cell_takes_the_next_one_with_it() -> None:
    assert cells([0, 3, 40, 500], 5) == {"counts": [0, None, None, 500], "pooled": 43}


def test_large_cells_and_zeros_stay_as_they_are() -> None:
    assert cells([0, 7, 5], 5) == [0, 7, 5]


def test_a_crowd_too_small_is_not_told_at_all() -> None:
    assert cells([1, 2, 0], 5) is None
    assert named({"answered": 3}, 5) is None


def test_names_keep_their_places() -> None:
    assert named({"answered": 90, "invalid_input": 1, "timeout": 4}, 5) == {
        "answered": 90, "invalid_input": None, "timeout": None, "pooled": 5,
    }  # fmt: skip
