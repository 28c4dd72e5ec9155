"""How would this part go on, had its trailing edge not been cut off?

A cut edge and one designed blunt look alike, so nothing is changed silently: the extension is an offer. Knows of no encoder and
no catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.contour import SIDE, STATIONS, Array, at_stations

LONGEST = 0.12  # in chords as drawn
# A tail thinner than this, or than twice its own noise, is sharp.
SHARP = 0.0005
NOISY = 0.0003
# Of the public parts one in ten is blunter than this by design; 2 % cut off a part leave 0.6 % in the median.
OFFERED = 0.005
_TAIL, _REAR = np.flatnonzero(STATIONS >= 0.9), np.flatnonzero(STATIONS >= 0.6)
_ROOT_WEIGHT = np.sqrt(np.gradient(STATIONS))


@dataclass(frozen=True)
class Extension:
    """A part `by` % of its chord longer, where its surfaces meet, in the frame of its own."""

    by: float
    heights: Array


def extension(heights: Array) -> Extension | None:
    """(130,) heights in chords -> what they become where they go on until they close; None for a sharp trailing edge.

    None too where the surfaces do not run towards each other there.
    """
    tail = _Tail(heights)
    return tail.extended(tail.closes_after) if tail.closes_after else None


def is_offered(heights: Array) -> bool:
    """Is the edge blunter than those of most parts?"""
    return bool(heights[SIDE - 1] - heights[-1] >= OFFERED)


class _Tail:
    """Camber and thickness of the last tenth, as polynomials in the chords behind the last station."""

    def __init__(self, heights: Array) -> None:
        upper, lower = self._sides = heights[:SIDE], heights[SIDE:]
        self._thickness = upper - lower
        rear = STATIONS[_REAR] - 1.0
        residual = self._thickness[_REAR] - np.polyval(_fit(self._thickness, _REAR, 3), rear)
        noise = float(np.sqrt(np.average(residual**2, weights=_ROOT_WEIGHT[_REAR] ** 2)))
        # A bend that is mostly noise leads astray.
        self._camber = _fit((upper + lower) / 2.0, _TAIL, 1 if noise > NOISY else 2)
        self._free = _fit(self._thickness, _TAIL, 2)
        self.closes_after = self._closing() if self._free[-1] > SHARP + 2.0 * noise else 0.0

    def _closing(self) -> float:
        """Where the thickness first is zero, or least; 0 where it only grows."""
        by = np.linspace(0.0, LONGEST, 241)
        thickness = np.maximum(np.polyval(self._free, by), 0.0)
        return float(by[int(thickness.argmin())])

    def extended(self, by: float) -> Extension:
        behind = np.linspace(0.0, by, 10)[1:]
        left = np.column_stack([by + 1.0 - STATIONS[_TAIL], (by + 1.0 - STATIONS[_TAIL]) ** 2])
        weight = _ROOT_WEIGHT[_TAIL]
        bend = np.linalg.lstsq(left * weight[:, None], self._thickness[_TAIL] * weight, rcond=None)[0]
        thickness = bend[0] * (by - behind) + bend[1] * (by - behind) ** 2
        half, camber = np.maximum(thickness, 0.0) / 2.0, np.polyval(self._camber, behind)
        x = np.concatenate([STATIONS, 1.0 + behind])
        upper = np.column_stack([x, np.concatenate([self._sides[0], camber + half])])
        lower = np.column_stack([x, np.concatenate([self._sides[1], camber - half])])
        return Extension(100.0 * by, _in_frame(upper, lower))


def _fit(heights: Array, part: NDArray[np.intp], order: int) -> Array:
    return np.polyfit(STATIONS[part] - 1.0, heights[part], order, w=_ROOT_WEIGHT[part])


def _in_frame(upper: Array, lower: Array) -> Array:
    """Both surfaces, nose to tail -> 130 heights in the frame that `normalise` makes."""
    around = np.concatenate([upper[::-1], lower[1:]])
    tail = (upper[-1] + lower[-1]) / 2.0
    nose = int(np.hypot(*(around - tail).T).argmax())
    cosine, sine = tail - around[nose]
    placed = (around - around[nose]) @ np.array([[cosine, -sine], [sine, cosine]]) / (cosine**2 + sine**2)
    return np.concatenate([at_stations(placed[nose::-1]), at_stations(placed[nose:])])
