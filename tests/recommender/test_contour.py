import math
import time

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender.contour import LOBE_MAX, SIDE, STATIONS, ContourRefused, normalise, outline
from recommender.drawing import read
from recommender.geometry import fault
from tests.recommender.sections import NACA0012, NACA4412, naca

Array = NDArray[np.float64]


def turned(points: Array, degrees: float) -> Array:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.asarray(points @ np.array([[c, s], [-s, c]]), dtype=np.float64)


def refusal(points: Array) -> ContourRefused:
    with pytest.raises(ContourRefused) as refused:
        normalise(points)
    return refused.value


def test_a_symmetric_section_has_the_heights_of_its_formula() -> None:
    x = STATIONS
    exact = 0.6 * (0.2969 * np.sqrt(x) - 0.126 * x - 0.3516 * x**2 + 0.2843 * x**3 - 0.1036 * x**4)
    heights = normalise(NACA0012).heights
    assert np.abs(heights[:SIDE] - exact).max() < 2e-5
    assert np.abs(heights[SIDE:] + exact).max() < 2e-5


def test_the_spline_reproduces_a_cubic() -> None:
    from recommender.contour import _Spline

    t = np.array([0.0, 0.3, 0.5, 1.1, 1.6, 2.0])
    spline = _Spline(np.column_stack([t, np.zeros_like(t)]))
    assert np.abs(spline.at(np.linspace(0, 2, 41))[:, 0] - np.linspace(0, 2, 41)).max() < 1e-14


def test_the_spline_is_scipys_not_a_knot_spline() -> None:
    from scipy import interpolate

    from recommender.contour import _Spline

    s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(NACA4412, axis=0).T))])
    at = np.linspace(0, s[-1], 999)
    assert np.abs(_Spline(NACA4412).at(at) - interpolate.CubicSpline(s, NACA4412)(at)).max() < 1e-13


@pytest.mark.parametrize("degrees", [-170.0, -8.0, 3.0, 90.0])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 250.0])
def test_place_scale_and_rotation_do_not_matter(degrees: float, scale: float) -> None:
    moved = turned(NACA4412, degrees) * scale + [7.0 * scale, -3.0 * scale]
    contour = normalise(moved)
    still = normalise(NACA4412)
    assert np.abs(contour.heights - still.heights).max() < 1e-8
    assert contour.chord == pytest.approx(still.chord * scale)
    assert contour.rotation_deg == pytest.approx(still.rotation_deg + degrees, abs=1e-6)


def test_the_direction_of_drawing_does_not_matter() -> None:
    contour = normalise(NACA4412[::-1])
    assert contour.clockwise
    assert not normalise(NACA4412).clockwise
    assert np.abs(contour.heights - normalise(NACA4412).heights).max() < 1e-8


def test_a_section_flown_inverted_stays_inverted() -> None:
    upright, inverted = normalise(NACA4412), normalise(NACA4412 * [1, -1])
    assert np.abs(inverted.upper + upright.lower).max() < 1e-8


def test_normalising_twice_changes_nothing() -> None:
    once = normalise(NACA4412).heights
    assert np.abs(normalise(outline(once)).heights - once).max() < 2e-5


def test_a_point_that_is_not_finite_is_named() -> None:
    points = NACA0012.copy()
    points[4, 1] = np.nan
    assert refusal(points).where == "point 5"


def test_too_many_points_are_refused() -> None:
    assert refusal(naca(0.0, 0.4, 0.12, 2502)).code == "too_many_points"


def test_an_array_that_is_no_outline_is_refused() -> None:
    assert refusal(np.zeros((20, 3))).code == "shape"


def test_one_point_written_over_and_over_is_no_outline() -> None:
    assert refusal(np.ones((40, 2))).code == "too_few_points"


def test_points_in_the_wrong_order_are_refused_with_the_place() -> None:
    upper, lower = NACA4412[:80], NACA4412[79:]
    refused = refusal(np.concatenate([upper[::-1], lower]))
    assert refused.code in {"surface_runs_back", "trailing_gap", "surfaces_cross"}
    shuffled = NACA4412.copy()
    shuffled[[20, 60]] = shuffled[[60, 20]]
    assert refusal(shuffled).code == "surface_runs_back"


def test_crossing_surfaces_are_refused_with_the_station() -> None:
    crossed = NACA0012.copy()
    behind = crossed[:, 0] > 0.5
    crossed[behind, 1] *= -1
    assert refusal(crossed).code == "surfaces_cross"
    assert refusal(crossed).where.startswith("x/c = 0.")


def test_an_open_trailing_edge_is_refused() -> None:
    opened = NACA0012.copy()
    opened[:, 1] += np.where(np.arange(len(opened)) < 80, 0.04, -0.04) * opened[:, 0]
    assert refusal(opened).code == "trailing_gap"


def test_an_outline_that_starts_at_the_nose_is_refused() -> None:
    from_nose = np.concatenate([NACA4412[79:], NACA4412[1:80]])
    assert refusal(from_nose).code == "nose_first"


@pytest.mark.parametrize("thickness", [0.02, 0.4])
def test_thickness_outside_three_to_thirty_five_percent_is_refused(thickness: float) -> None:
    refused = refusal(naca(0.0, 0.4, thickness))
    assert refused.code == "thickness"
    assert "3% to 35%" in str(refused)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("inf 5", "not_finite"),
        ("5 inf", "not_finite"),
        ("nan nan", "not_finite"),
        ("1e300 1e300", "size"),
        ("-1e150 0", "size"),
    ],
)
def test_a_first_row_that_no_drawing_has_is_refused(row: str, code: str) -> None:
    """Found by odd inputs: infinity was taken for a count of points."""
    text = "name\n" + row + "\n" + "\n".join(f"{math.cos(i / 6):.4f} {0.1 * math.sin(i / 6):.4f}" for i in range(38))
    with pytest.raises(ContourRefused) as refused:
        normalise(read(text).points)
    assert refused.value.code == code


def test_an_outline_of_no_size_is_refused() -> None:
    points = np.array([[math.cos(i / 6), 0.1 * math.sin(i / 6)] for i in range(38)]) * 1e-310
    with pytest.raises(ContourRefused) as refused:
        normalise(points)
    assert refused.value.code == "size"


def test_the_nose_is_where_it_was_drawn() -> None:
    contour = normalise(turned(NACA0012, 20.0) * 40.0 + [7.0, -3.0])
    assert contour.nose == pytest.approx((7.0, -3.0), abs=1e-3)


def spiked(depth: float) -> Array:
    """NACA 0012 whose upper surface falls to `depth` under the chord and comes back, between two stations."""
    place = int(np.flatnonzero(NACA0012[:, 0] < 0.515)[0])
    down = np.column_stack([np.linspace(0.515, 0.513, 30), np.linspace(0.05, -depth, 30)])
    up = np.column_stack([np.linspace(0.513, 0.511, 30), np.linspace(-depth, 0.05, 30)])
    return np.concatenate([NACA0012[:place], down, up[1:], NACA0012[place:]])


def test_a_spike_through_the_other_surface_is_refused_with_its_points() -> None:
    """No station sees it; the segments do."""
    refused = refusal(spiked(0.12))
    assert refused.code == "self_intersection"
    words = refused.where.replace(":", "").split()
    first, second = int(words[1]), int(words[3])
    points = spiked(0.12)
    assert points[first - 1 : first + 1, 1] == pytest.approx(-0.055, abs=0.01)
    assert points[second - 1 : second + 1, 0] == pytest.approx(0.513, abs=0.02)
    assert "x/c = 0.51" in str(refused)


def test_points_that_were_written_twice_keep_their_numbers() -> None:
    once, twice = refusal(spiked(0.12)), refusal(np.repeat(spiked(0.12), 2, axis=0))
    numbers = [[int(word) for word in refused.where.split() if word.isdigit()] for refused in (once, twice)]
    assert numbers[1] == [2 * number - 1 for number in numbers[0]]


@pytest.mark.parametrize("points", [40, 80, 600, 2400])
@pytest.mark.parametrize("seed", range(5))
def test_noise_of_a_thousandth_is_accepted_though_it_ties_knots(points: int, seed: int) -> None:
    section = naca(0.02, 0.4, 0.10, points)
    drawn = section + np.random.default_rng(seed).normal(scale=0.001, size=section.shape)
    contour = normalise(drawn)
    assert np.abs(contour.heights - normalise(section).heights).max() < 0.02
    assert fault(contour.heights) is None


@pytest.mark.parametrize("share", [0.002, 0.004])
def test_surfaces_that_cross_a_little_are_closed_halfway_and_that_is_said(share: float) -> None:
    """Found by reading: such a drawing was taken, and then refused as no section by whoever was asked about its heights."""
    crossed = NACA0012.copy()
    crossed[:, 1] -= np.where(np.arange(len(crossed)) < 79, 0.5, -0.5) * share * np.maximum(0.0, crossed[:, 0] - 0.9) / 0.1
    contour = normalise(crossed)
    assert contour.crossed == pytest.approx(share, rel=0.05)
    assert (contour.upper - contour.lower).min() >= -1e-12
    assert np.abs(contour.heights - normalise(NACA0012).heights).max() < share
    assert normalise(NACA0012).crossed == 0.0


@pytest.mark.parametrize(("height", "code"), [(LOBE_MAX / 2, None), (LOBE_MAX * 2, "self_intersection")])
def test_a_knot_is_refused_when_it_is_higher_than_noise(height: float, code: str | None) -> None:
    turn = np.linspace(0, 2 * np.pi, 40)[1:-1]
    knot = np.array([0.5, 0.055]) + np.column_stack([0.004 * np.sin(turn), height * (1 - np.cos(turn)) / 2])
    at = int(np.flatnonzero(NACA0012[:, 0] < 0.5)[0])
    assert code_of(np.concatenate([NACA0012[:at], knot[::-1], NACA0012[at:]])) == code
    # The other way around it is a bump.
    assert code_of(np.concatenate([NACA0012[:at], knot, NACA0012[at:]])) is None


def code_of(points: Array) -> str | None:
    try:
        normalise(points)
    except ContourRefused as refused:
        return refused.code
    return None


def test_five_thousand_points_take_less_than_fifty_milliseconds() -> None:
    section = naca(0.02, 0.4, 0.12, 2500)
    spent = []
    for _ in range(5):
        start = time.process_time()
        normalise(section)
        spent.append(time.process_time() - start)
    assert min(spent) < 0.05
