"""Are the splines of a SplineTransformer the graph's, within the knots and beyond them?"""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from conversion.errors import Refused
from conversion.repairs import splines
from conversion.search import search
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.lacking import agrees, lacks


def test_skl2onnx_still_lacks_it() -> None:
    assert lacks(splines.COVERED)


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("beyond", ["constant", "linear", "continue", "periodic", "error"])
def test_every_degree_agrees_however_it_extrapolates(degree: int, beyond: str, rows: Array) -> None:
    fitted = SplineTransformer(degree=degree, n_knots=7, extrapolation=beyond).fit(rows[:, :2])
    if (degree, beyond) == (0, "constant"):
        with pytest.raises(Refused, match="scikit-learn itself refuses"):
            search(question(fitted))
    else:
        agrees(fitted, rows[:, :2], splines.NAME)


@pytest.mark.parametrize("options", [{"knots": "quantile", "include_bias": False}, {"sparse_output": True}, {"n_knots": 2}])
def test_other_options_agree(options: dict[str, object], rows: Array) -> None:
    agrees(SplineTransformer(**options).fit(rows), rows, splines.NAME)


def test_knots_that_coincide_agree() -> None:
    grid = np.random.default_rng(3).integers(0, 4, (200, 2)).astype(np.float64)
    agrees(SplineTransformer(knots="quantile", n_knots=8).fit(grid), grid, splines.NAME)


@pytest.mark.parametrize("beyond", ["constant", "linear", "continue"])
def test_missing_values_may_be_asked_where_they_become_zeros(beyond: str, rows: Array) -> None:
    holed = np.where(np.arange(len(rows))[:, None] == 3, np.nan, rows)
    accepted = agrees(SplineTransformer(handle_missing="zeros", extrapolation=beyond).fit(holed), rows, splines.NAME)
    assert accepted.signature.inputs[0].allow_nan


def test_splines_feed_a_regression(rows: Array) -> None:
    agrees(make_pipeline(SplineTransformer(), Ridge()).fit(rows, np.sin(rows[:, 0])), rows, splines.NAME)
