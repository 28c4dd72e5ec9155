"""What does an engineer require of a section, and which requirement does a candidate miss by how much?

Every requirement is a number and a direction; a miss is told in the engineer's own units.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from recommender import geometry
from recommender.contour import THICKNESS_MAX, Array
from recommender.polar import AtLift, Flight, Polar

THICKNESS_ROOM, MOMENT_ROOM, CONFIDENCE_MIN = 0.5, 0.02, 0.85


@dataclass(frozen=True)
class Requirements:
    """lift: CL; thickness and change (RMS surface distance) in % chord; moment: CM about the quarter chord."""

    lift: float
    flight: Flight
    thickness_min: float
    thickness_max: float
    moment_min: float
    change_max: float
    confidence_min: float

    def describe(self) -> dict[str, float | None]:
        said = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "flight"}
        said |= {"reynolds": self.flight.reynolds, "n_crit": self.flight.n_crit}
        return {name: value if np.isfinite(value) else None for name, value in said.items()}


@dataclass(frozen=True)
class Candidates:
    """n sections at the required lift: `change` (n,) in % chord from the given one, `gain` (n,) in % of its L/D, or NaN."""

    heights: Array
    change: Array
    thickness: Array
    at: AtLift
    gain: Array

    def __len__(self) -> int:
        return len(self.change)

    def __getitem__(self, rows: Array | slice) -> Candidates:
        at = AtLift(*(getattr(self.at, name)[rows] for name in AtLift.__dataclass_fields__))
        return Candidates(self.heights[rows], self.change[rows], self.thickness[rows], at, self.gain[rows])


# What is asked for -> how it is told, and what counts as one step of a miss when misses are compared.
_WORDS = {
    "lift": ("no angle gives CL {wanted:.2f}", 0.1),
    "confidence": ("confidence {found:.2f}, wanted at least {wanted:.2f}", 0.1),
    "thickness": ("thickness {found:.1f} %, wanted at least {wanted:.1f} %", 1.0),
    "thickness_max": ("thickness {found:.1f} %, wanted at most {wanted:.1f} %", 1.0),
    "moment": ("moment {found:.3f}, wanted at least {wanted:.3f}", 0.02),
    "change": ("{found:.2f} % chord away, wanted at most {wanted:.2f} %", 0.5),
}


def read(given: Mapping[str, float | None], heights: Array, polar: Polar) -> Requirements:
    """What is not given is taken from the section itself (130,): at least as thick, as steady, at the lift it is best at."""
    told = {name: value for name, value in given.items() if value is not None}
    flight = Flight(told.get("reynolds", 1e6), told.get("n_crit", 9.0))
    lift = told["lift"] if "lift" in told else round(polar.best_lift(heights, flight), 3)
    own = polar.at_lift(heights[None], lift, flight)
    moment = float(own.moment[0])
    return Requirements(
        lift=lift,
        flight=flight,
        thickness_min=told.get("thickness_min", float(geometry.thickness(heights[None])[0]) - THICKNESS_ROOM),
        thickness_max=told.get("thickness_max", 100.0 * THICKNESS_MAX),
        moment_min=told.get("moment_min", moment - MOMENT_ROOM if np.isfinite(moment) else -np.inf),
        change_max=told.get("change_max", np.inf),
        confidence_min=told.get("confidence_min", CONFIDENCE_MIN),
    )


def misses(wanted: Requirements, found: Candidates) -> dict[str, Array]:
    """For each requirement how far (n,) candidates miss it, in steps that can be compared; 0 where they meet it."""
    lost = ~np.isfinite(found.at.alpha)
    short = {
        "lift": np.where(lost, 1.0, 0.0),
        "confidence": wanted.confidence_min - found.at.confidence,
        "thickness": wanted.thickness_min - found.thickness,
        "thickness_max": found.thickness - wanted.thickness_max,
        "moment": wanted.moment_min - found.at.moment,
        "change": found.change - wanted.change_max,
    }
    # What a section that does not reach the lift would be there is unknown, and no miss of its own.
    return {name: np.maximum(np.nan_to_num(value, nan=0.0, neginf=0.0), 0.0) / _WORDS[name][1] for name, value in short.items()}


def words(wanted: Requirements, found: Candidates, row: int) -> list[str]:
    """What candidate `row` misses, worst first."""
    by = {name: float(value[row]) for name, value in misses(wanted, found).items()}
    values = {
        "lift": (np.nan, wanted.lift),
        "confidence": (found.at.confidence[row], wanted.confidence_min),
        "thickness": (found.thickness[row], wanted.thickness_min),
        "thickness_max": (found.thickness[row], wanted.thickness_max),
        "moment": (found.at.moment[row], wanted.moment_min),
        "change": (found.change[row], wanted.change_max),
    }
    worst = sorted((name for name in by if by[name] > 0.0), key=lambda name: -by[name])
    return [_WORDS[name][0].format(found=values[name][0], wanted=values[name][1]) for name in worst]
