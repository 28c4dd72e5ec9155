"""Which parts are like this section, which are better, and why?

Every part of the catalogue is scored at the required lift, not only the neighbours of the given one: docs/recommender.md says
how much more that finds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender import geometry, requirements
from recommender.contour import Array
from recommender.polar import Polar
from recommender.requirements import Candidates, Requirements

Rows = NDArray[np.intp]
# A gain below this many % is none: NeuralFoil's own error is larger.
GAIN_MIN = 0.5
# Steps in which gain, change and confidence are compared when a long front is thinned.
_STEPS = np.array([10.0, 0.5, 0.05])


@dataclass(frozen=True)
class Scored:
    """Candidates beside what each of them misses: (n,) in comparable steps, 0 where every requirement is met."""

    candidates: Candidates
    missed: Array

    @property
    def feasible(self) -> NDArray[np.bool_]:
        return np.asarray(self.missed == 0.0)

    def nearest_miss(self) -> int | None:
        """The candidate that misses least; None where one misses nothing."""
        if not len(self.missed) or self.feasible.any():
            return None
        return int(self.missed.argmin())


def reference(heights: Array, polar: Polar, wanted: Requirements) -> Candidates:
    """The given section (130,) itself, as the one candidate that changes nothing."""
    at = polar.at_lift(heights[None], wanted.lift, wanted.flight)
    gain = np.where(np.isfinite(at.glide), 0.0, np.nan)
    return Candidates(heights[None], np.zeros(1), geometry.thickness(heights[None]), at, gain)


def score(
    heights: Array, change: Array, given: Candidates, polar: Polar, wanted: Requirements, coarse: Array | None = None
) -> Scored:
    """heights (n, 130), change (n,) in % chord from the given section; coarse: theirs of `Polar.coarse`, where known."""
    at = polar.at_lift(heights, wanted.lift, wanted.flight, coarse)
    gain = 100.0 * (at.glide / given.at.glide[0] - 1.0)
    found = Candidates(heights, change, geometry.thickness(heights), at, gain)
    return Scored(found, np.sum(list(requirements.misses(wanted, found).values()), axis=0))


def front(scored: Scored, k: int) -> Rows:
    """At most k feasible rows of which none is beaten in gain, change and confidence at once; the greatest gain first.

    A section without an L/D of its own at this lift has no gain to compare; there L/D itself counts.
    """
    found = scored.candidates
    worth = np.where(np.isfinite(found.gain), found.gain, found.at.glide)
    rows = np.flatnonzero(scored.feasible & ((found.gain >= GAIN_MIN) | np.isnan(found.gain)))
    goals = np.column_stack([worth, -found.change, found.at.confidence])[rows] / _STEPS
    unbeaten = np.array([not ((goals >= one).all(axis=1) & (goals > one).any(axis=1)).any() for one in goals], dtype=bool)
    rows, goals = rows[unbeaten], goals[unbeaten]
    kept = rows[_spread(goals, k)]
    return np.asarray(kept[np.argsort(-worth[kept], kind="stable")])


def _spread(goals: Array, k: int) -> list[int]:
    """The best in the first goal, then always the one farthest from those taken."""
    if len(goals) <= k:
        return list(range(len(goals)))
    taken = [int(goals[:, 0].argmax())]
    apart = np.abs(goals - goals[taken[0]]).sum(axis=1)
    while len(taken) < k:
        taken.append(int(apart.argmax()))
        apart = np.minimum(apart, np.abs(goals - goals[taken[-1]]).sum(axis=1))
    return taken


def why(wanted: Requirements, found: Candidates, row: int) -> str:
    """One line for people."""
    if not np.isfinite(found.at.alpha[row]):
        return f"no angle gives CL {wanted.lift:.2f}; {found.change[row]:.2f} % chord away"
    gain = f"{found.gain[row]:+.0f} % L/D" if np.isfinite(found.gain[row]) else f"L/D {found.at.glide[row]:.0f}"
    missed = requirements.words(wanted, found, row)
    rest = (
        "misses " + ", ".join(missed)
        if missed
        else f"thickness {found.thickness[row]:.1f} %, moment {found.at.moment[row]:.3f}"
    )
    away = f"{found.change[row]:.2f} % chord away"
    return f"{gain} at CL {wanted.lift:.2f}, {away}, confidence {found.at.confidence[row]:.2f}; {rest}"
