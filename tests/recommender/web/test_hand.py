"""Does the page keep up with a hand? How long it takes is measured by benchmarks/recommender.py."""

import json

import numpy as np
from playwright.sync_api import Page, expect

from tests.recommender.web.conftest import state

MEASURES = "performance.getEntriesByName('interaction').map((entry) => entry.duration)"


def dragged(page: Page, moves: int = 60) -> list[float]:
    box = page.get_by_role("slider", name="Upper surface at 48 % chord").locator(".knob").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.evaluate("performance.clearMeasures('interaction')")
    for i in range(moves):
        page.mouse.move(box["x"] + 5, box["y"] + 5 - 20 * abs(1 - 2 * i / moves))
        page.wait_for_timeout(16)
    page.mouse.up()
    page.wait_for_timeout(300)
    found: list[float] = page.evaluate(MEASURES)
    return found


def test_a_fast_hand_has_at_most_one_question_of_a_kind_in_flight_and_the_last_shape_is_answered(page: Page) -> None:
    page.evaluate("""() => {
        window.flying = {}; window.most = 0;
        const fetched = window.fetch;
        window.fetch = async (address, options) => {
            window.flying[address] = (window.flying[address] ?? 0) + 1;
            window.most = Math.max(window.most, window.flying[address]);
            window.last = { ...window.last, [address]: options.body };
            try { return await fetched(address, options); } finally { window.flying[address] -= 1; }
        };
    }""")
    measures = dragged(page, 40)
    assert page.evaluate("window.most") == 1
    assert len(measures) >= 3
    drawn = np.array(state(page)["heights"])
    # Neighbours and polar come with it: three questions took three times the browser's own way to the server.
    assert page.evaluate("Object.keys(window.last).filter((a) => a !== '/v1/recommend')") == ["/v1/encode"]
    asked = json.loads(page.evaluate("window.last['/v1/encode']"))
    assert np.abs(np.array(asked["shape"]["heights"]) - drawn).max() < 2e-6
    assert asked["similar"] == 5
    assert asked["polar"] == {"reynolds": 1e6, "n_crit": 9}


def test_a_reynolds_number_that_is_refused_stops_neither_neighbours_nor_measures(page: Page) -> None:
    thick = page.locator("#facts dd").first.text_content()
    page.get_by_label("Reynolds number").fill("99")
    expect(page.locator("#performance-fault")).to_contain_text("reynolds")
    dragged(page, 8)
    expect(page.locator("#facts dd").first).not_to_have_text(thick or "")
    expect(page.locator("#drawing-fault")).to_be_hidden()


def test_no_plot_asks_for_its_size_while_the_hand_moves(page: Page) -> None:
    """Each of these questions, between two drawings, laid out the whole page anew."""
    page.evaluate("""() => {
        window.read = 0;
        const size = Object.getOwnPropertyDescriptor(Element.prototype, "clientWidth");
        const get = function () { window.read += this.classList.contains("plot"); return size.get.call(this); };
        Object.defineProperty(Element.prototype, "clientWidth", { ...size, get });
    }""")
    assert len(dragged(page, 20)) >= 3
    assert page.evaluate("window.read") == 0
