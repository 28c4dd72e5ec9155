import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.recommender.web.conftest import REFUSAL, Open, ready
from tests.serving.asking import Running

SEVERE = ("serious", "critical")


def severe(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html'][:120]}" for one in found if one["impact"] in SEVERE for node in one["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing_serious(visit: Open, server: Running, scheme: str, width: int) -> None:
    page = visit(server.url, color_scheme=scheme, viewport={"width": width, "height": 800}, reduced_motion="reduce")
    ready(page)
    page.locator("#panel-better .card").first.get_by_role("button", name="Overlay").click()
    expect(page.locator("#matched tbody tr")).to_have_count(2)
    assert severe(page) == []
    page.get_by_role("tab", name="Nearest").click()
    assert severe(page) == []
    page.get_by_role("tab", name="Generated").click()
    assert severe(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_dialogs_and_errors(visit: Open, server: Running, scheme: str) -> None:
    page = visit(f"{server.url}/#s=broken", expected=(REFUSAL,), color_scheme=scheme, reduced_motion="reduce")
    ready(page)
    expect(page.locator("#drawing-fault")).to_be_visible()
    page.get_by_label("Lift", exact=True).fill("9")
    expect(page.locator("#requirements-fault")).to_be_visible()
    assert severe(page) == []
    page.get_by_role("button", name="Find a part").click()
    assert severe(page) == []
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Paste").click()
    assert severe(page) == []


def test_the_whole_page_is_reached_with_the_keyboard(page: Page) -> None:
    reached = set()
    for _ in range(90):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.getAttribute('aria-label') || ''"))
    wanted = {"open", "paste", "find", "stretch", "link", "chord", "direction-0"}
    wanted |= {"want-lift", "want-n_crit", "tab-better", "panel-better"}
    assert wanted - reached == set()
    assert sum("surface at" in name for name in reached) == 10
    assert any(name.startswith("Overlay ") for name in reached)


def test_tabs_turn_with_the_arrow_keys(page: Page) -> None:
    page.locator("#tab-better").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-generated")).to_be_focused()
    expect(page.locator("#panel-generated")).to_be_visible()
    page.keyboard.press("Home")
    expect(page.locator("#panel-nearest")).to_be_visible()
    expect(page.locator("#panel-generated")).to_be_hidden()


def test_what_happened_is_said_to_a_screen_reader(page: Page) -> None:
    page.get_by_role("button", name="NACA 0012").click()
    expect(page.get_by_role("status").filter(has_text="better parts of 607")).to_have_count(1)
    assert "Gain in L/D against change of" in (page.locator("#pareto").get_attribute("aria-label") or "")
