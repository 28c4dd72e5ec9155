"""Are the measures those of sections whose formulas are known?"""

import numpy as np
import pytest

from recommender import geometry
from recommender.catalogue import load
from recommender.contour import SIDE, STATIONS, Array

THICKNESS = np.array([0.2969, -0.1260, -0.3516, 0.2843, -0.1036])


def naca4(camber: float, at: float, thick: float) -> Array:
    """Abbott and von Doenhoff, Theory of Wing Sections, with thickness laid on vertically and a closed trailing edge."""
    x = STATIONS
    half = 5 * thick * (THICKNESS[0] * np.sqrt(x) + sum(c * x ** (i + 1) for i, c in enumerate(THICKNESS[1:])))
    if camber == 0:
        return np.concatenate([half, -half])
    fore, aft = camber / at**2 * (2 * at * x - x**2), camber / (1 - at) ** 2 * (1 - 2 * at + 2 * at * x - x**2)
    middle = np.where(x < at, fore, aft)
    return np.concatenate([middle + half, middle - half])


@pytest.mark.parametrize("thick", [0.06, 0.12, 0.24])
def test_a_symmetric_section_measures_as_its_formula(thick: float) -> None:
    found = geometry.measure(naca4(0, 0, thick))
    assert found.thickness == pytest.approx(100 * thick, rel=0.002)
    assert found.thickness_at == pytest.approx(30, abs=2.5)
    assert found.camber == pytest.approx(0, abs=1e-12)
    # The formula's nose radius is 1.1019 t^2.
    assert found.nose_radius == pytest.approx(110.19 * thick**2, rel=0.08)
    # Its tail's half angle: the slope of the thickness there is 1.1675 t.
    assert found.trailing_angle == pytest.approx(2 * np.degrees(np.arctan(1.1675 * thick)), rel=0.03)


def test_camber_and_where_it_is() -> None:
    found = geometry.measure(naca4(0.04, 0.4, 0.12))
    assert found.camber == pytest.approx(4, rel=0.002)
    assert found.camber_at == pytest.approx(40, abs=2.5)


def test_a_section_turned_upside_down_has_the_opposite_camber() -> None:
    heights = naca4(0.04, 0.4, 0.12)
    down = geometry.measure(-np.concatenate([heights[SIDE:], heights[:SIDE]]))
    up = geometry.measure(heights)
    assert (down.thickness, down.area) == pytest.approx((up.thickness, up.area))
    assert down.camber == pytest.approx(-up.camber)


def test_every_part_of_the_catalogue_is_a_section() -> None:
    heights = load().contour.astype(np.float64)
    crossing = [name for name, ok in zip(load().id, geometry.valid(heights), strict=True) if not ok]
    assert crossing == []
    assert all(geometry.fault(one) is None for one in heights)


def test_what_is_no_section_is_told_with_its_place() -> None:
    heights = naca4(0, 0, 0.12)
    heights[40] = -0.05
    assert str(geometry.fault(heights)).startswith("x/c = 0.691: the surfaces cross by 1.")
    assert not geometry.valid(heights[None])[0]
    assert geometry.fault(naca4(0, 0, 0.5)) == "50.0% of chord thick, expected 3% to 35%"
    assert geometry.fault(naca4(0, 0, 0.02)) == "2.0% of chord thick, expected 3% to 35%"
