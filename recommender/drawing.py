"""Which points did somebody draw, in order once around? Reads .dat text and JSON points.

Knows how outlines are written down and refuses what cannot be read; whether the points are an airfoil is for `contour` to say.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

POINTS_MIN, POINTS_MAX = 10, 5000
TEXT_MAX = 1_000_000  # characters: two hundred for every point
# Beyond these a square overflows or vanishes.
SIZE_MAX = 1e100
_COMMENT = re.compile(r"#|!|//|;")
# float() also takes 1_000 and the digits of every script, and does not take the exponents of Fortran.
_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[ed][+-]?\d+)?|nan|inf(?:inity)?)", re.ASCII | re.IGNORECASE)


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


def read(text: str) -> Outline:
    """Selig, Lednicer or MSES .dat text -> its outline; notes may follow the points.

    Lednicer's surfaces may come in either order and direction, with their counts or with a blank line between them.
    Raises ContourRefused with the line that could not be read.
    """
    if len(text) > TEXT_MAX:
        raise ContourRefused("too_long", "outline", f"found {len(text):,} characters, expected at most {TEXT_MAX:,}")
    name, count, note = "", 0.0, None
    rows: list[list[float]] = []
    lines, breaks = [0], {0}
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff")), start=1):
        content = _COMMENT.split(line, maxsplit=1)[0].strip()
        row = _numbers(content)
        if not line.strip():
            breaks.add(len(rows))
        elif row is None or (len(row) == 1 and not name and not rows):
            name = name or ("" if rows else content)
            note = (number, content) if rows and note is None else note
        elif note and len(row) == 2:
            raise ContourRefused("unreadable_line", f"line {note[0]}", f"found {note[1][:40]!r}, expected x and y")
        elif len(row) == 2:
            require_finite(row, f"line {number}")
            rows.append(row)
            lines.append(number)
        elif len(row) == 1 and not rows:
            count = row[0]
        # Four numbers before the first point are the grid box of an MSES file.
        elif row and not note and (rows or len(row) != 4):
            expected = "expected x and y, with points for decimals"
            raise ContourRefused("unreadable_line", f"line {number}", f"found {len(row)} numbers, {expected}")
        require_count(len(rows), 0, POINTS_MAX + 1)  # the first row may be counts
    require_count(len(rows), POINTS_MIN, POINTS_MAX + 1)
    if count not in (0.0, len(rows)):
        raise _wrong_counts("outline", f"{count:g}", len(rows))
    return Outline(name, _unfold(np.array(rows), breaks, f"line {lines[1]}"))


def from_points(value: object) -> Outline:
    """JSON [[x, y], ...], decoded -> its outline. Raises ContourRefused with the point that is none."""
    if not isinstance(value, list):
        raise ContourRefused("not_points", "points", f"found {type(value).__name__}, expected a list of [x, y]")
    require_count(len(value), POINTS_MIN, POINTS_MAX)
    return Outline("", np.array([_point(item, f"point {number}") for number, item in enumerate(value, start=1)]))


def require_finite(numbers: Sequence[float], where: str) -> None:
    for number in numbers:
        if number != number or number in (math.inf, -math.inf):
            raise ContourRefused("not_finite", where, f"found {number}, expected finite numbers")
        if abs(number) > SIZE_MAX:
            raise ContourRefused("size", where, f"found a number beyond {SIZE_MAX:g}, no drawing has such a unit")


def require_count(points: int, least: int, most: int = POINTS_MAX) -> None:
    if not least <= points <= most:
        code = "too_few_points" if points < least else "too_many_points"
        expected = f"expected at {f'least {POINTS_MIN}' if points < least else f'most {POINTS_MAX}'}"
        raise ContourRefused(code, "outline", f"found {points} points, {expected}")


def _numbers(content: str) -> list[float] | None:
    tokens = content.replace(",", " ").split()
    if not all(_NUMBER.fullmatch(token) for token in tokens):
        return None
    return [float(token if "n" in token.lower() else token.lower().replace("d", "e")) for token in tokens]


def _unfold(rows: Array, breaks: set[int], place: str) -> Array:
    """Two surfaces of one direction, told by a row of two counts or by a blank line -> once around, as Selig."""
    upper, lower = rows[0].tolist()
    rest = rows[1:]
    counts = 3 <= upper <= POINTS_MAX and 3 <= lower <= POINTS_MAX and upper == int(upper) and lower == int(lower)
    if counts and upper + lower == len(rest):
        return _around(rest[: int(upper)], rest[int(upper) :])
    if counts and np.abs(rest).max() < min(upper, lower):
        raise _wrong_counts(place, f"{upper:.0f} + {lower:.0f}", len(rest))
    for start in breaks - {0, len(rows)} if len(breaks - {0, len(rows)}) == 1 else ():
        # Selig's points may be parted at the nose too; where they are, the second part goes on where the first ended.
        if np.hypot(*(rows[start - 1] - rows[start])) > 0.5 * np.ptp(rows, axis=0).max():
            return _around(rows[:start], rows[start:])
    return rows


def _wrong_counts(where: str, counts: str, points: int) -> ContourRefused:
    hint = "expected as many points as counted; a name that is all digits needs a word before it"
    return ContourRefused("wrong_counts", where, f"found counts {counts} but {points} points follow, {hint}")


def _around(first: Array, second: Array) -> Array:
    """Two surfaces -> once around from the tail, wherever each begins: at the nose they part faster."""
    same = np.hypot(*(first[0] - second[0])) + np.hypot(*(first[-1] - second[-1]))
    if np.hypot(*(first[0] - second[-1])) + np.hypot(*(first[-1] - second[0])) < same:
        second = second[::-1]
    begin, end = (first[0] + second[0]) / 2.0, (first[-1] + second[-1]) / 2.0
    length = max(float(np.hypot(*(end - begin))), 1.0 / SIZE_MAX)
    along = (end - begin) / length
    near_ends = np.array([0.03, 0.97]) * length
    heights = []
    for surface in (first, second):
        forward = np.maximum.accumulate((surface - begin) @ along)
        heights.append(np.interp(near_ends, forward, (surface - begin) @ [-along[1], along[0]]))
    apart = np.abs(heights[0] - heights[1])
    parts = [first[::-1], second] if apart[0] >= apart[1] else [first, second[::-1]]
    return np.concatenate(parts)


def _point(item: object, where: str) -> list[float]:
    if not isinstance(item, list) or len(item) != 2:
        found = f"a list of {len(item)}" if isinstance(item, list) else type(item).__name__
        raise ContourRefused("not_points", where, f"found {found}, expected [x, y]")
    for number in item:
        # true is an int in Python.
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ContourRefused("not_points", where, f"found {type(number).__name__}, expected a number")
    require_finite(item, where)
    return [float(number) for number in item]
