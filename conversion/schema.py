"""Which inputs does the fitted object take, and how are rows handed to scikit-learn and to the graph?

Canonical rows are feeds at full precision: a dict of input name -> array whose first axis is rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from conversion.errors import Refused
from conversion.features import facts_of, words_of
from conversion.methods import check_servable
from conversion.steps import steps_of, unwrap
from serving.signature import Array

Feeds = Mapping[str, Array]


@dataclass(frozen=True)
class Column:
    """One input: `X` of `width` features, or one named column. `text` says that it holds strings.

    The rest is what the object has learned of the column, for making rows: the `categories` of a named column, and for a
    table `codes`, the known values of each feature, with an empty tuple where it has learned none.
    """

    name: str
    width: int
    text: bool
    categories: tuple[Any, ...] = ()
    words: tuple[str, ...] = ()
    centre: float = 0.0
    spread: float = 1.0
    codes: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class Schema:
    """The inputs in the order of the fitted columns; `names` are all columns of the fitted data frame, used or not."""

    columns: tuple[Column, ...]
    names: tuple[str, ...] = ()

    @property
    def fitted(self) -> tuple[str, ...]:
        """Every column's name, with those that no step reads, in the order in which the object was fitted."""
        return tuple(column.name for column in self.columns) if self.table or not self.names else self.names

    @property
    def table(self) -> bool:
        """Is it one numeric table `X`?"""
        return len(self.columns) == 1 and self.columns[0].name == "X" and not self.columns[0].text

    def native(self, feeds: Feeds) -> Any:
        """The rows as scikit-learn takes them: a float64 array, a list of texts, or a data frame."""
        if self.table:
            rows = feeds["X"].astype(np.float64)
            return pd.DataFrame(rows, columns=list(self.names)) if self.names else rows
        if len(self.columns) == 1 and self.columns[0].name == "X":
            return feeds["X"][:, 0].tolist()
        missing = np.full(len(next(iter(feeds.values()))), np.nan)
        return pd.DataFrame({name: feeds[name][:, 0] if name in feeds else missing for name in self.fitted})

    def cast(self, feeds: Feeds, real: np.dtype[Any]) -> dict[str, Array]:
        """The rows as a graph takes them whose numbers are `real`."""
        return {column.name: feeds[column.name] if column.text else feeds[column.name].astype(real) for column in self.columns}


def schema_of(estimator: Any) -> Schema:
    """The inputs of a fitted object. Raises Refused when it does not say how many features it takes."""
    check_servable(estimator)
    first = unwrap(steps_of(estimator)[0])
    words = words_of(estimator)
    if words is not None:
        return Schema((Column("X", 1, text=True, words=words),))
    width = getattr(estimator, "n_features_in_", None) or getattr(first, "n_features_in_", None)
    width = 1 if width is None and hasattr(first, "X_thresholds_") else width
    if width is None:
        raise Refused(
            f"{type(estimator).__name__} does not say how many features it takes (n_features_in_ is missing); is it fitted?"
        )
    return _of_columns(facts_of(estimator, int(width)), int(width), _names(estimator) or _names(first))


def _names(first: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in getattr(first, "feature_names_in_", ()))


def _of_columns(facts: dict[int, dict[str, Any]], width: int, names: tuple[str, ...]) -> Schema:
    """One input for each column that is read when some column holds text; else one table."""
    if not any(known.get("text") for known in facts.values()):
        codes = tuple(tuple(float(one) for one in facts.get(i, {}).get("categories", ())) for i in range(width))
        return Schema((Column("X", width, text=False, codes=codes if any(codes) else ()),), names)
    plain = {"text": False}
    columns = [Column(names[i] if names else f"x{i}", 1, **plain | facts[i]) for i in sorted(facts)]
    return Schema(tuple(columns), names)
