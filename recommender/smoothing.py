"""How shaky is the hand that drew this outline, and which line did it mean?

Arithmetic on points once around; of airfoils it knows that they bend at the nose, and how sharply they usually do.
"""

from __future__ import annotations

import math

import numpy as np

from recommender.drawing import Array

# In chords. Of 2,173 real files none is shakier than 0.11 %; beyond 1 % nobody knows what was meant.
NOISE_MIN, NOISE_MAX = 0.0018, 0.01
# With fewer points a bend of the section itself would be taken for noise.
_POINTS_MIN = 30
_NEIGHBOURS = np.array([-2, -1, 1, 2])
# Three quarters of a normal deviation's sizes lie below this many of its standard deviations.
_THREE_QUARTERS = 1.1503
# Points nearer than this many deviations say one thing together; a solve of so many takes milliseconds.
_APART, _GROUPS_MAX = 2.0, 400
# In chords: how round most noses are, and how much sections bend far from it, as curvature.
_NOSE_RADIUS, _BEND = 0.015, 0.4


def steadied(points: Array) -> tuple[Array, float, bool]:
    """(n, 2) -> the points, smoothed where they shake more than usual; their noise in chords; whether they were smoothed."""
    chord = float(np.hypot(*(points - (points[0] + points[-1]) / 2.0).T).max())
    shake = noise(points / chord)
    if not NOISE_MIN < shake < NOISE_MAX:
        return points, shake, False
    return _smooth(points / chord, shake) * chord, shake, True


def noise(points: Array) -> float:
    """How far (n, 2) points stand beside the cubic through four neighbours, as a standard deviation; 0 for a few points."""
    if len(points) < _POINTS_MIN:
        return 0.0
    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    at = np.arange(2, len(points) - 2)
    near = at[:, None] + _NEIGHBOURS
    weights = np.ones(near.shape)
    for one in range(4):
        for other in {0, 1, 2, 3} - {one}:
            weights[:, one] *= (s[at] - s[near[:, other]]) / (s[near[:, one]] - s[near[:, other]])
    beside = points[at] - np.einsum("ij,ijk->ik", weights, points[near])
    along = points[at + 1] - points[at - 1]
    across = np.abs(along[:, 0] * beside[:, 1] - along[:, 1] * beside[:, 0]) / np.maximum(np.hypot(*along.T), 1e-9)
    # A quantile, as a nose or a flap is badly foretold by its neighbours.
    return float(np.quantile(across / np.sqrt(1.0 + (weights**2).sum(axis=1)), 0.75)) / _THREE_QUARTERS


def _smooth(points: Array, shake: float) -> Array:
    """The line that is near the points and bends little, each as much as the noise and real sections make likely.

    Source: Whittaker, "On a new method of graduation", 1922, with a weight for each place.
    """
    mean, count = _grouped(points, _APART * shake)
    line = mean
    # Once more along the smooth line, as shaky steps make a path longer than it is.
    for _ in range(2):
        steps = np.maximum(np.hypot(*np.diff(line, axis=0).T), shake / 2.0)
        s = np.concatenate([[0.0], np.cumsum(steps)])
        nose = s[int(np.hypot(*(line - (line[0] + line[-1]) / 2.0).T).argmax())]
        bends = _second_differences(steps) * (shake / _likely_bend(np.abs(s - nose)[1:-1]))[:, None]
        line = np.asarray(np.linalg.solve(np.diag(count) + bends.T @ bends, count[:, None] * mean), dtype=np.float64)
    return line


def _grouped(points: Array, width: float) -> tuple[Array, Array]:
    """Neighbours that lie together as their mean, and how many there are in each."""
    rows, least = points.tolist(), math.ceil(len(points) / _GROUPS_MAX)
    starts = [0]
    for row, point in enumerate(rows):
        if row - starts[-1] >= least and math.dist(point, rows[starts[-1]]) > width:
            starts.append(row)
    count = np.diff([*starts, len(points)]).astype(np.float64)
    return np.add.reduceat(points, starts) / count[:, None], count


def _second_differences(steps: Array) -> Array:
    """(n - 2, n): second derivatives at n points so far apart, times the root of the way that each stands for."""
    before, after = steps[:-1], steps[1:]
    both, row = before + after, np.arange(len(before))
    matrix = np.zeros((len(before), len(before) + 2))
    matrix[row, row], matrix[row, row + 1], matrix[row, row + 2] = (
        2.0 / (before * both), -2.0 / (before * after), 2.0 / (after * both),
    )  # fmt: skip
    return np.asarray(matrix * np.sqrt(both / 2.0)[:, None])


def _likely_bend(away: Array) -> Array:
    """So many chords from the nose: curvature of a parabola and of the rest, times the root of the way it lasts."""
    curvature = math.sqrt(_NOSE_RADIUS) / (2.0 * away + _NOSE_RADIUS) ** 1.5 + _BEND
    return np.asarray(curvature * np.sqrt(away + _NOSE_RADIUS))
