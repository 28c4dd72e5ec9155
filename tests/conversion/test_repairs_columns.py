"""Are numbers transformed, cut into bins and looked up as scikit-learn does it, before and after a model?"""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)

from conversion.errors import Refused
from conversion.search import search
from tests.conversion.asking import question
from tests.conversion.test_repairs_neighbours import check
from tests.conversion.unrepaired import as_it_comes

Array = np.ndarray[Any, Any]
COVERED = [
    None, np.log1p, np.expm1, np.exp, np.square, np.cbrt, np.sin, np.cos, np.tanh, np.abs, np.sign, np.rint, np.trunc,
    np.floor, np.ceil, np.exp2, np.negative, np.deg2rad, np.rad2deg, np.log, np.log2, np.log10, np.sqrt, np.reciprocal,
]  # fmt: skip


@pytest.mark.parametrize("function", COVERED)
@pytest.mark.filterwarnings("ignore:invalid value|divide by zero|overflow:RuntimeWarning")
def test_numpys_own_functions_hold(function: Any, rows: Array) -> None:
    check(FunctionTransformer(function).fit(rows), rows, "ufuncs")


def test_skl2onnx_knows_no_function(rows: Array) -> None:
    with as_it_comes(), pytest.raises(Refused, match="FunctionTransformer is not supported unless the transform function"):
        search(question(FunctionTransformer(np.log1p).fit(np.abs(rows))))


def test_another_function_is_refused_by_name(rows: Array) -> None:
    with pytest.raises(Refused, match="the function 'arctan' with arguments None is not covered"):
        search(question(FunctionTransformer(np.arctan).fit(rows)))


@pytest.mark.parametrize("inner", [LinearRegression(), RandomForestRegressor(5, random_state=0)])
@pytest.mark.parametrize(
    "given",
    [
        {"func": np.log1p, "inverse_func": np.expm1},
        {"transformer": StandardScaler()},
        {"transformer": make_pipeline(RobustScaler(), MinMaxScaler((-1, 1)))},
    ],
)
def test_the_target_is_brought_back(inner: Any, given: dict[str, Any], rows: Array) -> None:
    fitted = TransformedTargetRegressor(inner, **given).fit(rows, np.exp(rows[:, 0]))
    check(fitted, rows, "targets")


def test_an_inverse_that_is_not_written_is_refused(rows: Array) -> None:
    with pytest.raises(Refused, match="the inverse of PowerTransformer is not covered"):
        search(question(TransformedTargetRegressor(transformer=PowerTransformer()).fit(rows, rows[:, 0])))


@pytest.mark.parametrize("wrapper", [GridSearchCV, RandomizedSearchCV])
def test_a_search_answers_as_what_it_found(wrapper: Any, rows: Array) -> None:
    given = {"n_iter": 2} if wrapper is RandomizedSearchCV else {}
    inner = make_pipeline(StandardScaler(), LogisticRegression())
    check(wrapper(inner, {"logisticregression__C": [0.1, 1.0]}, **given).fit(rows, rows[:, 0] > 0), rows)


def test_skl2onnx_takes_the_threshold_itself_for_above_it(rows: Array) -> None:
    fitted = Binarizer(threshold=1.0).fit(rows)
    with as_it_comes():
        tried = {one.name: one.verdict for one in search(question(fitted)).tried}
    assert "rows are out of tolerance for 'transform'" in tried["float64"]
    check(fitted, np.round(rows), "bins")


@pytest.mark.parametrize("encode", ["ordinal", "onehot", "onehot-dense"])
@pytest.mark.parametrize("strategy", ["uniform", "kmeans"])
def test_bins_have_the_very_edges(encode: str, strategy: str, rows: Array) -> None:
    fitted = KBinsDiscretizer(4, encode=encode, strategy=strategy).fit(rows)
    check(fitted, rows, "bins")


def test_a_scaler_before_bins_is_not_rounded(rows: Array) -> None:
    bins = KBinsDiscretizer(4, strategy="uniform")
    fitted = make_pipeline(StandardScaler(), bins, LogisticRegression()).fit(rows, rows[:, 0] > 0)
    assert search(question(fitted)).candidate.name == "float64"


def test_skl2onnx_takes_a_fraction_for_the_whole_number_below_it(rows: Array) -> None:
    whole = np.round(rows).clip(0, 3)
    with as_it_comes(), pytest.raises(Refused, match="rows are out of tolerance for 'transform'"):
        search(question(OneHotEncoder(handle_unknown="ignore").fit(whole)))


@pytest.mark.parametrize("unknown", ["ignore", "infrequent_if_exist"])
@pytest.mark.parametrize(
    "given", [{}, {"drop": "first"}, {"drop": "if_binary"}, {"min_frequency": 40}, {"sparse_output": False}]
)
@pytest.mark.filterwarnings("ignore:Found unknown categories:UserWarning")
def test_numbers_are_categories_as_they_are(unknown: str, given: dict[str, Any], rows: Array) -> None:
    whole = np.round(rows[:, :2]).clip(0, 3)
    check(OneHotEncoder(handle_unknown=unknown, **given).fit(whole), whole, "one_hot")
    whole[::9, 0] = np.nan
    check(OneHotEncoder(handle_unknown=unknown, **given).fit(whole), whole, "one_hot")


@pytest.mark.filterwarnings("ignore:Found unknown categories:UserWarning")
def test_text_and_numbers_stand_side_by_side(rows: Array) -> None:
    table = pd.DataFrame({"kind": np.resize(["a", "ü", "b"], len(rows)), "count": np.round(rows[:, 0]), "x": rows[:, 1]})
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=30), ["kind", "count"]), (StandardScaler(), ["x"])
    )
    accepted = search(question(make_pipeline(columns, LogisticRegression()).fit(table, rows[:, 2] > 0)))
    assert [one.name for one in accepted.signature.inputs] == ["kind", "count", "x"]
