"""Which numbers does histogram boosting see where it was told that a column holds categories?

HistGradientBoosting puts those columns first, numbered by an OrdinalEncoder, where what is unknown or missing is NaN
(`_preprocess_X`). The numbering is written as trees too: what has no category's exact value falls between them, to NaN.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from conversion.errors import NotCovered
from conversion.trees.ensembles import Ensemble, Tree
from serving.signature import Array


@dataclass(frozen=True)
class Encoding:
    """`codes` gives a number for each column of categories, read from all columns; `others` are the columns that follow."""

    codes: Ensemble
    others: Array


def encoding_of(model: Any) -> Encoding | None:
    """None where no column holds categories. Raises NotCovered for categories that are no numbers."""
    chosen = getattr(model, "is_categorical_", None)
    if chosen is None:
        return None
    columns, others = np.flatnonzero(chosen), np.flatnonzero(~np.asarray(chosen))
    known = model._preprocessor.named_transformers_["encoder"].categories_ if len(columns) else []
    if any(np.asarray(one).dtype.kind not in "fiub" for one in known):
        raise NotCovered("categories that are texts in histogram boosting")
    trees = tuple(
        _numbering(np.asarray(one, np.float64), int(c), k) for k, (one, c) in enumerate(zip(known, columns, strict=True))
    )
    return Encoding(Ensemble(trees, len(columns), "float64"), others)


def _numbering(categories: Array, column: int, target: int) -> Tree:
    """A balanced tree over each category and the number just below it; every second leaf holds a code, the others NaN."""
    values = np.unique(categories[~np.isnan(categories)])
    edges = np.stack([np.nextafter(values, -np.inf), values], axis=1).ravel()
    leaves = np.full(len(edges) + 1, np.nan)
    leaves[1::2] = np.arange(len(values))
    nodes: list[tuple[float, int, int, float]] = []

    def grow(low: int, high: int) -> int:
        number = len(nodes)
        nodes.append((0.0, -1, -1, leaves[low]))
        if low < high:
            middle = (low + high) // 2
            nodes[number] = (edges[middle], grow(low, middle), grow(middle + 1, high), 0.0)
        return number

    grow(0, len(edges))
    threshold, left, right, leaf = (np.array(part) for part in zip(*nodes, strict=True))
    # A missing value goes right at every edge, to where nothing is known.
    same = np.zeros(len(nodes), np.int64)
    return Tree(same + column, threshold, left, right, same.astype(bool), leaf, same + target)
