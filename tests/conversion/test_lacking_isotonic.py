"""Does the graph interpolate between an IsotonicRegression's thresholds?"""

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from conversion.repairs import isotonic
from serving.signature import Array
from tests.conversion.lacking import agrees, lacks


def test_skl2onnx_still_lacks_it() -> None:
    assert lacks(isotonic.COVERED)


@pytest.mark.parametrize("beyond", ["nan", "clip", "raise"])
@pytest.mark.parametrize("sign", [1, -1])
def test_it_agrees_within_and_beyond_the_thresholds(beyond: str, sign: int, rows: Array) -> None:
    wanted = sign * (rows[:, 1] + 2 * rows[:, 0])
    fitted = IsotonicRegression(increasing="auto", out_of_bounds=beyond).fit(rows[:, 1], wanted)
    agrees(fitted, rows[:, 1:2], isotonic.NAME)


def test_where_scikit_learn_raises_the_graph_answers_nan(rows: Array) -> None:
    accepted = agrees(IsotonicRegression(out_of_bounds="raise").fit(rows[:, 1], rows[:, 1]), rows[:, 1:2], isotonic.NAME)
    answer = accepted.session.answer({"X": np.array([[1e6], [20.0]])}, ["predict"])["predict"]
    assert np.isnan(answer).tolist() == [True, False]


def test_one_fitted_in_float32_agrees(rows: Array) -> None:
    one = rows[:, 1].astype(np.float32)
    agrees(IsotonicRegression(out_of_bounds="clip").fit(one, np.sin(one)), rows[:, 1:2], isotonic.NAME)


def test_one_level_is_a_constant(rows: Array) -> None:
    agrees(IsotonicRegression(out_of_bounds="clip").fit(rows[:, 1], np.ones(len(rows))), rows[:, 1:2], isotonic.NAME)
