"""How would this part go on, had its trailing edge not been cut off?

A cut edge and one designed blunt look alike, so nothing is changed silently: every extension is a guess of how long the part
was, to be searched beside the part as drawn. Knows of no encoder and no catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.contour import SIDE, STATIONS, Array, at_stations

# An extension is a guess: its distances count this many times, or noise finds its neighbours. benchmarks/retrieval.py says so.
DOUBT = 1.3
LONGEST, STEP = 0.12, 0.01  # in chords as drawn
# A tail thinner than this, or than twice its own noise, is sharp.
SHARP = 0.0005
NOISY = 0.0003
# Of the public parts one in ten is blunter than this by design; 2 % cut off a part leave 0.6 % in the median.
OFFERED = 0.005
_TAIL, _REAR = np.flatnonzero(STATIONS >= 0.9), np.flatnonzero(STATIONS >= 0.6)
_ROOT_WEIGHT = np.sqrt(np.gradient(STATIONS))


@dataclass(frozen=True)
class Extension:
    """A part `by` % of its chord longer, in the frame of its own; `closed` where the surfaces meet."""

    by: float
    heights: Array
    closed: bool


def offer(heights: Array, found: list[Extension]) -> Extension | None:
    """The extension to offer somebody, of those found for heights (130,): none where many parts are as blunt by design."""
    blunt = float(heights[SIDE - 1] - heights[-1]) >= OFFERED
    return found[0] if found and blunt else None


def cut(heights: Array) -> bool:
    """(130,) heights in chords. Is the trailing edge blunt, and do the surfaces run towards each other there?"""
    return _Tail(heights).closes_after > 0.0


def extensions(heights: Array) -> list[Extension]:
    """Ways in which a blunt or cut part may have gone on, first the one to offer: until it closes. None for a sharp one.

    Then shorter and longer ones that close, and blunt ones: a part may have been blunt before it was cut.
    """
    tail = _Tail(heights)
    if not tail.closes_after:
        return []
    shortest, longest = max(STEP, 0.5 * tail.closes_after), min(LONGEST, 1.6 * tail.closes_after)
    sharp = [tail.closes_after, *np.arange(shortest, longest + 1e-9, STEP)]
    blunt = np.arange(STEP, tail.closes_after - STEP / 2.0, STEP)
    closed, open_ = (
        [tail.extended(float(by), closed) for by in lengths] for lengths, closed in ((sharp, True), (blunt, False))
    )
    return closed + open_


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

    def extended(self, by: float, closed: bool) -> Extension:
        behind = np.linspace(0.0, by, 10)[1:]
        thickness = np.polyval(self._free, behind)
        if closed:
            left = np.column_stack([by + 1.0 - STATIONS[_TAIL], (by + 1.0 - STATIONS[_TAIL]) ** 2])
            weight = _ROOT_WEIGHT[_TAIL]
            bend = np.linalg.lstsq(left * weight[:, None], self._thickness[_TAIL] * weight, rcond=None)[0]
            thickness = bend[0] * (by - behind) + bend[1] * (by - behind) ** 2
        half, camber = np.maximum(thickness, 0.0) / 2.0, np.polyval(self._camber, behind)
        x = np.concatenate([STATIONS, 1.0 + behind])
        upper = np.column_stack([x, np.concatenate([self._sides[0], camber + half])])
        lower = np.column_stack([x, np.concatenate([self._sides[1], camber - half])])
        return Extension(100.0 * by, _in_frame(upper, lower), closed)


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
