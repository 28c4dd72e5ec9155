"""Which inputs does the fitted object take, and how are rows handed to scikit-learn and to the graph?

Canonical rows are feeds at full precision: a dict of input name -> array whose first axis is rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from conversion.errors import Refused
from conversion.learned import scale
from conversion.methods import check_servable
from conversion.steps import steps_of, unwrap
from serving.signature import Array

Feeds = Mapping[str, Array]


@dataclass(frozen=True)
class Column:
    """One input: `X` of `width` features, or one named column. `text` says that it holds strings.

    The rest is what the object has learned of the column, for making rows.
    """

    name: str
    width: int
    text: bool
    categories: tuple[Any, ...] = ()
    words: tuple[str, ...] = ()
    centre: float = 0.0
    spread: float = 1.0


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
    if hasattr(first, "vocabulary_") or hasattr(first, "vocabulary"):
        return Schema((Column("X", 1, text=True, words=_words(first)),))
    if hasattr(first, "transformers_"):
        return _of_columns(first)
    width = getattr(estimator, "n_features_in_", None) or getattr(first, "n_features_in_", None)
    width = 1 if width is None and hasattr(first, "X_thresholds_") else width
    if width is None:
        raise Refused(
            f"{type(estimator).__name__} does not say how many features it takes (n_features_in_ is missing); is it fitted?"
        )
    categories = getattr(first, "categories_", None)
    if categories is not None and any(np.asarray(c).dtype.kind in "OUS" for c in categories):
        names = getattr(first, "feature_names_in_", [f"x{i}" for i in range(int(width))])
        return Schema(tuple(_column(str(n), list(c)) for n, c in zip(names, categories, strict=True)))
    return Schema((Column("X", int(width), text=False),), _names(first))


def _words(vectorizer: Any) -> tuple[str, ...]:
    return tuple(str(word) for word in list(getattr(vectorizer, "vocabulary_", ()))[:200])


def _names(first: Any) -> tuple[str, ...]:
    return tuple(str(name) for name in getattr(first, "feature_names_in_", ()))


def _column(name: str, categories: list[Any]) -> Column:
    text = any(isinstance(category, str) for category in categories)
    return Column(name, 1, text, tuple(categories))


def _of_columns(first: Any) -> Schema:
    """One input for each column that is read when some column holds text; else one table."""
    names = _names(first)
    width = int(first.n_features_in_)
    columns = {i: Column(names[i] if names else f"x{i}", 1, text=False) for i in range(width)}
    used: set[int] = set()
    for _, transformer, selected in first.transformers_:
        positions = _positions(selected, names, width)
        used |= set() if isinstance(transformer, str) and transformer == "drop" else set(positions)
        if isinstance(transformer, str):
            continue
        inner = unwrap(steps_of(transformer)[0])
        if hasattr(inner, "vocabulary_"):
            columns |= {i: Column(columns[i].name, 1, text=True, words=_words(inner)) for i in positions}
        elif hasattr(inner, "categories_"):
            for i, categories in zip(positions, inner.categories_, strict=True):
                columns[i] = _column(columns[i].name, list(categories))
        else:
            for i, centre, spread in zip(positions, *scale(inner, len(positions)), strict=True):
                columns[i] = replace(columns[i], centre=float(centre), spread=float(spread))
    if not any(column.text for column in columns.values()):
        return Schema((Column("X", width, text=False),), names)
    return Schema(tuple(columns[i] for i in sorted(used)), names)


def _positions(selected: Any, names: tuple[str, ...], width: int) -> list[int]:
    if isinstance(selected, slice):
        return list(range(width))[selected]
    if isinstance(selected, str | int):
        selected = [selected]
    chosen = np.asarray(selected)
    if chosen.dtype == bool:
        return [int(i) for i in np.flatnonzero(chosen)]
    return [names.index(str(s)) if isinstance(s, str) else int(s) for s in chosen.tolist()]
