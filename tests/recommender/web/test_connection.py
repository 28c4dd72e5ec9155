import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from tests.recommender.web.conftest import REFUSAL, Open, Serve, drag, ready, settled, state
from tests.serving.asking import Running

UPPER = "Upper surface at 48 % chord"


def refuse(page: Page, address: str, status: int, error: str, **headers: str) -> None:
    body = json.dumps({"error": error, "code": "overloaded", "request_id": "0"})

    def answer(route: Route) -> None:
        route.fulfill(status=status, body=body, headers={"content-type": "application/json", **headers})

    page.route(f"**{address}", answer)


def test_a_server_that_goes_away_is_said_and_tried_again_and_the_drawing_is_kept(away: Page) -> None:
    page = away
    page.context.set_offline(True)
    drag(page, UPPER, 10)
    expect(page.locator("#connection")).to_contain_text("The server does not answer. Your drawing is kept")
    drag(page, UPPER, 10)
    bent = state(page)["heights"]
    page.context.set_offline(False)
    expect(page.locator("#connection")).to_be_hidden(timeout=20_000)
    settled(page)
    assert np.array_equal(state(page)["heights"], bent)


@pytest.fixture
def away(visit: Open, server: Running) -> Page:
    page = visit(server.url, expected=("error: Failed to load resource: net::ERR_INTERNET_DISCONNECTED",))
    ready(page)
    return page


def test_a_token_is_asked_for_once_and_kept_in_this_tab_only(visit: Open, serve: Serve, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"draughtsman infer {hashlib.sha256(b'open-sesame').hexdigest()}\n")
    tokens.chmod(0o600)
    page = visit(serve(UNJAR_TOKENS=str(tokens)).url, expected=(REFUSAL,))
    page.locator("#token-text").fill("wrong")
    page.get_by_role("button", name="Use it").click()
    expect(page.locator("#token-fault")).to_be_visible()
    page.locator("#token-text").fill("open-sesame")
    page.get_by_role("button", name="Use it").click()
    ready(page)
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    page.reload()
    ready(page)
    expect(page.locator("#token-dialog")).to_be_hidden()


def test_a_server_that_is_busy_is_quoted_and_tried_again_when_it_said(visit: Open, server: Running) -> None:
    page = visit(server.url, expected=(REFUSAL,))
    ready(page)
    refuse(page, "/v1/recommend", 503, "32 questions wait already; ask again later", **{"retry-after": "1"})
    drag(page, UPPER, 10)
    expect(page.locator("#requirements-fault")).to_have_text("32 questions wait already; ask again later")
    page.unroute("**/v1/recommend")
    settled(page)
    expect(page.locator("#requirements-fault")).to_be_hidden()
    expect(page.locator("#connection")).to_be_hidden()


def test_a_requirement_that_is_refused_is_named_at_the_requirements(page: Page) -> None:
    cards = page.locator("#panel-better .card").count()
    page.get_by_label("Reynolds number").fill("50")
    expect(page.locator("#requirements-fault")).to_contain_text("reynolds")
    assert page.locator("#panel-better .card").count() == cards
    expect(page.locator("#results")).to_have_attribute("data-stale", "refused")
    page.get_by_label("Reynolds number").fill("2")
    expect(page.locator("#requirements-fault")).to_be_hidden()
    expect(page.locator("#conditions")).to_contain_text("Re 2.0 × 10⁶")


def test_a_shape_that_is_refused_is_named_at_the_drawing_alone(page: Page) -> None:
    page.get_by_label("Morph towards").wait_for()
    page.evaluate("""import('/web/store.js').then(({ state, replace }) =>
        replace(state.heights.map((y) => y / 6), 'a sheet', 'squeezed'))""")
    expect(page.locator("#drawing-fault")).to_contain_text("thick")
    page.wait_for_timeout(500)
    assert [fault.get_attribute("id") for fault in page.locator(".fault:visible").all()] == ["drawing-fault"]
    page.keyboard.press("Control+z")
    expect(page.locator("#drawing-fault")).to_be_hidden()


def test_a_search_can_be_cancelled(visit: Open, server: Running) -> None:
    page = visit(server.url)
    ready(page)
    page.get_by_role("tab", name="Generated").click()
    page.get_by_role("button", name="Generate sections").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#panel-generated .lead")).to_have_text("Cancelled.")
    expect(page.get_by_role("button", name="Generate sections")).to_be_enabled()
    expect(page.locator("#generate-fault")).to_be_hidden()


def test_a_server_that_keeps_no_counts_says_so_on_the_card(visit: Open, serve: Serve) -> None:
    page = visit(serve().url, expected=(REFUSAL,))
    ready(page)
    card = page.locator("#panel-better .card").first
    card.get_by_role("button", name="Used it").click()
    expect(card.locator(".fault")).to_contain_text("UNJAR_STATE")
