"""Which 130 surface heights describe this airfoil outline, wherever and however it was drawn?

Reads Selig and Lednicer .dat text and puts the outline into the one frame the encoder knows: nose at the origin, chord 1,
trailing edge on the x axis, 65 upper then 65 lower heights at cosine stations. numpy only; knows of no model and no catalogue.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SIDE = 65
STATIONS: Array = (1.0 - np.cos(np.linspace(0.0, np.pi, SIDE))) / 2.0
POINTS_MIN, POINTS_MAX = 10, 5000
THICKNESS_MIN, THICKNESS_MAX = 0.03, 0.35
TRAILING_GAP_MAX = 0.05
# Noise of 0.1 % chord makes thin trailing edges cross and dense points step back by this much; more is a wrong outline.
CROSSING_MAX = 0.005
BACKTRACK_MAX = 0.01
# Beyond these a square overflows or vanishes.
SIZE_MAX = 1e100
_SAMPLES = 4000
_NEAR_END = 5  # the fifth station from an end lies 1 % of chord from it


class ContourRefused(ValueError):
    """An outline that is no airfoil; `code` is for programs, `where` names the line, point or station."""

    def __init__(self, code: str, where: str, message: str) -> None:
        super().__init__(f"{where}: {message}")
        self.code, self.where = code, where


@dataclass(frozen=True)
class Outline:
    """Points as drawn, in order once around from trailing edge to trailing edge, in any unit."""

    name: str
    points: Array


@dataclass(frozen=True)
class Contour:
    """A normalised outline and what was done to it. Lengths are in chords except `chord`, which is in the drawing's unit."""

    heights: Array
    thickness: float
    trailing_gap: float
    chord: float
    rotation_deg: float
    clockwise: bool

    @property
    def upper(self) -> Array:
        return self.heights[:SIDE]

    @property
    def lower(self) -> Array:
        return self.heights[SIDE:]


def read(text: str) -> Outline:
    """Selig, Lednicer or MSES .dat text -> its outline; notes may follow the points.

    Raises ContourRefused with the line that could not be read.
    """
    name, note = "", None
    rows: list[list[float]] = []
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        content = line.split("#")[0].strip()
        row = _numbers(content)
        if row is None:
            name = name or content
            note = (number, content) if rows and note is None else note
        elif note and len(row) == 2:
            raise ContourRefused("unreadable_line", f"line {note[0]}", f"found {note[1][:40]!r}, expected x and y")
        elif len(row) == 2:
            rows.append(row)
        # Four numbers before the first point are the grid box of an MSES file.
        elif row and not note and (rows or len(row) != 4):
            expected = "expected x and y, with points for decimals"
            raise ContourRefused("unreadable_line", f"line {number}", f"found {len(row)} numbers, {expected}")
    if len(rows) < POINTS_MIN:
        raise ContourRefused("too_few_points", "outline", f"found {len(rows)} points, expected at least {POINTS_MIN}")
    return Outline(name, _unfold(np.array(rows)))


def _numbers(content: str) -> list[float] | None:
    try:
        return [float(token) for token in content.replace(",", " ").split()]
    except ValueError:
        return None


def _unfold(rows: Array) -> Array:
    """Lednicer (a row of two counts, upper surface nose to tail, lower surface nose to tail) -> once around, as Selig."""
    upper, lower = rows[0]
    rest = rows[1:]
    counts = 3 <= upper <= POINTS_MAX and 3 <= lower <= POINTS_MAX and upper == int(upper) and lower == int(lower)
    if counts and upper + lower == len(rest):
        return np.concatenate([rest[: int(upper)][::-1], rest[int(upper) :]])
    if counts and np.abs(rest).max() < min(upper, lower):
        found = f"counts {upper:.0f} + {lower:.0f} but {len(rest)} points follow"
        raise ContourRefused("wrong_counts", "count line", f"found {found}, expected as many points as counted")
    return rows


def normalise(points: Array) -> Contour:
    """(n, 2) points once around, any unit, place, rotation and direction -> the encoder's 130 heights.

    Raises ContourRefused where the points do not describe one airfoil 3 to 35 % thick.
    """
    spline = _Spline(_distinct(points))
    tail = (spline.at(0.0) + spline.at(spline.length)) / 2.0
    nose_at = _nose(spline, tail)
    nose = spline.at(nose_at)
    chord = float(np.hypot(*(tail - nose)))
    cosine, sine = (tail - nose) / chord
    frame = np.array([[cosine, -sine], [sine, cosine]]) / chord
    start, end = (spline.at(0.0) - nose) @ frame, (spline.at(spline.length) - nose) @ frame
    first = _heights((spline.path(nose_at, 0.0) - nose) @ frame)
    second = _heights((spline.path(nose_at, spline.length) - nose) @ frame)
    clockwise = bool(np.trapezoid(first - second, STATIONS) < 0.0)
    upper, lower = (second, first) if clockwise else (first, second)
    contour = Contour(
        heights=np.concatenate([upper, lower]),
        thickness=float((upper - lower).max()),
        trailing_gap=float(np.hypot(*(start - end))),
        chord=chord,
        rotation_deg=math.degrees(math.atan2(sine, cosine)),
        clockwise=clockwise,
    )
    _check(contour)
    return contour


def outline(heights: Array) -> Array:
    """The 130 heights as (129, 2) points in Selig order: tail, upper, nose, lower, tail."""
    x = np.concatenate([STATIONS[::-1], STATIONS[1:]])
    return np.column_stack([x, np.concatenate([heights[:SIDE][::-1], heights[SIDE + 1 :]])])


def _check(contour: Contour) -> None:
    crossing = contour.lower - contour.upper
    worst = int(crossing.argmax())
    if crossing[worst] > CROSSING_MAX:
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


def _distinct(points: Array) -> Array:
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ContourRefused("shape", "outline", f"found an array of shape {points.shape}, expected (n, 2)")
    if not POINTS_MIN <= len(points) <= POINTS_MAX:
        code = "too_few_points" if len(points) < POINTS_MIN else "too_many_points"
        expected = f"expected {POINTS_MIN} to {POINTS_MAX}"
        raise ContourRefused(code, "outline", f"found {len(points)} points, {expected}")
    finite = np.isfinite(points).all(axis=1)
    if not finite.all():
        where = int(np.flatnonzero(~finite)[0])
        raise ContourRefused("not_finite", f"point {where + 1}", f"found {points[where].tolist()}, expected finite numbers")
    extent = float(np.ptp(np.clip(points, -SIZE_MAX, SIZE_MAX), axis=0).max())
    if np.abs(points).max() > SIZE_MAX or 0.0 < extent < 1.0 / SIZE_MAX:
        raise ContourRefused("size", "outline", f"found numbers up to {np.abs(points).max():g}, no drawing has such a unit")
    # Two points closer than this are one point written twice; a spline through both would fold.
    apart = np.hypot(*np.diff(points, axis=0).T) > 1e-7 * extent
    kept: Array = points[np.concatenate([[True], apart])]
    if len(kept) < POINTS_MIN:
        raise ContourRefused("too_few_points", "outline", f"found {len(kept)} distinct points, expected {POINTS_MIN}")
    return kept


def _nose(spline: _Spline, tail: Array) -> float:
    """Where along the spline the point farthest from the tail lies."""
    low, high = 0.0, spline.length
    for _ in range(4):
        s = np.linspace(low, high, _SAMPLES)
        best = int(np.hypot(*(spline.at(s) - tail).T).argmax())
        low, high = float(s[max(best - 1, 0)]), float(s[min(best + 1, _SAMPLES - 1)])
    return (low + high) / 2.0


def _heights(path: Array) -> Array:
    """(m, 2) points of one surface, nose to tail -> heights at the stations."""
    x = path[:, 0]
    reached = np.maximum.accumulate(np.maximum(x, 0.0))
    back = reached - np.maximum(x, 0.0)
    if back.max() > BACKTRACK_MAX:
        found = f"the surface runs {back.max():.1%} of chord backwards"
        where = f"x/c = {x[int(back.argmax())]:.3f}"
        raise ContourRefused("surface_runs_back", where, f"{found}, expected points in order from nose to tail")
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
    d, r = diagonal.copy(), rhs.copy()
    for i in range(1, len(d)):
        w = lower[i] / d[i - 1]
        d[i] -= w * upper[i - 1]
        r[i] -= w * r[i - 1]
    r[-1] /= d[-1]
    for i in range(len(d) - 2, -1, -1):
        r[i] = (r[i] - upper[i] * r[i + 1]) / d[i]
    return r
