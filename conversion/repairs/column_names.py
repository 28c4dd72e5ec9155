"""A ColumnTransformer that selects by name is translated from one unnamed table `X`.

skl2onnx looks names up among the graph's inputs, so a numeric table fitted as a data frame has none to find.
"""

import copy
from typing import Any

NAME = "column_names"


def applies(step: Any) -> bool:
    return hasattr(step, "transformers_") and hasattr(step, "feature_names_in_")


def by_position(step: Any) -> Any:
    """A copy whose columns are numbers; the fitted object stays as it is."""
    names = [str(name) for name in step.feature_names_in_]
    changed = copy.copy(step)
    changed.transformers_ = [(name, inner, _positions(columns, names)) for name, inner, columns in step.transformers_]
    return changed


def _positions(columns: Any, names: list[str]) -> Any:
    if isinstance(columns, str):
        return [names.index(columns)]
    if isinstance(columns, slice | int):
        return columns
    return [names.index(column) if isinstance(column, str) else column for column in columns]
