"""Which section that nobody has drawn would be better?

An evolution strategy with a diagonal covariance (Ros and Hansen, "A simple modification in CMA-ES achieving linear time and
space complexity", PPSN X, 2008) in the shape coordinates, scaled by how much known sections differ along each; so what it draws
is made of what sections are made of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from recommender import geometry, recommendation
from recommender.contour import Array
from recommender.encoder import Encoder
from recommender.polar import Polar
from recommender.recommendation import Scored
from recommender.requirements import Candidates, Requirements

POPULATION, STEPS = 48, 40
_FIRST_STEP = 0.3
# What a miss costs, beside an L/D that is worth 1 when it is the given section's own.
_PENALTY = 1.0
# A prediction is asked for beside the wanted lift too, so that no needle of a polar is climbed.
_BESIDE = (0.9, 1.0, 1.1)


@dataclass(frozen=True)
class Room:
    """Where known sections lie: (24,) mean and spread of the shape block; `limit`: of the distance from them, in spreads."""

    mean: Array
    turn: Array
    spread: Array
    limit: float

    @classmethod
    def of(cls, latents: Array) -> Room:
        """latents (n, 24)."""
        mean = latents.mean(axis=0)
        spread, turn = np.linalg.eigh(np.cov(latents.T))
        room = cls(mean, turn, np.sqrt(np.maximum(spread, 1e-12)), np.inf)
        return cls(mean, turn, room.spread, float(np.percentile(room.distance(latents), 99)))

    def distance(self, latents: Array) -> Array:
        """(n, 24) -> (n,) Mahalanobis distances."""
        return np.asarray(np.linalg.norm((latents - self.mean) @ self.turn / self.spread, axis=1))


@dataclass
class Strategy:
    """Where the search stands: mean, step size and variances in spreads of the room, and the two evolution paths."""

    dimension: int
    step: float = _FIRST_STEP
    mean: Array = field(init=False)
    variance: Array = field(init=False)
    path: Array = field(init=False)
    step_path: Array = field(init=False)

    def __post_init__(self) -> None:
        n, half = self.dimension, POPULATION // 2
        weights = np.log(half + 0.5) - np.log(np.arange(1, half + 1))
        self.weights = weights / weights.sum()
        self.mass = 1.0 / (self.weights**2).sum()
        self.mean, self.path, self.step_path, self.variance = np.zeros(n), np.zeros(n), np.zeros(n), np.ones(n)
        self.c_path = 4.0 / (n + 4.0)
        self.c_step = (self.mass + 2.0) / (n + self.mass + 3.0)
        self.damping = 1.0 + self.c_step + 2.0 * max(0.0, np.sqrt((self.mass - 1.0) / (n + 1.0)) - 1.0)
        # As sep-CMA-ES has it: with n instead of n^2 variances, (n + 2) / 3 times faster.
        full = 2.0 / (n + np.sqrt(2.0)) ** 2 / self.mass
        full += (1.0 - 1.0 / self.mass) * min(1.0, (2.0 * self.mass - 1.0) / ((n + 2.0) ** 2 + self.mass))
        self.c_variance = min(1.0, full * (n + 2.0) / 3.0)
        self.typical = np.sqrt(n) * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n**2))

    def draw(self, rng: np.random.Generator) -> Array:
        return np.asarray(self.mean + self.step * rng.standard_normal((POPULATION, self.dimension)) * np.sqrt(self.variance))

    def learn(self, points: Array, worth: Array) -> None:
        best = points[np.argsort(-worth, kind="stable")[: len(self.weights)]]
        moved = (best - self.mean) / self.step
        mean = self.weights @ moved
        white = mean / np.sqrt(self.variance)
        self.step_path = (1.0 - self.c_step) * self.step_path
        self.step_path += np.sqrt(self.c_step * (2.0 - self.c_step) * self.mass) * white
        self.path = (1.0 - self.c_path) * self.path + np.sqrt(self.c_path * (2.0 - self.c_path) * self.mass) * mean
        once, often = self.path**2, self.weights @ moved**2
        target = once / self.mass + (1.0 - 1.0 / self.mass) * often
        self.variance = (1.0 - self.c_variance) * self.variance + self.c_variance * target
        self.mean = self.mean + self.step * mean
        ratio = np.linalg.norm(self.step_path) / self.typical - 1.0
        self.step *= float(np.exp(min(1.0, self.c_step / self.damping * ratio)))


@dataclass(frozen=True)
class Progress:
    """Of the search so far; `gain`: the best feasible one's, in %."""

    step: int
    steps: int
    feasible: int
    gain: float | None


def search(
    start: Array,
    given: Candidates,
    wanted: Requirements,
    encoder: Encoder,
    polar: Polar,
    room: Room,
    seed: int = 0,
    steps: int = STEPS,
    heard: Callable[[Progress], bool] = lambda progress: True,
) -> tuple[Array, Scored]:
    """From the given section's shape block (24,): all (n, 24) that were looked at, and how they score.

    `heard` is told of every step; the search ends when it returns False. The same seed finds the same sections.
    """
    rng, strategy = np.random.default_rng(seed), Strategy(len(start))
    looked: list[Array] = []
    found: list[Scored] = []
    for step in range(1, steps + 1):
        points = strategy.draw(rng)
        latents = start + points * room.spread @ room.turn.T
        scored, worth = _look(latents, start, given, wanted, encoder, polar, room)
        strategy.learn(points, worth)
        looked.append(latents)
        found.append(scored)
        if not heard(_progress(step, steps, found)):
            break
    return np.concatenate(looked), _together(found)


def _look(
    latents: Array, start: Array, given: Candidates, wanted: Requirements, encoder: Encoder, polar: Polar, room: Room
) -> tuple[Scored, Array]:
    heights = encoder.decode(latents)
    change = np.linalg.norm(latents - start, axis=1)
    scored = recommendation.score(heights, change, given, polar, wanted)
    found = scored.candidates
    strange = np.maximum(room.distance(latents) / max(room.limit, float(room.distance(start[None])[0])) - 1.0, 0.0)
    broken = np.where(geometry.valid(heights), 0.0, 1.0)
    missed = scored.missed + strange + broken
    own = given.at.glide[0] if np.isfinite(given.at.glide[0]) else 50.0
    glide = np.nan_to_num(_robust(found, polar, wanted), nan=0.0)
    return Scored(found, missed), glide / own - _PENALTY * missed


def _robust(found: Candidates, polar: Polar, wanted: Requirements) -> Array:
    """L/D around the wanted lift, each candidate at the angles that a lift slope of 0.11 per degree makes of it."""
    reached = np.isfinite(found.at.alpha)
    alpha = np.where(reached, found.at.alpha, 0.0)
    glides = [found.at.glide]
    for share in _BESIDE:
        if share != 1.0:
            said = polar.predict(found.heights, alpha + (share - 1.0) * wanted.lift / 0.11, wanted.flight)
            glides.append(said["CL"] / np.exp(said["ln_CD"]))
    return np.asarray(np.mean(glides, axis=0))


def _progress(step: int, steps: int, found: list[Scored]) -> Progress:
    gains = np.concatenate([one.candidates.gain[one.feasible] for one in found])
    best = float(np.max(gains)) if len(gains) and np.isfinite(gains).all() else None
    return Progress(step, steps, len(gains), best)


def _together(found: list[Scored]) -> Scored:
    parts = [one.candidates for one in found]
    at = type(parts[0].at)(*(np.concatenate([getattr(p.at, n) for p in parts]) for n in type(parts[0].at).__dataclass_fields__))
    rest = {n: np.concatenate([getattr(p, n) for p in parts]) for n in ("heights", "change", "thickness", "gain")}
    return Scored(Candidates(at=at, **rest), np.concatenate([one.missed for one in found]))
