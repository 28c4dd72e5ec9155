"""Which estimators does a fitted object hold, and how do rows of the object become the rows that each of them sees?

A forest behind a scaler sees scaled rows, a bagged tree some columns, the classifier under a threshold what its wrapper sees.
`back` makes rows of the object from rows that an inner estimator shall see, where every step on the way has an inverse.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline

from serving.signature import Array

# Fitted estimators that see the rows of the one that holds them.
_ONE = ("best_estimator_", "estimator_", "regressor_", "base_estimator_", "init_")
_MANY = ("estimators_", "calibrated_classifiers_")


class Passage(Protocol):
    """One step of the way; `back` takes the rows before the step as well, for what the step drops."""

    def forward(self, rows: Array) -> Array: ...
    def back(self, rows: Array, before: Array) -> Array: ...


class NoWay(Exception):
    """A step that rows cannot be taken through, or back."""


@dataclass(frozen=True)
class Columns:
    """Some columns, in this order."""

    at: tuple[int, ...]

    def forward(self, rows: Array) -> Array:
        return rows[:, self.at]

    def back(self, rows: Array, before: Array) -> Array:
        changed = before.copy()
        changed[:, self.at] = rows
        return changed


@dataclass(frozen=True)
class Through:
    """A transformer."""

    step: Any

    def forward(self, rows: Array) -> Array:
        try:
            made = self.step.transform(rows)
        except (ValueError, TypeError, AttributeError, IndexError) as error:
            raise NoWay(str(error)) from None
        return np.asarray(made.toarray() if hasattr(made, "toarray") else made, np.float64)

    def back(self, rows: Array, before: Array) -> Array:
        if isinstance(self.step, ColumnTransformer):
            return _back_to_columns(self.step, rows, before)
        if isinstance(self.step, SimpleImputer) and rows.shape[1] == before.shape[1]:
            return rows
        try:
            made = np.asarray(self.step.inverse_transform(rows))
        except (ValueError, TypeError, AttributeError, IndexError) as error:
            raise NoWay(str(error)) from None
        if made.shape != before.shape or made.dtype.kind not in "iuf":
            raise NoWay(f"{type(self.step).__name__} has no inverse of numbers")
        return made.astype(np.float64)


@dataclass(frozen=True)
class View:
    """An estimator and the way from the object's rows to its own."""

    estimator: Any
    way: tuple[Passage, ...] = ()

    def forward(self, rows: Array) -> Array:
        """Raises NoWay."""
        for passage in self.way:
            rows = passage.forward(rows)
        return rows

    def back(self, rows: Array, base: Array) -> Array:
        """Rows of the object, as many as `base`, whose inner rows are `rows` as nearly as the inverses allow. Raises NoWay."""
        before = []
        for passage in self.way:
            before.append(base)
            base = passage.forward(base)
        for passage, seen in zip(reversed(self.way), reversed(before), strict=True):
            rows = passage.back(rows, seen)
        return rows


def views(estimator: Any, way: tuple[Passage, ...] = ()) -> Iterator[View]:
    """The object itself and everything it holds, the outermost first."""
    yield View(estimator, way)
    for inner, further in _held(estimator):
        yield from views(inner, way + further)


def _held(estimator: Any) -> Iterator[tuple[Any, tuple[Passage, ...]]]:
    if isinstance(estimator, Pipeline):
        before: tuple[Passage, ...] = ()
        for _, step in estimator.steps:
            if step is not None and not isinstance(step, str):
                yield step, before
                before = (*before, Through(step))
    elif isinstance(estimator, ColumnTransformer):
        for name, inner, _ in getattr(estimator, "transformers_", []):
            if not isinstance(inner, str):
                yield inner, (Columns(_positions(estimator, name)),)
    elif isinstance(estimator, FeatureUnion):
        yield from ((inner, ()) for _, inner in estimator.transformer_list if not isinstance(inner, str))
    else:
        yield from _wrapped(estimator)


def _wrapped(estimator: Any) -> Iterator[tuple[Any, tuple[Passage, ...]]]:
    if isinstance(estimator, FrozenEstimator) or (hasattr(estimator, "threshold") and not hasattr(estimator, "estimator_")):
        yield from [(estimator.estimator, ())] if hasattr(estimator, "estimator") else []
    for name in _ONE:
        # Beside `estimators_` stands the unfitted one that they are copies of.
        inner = None if name == "estimator_" and hasattr(estimator, "estimators_") else getattr(estimator, name, None)
        if hasattr(inner, "get_params"):
            yield inner, ()
    for name in _MANY:
        members = getattr(estimator, name, None)
        if not isinstance(members, list | np.ndarray):
            continue
        seen = getattr(estimator, "estimators_features_", None)
        for number, member in enumerate(_flat(members)):
            member = member if hasattr(member, "get_params") else getattr(member, "estimator", None)
            if hasattr(member, "get_params"):
                yield member, () if seen is None else (Columns(tuple(int(i) for i in seen[number])),)

    if hasattr(estimator, "final_estimator_"):
        yield estimator.final_estimator_, (Through(estimator),)


def _flat(members: Any) -> list[Any]:
    """numpy would take a pipeline for a list of its steps."""
    if isinstance(members, list | np.ndarray):
        return [inner for one in members for inner in _flat(one)]
    return [members]


def _positions(transformer: ColumnTransformer, name: str) -> tuple[int, ...]:
    return tuple(int(i) for i in transformer._transformer_to_input_indices[name])


def _back_to_columns(transformer: ColumnTransformer, rows: Array, before: Array) -> Array:
    """Every part through its own inverse; columns whose part has none stay as they were."""
    changed = before.copy()
    for name, inner, _ in transformer.transformers_:
        at, part = list(_positions(transformer, name)), rows[:, transformer.output_indices_[name]]
        if isinstance(inner, str):
            if inner == "passthrough":
                changed[:, at] = part
            continue
        try:
            changed[:, at] = Through(inner).back(part, before[:, at])
        except NoWay:
            continue
    return changed
