"""Are better parts better, near ones near, and is every word about them true?"""

import re

import numpy as np
import pytest

from recommender import recommendation, requirements
from recommender.contour import Array
from recommender.polar import AtLift, Flight
from recommender.recommendation import Scored
from recommender.requirements import Candidates, Requirements
from recommender.workshop import Workshop

WANTED = Requirements(0.8, Flight(), 11.5, 35.0, -0.08, np.inf, 0.85)
ROWS = (3, 90, 150, 333, 480)


def candidates(**columns: list[float]) -> Candidates:
    """Plain numbers, of sections that do not matter; what is not given meets WANTED."""
    n = len(next(iter(columns.values())))
    given = {
        "alpha": 4.0,
        "lift": 0.8,
        "drag": 0.008,
        "moment": -0.05,
        "confidence": 0.95,
        "change": 0.5,
        "thickness": 12.0,
        "gain": 5.0,
    }
    told = {name: np.array(columns.get(name, [value] * n)) for name, value in given.items()}
    at = AtLift(*(told[name] for name in ("alpha", "lift", "drag", "moment", "confidence")))
    return Candidates(np.zeros((n, 130)), told["change"], told["thickness"], at, told["gain"])


def scored(found: Candidates) -> Scored:
    return Scored(found, np.sum(list(requirements.misses(WANTED, found).values()), axis=0))


def recommended(shop: Workshop, row: int, **wishes: float) -> tuple[Requirements, Scored, Array]:
    wanted = requirements.read(wishes, shop.heights[row], shop.polar)
    start = recommendation.reference(shop.heights[row], shop.polar, wanted)
    change = np.linalg.norm(shop.shapes - shop.shapes[row], axis=1)
    return wanted, recommendation.score(shop.heights, change, start, shop.polar, wanted), change


@pytest.mark.parametrize("row", ROWS)
def test_what_is_recommended_meets_every_requirement(shop: Workshop, row: int) -> None:
    wanted, found, _ = recommended(shop, row, reynolds=5e5, thickness_min=10.0, moment_min=-0.12, change_max=1.5)
    rows = recommendation.front(found, 8)
    at = found.candidates.at
    assert len(rows)
    for one in rows:
        said = shop.polar.predict(shop.heights[one][None], at.alpha[one][None], Flight(5e5, 9.0))
        assert said["CL"][0] == pytest.approx(wanted.lift, abs=0.03)
        assert said["CM"][0] >= -0.12 - 1e-6
        assert said["confidence"][0] >= 0.85 - 1e-6
        assert 100 * (shop.heights[one][:65] - shop.heights[one][65:]).max() >= 10.0
        assert 100 * np.sqrt(np.mean((shop.heights[one] - shop.heights[row]) ** 2)) <= 1.55


@pytest.mark.parametrize("row", ROWS)
def test_the_gain_is_against_the_given_section_at_the_same_lift(shop: Workshop, row: int) -> None:
    wanted, found, _ = recommended(shop, row)
    own = shop.polar.at_lift(shop.heights[row][None], wanted.lift, wanted.flight)
    best = recommendation.front(found, 8)[:1]
    for one in best:
        theirs = shop.polar.at_lift(shop.heights[one][None], wanted.lift, wanted.flight)
        assert found.candidates.gain[one] == pytest.approx(100 * (theirs.glide[0] / own.glide[0] - 1), abs=0.05)


def test_the_section_itself_gains_nothing_and_changes_nothing(shop: Workshop) -> None:
    _, found, change = recommended(shop, 60)
    assert change[60] == 0
    assert abs(found.candidates.gain[60]) < 0.05
    assert 60 not in recommendation.front(found, 50)


def test_no_part_on_the_front_is_beaten_by_a_feasible_one(shop: Workshop) -> None:
    for row in ROWS:
        _, found, _ = recommended(shop, row)
        goals = np.column_stack([found.candidates.gain, -found.candidates.change, found.candidates.at.confidence])
        for one in recommendation.front(found, 8):
            better = (goals >= goals[one]).all(axis=1) & (goals > goals[one]).any(axis=1) & found.feasible
            assert not better.any()


def test_the_front_keeps_the_best_gain_and_is_ordered_by_it() -> None:
    rng = np.random.default_rng(0)
    gain = rng.uniform(1, 40, 300)
    found = scored(candidates(gain=gain.tolist(), change=(gain / 20 + rng.uniform(0, 0.2, 300)).tolist()))
    rows = recommendation.front(found, 6)
    gains = found.candidates.gain[rows]
    assert len(rows) == 6
    assert gains[0] == gain.max()
    assert gains.tolist() == sorted(gains, reverse=True)
    assert found.candidates.change[rows].min() < 0.5


def test_a_gain_that_is_less_than_the_predictions_error_is_none() -> None:
    assert len(recommendation.front(scored(candidates(gain=[0.4, -3.0])), 5)) == 0


def test_where_the_given_section_has_no_glide_of_its_own_glide_itself_counts() -> None:
    found = scored(candidates(gain=[np.nan, np.nan], drag=[0.008, 0.004]))
    assert recommendation.front(found, 1).tolist() == [1]


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("thickness", 11.2, "thickness 11.2 %, wanted at least 11.5 %"),
        ("moment", -0.1, "moment -0.100, wanted at least -0.080"),
        ("confidence", 0.5, "confidence 0.50, wanted at least 0.85"),
        ("alpha", np.nan, "no angle gives CL 0.80"),
    ],
)
def test_a_miss_is_told_in_its_own_unit(column: str, value: float, said: str) -> None:
    found = candidates(**{column: [12.0 if column == "thickness" else -0.05 if column == "moment" else 0.9, value]})
    assert requirements.words(WANTED, found, 0) == []
    assert requirements.words(WANTED, found, 1) == [said]
    assert scored(found).feasible.tolist() == [True, False]


def test_the_worst_miss_is_told_first() -> None:
    found = candidates(thickness=[11.4], moment=[-0.2])
    assert [words.split()[0] for words in requirements.words(WANTED, found, 0)] == ["moment", "thickness"]


def test_when_nothing_fits_the_nearest_miss_is_the_one_that_misses_least(shop: Workshop) -> None:
    wanted, found, _ = recommended(shop, 60, thickness_min=34.0)
    assert not found.feasible.any()
    row = found.nearest_miss()
    assert row == int(found.missed.argmin())
    assert row is not None
    assert any(word.startswith("thickness") for word in requirements.words(wanted, found.candidates, row))
    assert scored(candidates(gain=[5.0])).nearest_miss() is None


def test_what_is_not_required_is_taken_from_the_section(shop: Workshop) -> None:
    wanted = requirements.read({}, shop.heights[60], shop.polar)
    own = shop.polar.at_lift(shop.heights[60][None], wanted.lift, wanted.flight)
    assert wanted.lift == pytest.approx(shop.polar.best_lift(shop.heights[60], wanted.flight), abs=1e-3)
    assert wanted.thickness_min == pytest.approx(shop.outlines[0][60] - 0.5)
    assert wanted.moment_min == pytest.approx(own.moment[0] - 0.02)
    assert wanted.describe()["change_max"] is None
    assert requirements.read({"lift": 2.9}, shop.heights[60], shop.polar).describe()["moment_min"] is None


def test_why_says_the_numbers(shop: Workshop) -> None:
    wanted, found, _ = recommended(shop, 90)
    one = int(recommendation.front(found, 1)[0])
    said = recommendation.why(wanted, found.candidates, one)
    match = re.fullmatch(
        r"\+(\d+) % L/D at CL ([\d.]+), ([\d.]+) % chord away, confidence ([\d.]+); thickness .* %, moment -?[\d.]+", said
    )
    assert match
    assert float(match[1]) == pytest.approx(found.candidates.gain[one], abs=0.5)
    assert float(match[3]) == pytest.approx(found.candidates.change[one], abs=0.005)
