"""Which parts of the catalogue are nearest? Exact: every part is looked at.

Knows of no shapes, only of points whose distance means something.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.contour import Array

Rows = NDArray[np.intp]


class Index:
    """(n, d) points, once; then any number of questions."""

    def __init__(self, points: NDArray[np.floating[Any]]) -> None:
        self._points = np.array(points, dtype=np.float32, order="C")
        # Taken from their middle, as float32 keeps few digits of a difference between large squares.
        self._middle = self._points.mean(axis=0) if len(points) else np.zeros(points.shape[1], np.float32)
        self._points -= self._middle
        self._squares = np.einsum("ij,ij->i", self._points, self._points)
        self._exact = points

    def __len__(self) -> int:
        return len(self._exact)

    def nearest(self, query: Array, k: int) -> tuple[Rows, Array]:
        """query (d,) -> rows (min(k, n),) and their distances, nearest first; among equals the earlier row."""
        k = min(k, len(self))
        point = np.asarray(query, dtype=np.float32) - self._middle
        rough = self._squares - 2.0 * (self._points @ point)
        # A few more than asked for, so that rounding at the last place loses nobody.
        some = min(k + 16, len(self))
        rows = np.sort(np.argpartition(rough, some - 1)[:some]) if some < len(self) else np.arange(len(self))
        distance = np.linalg.norm(self._exact[rows] - query, axis=1)
        order = np.argsort(distance, kind="stable")[:k]
        return rows[order], distance[order]
