"""Which 130 surface heights describe this airfoil outline, wherever and however it was drawn?

Puts an outline into the one frame the encoder knows: nose at the origin, chord 1, trailing edge on the x axis, 65 upper then
65 lower heights at cosine stations. numpy only; knows of no file, no model and no catalogue.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recommender.crossing import crossing
from recommender.drawing import POINTS_MAX, POINTS_MIN, SIZE_MAX, Array, ContourRefused, require_count, require_finite
from recommender.smoothing import steadied

__all__ = ["SIDE", "STATIONS", "Array", "Contour", "ContourRefused", "at_stations", "normalise", "outline"]

SIDE = 65
STATIONS: Array = (1.0 - np.cos(np.linspace(0.0, np.pi, SIDE))) / 2.0
THICKNESS_MIN, THICKNESS_MAX = 0.03, 0.35
TRAILING_GAP_MAX = 0.05
# Noise of 0.1 % chord makes thin trailing edges cross and dense points step back by this much; more is a wrong outline.
CROSSING_MAX = 0.005
BACKTRACK_MAX = 0.01
# What was smoothed may cross by so many deviations of its noise where tails are thin, and its points tie knots so high.
CROSSING_DEVIATIONS, REAR, LOBE_DEVIATIONS = 3.0, 0.9, 8.0
# Closed surfaces cross by rounding, which stays as it is.
CLOSED = 1e-4
# The same noise ties knots into dense points and thin tails: an outline may cross itself where what it cuts off is this low.
LOBE_MAX = 0.02
_SAMPLES = 4000
_NEAR_END = 5  # the fifth station from an end lies 1 % of chord from it


@dataclass(frozen=True)
class Contour:
    """A normalised outline and what was done to it. Lengths are in chords except `chord` and `nose`, in the drawing's unit.

    noise: one standard deviation of the points; crossed: by how much the surfaces did, which are closed there.
    """

    heights: Array
    thickness: float
    trailing_gap: float
    chord: float
    nose: tuple[float, float]
    rotation_deg: float
    clockwise: bool
    noise: float
    smoothed: bool
    crossed: float = 0.0

    @property
    def upper(self) -> Array:
        return self.heights[:SIDE]

    @property
    def lower(self) -> Array:
        return self.heights[SIDE:]


def normalise(points: Array) -> Contour:
    """(n, 2) points once around, any unit, place, rotation and direction -> the encoder's 130 heights.

    Raises ContourRefused where the points do not describe one airfoil 3 to 35 % thick.
    """
    distinct, numbers = _distinct(points)
    steady, noise, smoothed = steadied(distinct)
    spline = _Spline(steady)
    tail = (spline.at(0.0) + spline.at(spline.length)) / 2.0
    nose_at = _nose(spline, tail)
    nose = spline.at(nose_at)
    chord = float(np.hypot(*(tail - nose)))
    cosine, sine = (tail - nose) / chord
    frame = np.array([[cosine, -sine], [sine, cosine]]) / chord
    start, end = (spline.at(0.0) - nose) @ frame, (spline.at(spline.length) - nose) @ frame
    first = _surface((spline.path(nose_at, 0.0) - nose) @ frame)
    second = _surface((spline.path(nose_at, spline.length) - nose) @ frame)
    clockwise = bool(np.trapezoid(first - second, STATIONS) < 0.0)
    upper, lower = (second, first) if clockwise else (first, second)
    contour = Contour(
        heights=np.concatenate([upper, lower]),
        thickness=float((upper - lower).max()),
        trailing_gap=float(np.hypot(*(start - end))),
        chord=chord,
        nose=(float(nose[0]), float(nose[1])),
        rotation_deg=math.degrees(math.atan2(sine, cosine)),
        clockwise=clockwise,
        noise=noise,
        smoothed=smoothed,
    )
    _check(contour)
    _check_crossing((distinct - nose) @ frame, numbers, max(LOBE_MAX, LOBE_DEVIATIONS * noise) if smoothed else LOBE_MAX)
    return _closed(contour)


def outline(heights: Array) -> Array:
    """The 130 heights as (129, 2) points in Selig order: tail, upper, nose, lower, tail."""
    x = np.concatenate([STATIONS[::-1], STATIONS[1:]])
    return np.column_stack([x, np.concatenate([heights[:SIDE][::-1], heights[SIDE + 1 :]])])


def _check(contour: Contour) -> None:
    crossing = contour.lower - contour.upper
    by_noise = CROSSING_DEVIATIONS * contour.noise if contour.smoothed else 0.0
    allowed = np.maximum(CROSSING_MAX, by_noise * (STATIONS >= REAR))
    worst = int((crossing - allowed).argmax())
    if crossing[worst] > allowed[worst]:
        found = f"surfaces cross by {crossing[worst]:.2%} of chord"
        hint = "expected the points in order, once around from the trailing edge"
        raise ContourRefused("surfaces_cross", f"x/c = {STATIONS[worst]:.3f}", f"{found}, {hint}")
    if contour.trailing_gap > TRAILING_GAP_MAX:
        found = f"found a gap of {contour.trailing_gap:.1%} of chord, expected at most {TRAILING_GAP_MAX:.0%}"
        raise ContourRefused("trailing_gap", "trailing edge", f"{found}; start and end the outline at the trailing edge")
    if not THICKNESS_MIN <= contour.thickness <= THICKNESS_MAX:
        expected = f"expected {THICKNESS_MIN:.0%} to {THICKNESS_MAX:.0%}"
        raise ContourRefused("thickness", "outline", f"found {contour.thickness:.1%} of chord thick, {expected}")

    thickness = contour.upper - contour.lower
    # Of 2,152 real sections none has a tail rounder than its nose; an outline that starts at the nose has.
    if thickness[-_NEAR_END] - thickness[-1] > thickness[_NEAR_END - 1]:
        hint = "start and end the outline at the trailing edge"
        raise ContourRefused("nose_first", "first point", f"the outline starts at the rounder end; {hint}")


def _closed(contour: Contour) -> Contour:
    """Surfaces that cross a little are one line there, halfway."""
    crossed = float((contour.lower - contour.upper).max())
    if crossed <= CLOSED:
        return contour
    middle = (contour.upper + contour.lower) / 2.0
    heights = np.concatenate([np.maximum(contour.upper, middle), np.minimum(contour.lower, middle)])
    return replace(contour, heights=heights, crossed=crossed)


def _check_crossing(points: Array, numbers: NDArray[np.intp], low: float) -> None:
    found = crossing(points, low)
    if found:
        first, second, (x, y) = found
        where = f"points {numbers[first] + 1} and {numbers[second] + 1}"
        hint = "expected points in order, once around"
        raise ContourRefused("self_intersection", where, f"the outline crosses itself at x/c = {x:.3f}, y/c = {y:.3f}, {hint}")


def _distinct(points: Array) -> tuple[Array, NDArray[np.intp]]:
    """The points without those written twice, and where each stood."""
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ContourRefused("shape", "outline", f"found an array of shape {points.shape}, expected (n, 2)")
    require_count(len(points), POINTS_MIN, POINTS_MAX)
    for where in np.flatnonzero(~(np.abs(points) <= SIZE_MAX).all(axis=1))[:1]:
        require_finite(points[where].tolist(), f"point {where + 1}")
    extent = float(np.ptp(points, axis=0).max())
    if 0.0 < extent < 1.0 / SIZE_MAX:
        raise ContourRefused("size", "outline", f"found a size of {extent:g}, no drawing has such a unit")
    # Two points closer than this are one point written twice; a spline through both would fold.
    apart = np.hypot(*np.diff(points, axis=0).T) > 1e-7 * extent
    kept = np.flatnonzero(np.concatenate([[True], apart]))
    require_count(len(kept), POINTS_MIN)
    return points[kept], kept


def _nose(spline: _Spline, tail: Array) -> float:
    """Where along the spline the point farthest from the tail lies."""
    low, high = 0.0, spline.length
    for _ in range(4):
        s = np.linspace(low, high, _SAMPLES)
        best = int(np.hypot(*(spline.at(s) - tail).T).argmax())
        low, high = float(s[max(best - 1, 0)]), float(s[min(best + 1, _SAMPLES - 1)])
    return (low + high) / 2.0


def _surface(path: Array) -> Array:
    x = np.maximum(path[:, 0], 0.0)
    back = np.maximum.accumulate(x) - x
    if back.max() > BACKTRACK_MAX:
        found = f"the surface runs {back.max():.1%} of chord backwards"
        where = f"x/c = {x[int(back.argmax())]:.3f}"
        raise ContourRefused("surface_runs_back", where, f"{found}, expected points in order from nose to tail")
    return at_stations(path)


def at_stations(path: Array) -> Array:
    """(m, 2) points of one surface, nose to tail -> heights at the stations."""
    reached = np.maximum.accumulate(np.maximum(path[:, 0], 0.0))
    # Against sqrt(x) a round nose is a straight line, so the few points there interpolate well.
    heights = np.interp(np.sqrt(STATIONS), np.sqrt(reached), path[:, 1])
    heights[0] = 0.0
    return heights


class _Spline:
    """The not-a-knot cubic through points, by chord length."""

    def __init__(self, points: Array) -> None:
        self._h = np.hypot(*np.diff(points, axis=0).T)
        self._s = np.concatenate([[0.0], np.cumsum(self._h)])
        self._p = points
        self._m = _curvatures(self._h, points)
        self.length = float(self._s[-1])

    def at(self, s: Array | float) -> Array:
        i = np.clip(np.searchsorted(self._s, s, side="right") - 1, 0, len(self._h) - 1)
        h = self._h[i][..., None]
        b = (np.asarray(s) - self._s[i])[..., None] / h
        a = 1.0 - b
        bend = (a**3 - a) * self._m[i] + (b**3 - b) * self._m[i + 1]
        return np.asarray(a * self._p[i] + b * self._p[i + 1] + bend * h**2 / 6.0, dtype=np.float64)

    def path(self, start: float, end: float) -> Array:
        # Squared spacing puts the samples where x grows slowest, at the nose.
        return self.at(start + (end - start) * np.linspace(0.0, 1.0, _SAMPLES) ** 2)


def _curvatures(h: Array, p: Array) -> Array:
    """Second derivatives at the knots: a tridiagonal system whose end rows carry the not-a-knot condition."""
    slope = np.diff(p, axis=0) / h[:, None]
    rhs = 6.0 * np.diff(slope, axis=0)
    lower, diagonal, upper = h[:-1].copy(), 2.0 * (h[:-1] + h[1:]), h[1:].copy()
    diagonal[0] += h[0] * (1.0 + h[0] / h[1])
    upper[0] -= h[0] ** 2 / h[1]
    diagonal[-1] += h[-1] * (1.0 + h[-1] / h[-2])
    lower[-1] -= h[-1] ** 2 / h[-2]
    inner = _solve_tridiagonal(lower, diagonal, upper, rhs)
    first = inner[0] + (inner[0] - inner[1]) * h[0] / h[1]
    last = inner[-1] + (inner[-1] - inner[-2]) * h[-1] / h[-2]
    return np.concatenate([[first], inner, [last]])


def _solve_tridiagonal(lower: Array, diagonal: Array, upper: Array, rhs: Array) -> Array:
    # Plain floats: the same bits as numpy's scalars, in a tenth of the time.
    d, r = diagonal.tolist(), rhs.T.tolist()
    below, above, last = lower.tolist(), upper.tolist(), len(d) - 1
    for i in range(1, len(d)):
        w = below[i] / d[i - 1]
        d[i] -= w * above[i - 1]
        for side in r:
            side[i] -= w * side[i - 1]
    for side in r:
        side[last] /= d[last]
        for i in range(last - 1, -1, -1):
            side[i] = (side[i] - above[i] * side[i + 1]) / d[i]
    return np.array(r).T
