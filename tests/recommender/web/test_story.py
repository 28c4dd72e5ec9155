import numpy as np
from playwright.sync_api import Page, expect

from recommender.contour import normalise
from recommender.drawing import read
from tests.recommender.web.conftest import Open, dat, drag, ready, settled, state
from tests.serving.asking import Running


def test_a_section_is_pasted_bent_improved_generated_downloaded_and_spoken_of(visit: Open, server: Running) -> None:
    page = visit(server.url, permissions=["clipboard-read", "clipboard-write"])
    ready(page)
    paste(page)
    drag(page, "Upper surface at 48 % chord", 6)
    settled(page)
    expect(page.locator("#origin")).to_contain_text("edited, began as pasted")

    page.get_by_label("Lift", exact=True).fill("0.9")
    expect(page.locator("#panel-nearest .card .why").first).to_contain_text("at CL 0.90")
    settled(page)
    assert state(page)["wants"]["lift"] == 0.9
    expect(page.locator("#panel-better .lead")).to_contain_text("of 607 parts meet the requirements")

    generate(page)
    download(page)
    page.locator("#panel-generated .card").first.get_by_role("button", name="Used it").click()
    expect(page.locator("#panel-generated .card .heard").first).to_have_text("Noted, thank you.")
    page.get_by_role("tab", name="Nearest").click()
    page.locator("#panel-nearest .card").first.get_by_role("button", name="Not useful").click()
    expect(page.locator("#panel-nearest .card .heard").first).to_have_text("Noted, thank you.")


def paste(page: Page) -> None:
    page.evaluate("text => navigator.clipboard.writeText(text)", dat())
    page.locator("h1").click()
    page.keyboard.press("Control+V")
    expect(page.locator("#name")).to_have_value("a part of ours")
    expect(page.locator("#origin")).to_contain_text("129 points, chord 250")
    settled(page)


def generate(page: Page) -> None:
    page.get_by_role("tab", name="Generated").click()
    page.get_by_role("button", name="Generate sections").click()
    expect(page.locator("#panel-generated .lead")).to_contain_text("Step ")
    expect(page.locator("#panel-generated .lead")).to_contain_text("shapes meet the requirements (seed 0)", timeout=30_000)
    expect(page.locator("#panel-generated .card").first.locator(".figures .up")).to_contain_text("+")


def download(page: Page) -> None:
    page.locator("#panel-generated .card").first.get_by_role("button", name="Take as new shape").click()
    settled(page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Selig .dat").click()
    assert waiting.value.suggested_filename.startswith("generated-")
    text = waiting.value.path().read_text()
    assert text.splitlines()[0] == state(page)["name"]
    apart = normalise(read(text).points).heights - np.array(state(page)["heights"])
    assert np.abs(apart).max() < 2e-3


def test_the_table_says_the_same_as_the_cards(page: Page) -> None:
    card = page.locator("#panel-better .card").first
    card.get_by_role("button", name="Overlay").click()
    row = page.locator("#matched tbody tr").nth(1)
    glide, alpha, drag_, moment, _ = row.locator("td").all_text_contents()
    expect(card.locator(".more")).to_contain_text(f"L/D {glide} · α {alpha}° · CD {drag_} · CM {moment}")
    own, other = (float(text) for text in page.locator("#matched tbody td:nth-child(2)").all_text_contents())
    gain = float((card.locator(".figures .up dd").text_content() or "").split(" %")[0])
    assert abs(100 * (other / own - 1) - gain) < 0.6
