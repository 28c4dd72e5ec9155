"""Is every way of being wrong seen, and nothing else?"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from serving.verification import Tolerance, Verification, compare

Array = np.ndarray[Any, Any]
TIGHT = Tolerance(atol=1e-6)


def test_equal_arrays_pass() -> None:
    gap = compare(np.eye(3), np.eye(3), TIGHT)
    assert gap.passed
    assert (gap.rows, gap.wrong, gap.max_abs) == (3, 0, 0.0)


def test_one_wrong_element_names_its_row_and_both_values() -> None:
    answered = np.eye(3)
    answered[1, 2] = 0.5
    gap = compare(np.eye(3), answered, TIGHT)
    assert not gap.passed
    assert (gap.wrong, gap.worst_row, gap.expected, gap.answered) == (1, 1, "0.0", "0.5")


def test_a_column_is_not_a_row_though_numpy_would_broadcast_it() -> None:
    assert not compare(np.ones(4), np.ones((4, 1)), TIGHT).passed
    assert not compare(np.ones((2, 2)), np.ones((4, 1)), TIGHT).passed
    assert compare(np.ones((2, 2)), np.ones((4, 1)), TIGHT).answered == "shape [4, 1]"


@pytest.mark.parametrize("answered", [np.nan, np.inf, -np.inf, 1.1])
def test_nan_and_infinity_are_never_near_a_number(answered: float) -> None:
    assert not compare(np.array([1.0]), np.array([answered]), Tolerance(1e-3, 1e-3)).passed
    assert not compare(np.array([answered]), np.array([1.0]), Tolerance(1e-3, 1e-3)).passed


def test_nan_matches_nan_and_infinity_its_own_sign() -> None:
    special = np.array([np.nan, np.inf, -np.inf])
    assert compare(special, special.copy(), TIGHT).passed
    assert not compare(special, -special, TIGHT).passed


def test_the_relative_part_grows_with_the_expected_value() -> None:
    tolerance = Tolerance(atol=0, rtol=1e-3)
    assert compare(np.array([1000.0]), np.array([1000.9]), tolerance).passed
    assert not compare(np.array([1.0]), np.array([1.9]), tolerance).passed


def test_the_worst_row_is_the_one_furthest_beyond_its_own_tolerance() -> None:
    gap = compare(np.array([1e6, 1.0]), np.array([1e6 + 1, 1.5]), Tolerance(atol=0, rtol=1e-3))
    assert gap.worst_row == 1


def test_labels_must_be_equal_whatever_the_tolerance() -> None:
    assert not compare(np.array([1, 2]), np.array([1, 3]), Tolerance(10, 10)).passed
    assert compare(np.array(["a", "b"], object), np.array(["a", "b"], object), TIGHT).passed
    assert not compare(np.array(["a", "b"], object), np.array(["a", "c"], object), Tolerance(10, 10)).passed
    assert compare(np.array([True, False]), np.array([1, 0]), TIGHT).passed


def test_no_rows_are_no_gap() -> None:
    assert compare(np.empty((0, 2)), np.empty((0, 2)), TIGHT).passed
    assert not compare(np.empty((0, 2)), np.empty((0, 3)), TIGHT).passed


def verification() -> Verification:
    rows = np.array([[1.0, -0.0], [2.0, 1e-45], [np.nan, np.inf]])
    return Verification({"X": rows}, {"predict": rows.sum(axis=1)}, {"predict": TIGHT})


def test_rows_that_travel_come_back_to_the_last_bit() -> None:
    back = Verification.from_json(verification().to_json())
    assert back.rows["X"].tobytes() == verification().rows["X"].tobytes()
    assert back.rows["X"].dtype == np.float64
    assert back.tolerance == verification().tolerance
    text = Verification({"X": np.array([["é"], [""]], object)}, {"predict": np.array([1, 2])}, {"predict": Tolerance()})
    assert (Verification.from_json(text.to_json()).rows["X"] == text.rows["X"]).all()


def test_a_replay_of_what_holds_passes() -> None:
    gaps = verification().replay(lambda feeds: {"predict": feeds["X"].sum(axis=1)})
    assert gaps["predict"].passed


def test_a_graph_that_is_right_alone_and_wrong_in_a_batch_fails() -> None:
    def run(feeds: Mapping[str, Array]) -> dict[str, Array]:
        return {"predict": feeds["X"].sum(axis=1) + (1 if len(feeds["X"]) > 1 else 0)}

    assert verification().replay(run)["predict"].wrong > 0


def test_a_graph_whose_shape_changes_with_the_batch_fails() -> None:
    def run(feeds: Mapping[str, Array]) -> dict[str, Array]:
        return {"predict": np.squeeze(feeds["X"].sum(axis=1))}

    assert not verification().replay(run)["predict"].passed
