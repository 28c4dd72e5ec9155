"""A data frame of every kind of column, and a check of what was converted against rows of its own."""

from typing import Any

import numpy as np
import pandas as pd

from conversion.parity import asked, compared
from conversion.rows import RowSet
from conversion.search import Accepted, search
from tests.conversion.asking import question

ROWS = 240


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    made = pd.DataFrame({"a": rng.normal(5, 2, ROWS), "b": rng.normal(0, 100, ROWS), "i": rng.integers(0, 5, ROWS)})
    made["k"] = rng.choice(["x", "yy", "zé"], ROWS)
    made["m"] = rng.choice(["low", "High", " mid "], ROWS)
    made["flag"] = rng.random(ROWS) < 0.5
    made["text"] = [" ".join(rng.choice("wing flap the good bad Ärger".split(), 5)) for _ in range(ROWS)]
    made["category"], made["string"] = made.k.astype("category"), made.m.astype("string")
    return made


def target() -> Any:
    made = frame()
    return made.a.to_numpy() + 3 * (made.k == "x") - (made.m == "low")


def holds(estimator: Any, rows: pd.DataFrame) -> Accepted:
    """Searches, then compares on the rows that it was fitted on, all of which scikit-learn must answer."""
    asking = question(estimator)
    accepted = search(asking)
    if asking.schema.table:
        feeds = {"X": rows.to_numpy(np.float64)}
    else:
        feeds = {c.name: rows[[c.name]].to_numpy(object if c.text else np.float64) for c in asking.schema.columns}
    one = asked(asking.ask, RowSet("fitted", feeds), asking.tie)
    assert not one.refused.size
    for finding in compared(accepted.session, one, asking.tolerance):
        assert finding.gap.passed, str(finding)
    return accepted
