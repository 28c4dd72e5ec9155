"""Are the products of a PolynomialFeatures the graph's, to the last bit?"""

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from conversion.repairs import polynomial
from conversion.search import search
from serving.signature import Array
from tests.conversion.asking import question
from tests.conversion.lacking import agrees
from tests.conversion.unrepaired import as_it_comes


@pytest.mark.parametrize(
    "options",
    [
        {}, {"degree": 4}, {"degree": (2, 4), "include_bias": False}, {"degree": (2, 3)}, {"degree": 0}, {"degree": (3, 3)},
        {"interaction_only": True, "degree": 3}, {"interaction_only": True, "degree": (2, 6), "include_bias": False},
    ],
)  # fmt: skip
def test_every_product_is_the_same_to_the_last_bit(options: dict[str, Any], rows: Array) -> None:
    fitted = PolynomialFeatures(**options).fit(rows)
    accepted = agrees(fitted, rows, polynomial.NAME)
    given = rows * np.pi
    answered = accepted.session.answer({"X": given}, ["transform"])["transform"]
    np.testing.assert_array_equal(answered, fitted.transform(given))


def test_a_single_feature_has_its_powers(rows: Array) -> None:
    agrees(PolynomialFeatures(5).fit(rows[:, :1]), rows[:, :1], polynomial.NAME)


def test_a_regression_on_products_is_written_in_double_which_skl2onnx_cannot(rows: Array) -> None:
    fitted = make_pipeline(PolynomialFeatures(), Ridge()).fit(rows, rows[:, 0] * rows[:, 1])
    with as_it_comes():
        assert search(question(fitted)).candidate.name == "float32"
    assert agrees(fitted, rows, polynomial.NAME).candidate.name == "float64"
