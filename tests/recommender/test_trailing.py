import numpy as np
import pytest

from recommender.contour import SIDE, STATIONS, Contour, normalise, outline
from recommender.trailing import LONGEST, extension, is_offered
from tests.recommender.sections import NACA4412, Array, naca


def without_tail(points: Array, share: float) -> Array:
    """Selig points without what lies behind 1 - share."""
    nose = int(points[:, 0].argmin())
    sides = []
    for side in (points[: nose + 1][::-1], points[nose:]):
        kept = side[side[:, 0] < 1.0 - share]
        sides.append(np.append(kept, [[1.0 - share, np.interp(1.0 - share, side[:, 0], side[:, 1])]], axis=0))
    return np.concatenate([sides[0][::-1], sides[1][1:]])


def gap(contour: Array, other: Array) -> float:
    """RMS distance in % chord."""
    return float(100.0 * np.sqrt(((contour - other) ** 2).mean()))


def blunt(share: float) -> Contour:
    return normalise(without_tail(NACA4412, share))


@pytest.mark.parametrize("share", [0.02, 0.05, 0.08])
def test_a_tail_that_was_cut_off_grows_again(share: float) -> None:
    whole, stump = normalise(NACA4412), blunt(share)
    assert is_offered(stump.heights)
    offer = extension(stump.heights)
    assert offer is not None
    assert offer.by == pytest.approx(100.0 * share / (1.0 - share), abs=0.5)
    assert gap(offer.heights, whole.heights) < 0.15
    assert gap(offer.heights, whole.heights) < 0.5 * gap(stump.heights, whole.heights)


@pytest.mark.parametrize("section", [NACA4412, naca(0.0, 0.4, 0.12), naca(0.02, 0.4, 0.21)])
def test_a_sharp_part_is_not_cut_and_has_no_extension(section: Array) -> None:
    contour = normalise(section)
    assert extension(contour.heights) is None


@pytest.mark.parametrize("seed", range(20))
def test_noise_does_not_make_a_sharp_part_a_cut_one(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(scale=0.001, size=NACA4412.shape)
    assert extension(normalise(NACA4412 + noise).heights) is None


def test_cut_parts_drawn_with_noise_are_extended_towards_the_whole() -> None:
    """Noise alone is 0.1 % chord away from the whole."""
    whole, points = normalise(NACA4412).heights, resampled(without_tail(NACA4412, 0.05), 40)
    rng, as_drawn, extended = np.random.default_rng(0), [], []
    for _ in range(100):
        stump = normalise(points + rng.normal(scale=0.001, size=points.shape))
        as_drawn.append(gap(stump.heights, whole))
        longer = extension(stump.heights)
        extended.append(as_drawn[-1] if longer is None else gap(longer.heights, whole))
    assert np.mean(as_drawn) > 0.5
    assert np.mean(extended) < 0.25


def resampled(points: Array, count: int) -> Array:
    at, index = np.linspace(0, len(points) - 1, count), np.arange(len(points))
    return np.column_stack([np.interp(at, index, column) for column in points.T])


def test_a_tail_that_widens_is_blunt_by_design() -> None:
    upper, lower = np.split(outline(normalise(naca(0.02, 0.4, 0.06)).heights), [SIDE])
    wedge = 0.02 * np.maximum(STATIONS - 0.8, 0.0) / 0.2
    flared = np.concatenate(
        [upper + np.column_stack([0 * wedge, wedge[::-1]]), lower - np.column_stack([0 * wedge, wedge])[1:]]
    )
    contour = normalise(flared)
    assert contour.trailing_gap > 0.03
    assert extension(contour.heights) is None


@pytest.mark.parametrize("share", [0.02, 0.05, 0.08])
def test_the_extension_is_in_the_frame_of_normalise(share: float) -> None:
    longer = extension(blunt(share).heights)
    assert longer is not None
    upper, lower = longer.heights[:SIDE], longer.heights[SIDE:]
    assert upper[0] == lower[0] == 0.0
    assert abs(upper[-1] + lower[-1]) < 1e-6
    assert gap(normalise(outline(longer.heights)).heights, longer.heights) < 0.02


def test_extensions_are_finite_closed_and_do_not_cross() -> None:
    for thickness in (0.06, 0.12, 0.2):
        for share in (0.01, 0.04, 0.07):
            longer = extension(normalise(without_tail(naca(0.04, 0.4, thickness), share)).heights)
            assert longer is not None
            assert np.isfinite(longer.heights).all()
            assert (longer.heights[:SIDE] - longer.heights[SIDE:]).min() > -1e-3
            assert 0.0 < longer.by <= 100.0 * LONGEST + 1e-6
            assert longer.heights[SIDE - 1] - longer.heights[-1] < 1e-9


def test_the_drawing_itself_stays_as_it_is() -> None:
    stump = blunt(0.05)
    before = stump.heights.copy()
    extension(stump.heights)
    assert np.array_equal(stump.heights, before)
    assert stump.trailing_gap > 0.01
