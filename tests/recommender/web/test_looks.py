"""Does the page fit every screen? The pictures are kept as the tests' output, to be looked at."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.recommender.web.conftest import Open, ready
from tests.serving.asking import Running

SIZES = [(360, 740), (1280, 800), (3840, 2160)]
# Text that its own element cuts off, without saying so by an ellipsis.
CUT = """() => [...document.querySelectorAll('button, label, dd, dt, th, td, h1, h2, h3, p, legend, .unit')].filter((one) =>
    one.checkVisibility() && !one.matches('.unseen, .skip') && getComputedStyle(one).textOverflow !== 'ellipsis'
    && one.scrollWidth > one.clientWidth + 1 && getComputedStyle(one).display !== 'inline').map((one) => one.textContent)"""
BESIDE = """() => [...document.querySelectorAll('button, input, select, p, td, svg')].filter((one) => {
    const box = one.getBoundingClientRect();
    const beside = box.width && (box.left < -1 || box.right > innerWidth + 1);
    return beside && one.checkVisibility() && !one.closest('.tabs, .wide, .unseen, .skip');
}).map((one) => one.id || one.textContent)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_nothing_is_cut_off_or_beside_the_screen(
    visit: Open, server: Running, tmp_path: Path, width: int, height: int, scheme: str
) -> None:
    phone = width < 500
    page = visit(server.url, viewport={"width": width, "height": height}, color_scheme=scheme, is_mobile=phone, has_touch=phone)
    ready(page)
    laid = page.locator("#panel-better .card").get_by_role("button", name="Overlay")
    laid.nth(0).click()
    laid.nth(1).click()
    expect(page.locator("#matched tbody tr")).to_have_count(3)
    page.evaluate("for (const column of document.querySelectorAll('.left, .right')) column.scrollTop = 0")
    page.screenshot(path=tmp_path / f"page-{width}x{height}-{scheme}.png", full_page=phone)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CUT) == []
    assert page.evaluate(BESIDE) == []


def test_what_counts_is_seen_without_scrolling(page: Page) -> None:
    expect(page.locator("#contour")).to_be_in_viewport(ratio=1)
    expect(page.locator("#neighbours")).to_be_in_viewport(ratio=1)
    expect(page.locator("#wants")).to_be_in_viewport(ratio=1)
    expect(page.locator("#pareto")).to_be_in_viewport(ratio=1)
    expect(page.locator("#panel-better .card h3").first).to_be_in_viewport()


def test_who_wants_no_motion_sees_none(visit: Open, server: Running) -> None:
    page = visit(server.url, reduced_motion="reduce")
    ready(page)
    page.evaluate("document.querySelector('#results').dataset.stale = 'true'")
    assert page.evaluate("getComputedStyle(document.querySelector('.card dd')).transitionDuration") == "0s"


def test_validity_stands_where_the_numbers_stand(page: Page) -> None:
    for place in page.locator("[data-limits]").all():
        expect(place).to_contain_text("no Mach number")
        expect(place).to_contain_text("predicted, not measured")
    assert page.locator(".badge", has_text="predicted").count() == 2
