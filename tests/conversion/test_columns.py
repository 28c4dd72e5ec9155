"""Is each part of a column transformer given its very columns, of whatever type, wherever the transformer stands?"""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.ensemble import VotingRegressor
from sklearn.feature_extraction import DictVectorizer, FeatureHasher
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    MultiLabelBinarizer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
    TargetEncoder,
)

from conversion.column_rows import with_codes
from conversion.errors import Refused
from conversion.schema import schema_of
from conversion.search import search
from tests.conversion.asking import question
from tests.conversion.frames import frame, holds, target
from tests.conversion.unrepaired import as_it_comes

Parts = list[tuple[str, Any, Any]]


def one_hot(**given: Any) -> OneHotEncoder:
    return OneHotEncoder(handle_unknown="ignore", **given)


def ordinal(**given: Any) -> OrdinalEncoder:
    return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, **given)


SELECTED: dict[str, Parts] = {
    "slices": [("n", StandardScaler(), slice(None, 2)), ("c", one_hot(), slice("k", "m")), ("d", one_hot(), slice(-1, None))],
    "masks": [("n", StandardScaler(), [True, True] + [False] * 7), ("c", one_hot(), np.arange(9) == 3)],
    "selectors": [
        ("n", StandardScaler(), make_column_selector(dtype_include="number")),
        ("c", one_hot(), make_column_selector(dtype_include="category")),
    ],
    "out of order and again": [
        ("c", one_hot(), ["k", "flag", "i"]), ("o", ordinal(), ["m", "k"]), ("x", "passthrough", ["b", "flag", "a"]),
    ],
    "one inside another": [
        ("in", make_column_transformer((one_hot(), ["m"]), (StandardScaler(), ["a"])), ["a", "m"]), ("c", ordinal(), ["k"]),
    ],
    "a union inside": [
        ("u", FeatureUnion([("s", StandardScaler()), ("p", PCA(1))], transformer_weights={"p": 2.5}), ["a", "b"]),
        ("c", one_hot(), ["k"]),
    ],
    "text without gaps": [
        ("c", make_pipeline(SimpleImputer(strategy="most_frequent"), one_hot()), ["k", "m"]), ("n", "drop", ["a"]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("parts", SELECTED.values(), ids=SELECTED)
def test_every_part_is_given_its_columns(parts: Parts) -> None:
    fitted = ColumnTransformer(parts, transformer_weights={"c": 0.5}).fit(frame())
    assert "columns" in holds(fitted, frame()).repairs


@pytest.mark.parametrize("remainder", ["passthrough", StandardScaler()])
def test_the_remainder_comes_last(remainder: Any) -> None:
    seen = frame()[["k", "a", "m", "b", "flag"]]
    holds(ColumnTransformer([("c", one_hot(), ["k", "m"])], remainder=remainder).fit(seen), seen)


@pytest.mark.parametrize("columns", [[2, 0, 1], [True, False, True]])
def test_a_later_transformer_chooses_by_position(columns: list[int]) -> None:
    seen = frame()[["a", "b", "i"]]
    holds(make_pipeline(StandardScaler(), ColumnTransformer([("n", "passthrough", columns)])).fit(seen), seen)


def test_names_are_known_after_a_step_that_gives_a_data_frame() -> None:
    seen = frame()[["a", "b", "i"]]
    columns = ColumnTransformer([("n", "passthrough", ["i", "a"])], verbose_feature_names_out=False)
    holds(make_pipeline(StandardScaler(), columns).set_output(transform="pandas").fit(seen), seen)


def test_skl2onnx_leaves_all_columns_in_the_order_in_which_they_came() -> None:
    seen = frame()[["a", "b", "i"]].to_numpy()
    fitted = make_pipeline(ColumnTransformer([("n", "passthrough", [2, 0, 1])]), Ridge()).fit(seen, target())
    with as_it_comes(), pytest.raises(Refused, match="rows are out of tolerance"):
        search(question(fitted))


def test_an_ensemble_reads_the_columns_that_its_members_read() -> None:
    members = [
        ("p", make_pipeline(make_column_transformer((one_hot(), ["k"]), (StandardScaler(), ["a"])), Ridge())),
        ("q", make_pipeline(make_column_transformer((ordinal(), ["m"]), ("passthrough", ["b"])), Ridge())),
    ]
    accepted = holds(VotingRegressor(members).fit(frame(), target()), frame())
    assert [one.name for one in accepted.signature.inputs] == ["a", "b", "k", "m"]


@pytest.mark.parametrize(("kind", "smooth"), [("binary", "auto"), ("multiclass", "auto"), ("continuous", 5.0)])
def test_categories_become_what_their_targets_were(kind: str, smooth: Any) -> None:
    targets = {"binary": target() > 5, "multiclass": np.digitize(target(), [4, 6]), "continuous": target()}
    seen = frame()[["k", "i", "m"]]
    assert holds(TargetEncoder(random_state=0, smooth=smooth).fit(seen, targets[kind]), seen).repairs == ("encoders",)


@pytest.mark.parametrize(
    ("unknown", "given"),
    [(np.nan, {}), (-1, {"min_frequency": 70}), (99, {"dtype": np.int64}), (-1, {"encoded_missing_value": -7})],
)
def test_categories_are_numbered(unknown: Any, given: dict[str, Any]) -> None:
    seen = frame()[["i", "b"]].round(-1)
    if "dtype" not in given:
        seen.loc[::7, "b"] = np.nan
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=unknown, **given)
    holds(encoder.fit(seen.to_numpy(np.float64)), seen)


def test_missing_text_cannot_be_sent() -> None:
    seen = frame()[["k", "a"]]
    seen.loc[::5, "k"] = None
    with pytest.raises(Refused, match="fill the gaps in before the model"):
        schema_of(make_column_transformer((one_hot(), ["k"])).fit(seen))


def test_dates_are_refused_by_name() -> None:
    seen = frame().assign(day=pd.Timestamp("2026-01-01"))
    with pytest.raises(Refused, match="categories are dates"):
        schema_of(make_column_transformer((one_hot(), ["day", "k"])).fit(seen))


def test_a_table_says_which_codes_are_known() -> None:
    seen = frame()[["a", "i"]]
    schema = schema_of(make_column_transformer((OneHotEncoder(), ["i"]), (StandardScaler(), ["a"])).fit(seen))
    assert schema.table
    assert schema.columns[0].codes == ((), (0.0, 1.0, 2.0, 3.0, 4.0))


def test_rows_of_a_table_can_be_drawn_from_its_codes() -> None:
    seen = frame()[["a", "i"]]
    encoder = make_column_transformer((OneHotEncoder(), ["i"]), (StandardScaler(), ["a"])).fit(seen)
    rng = np.random.default_rng(0)
    rows = with_codes(rng.standard_normal((50, 2)), schema_of(encoder).columns[0], rng)
    assert set(rows[:, 1]) == {0.0, 1.0, 2.0, 3.0, 4.0}
    assert encoder.transform(pd.DataFrame(rows, columns=["a", "i"])).shape == (50, 6)


def test_hashed_words_are_refused_with_a_remedy() -> None:
    with pytest.raises(Refused, match="fit a CountVectorizer or TfidfVectorizer instead"):
        schema_of(make_column_transformer((HashingVectorizer(), "text")).fit(frame()))


@pytest.mark.parametrize(
    ("estimator", "rows"),
    [(DictVectorizer(), [{"a": 1}]), (FeatureHasher(), [{"a": 1}]), (MultiLabelBinarizer(), [{"a"}])],
)
def test_what_takes_no_table_is_refused_with_a_remedy(estimator: Any, rows: Any) -> None:
    with pytest.raises(
        Refused,
        match=r"takes mappings of names .* build the table|turns labels into numbers .* the classifier",
    ):
        schema_of(estimator.fit(rows))
