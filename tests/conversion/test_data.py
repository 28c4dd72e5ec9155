"""Are the rows that a user brings read as they are meant, and is what does not fit named by row and column?"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conversion.data import read
from conversion.errors import Unreadable
from conversion.schema import Column, Schema

MIXED = Schema((Column("kind", 1, text=True), Column("size", 1, text=False)), ("size", "kind"))
TABLE = Schema((Column("X", 2, text=False),), ("a", "b"))


def written(frame: pd.DataFrame, folder: Path) -> Path:
    path = folder / "rows.csv"
    frame.to_csv(path, index=False)
    return path


def test_columns_are_found_by_name_in_any_order_beside_others(tmp_path: Path) -> None:
    path = written(pd.DataFrame({"more": [1], "size": [2.5], "kind": ["x"]}), tmp_path)
    feeds = read(path, "", MIXED)
    assert {name: array.tolist() for name, array in feeds.items()} == {"kind": [["x"]], "size": [[2.5]]}


def test_a_missing_number_is_asked_as_nan(tmp_path: Path) -> None:
    path = written(pd.DataFrame({"b": [1.0, None], "a": [2, 3]}), tmp_path)
    assert np.array_equal(read(path, "", TABLE)["X"], np.array([[2, 1], [3, np.nan]]), equal_nan=True)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ({"kind": ["x", None], "size": [1, 2]}, "row 1 has no text in column 'kind'"),
        ({"kind": ["x", "y"], "size": [1, "big"]}, "row 1 has 'big' in column 'size', where a number is wanted"),
        ({"kind": ["x"]}, "column 'size' is missing"),
        ({"kind": ["x"], "size": [np.inf]}, "row 0, column 0 is infinite"),
    ],
)
def test_what_does_not_fit_is_named(frame: dict[str, list[object]], said: str, tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=said):
        read(written(pd.DataFrame(frame), tmp_path), "", MIXED)
