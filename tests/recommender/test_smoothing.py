"""Is a shaky drawing told from a steady one, and read as what was meant?"""

import numpy as np
import pytest

from recommender.catalogue import SHAPE, load
from recommender.contour import LOBE_MAX, ContourRefused, normalise, outline
from recommender.geometry import fault
from recommender.smoothing import NOISE_MAX, NOISE_MIN, noise, steadied
from recommender.workshop import Workshop
from tests.recommender.sections import NACA4412, Array, naca

KNOWN = load().contour.astype(np.float64)


def shaken(points: Array, deviation: float, seed: int) -> Array:
    return np.asarray(points + np.random.default_rng(seed).normal(scale=deviation, size=points.shape))


@pytest.mark.parametrize("deviation", [0.0005, 0.001, 0.003, 0.006])
def test_noise_is_measured_in_chords_whatever_the_section(deviation: float) -> None:
    found = [noise(shaken(outline(KNOWN[row]), deviation, row)) for row in range(0, 607, 10)]
    assert np.median(found) == pytest.approx(deviation, rel=0.15)
    assert np.percentile(found, [1, 99]) == pytest.approx(deviation, rel=0.4)


def test_no_known_part_counts_as_shaky_and_none_is_changed() -> None:
    for heights in KNOWN[::5]:
        drawn = outline(heights)
        some = drawn[np.linspace(0, 128, 33).astype(int)]
        for points in (drawn, some, np.round(drawn, 3)):
            same, shake, smoothed = steadied(points)
            assert same is points
            assert shake < NOISE_MIN
            assert not smoothed


def test_so_few_points_that_a_bend_would_pass_for_noise_are_left_as_they_are() -> None:
    drawn = shaken(naca(0.02, 0.4, 0.12, 14), 0.004, 0)
    assert steadied(drawn)[0] is drawn


@pytest.mark.parametrize("points", [30, 65, 600, 2500])
def test_smoothing_brings_a_shaky_outline_nearer_to_what_was_meant(points: int) -> None:
    meant = naca(0.04, 0.4, 0.12, points)
    drawn = shaken(meant, 0.003, points)
    line, shake, smoothed = steadied(drawn * 250.0)
    assert smoothed
    assert NOISE_MIN < shake < NOISE_MAX
    assert len(line) <= 400
    assert apart(line / 250.0, meant) < 0.75 * apart(drawn, meant)


def apart(line: Array, meant: Array) -> float:
    """How far from the meant outline a point lies, root mean square."""
    fine = np.column_stack([np.interp(np.linspace(0, 1, 4000), np.linspace(0, 1, len(meant)), side) for side in meant.T])
    nearest = [np.hypot(*(fine - point).T).min() for point in line]
    return float(np.sqrt(np.mean(np.square(nearest))))


def test_a_drawing_shaken_by_three_thousandths_of_its_chord_finds_its_part(shop: Workshop) -> None:
    """Found by benchmarks/retrieval.py: a quarter of these was refused, as thin tails cross by more than a steady hand's."""
    found = []
    for row in range(0, 607, 6):
        contour = normalise(shaken(outline(KNOWN[row]), 0.003, row))
        assert contour.smoothed
        assert fault(contour.heights) is None
        found.append(shop.matcher.nearest(shop.encoder.encode(contour.heights[None])[0, :SHAPE], 1)[0].row == row)
    assert np.mean(found) > 0.93


@pytest.mark.parametrize("deviation", [0.0, 0.003])
@pytest.mark.parametrize("way", ["tail reversed", "surfaces swapped", "spike"])
def test_an_outline_that_crosses_itself_is_refused_with_its_place_however_shaky_it_is(way: str, deviation: float) -> None:
    points = naca(0.04, 0.4, 0.15, 80)
    if way == "tail reversed":
        points[:20, 1] -= 0.05 * (points[:20, 0] - points[20, 0]) / (1.0 - points[20, 0])
    elif way == "surfaces swapped":
        points[points[:, 0] > 0.5, 1] *= -1
    else:
        points[40, 1] -= 0.2
    with pytest.raises(ContourRefused) as refused:
        normalise(shaken(points, deviation, 1))
    assert refused.value.code in {"surfaces_cross", "self_intersection", "surface_runs_back", "trailing_gap"}
    assert refused.value.where.startswith(("x/c = ", "points ", "trailing edge"))


def test_a_scribble_is_not_smoothed_into_a_section() -> None:
    drawn = shaken(NACA4412, 2 * LOBE_MAX, 0)
    assert steadied(drawn)[0] is drawn
    with pytest.raises(ContourRefused):
        normalise(drawn)
