"""Is a part found again when its trailing edge was cut off, and only then taken for a cut one?"""

import numpy as np
import pytest

from recommender import matching
from recommender.catalogue import SHAPE, load
from recommender.contour import STATIONS, ContourRefused, normalise, outline
from recommender.matching import CUTS, Matcher, shortened
from recommender.workshop import Workshop
from tests.recommender.sections import Array

KNOWN = load().contour.astype(np.float64)


def cut_off(heights: Array, share: float) -> Array:
    """By cutting the outline and reading what is left."""
    around, end = outline(heights), 1.0 - share
    ends = [[end, float(np.interp(end, STATIONS, side))] for side in (heights[:65], heights[65:])]
    return normalise(np.array([ends[0], *around[around[:, 0] < end].tolist(), ends[1]])).heights


@pytest.mark.parametrize("share", [0.01, 0.05, 0.12])
def test_shortening_is_cutting_the_outline(share: float) -> None:
    gaps = []
    for heights in KNOWN[::10]:
        try:
            left = cut_off(heights, share)
        except ContourRefused:
            continue
        gaps.append(100 * np.sqrt(np.mean((left - shortened(heights[None], share)[0]) ** 2)))
    assert len(gaps) > 40
    assert np.median(gaps) < 0.02
    assert max(gaps) < 0.1


def test_nothing_cut_off_is_nothing_changed() -> None:
    # But for the lean of tails that lie a hair off the chord.
    assert np.abs(shortened(KNOWN, 0.0) - KNOWN).max() < 5e-5


@pytest.mark.parametrize("share", [0.02, 0.05, 0.08])
def test_a_cut_part_is_found_and_said_to_be_cut(shop: Workshop, share: float) -> None:
    found = []
    for row in range(0, 600, 25):
        try:
            latent = shop.encoder.encode(cut_off(KNOWN[row], share)[None])[0, :SHAPE]
        except ContourRefused:
            continue
        match = shop.matcher.nearest(latent, 1)[0]
        found.append(match.row == row and match.cut == pytest.approx(share))
    assert len(found) > 15
    assert np.mean(found) > 0.9


def test_a_whole_part_is_found_whole_at_no_distance(shop: Workshop) -> None:
    for row in range(0, 607, 20):
        match = shop.matcher.nearest(shop.shapes[row], 1)[0]
        assert (match.row, match.cut) == (row, 0.0)
        assert match.distance < 1e-9


@pytest.mark.parametrize("k", [1, 7, 100])
def test_every_part_comes_once_by_its_nearest_way(shop: Workshop, k: int) -> None:
    query = shop.shapes[333] + 0.05
    found = shop.matcher.nearest(query, k)
    stumps = [shop.encoder.encode(shortened(shop.heights, float(by)))[:, :SHAPE] for by in CUTS]
    whole = best_laid(shop, shop.shapes - query)
    cut = np.min([best_laid(shop, stump - query) for stump in stumps], axis=0)
    worth = np.minimum(whole, matching.DOUBT * cut)
    assert [match.row for match in found] == np.argsort(worth, kind="stable")[:k].tolist()
    told = [match.distance * (matching.DOUBT if match.cut else 1.0) for match in found]
    assert told == pytest.approx(np.sort(worth)[:k].tolist(), rel=1e-6)


def best_laid(shop: Workshop, apart: Array) -> Array:
    """(n, 24) differences -> their lengths, less what leaning and lifting take away, by least squares."""
    stations = np.tile(STATIONS, 2)
    ways = shop.encoder.axes @ np.column_stack([stations, np.ones(130)])
    fitted = ways @ np.linalg.lstsq(ways, apart.T, rcond=None)[0]
    return np.asarray(np.linalg.norm(apart - fitted.T, axis=1), dtype=np.float64)


def test_a_tail_or_a_nose_that_is_drawn_a_hair_off_changes_no_match(shop: Workshop) -> None:
    stations = np.tile(STATIONS, 2)
    for row in range(0, 607, 40):
        leant = shop.heights[row] + 0.004 * stations - 0.003 * (1.0 - stations)
        plain = shop.encoder.encode(leant[None])[0, :SHAPE]
        match = shop.matcher.nearest(plain, 1)[0]
        assert (match.row, match.cut) == (row, 0.0)
        assert match.distance < 0.02
        assert np.linalg.norm(plain - shop.shapes[row]) > 0.15


def test_among_too_many_parts_only_whole_ones_are_searched(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "CUT_PARTS_MAX", 100)
    found = Matcher(shop.heights, shop.shapes, shop.encoder).nearest(shop.shapes[5], 20)
    assert found[0].row == 5
    assert {match.cut for match in found} == {0.0}
