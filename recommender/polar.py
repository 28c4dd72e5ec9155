"""What lift, drag and moment does NeuralFoil predict for a section, and how sure is it?

polar.onnx is NeuralFoil "large" (Peter Sharpe, MIT) as one graph: two-dimensional, incompressible, free transition. Knows of no
catalogue and no requirement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recommender.catalogue import POLAR
from recommender.contour import Array
from serving.runtime import open_session, runner

OUTPUTS = ("CL", "ln_CD", "CM", "confidence", "top_transition", "bottom_transition")
PREDICTED_BY = "NeuralFoil large"
LIMITS = "predicted, not measured; two-dimensional, incompressible (no Mach number), free transition"
REYNOLDS_MIN, REYNOLDS_MAX = 5e4, 1e7
N_CRIT_MIN, N_CRIT_MAX = 3.0, 14.0
ALPHA_MIN, ALPHA_MAX = -10.0, 20.0
# A lift is looked for between neighbours of these angles, and then on the line between, twice.
_COARSE: Array = np.arange(-8.0, 17.0, 3.0)
_FINE: Array = np.arange(-6.0, 14.1, 0.5)
_POLISHED = 3
# So many cases at once: 2 MB of heights, near the processor.
_AT_ONCE = 4096
# The angle of best L/D is looked for among predictions that are at least this sure.
_SURE = 0.5


@dataclass(frozen=True)
class Flight:
    """n_crit: ln of the amplification at which the flow becomes turbulent; 9 in clean air, 5 in a turbulent tunnel."""

    reynolds: float = 1e6
    n_crit: float = 9.0


@dataclass(frozen=True)
class AtLift:
    """Sections (n,) at the angle where they give the wanted lift; NaN where they never do. Angles in degrees."""

    alpha: Array
    lift: Array
    drag: Array
    moment: Array
    confidence: Array

    @property
    def glide(self) -> Array:
        return np.asarray(self.lift / self.drag)


class Polar:
    """One graph, any number of sections, angles and conditions."""

    def __init__(self, path: Path = POLAR) -> None:
        self._run = runner(open_session(path.read_bytes()))

    def predict(self, heights: Array, alpha: Array, flight: Flight) -> dict[str, Array]:
        """heights (n, 130) in chords, alpha (n,) in degrees -> OUTPUTS, (n,) each; ln_CD is the drag's natural logarithm."""
        # Of no sections one empty run.
        starts = range(0, max(len(alpha), 1), _AT_ONCE)
        parts = [
            self._run(list(OUTPUTS), _feeds(heights[at : at + _AT_ONCE], alpha[at : at + _AT_ONCE], flight)) for at in starts
        ]
        return {name: np.concatenate([part[i] for part in parts]).astype(np.float64) for i, name in enumerate(OUTPUTS)}

    def sweep(self, heights: Array, alphas: Array, flight: Flight) -> dict[str, Array]:
        """heights (n, 130), alphas (m,) -> OUTPUTS, (n, m) each."""
        said = self.predict(np.repeat(heights, len(alphas), axis=0), np.tile(alphas, len(heights)), flight)
        return {name: values.reshape(-1, len(alphas)) for name, values in said.items()}

    def coarse(self, heights: Array, flight: Flight) -> Array:
        """Lifts (n, m) of (n, 130) at a few angles, between which `at_lift` looks; worth keeping for sections that stay."""
        return self.sweep(heights, _COARSE, flight)["CL"]

    def at_lift(self, heights: Array, lift: float, flight: Flight, coarse: Array | None = None) -> AtLift:
        """Where each of (n, 130) first gives this lift as its angle grows."""
        low, high, reached = _bracket(self.coarse(heights, flight) if coarse is None else coarse, lift)
        heights, low, high = heights[reached], low[:, reached], high[:, reached]
        alpha = _between(low, high, lift)
        for _ in range(_POLISHED):
            found = self.predict(heights, alpha, flight)["CL"]
            below = found < lift
            low = np.where(below, (alpha, found), low)
            high = np.where(below, high, (alpha, found))
            alpha = _between(low, high, lift)
        said = self.predict(heights, alpha, flight)
        told = np.full((5, len(reached)), np.nan)
        told[:, reached] = alpha, said["CL"], np.exp(said["ln_CD"]), said["CM"], said["confidence"]
        return AtLift(*told)

    def best_lift(self, heights: Array, flight: Flight) -> float:
        """The lift at which one section (130,) glides best, among positive lifts that are predicted surely enough."""
        said = self.sweep(heights[None], _FINE, flight)
        glide = said["CL"] / np.exp(said["ln_CD"])
        usable = np.where((said["confidence"] >= _SURE) & (said["CL"] > 0.05), glide, -np.inf)
        return float(said["CL"][0, int(usable[0].argmax())])


def _feeds(heights: Array, alpha: Array, flight: Flight) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    n = len(alpha)
    return {
        "contour": np.ascontiguousarray(heights, dtype=np.float32),
        "alpha": np.ascontiguousarray(alpha, dtype=np.float32),
        "reynolds": np.full(n, flight.reynolds, np.float32),
        "n_crit": np.full(n, flight.n_crit, np.float32),
    }


def _bracket(coarse: Array, lift: float) -> tuple[Array, Array, NDArray[np.bool_]]:
    """(n, m) lifts at the coarse angles -> angle and lift (2, n) on either side of the wanted one, and whether there are."""
    crossing = (coarse[:, :-1] < lift) & (coarse[:, 1:] >= lift)
    at, rows = crossing.argmax(axis=1), np.arange(len(coarse))
    low, high = (np.stack([_COARSE[side], coarse[rows, side]]) for side in (at, at + 1))
    return low, high, np.asarray(crossing.any(axis=1))


def _between(low: Array, high: Array, lift: float) -> Array:
    """Where the line from `low` to `high`, angle and lift (2, n), has the wanted lift."""
    rise = high[1] - low[1]
    share = (lift - low[1]) / np.where(rise == 0.0, 1.0, rise)
    return np.asarray(low[0] + np.clip(share, 0.0, 1.0) * (high[0] - low[0]))


def angles(given: Sequence[float] | None) -> Array:
    """Degrees, ascending; every half of one where none are given."""
    return np.arange(-6.0, 16.1, 0.5) if given is None else np.unique(np.asarray(given, dtype=np.float64))
