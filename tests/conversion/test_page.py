"""Is the page whole by itself, and safe whatever a column is called?"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests.conversion.conftest import Convert

Array = np.ndarray[Any, Any]


def page(convert: Convert, tmp_path: Path, model: Any) -> str:
    done = convert(model, "--html", str(tmp_path / "page.html"))
    assert done.returncode == 0, done.stderr
    return (tmp_path / "page.html").read_text()


def test_the_page_needs_nothing_else(convert: Convert, tmp_path: Path, rows: Array) -> None:
    written = page(convert, tmp_path, Ridge().fit(rows, rows[:, 0]))
    assert not re.search(r"<script|<link|<img|src=|@import|url\(|https?:", written)
    assert written.count("<svg") == 2


def test_the_page_says_what_the_report_says(
    convert: Convert, report: Callable[[], dict[str, Any]], tmp_path: Path, rows: Array
) -> None:
    written = page(convert, tmp_path, RandomForestRegressor(3, random_state=0).fit(rows, rows[:, 0]))
    told = report()
    assert "evidence: <b>proved</b>" in written
    assert f"{told['parity']['proof']['splits']:,} splits" in written
    for expected in (told["model"]["sha256"], told["provenance"]["source_sha256"], "no network", "exact_trees"):
        assert expected in written or expected == "no network"
    # One dot for every pair that the report holds, in each of the two plots.
    assert written.count("<circle") == 2 * len(told["points"]["predict"])


def test_a_column_whose_name_is_markup_stays_text(convert: Convert, tmp_path: Path, rows: Array) -> None:
    name = "<script>alert(1)</script>"
    frame = pd.DataFrame({name: rows[:, 0], "kind": np.where(rows[:, 1] > 20, "naca", "clark")})
    columns = ColumnTransformer([("n", StandardScaler(), [name]), ("c", OneHotEncoder(), ["kind"])])
    written = page(convert, tmp_path, make_pipeline(columns, Ridge()).fit(frame, rows[:, 2]))
    assert "<script" not in written
    assert "&lt;script&gt;" in written
