"""Do transformers of single rows and columns (norms, powers, quantiles, term weights) agree in double?"""

import time
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, PowerTransformer, QuantileTransformer

from conversion.repairs import normaliser, power, quantiles, term_weights
from serving.signature import Array
from tests.conversion.lacking import agrees


@pytest.mark.parametrize("length", ["l1", "l2", "max"])
def test_rows_of_unit_length_agree_and_rows_of_zeros_stay(length: str, rows: Array) -> None:
    accepted = agrees(Normalizer(length).fit(rows), rows, normaliser.NAME)
    answered = accepted.session.answer({"X": np.zeros((1, 4))}, ["transform"])["transform"]
    np.testing.assert_array_equal(answered, np.zeros((1, 4)))


@pytest.mark.parametrize("standardize", [True, False])
def test_powers_agree(standardize: bool, rows: Array) -> None:
    agrees(PowerTransformer(standardize=standardize).fit(rows**3), rows**3, power.NAME)


@pytest.mark.parametrize("method", ["yeo-johnson", "box-cox"])
def test_exponents_at_which_a_power_becomes_a_logarithm_agree(method: str, rows: Array) -> None:
    positive = np.abs(rows) + 0.1
    fitted = PowerTransformer(method=method, standardize=False).fit(positive)
    fitted.lambdas_ = np.array([0.0, 2.0, 1e-17, 12.0])
    agrees(fitted, positive if method == "box-cox" else rows, power.NAME)


def test_box_cox_agrees_and_what_it_refuses_is_not_a_number(rows: Array) -> None:
    positive = np.abs(rows) ** 3 + 0.01
    accepted = agrees(PowerTransformer(method="box-cox").fit(positive), positive, power.NAME)
    answered = accepted.session.answer({"X": np.array([[0.0, -1.0, -0.0, 1.0]])}, ["transform"])["transform"]
    assert np.isnan(answered[0, :3]).all()


def test_powers_of_columns_with_holes_agree(rows: Array) -> None:
    holed = np.where(np.arange(len(rows))[:, None] == 3, np.nan, rows)
    assert agrees(PowerTransformer().fit(holed), rows, power.NAME).signature.inputs[0].allow_nan


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
@pytest.mark.parametrize("count", [1, 2, 32, 33, 200])
def test_quantiles_agree(distribution: str, count: int, rows: Array) -> None:
    agrees(QuantileTransformer(output_distribution=distribution, n_quantiles=count).fit(rows), rows, quantiles.NAME)


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_repeated_values_constants_and_holes_agree(distribution: str, rows: Array) -> None:
    grid = np.c_[np.round(rows), np.full(len(rows), 3.0)]
    grid[5, 1] = np.nan
    fitted = QuantileTransformer(output_distribution=distribution, n_quantiles=150).fit(grid)
    assert agrees(fitted, np.nan_to_num(grid), quantiles.NAME).signature.inputs[0].allow_nan


def test_a_thousand_quantiles_are_written_in_seconds(rows: Array) -> None:
    many = np.random.default_rng(4).normal(size=(2000, 3))
    fitted = make_pipeline(QuantileTransformer(output_distribution="normal"), Ridge()).fit(many, many[:, 0])
    start = time.monotonic()
    agrees(fitted, many, quantiles.NAME)
    assert time.monotonic() - start < 20


def test_the_normal_quantile_is_scipys_to_the_last_digits() -> None:
    even = np.linspace(0, 1, 4001)[:, None]
    fitted = QuantileTransformer(output_distribution="normal", n_quantiles=2).fit(even)
    accepted = agrees(fitted, even, quantiles.NAME)
    inner = np.r_[np.geomspace(3e-7, 0.5, 500), 1 - np.geomspace(3e-7, 0.5, 500)][:, None]
    answered = accepted.session.answer({"X": inner}, ["transform"])["transform"]
    np.testing.assert_allclose(answered, fitted.transform(inner), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    "options", [{}, {"sublinear_tf": True}, {"norm": "l1"}, {"norm": None, "smooth_idf": False}, {"use_idf": False}]
)
def test_term_weights_agree_and_empty_rows_stay_empty(options: dict[str, Any], rows: Array) -> None:
    counts = np.abs(np.round(rows)) * (np.arange(len(rows)) % 4 > 0)[:, None]
    counts[1] += 1.0
    accepted = agrees(TfidfTransformer(**options).fit(counts), counts, term_weights.NAME)
    answered = accepted.session.answer({"X": np.zeros((1, 4))}, ["transform"])["transform"]
    np.testing.assert_array_equal(answered, np.zeros((1, 4)))
