"""Does the page keep up with a hand? How long it takes is measured by benchmarks/recommender.py."""

import json

import numpy as np
from playwright.sync_api import Page

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
    for address in ("/v1/encode", "/v1/similar", "/v1/polar"):
        asked = json.loads(page.evaluate("address => window.last[address]", address))["shape"]["heights"]
        assert np.abs(np.array(asked) - drawn).max() < 2e-6
