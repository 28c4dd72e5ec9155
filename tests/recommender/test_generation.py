"""Are generated sections sections, better, and the same for the same seed?"""

import numpy as np
import pytest

from recommender import geometry, recommendation, requirements
from recommender.contour import Array
from recommender.generation import POPULATION, Progress, Room, Strategy, search
from recommender.recommendation import Scored
from recommender.requirements import Requirements
from recommender.workshop import Workshop


def generated(shop: Workshop, row: int, seed: int = 0, steps: int = 15, **wishes: float) -> tuple[Requirements, Array, Scored]:
    wanted = requirements.read(wishes, shop.heights[row], shop.polar)
    start = recommendation.reference(shop.heights[row], shop.polar, wanted)
    args = shop.shapes[row], start, wanted, shop.encoder, shop.polar, shop.room
    return wanted, *search(*args, seed=seed, steps=steps)


@pytest.mark.parametrize("row", [60, 333, 480])
def test_they_are_better_and_meet_what_was_required(shop: Workshop, row: int) -> None:
    wanted, latents, found = generated(shop, row, thickness_min=9.0)
    rows = recommendation.front(found, 5)
    assert found.candidates.gain[rows[0]] > 5
    heights = shop.encoder.decode(latents[rows])
    assert geometry.valid(heights).all()
    again = shop.polar.at_lift(heights, wanted.lift, wanted.flight)
    assert np.abs(again.lift - wanted.lift).max() < 0.03
    assert (again.moment >= wanted.moment_min - 1e-6).all()
    assert (again.confidence >= wanted.confidence_min - 1e-6).all()
    assert (geometry.thickness(heights) >= 9.0).all()


def test_they_stay_among_what_sections_are(shop: Workshop) -> None:
    _, latents, found = generated(shop, 333)
    limit = max(shop.room.limit, float(shop.room.distance(shop.shapes[333][None])[0]))
    assert shop.room.distance(latents[found.feasible]).max() <= limit * (1 + 1e-9)


def test_the_same_seed_finds_the_same_and_another_others(shop: Workshop) -> None:
    first, again, other = (generated(shop, 60, seed, steps=4)[1] for seed in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_limit_on_change_is_kept(shop: Workshop) -> None:
    _, latents, found = generated(shop, 480, change_max=0.3)
    rows = recommendation.front(found, 5)
    assert len(rows)
    assert np.linalg.norm(latents[rows] - shop.shapes[480], axis=1).max() <= 0.3


def test_who_listens_can_end_it(shop: Workshop) -> None:
    wanted = requirements.read({}, shop.heights[60], shop.polar)
    start = recommendation.reference(shop.heights[60], shop.polar, wanted)
    told: list[Progress] = []

    def heard(progress: Progress) -> bool:
        told.append(progress)
        return len(told) < 3

    args = shop.shapes[60], start, wanted, shop.encoder, shop.polar, shop.room
    latents, found = search(*args, steps=40, heard=heard)
    assert [(one.step, one.steps) for one in told] == [(1, 40), (2, 40), (3, 40)]
    assert len(latents) == len(found.missed) == 3 * POPULATION
    gains = [one.gain for one in told if one.gain is not None]
    assert gains == sorted(gains)


def test_what_cannot_be_met_is_told_as_a_nearest_miss(shop: Workshop) -> None:
    wanted, _, found = generated(shop, 60, steps=3, thickness_min=34.9, change_max=0.1)
    assert len(recommendation.front(found, 5)) == 0
    row = found.nearest_miss()
    assert row is not None
    assert requirements.words(wanted, found.candidates, row)


def test_the_strategy_finds_the_bottom_of_a_badly_scaled_bowl() -> None:
    rng, strategy = np.random.default_rng(0), Strategy(24)
    scale = np.logspace(0, 1.5, 24)
    for _ in range(300):
        points = strategy.draw(rng)
        strategy.learn(points, -(((points - 0.5) * scale) ** 2).sum(axis=1))
    assert np.abs(strategy.mean - 0.5).max() < 1e-3


def test_the_room_measures_in_spreads() -> None:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((20_000, 24)) @ rng.standard_normal((24, 24))
    room = Room.of(points)
    # The square of a normal vector's Mahalanobis length has mean 24.
    assert (room.distance(points) ** 2).mean() == pytest.approx(24, rel=0.01)
    assert (room.distance(points) > room.limit).mean() == pytest.approx(0.01, abs=0.001)
