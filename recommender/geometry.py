"""What would an engineer measure on a wing section: how thick, how cambered, how round its nose is?

Arithmetic on heights at the stations; knows of no model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.contour import SIDE, STATIONS, THICKNESS_MAX, THICKNESS_MIN, Array

_NOSE = slice(2, 9)  # x/c 0.2 to 4 %: closer in, a stored height's last digit would be seen
_TAIL = STATIONS >= 0.95
# A drawn outline's surfaces may cross by more (contour.CROSSING_MAX); one that was made here has no noise.
CROSSING_MOST = 2e-4


@dataclass(frozen=True)
class Geometry:
    """Lengths in % chord, the angle in degrees, the area in % of chord squared."""

    thickness: float
    thickness_at: float
    camber: float
    camber_at: float
    nose_radius: float
    trailing_angle: float
    area: float


def measure(heights: Array) -> Geometry:
    """heights (130,) in chords."""
    upper, lower = heights[:SIDE], heights[SIDE:]
    thick, middle = upper - lower, (upper + lower) / 2.0
    at, bent = int(thick.argmax()), int(np.abs(middle).argmax())
    # At a round nose (thickness / 2)^2 = 2 r x; what bends away from that further back is linear in x.
    radius = np.polyfit(STATIONS[_NOSE], thick[_NOSE] ** 2 / (8.0 * STATIONS[_NOSE]), 1)[1]
    above, below = (np.polyfit(STATIONS[_TAIL], side[_TAIL], 1)[0] for side in (upper, lower))
    return Geometry(
        thickness=100.0 * float(thick[at]),
        thickness_at=100.0 * float(STATIONS[at]),
        camber=100.0 * float(middle[bent]),
        camber_at=100.0 * float(STATIONS[bent]),
        nose_radius=100.0 * max(float(radius), 0.0),
        trailing_angle=float(np.degrees(np.arctan(below) - np.arctan(above))),
        area=100.0 * float(np.trapezoid(thick, STATIONS)),
    )


def thickness(heights: Array) -> Array:
    """(n, 130) heights in chords -> (n,) greatest thickness in % chord."""
    return np.asarray(100.0 * (heights[:, :SIDE] - heights[:, SIDE:]).max(axis=1), dtype=np.float64)


def valid(heights: Array) -> NDArray[np.bool_]:
    """(n, 130) -> (n,): neither crossing surfaces nor a thickness that no section has."""
    thick = heights[:, :SIDE] - heights[:, SIDE:]
    most = thick.max(axis=1)
    return np.asarray((thick.min(axis=1) >= -CROSSING_MOST) & (most >= THICKNESS_MIN) & (most <= THICKNESS_MAX))


def fault(heights: Array) -> str | None:
    """Why these heights (130,) are no section, in words; None where they are one."""
    thick = heights[:SIDE] - heights[SIDE:]
    worst, most = int(thick.argmin()), float(thick.max())
    if thick[worst] < -CROSSING_MOST:
        return f"x/c = {STATIONS[worst]:.3f}: the surfaces cross by {-thick[worst]:.2%} of chord"
    if not THICKNESS_MIN <= most <= THICKNESS_MAX:
        return f"{most:.1%} of chord thick, expected {THICKNESS_MIN:.0%} to {THICKNESS_MAX:.0%}"
    return None
