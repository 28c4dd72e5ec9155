"""Does an outline cross itself, and is what it cuts off there more than noise?

Arithmetic on points in the frame of the chord; the caller says how low a lobe may be.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recommender.drawing import Array

Rows = NDArray[np.intp]

# Across the chord, give or take what a cambered tail leans: noise makes lobes that are long, never such as are high.
_ANGLES = np.radians(np.arange(70.0, 111.0, 2.5))
_DIRECTIONS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)])
# Noise crosses a segment a few times; a scribble does so with most of the others.
_PAIRS_PER_POINT = 10


def crossing(points: Array, low: float) -> tuple[int, int, Array] | None:
    """Where an open line of (n, 2) points crosses itself and cuts off the highest lobe, or None where none is over `low`.

    Gives the points at which the two segments begin, and the place. Of the two lobes at a crossing the lower one counts:
    a reversed tail is as high as it is, a knot or a thin tail is not.
    """
    first, second = _pairs(points)
    if not len(first):
        return None
    start, end = _side(points, first, second), _side(points, first, second + 1)
    places = points[second] + (start / (start - end))[:, None] * (points[second + 1] - points[second])
    height = _lobes(points, first, second, places)
    worst = int(height.argmax())
    if height[worst] <= low and len(first) <= _PAIRS_PER_POINT * len(points):
        return None
    return int(first[worst]), int(second[worst]), places[worst]


def _pairs(points: Array) -> tuple[Rows, Rows]:
    """Segments that cross, by a sweep in x: each is held against those that begin before it ends, and against no others."""
    low, high = np.minimum(points[:-1], points[1:]), np.maximum(points[:-1], points[1:])
    order = np.argsort(low[:, 0], kind="stable")
    (left, bottom), (right, top) = low[order].T, high[order].T
    found, count, at, step = [np.zeros((2, 0), dtype=np.intp)], 0, np.arange(len(order) - 1), 1
    while len(at) and count <= _PAIRS_PER_POINT * len(points):
        at = at[right[at] >= left[at + step]]
        near = at[(bottom[at] <= top[at + step]) & (bottom[at + step] <= top[at])]
        pair = np.sort(np.stack([order[near], order[near + step]]), axis=0)
        # Neighbours share a point.
        pair = pair[:, pair[1] - pair[0] > 1]
        pair = pair[:, _parted(points, *pair) & _parted(points, *pair[::-1])]
        found.append(pair)
        count, step = count + pair.shape[1], step + 1
        at = at[at + step < len(order)]
    first, second = np.concatenate(found, axis=1)
    return first, second


def _parted(points: Array, line: Rows, other: Rows) -> NDArray[np.bool_]:
    """Do the ends of the other segment lie on different sides of the line? On it counts as left of it."""
    return np.not_equal(_side(points, line, other) >= 0.0, _side(points, line, other + 1) >= 0.0)


def _side(points: Array, line: Rows, point: Rows) -> Array:
    along, to = points[line + 1] - points[line], points[point] - points[line]
    return np.asarray(along[:, 0] * to[:, 1] - along[:, 1] * to[:, 0], dtype=np.float64)


def _lobes(points: Array, first: Rows, second: Rows, places: Array) -> Array:
    """The height of the lower of the two lobes that meet at each place."""
    reach = np.concatenate([points @ _DIRECTIONS, points @ -_DIRECTIONS], axis=1)
    place = np.concatenate([places @ _DIRECTIONS, places @ -_DIRECTIONS], axis=1)
    rest = np.maximum(np.maximum.accumulate(reach)[first], np.maximum.accumulate(reach[::-1])[::-1][second + 1])
    # The maximum over any rows is that of two blocks of 1, 2, 4, ... rows.
    inner, block, level = place.copy(), reach, np.log2(second - first).astype(int)
    for one in range(int(level.max()) + 1):
        rows = np.flatnonzero(level == one)
        inner[rows] = np.maximum(block[first[rows] + 1], block[second[rows] + 1 - (1 << one)])
        block = np.maximum(block[: -(1 << one)], block[1 << one :])
    half = len(_ANGLES)
    heights = [(lobe[:, :half] + lobe[:, half:]).min(axis=1) for lobe in (np.maximum(inner, place), np.maximum(rest, place))]
    return np.asarray(np.minimum(*heights), dtype=np.float64)
