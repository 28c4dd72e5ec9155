import math

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender.contour import SIDE, STATIONS, ContourRefused, normalise, outline, read

Array = NDArray[np.float64]


def naca(camber: float, at: float, thickness: float, points: int = 80) -> Array:
    """NACA four-digit section, closed trailing edge, Selig order. Source: NACA Report 460 (1933)."""
    x = (1 - np.cos(np.linspace(0, np.pi, points))) / 2
    half = 5 * thickness * (0.2969 * np.sqrt(x) - 0.126 * x - 0.3516 * x**2 + 0.2843 * x**3 - 0.1036 * x**4)
    front = x < at
    shape = np.where(front, 2 * at * x - x**2, 1 - 2 * at + 2 * at * x - x**2)
    line = camber * shape / np.where(front, at**2, (1 - at) ** 2)
    slope = np.arctan(2 * camber * (at - x) / np.where(front, at**2, (1 - at) ** 2))
    upper = np.column_stack([x - half * np.sin(slope), line + half * np.cos(slope)])
    lower = np.column_stack([x + half * np.sin(slope), line - half * np.cos(slope)])
    return np.concatenate([upper[::-1], lower[1:]])


def text_of(points: Array) -> str:
    return "\n".join(f"{x:.6f} {y:.6f}" for x, y in points)


def turned(points: Array, degrees: float) -> Array:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.asarray(points @ np.array([[c, s], [-s, c]]), dtype=np.float64)


NACA0012, NACA4412 = naca(0.0, 0.4, 0.12), naca(0.04, 0.4, 0.12)


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
    interpolate = pytest.importorskip("scipy.interpolate")
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


def test_selig_text_is_read_with_its_name() -> None:
    drawing = read("NACA 4412\n" + text_of(NACA4412))
    assert drawing.name == "NACA 4412"
    assert drawing.points.shape == NACA4412.shape


def test_lednicer_text_gives_the_same_contour_as_selig() -> None:
    upper, lower = NACA4412[:80][::-1], NACA4412[79:]
    lednicer = f"NACA 4412\n 80. 80.\n\n{text_of(upper)}\n\n{text_of(lower)}\n"
    heights = normalise(read(lednicer).points).heights
    assert np.abs(heights - normalise(NACA4412).heights).max() < 1e-5


def test_commas_comments_windows_line_ends_and_closing_notes_are_read() -> None:
    lines = [f"{x:.6f}, {y:.6f}" for x, y in NACA0012]
    text = "\ufeffNACA 0012\r\n# drawn by hand\r\n" + "\r\n".join(lines) + "\r\nfrom a report\r\nof 1933\r\n"
    assert len(read(text).points) == len(NACA0012)


def test_the_grid_box_of_an_mses_file_is_no_point() -> None:
    assert len(read("NACA 0012\n-2.0 3.0 -2.5 2.5\n" + text_of(NACA0012)).points) == len(NACA0012)


@pytest.mark.parametrize(
    ("line", "found"),
    [("0.5 abc", "'0.5 abc'"), ("0,5 0,1", "4 numbers"), ("0.5", "1 numbers"), ("0.1 0.2 0.3", "3 numbers")],
)
def test_a_line_that_is_no_point_is_named(line: str, found: str) -> None:
    lines = text_of(NACA0012).splitlines()
    with pytest.raises(ContourRefused, match="line 7") as refused:
        read("\n".join([*lines[:6], line, *lines[6:]]))
    assert refused.value.code == "unreadable_line"
    assert found in str(refused.value)


def test_wrong_lednicer_counts_are_named() -> None:
    with pytest.raises(ContourRefused, match=r"counts 70 \+ 80 but 160 points follow"):
        read(f"NACA\n70. 80.\n{text_of(NACA4412[:80][::-1])}\n{text_of(NACA4412[79:])}")


def test_millimetres_that_look_like_counts_are_points() -> None:
    points = np.round(NACA0012 * 100 + [0, 3], 3)
    assert read(text_of(points)).points.shape == points.shape


@pytest.mark.parametrize("text", ["", "only a name", "name\n1 0\n0 0\n1 0"])
def test_too_few_points_are_refused(text: str) -> None:
    with pytest.raises(ContourRefused, match="expected at least 10"):
        read(text)


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
