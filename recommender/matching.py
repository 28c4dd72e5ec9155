"""Which part is this a drawing of, whole or with its trailing edge cut off?

Every part stands in the index whole, and again shortened by every percent up to 12; so a cut drawing meets the same part cut
alike, and nobody has to guess how a cut part went on. And a nose or a tail that is drawn a hair off turns and moves the whole
section in its frame; so sections are compared as they lie on each other best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.catalogue import SHAPE
from recommender.contour import SIDE, STATIONS, Array
from recommender.encoder import Encoder
from recommender.search import Index

# Twelve chances to be near by noise: their distances count this many times. benchmarks/retrieval.py says what else is lost.
DOUBT = 1.25
CUTS: Array = np.arange(1, 13) / 100.0
# Beyond so many parts only whole ones are searched: thirteen times a million points would be 4 GB.
CUT_PARTS_MAX = 50_000


@dataclass(frozen=True)
class Match:
    """A part by its row; `distance` in % chord, RMS, to it as a whole, or with the last `cut` of its chord taken off."""

    row: int
    distance: float
    cut: float

    @property
    def worth(self) -> float:
        """What matches are sorted by, the least first."""
        return (DOUBT if self.cut else 1.0) * self.distance


class Matcher:
    """heights (n, 130) of the parts, whose shape blocks are `shapes` (n, 24)."""

    def __init__(self, heights: Array, shapes: Array, encoder: Encoder) -> None:
        self._encoder = encoder
        self._whole = Index(laid(shapes, encoder))
        cuts = CUTS if len(shapes) <= CUT_PARTS_MAX else CUTS[:0]
        self._cuts = np.repeat(cuts, len(shapes))
        parts = [encoder.encode(shortened(heights, float(cut)))[:, :SHAPE] for cut in cuts]
        self._shortened = Index(laid(np.concatenate(parts) if parts else shapes[:0], encoder))

    def __len__(self) -> int:
        return len(self._whole)

    def nearest(self, shape: Array, k: int) -> list[Match]:
        """shape: (24,). Each part once, by the way that brings it nearest; nearest first."""
        shape = laid(shape, self._encoder)
        found: dict[int, Match] = {}
        whole = zip(*self._whole.nearest(shape, k), strict=True)
        ways = [Match(int(row), float(distance), 0.0) for row, distance in whole]
        # Of one part all cuts may come first, so that k parts need as many times more points.
        for at, distance in zip(*self._shortened.nearest(shape, k * len(CUTS)), strict=True):
            ways.append(Match(int(at) % len(self), float(distance), float(self._cuts[at])))
        for match in ways:
            if match.row not in found or match.worth < found[match.row].worth:
                found[match.row] = match
        return sorted(found.values(), key=lambda match: (match.worth, match.row))[:k]


def laid(shapes: Array, encoder: Encoder) -> Array:
    """Shape blocks (..., 24) without what leaning and moving a section up or down changes."""
    loose = _loose(encoder)
    return np.asarray(shapes - shapes @ loose @ loose.T)


def _loose(encoder: Encoder) -> Array:
    """(24, 2): orthonormal directions of the shape block along which a section leans about its nose, or about its tail."""
    stations = np.tile(STATIONS, 2)
    return np.asarray(np.linalg.qr(encoder.axes @ np.column_stack([stations, 1.0 - stations]))[0])


def shortened(heights: Array, cut: float) -> Array:
    """(n, 130) -> (n, 130): without the last `cut` of the chord, in the frame of what is left.

    The chord turns by so little that turning is leaning: 0.005 % chord RMS from cutting the outline, in the median at 5 %.
    """
    at = _resampling(cut)
    upper, lower = heights[:, :SIDE] @ at, heights[:, SIDE:] @ at
    lean = (upper[:, -1:] + lower[:, -1:]) / 2.0 * STATIONS
    return np.asarray(np.hstack([upper - lean, lower - lean]) / (1.0 - cut))


def _resampling(cut: float) -> NDArray[np.float64]:
    """(65, 65): heights at the stations @ this = heights at the stations of what is left; against sqrt(x), as contour does."""
    known, wanted = np.sqrt(STATIONS), np.sqrt(STATIONS * (1.0 - cut))
    before = np.clip(np.searchsorted(known, wanted, side="right") - 1, 0, SIDE - 2)
    share = (wanted - known[before]) / (known[before + 1] - known[before])
    matrix, columns = np.zeros((SIDE, SIDE)), np.arange(SIDE)
    matrix[before, columns] = 1.0 - share
    matrix[before + 1, columns] += share
    return matrix
