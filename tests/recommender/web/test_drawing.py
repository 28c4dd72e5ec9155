import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.recommender.web.conftest import Open, dat, drag, ready, settled, state, until, written
from tests.serving.asking import Running

UPPER, LOWER = "Upper surface at 48 % chord", "Lower surface at 48 % chord"


def heights(page: Page) -> Any:
    return np.array(state(page)["heights"])


def open_file(page: Page, folder: Path, text: str, name: str = "part.dat") -> None:
    page.locator("#file").set_input_files(written(folder, text, name))


def test_a_drag_moves_one_surface_smoothly_and_leaves_the_other(page: Page) -> None:
    before = heights(page)
    drag(page, UPPER, 10)
    moved = heights(page) - before
    width = page.locator("#contour").bounding_box()
    assert width is not None
    assert moved[31] == pytest.approx(10 / (width["width"] - 52), abs=2e-4)
    assert np.abs(moved[65:]).max() == 0.0
    assert moved[0] == moved[64] == 0.0
    assert np.abs(np.diff(moved[:65], 2)).max() < 0.1 * moved.max()


def test_surfaces_cannot_be_dragged_through_each_other(page: Page) -> None:
    drag(page, LOWER, 200)
    bent = heights(page)
    assert (bent[1:64] - bent[66:129]).min() > 0.0
    expect(page.locator("#drawing-fault")).to_be_hidden()


def test_escape_puts_back_what_a_drag_bent(page: Page) -> None:
    before = heights(page)
    box = page.get_by_role("slider", name=UPPER).locator(".knob").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + 5, box["y"] - 20, steps=3)
    assert np.abs(heights(page) - before).max() > 0.01
    page.keyboard.press("Escape")
    page.mouse.up()
    assert np.array_equal(heights(page), before)
    expect(page.locator("#undo")).to_be_disabled()


def test_arrow_keys_move_a_point_and_shift_moves_it_ten_times_as_far(page: Page) -> None:
    handle = page.get_by_role("slider", name=UPPER)
    before = heights(page)[31]
    handle.focus()
    page.keyboard.press("ArrowUp")
    assert heights(page)[31] - before == pytest.approx(0.001, abs=2e-6)
    page.keyboard.press("Shift+ArrowDown")
    assert heights(page)[31] - before == pytest.approx(-0.009, abs=2e-6)
    assert handle.get_attribute("aria-valuetext") == f"{100 * heights(page)[31]:.2f} % chord"


def test_undo_and_redo_follow_the_keys(page: Page) -> None:
    before = heights(page)
    drag(page, UPPER, 10)
    bent = heights(page)
    page.keyboard.press("Control+z")
    assert np.array_equal(heights(page), before)
    page.keyboard.press("Control+Shift+Z")
    assert np.array_equal(heights(page), bent)
    expect(page.locator("#redo")).to_be_disabled()


def test_a_file_that_is_no_section_keeps_the_drawing_and_says_why_at_the_drawing(page: Page, tmp_path: Path) -> None:
    drag(page, UPPER, 10)
    before = heights(page)
    open_file(page, tmp_path, "half a file\n1.0 0.0\n0.5 0.1\n")
    fault = page.locator("#drawing-fault")
    expect(fault).to_contain_text("Not read, your drawing is kept: ")
    expect(fault).to_contain_text("found 2 points, expected at least 10")
    assert np.array_equal(heights(page), before)


def test_what_is_typed_into_the_paste_box_stays_there_when_it_is_refused(page: Page) -> None:
    page.get_by_role("button", name="Paste").click()
    page.get_by_label("Coordinates", exact=True).fill("nothing here")
    page.get_by_role("button", name="Read").click()
    expect(page.locator("#paste-fault")).to_contain_text("found 0 points")
    page.get_by_label("Coordinates", exact=True).fill(dat("typed in"))
    page.get_by_role("button", name="Read").click()
    expect(page.locator("#paste-dialog")).to_be_hidden()
    expect(page.locator("#name")).to_have_value("typed in")


def test_points_as_json_are_read_too(page: Page) -> None:
    rows = [[float(v) for v in line.split()] for line in dat().splitlines()[1:]]
    page.get_by_role("button", name="Paste").click()
    page.get_by_label("Coordinates", exact=True).fill(json.dumps(rows))
    page.get_by_role("button", name="Read").click()
    expect(page.locator("#origin")).to_contain_text("129 points, chord 250")


def test_a_dropped_file_is_read(page: Page) -> None:
    drop = """text => {
        const data = new DataTransfer();
        data.items.add(new File([text], "dropped.dat", { type: "text/plain" }));
        const drop = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
        document.querySelector("#sheet").dispatchEvent(drop);
    }"""
    page.evaluate(drop, dat("was dropped"))
    expect(page.locator("#name")).to_have_value("was dropped")
    expect(page.locator("#origin")).to_contain_text("from dropped.dat")


def test_a_name_in_a_file_stays_text(page: Page, tmp_path: Path) -> None:
    hostile = "<img src=x onerror=alert(1)><script>alert(2)</script>"
    open_file(page, tmp_path, dat(hostile))
    expect(page.locator("#name")).to_have_value(hostile)
    settled(page)
    page.get_by_role("tab", name="Nearest").click()
    page.locator("#panel-nearest .card").first.get_by_role("button", name="Overlay").click()
    expect(page.locator("#matched tbody tr").first).to_contain_text(hostile)
    assert page.locator("img, body script").count() == 0


def test_a_part_is_found_by_its_name_and_taken_with_its_source(page: Page) -> None:
    page.get_by_role("button", name="Find a part").click()
    page.get_by_label("Name, family or source").fill("4-digit 4412")
    expect(page.locator("#find-count")).to_contain_text("of 607 parts")
    page.locator("#find-list button").first.click()
    expect(page.locator("#find-dialog")).to_be_hidden()
    expect(page.locator("#name")).to_have_value("NACA 4412")
    expect(page.locator("#origin")).to_have_text("from the catalogue: NACA · NACA 4-digit")


def test_a_slider_moves_the_shape_by_what_it_says(page: Page) -> None:
    before = heights(page)
    slider = page.locator("#direction-1")
    low = float(slider.input_value())
    slider.focus()
    page.keyboard.press("ArrowRight")
    settled(page)
    distance = 100 * float(np.sqrt(np.mean((heights(page) - before) ** 2)))
    assert distance == pytest.approx(float(slider.input_value()) - low, abs=0.05)
    assert distance > 0.01


def test_halfway_between_two_shapes_is_their_mean(page: Page) -> None:
    before = heights(page)
    page.locator("#panel-better .card").first.get_by_role("button", name="Overlay").click()
    target = np.array(state(page)["overlays"][0]["heights"])
    page.get_by_label("Morph, in % of the way").fill("50")
    assert np.abs(heights(page) - (before + target) / 2).max() < 1e-5


def test_a_link_brings_back_shape_name_and_wishes_and_asks_nobody(visit: Open, server: Running, page: Page) -> None:
    drag(page, UPPER, 10)
    page.get_by_label("Thickness at least").fill("10")
    settled(page)
    until(page, "import('/web/link.js').then(({ toFragment }) => toFragment() === location.hash)")
    other = visit(page.url)
    ready(other)
    there, here = state(other), state(page)
    assert np.abs(np.array(there["heights"]) - np.array(here["heights"])).max() < 1e-5
    assert (there["name"], there["wants"]) == (here["name"], here["wants"])
    assert other.get_by_label("Thickness at least").input_value() == "10"


@pytest.mark.parametrize("fragment", ["#s=bm90IGpzb24", "#s=%%%", "#s=eyJoIjoiQUEifQ"])
def test_a_broken_link_is_named_and_the_page_still_draws(visit: Open, server: Running, fragment: str) -> None:
    page = visit(f"{server.url}/{fragment}")
    expect(page.locator("#drawing-fault")).to_contain_text("found a fragment that holds no drawing")
    ready(page)


def test_a_cut_trailing_edge_is_offered_to_be_extended_and_left_alone_until_then(page: Page, tmp_path: Path) -> None:
    x, y = np.array([[float(v) for v in line.split()] for line in dat().splitlines()[1:]]).T
    angle = np.radians(3.0)
    along, up = (x * np.cos(angle) + y * np.sin(angle)) / 250, (y * np.cos(angle) - x * np.sin(angle)) / 250
    kept = along < 0.93
    open_file(page, tmp_path, "cut\n" + "\n".join(f"{a:.6f} {b:.6f}" for a, b in zip(along[kept], up[kept], strict=True)))
    expect(page.locator("#offer")).to_contain_text("The trailing edge is cut")
    cut = heights(page)
    assert cut[64] - cut[129] > 0.01
    page.get_by_role("button", name="Extend it").click()
    expect(page.locator("#offer")).to_be_hidden()
    assert heights(page)[64] - heights(page)[129] < 0.002
    page.keyboard.press("Control+z")
    assert np.array_equal(heights(page), cut)


def test_a_shaky_drawing_is_said_to_be_smoothed(page: Page, tmp_path: Path) -> None:
    rows = np.array([[float(v) for v in line.split()] for line in dat().splitlines()[1:]])
    shaken = rows + np.random.default_rng(3).normal(scale=0.004 * 250, size=rows.shape)
    open_file(page, tmp_path, "shaken\n" + "\n".join(f"{x:.5f} {y:.5f}" for x, y in shaken))
    expect(page.locator("#origin")).to_contain_text("smoothed: the points shake by 0.4 % chord")
    settled(page)
    expect(page.locator("#drawing-fault")).to_be_hidden()


def test_a_finger_drags_a_point_and_scrolls_the_page_beside_it(visit: Open, server: Running) -> None:
    page = visit(server.url, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    ready(page)
    before = heights(page)
    box = page.get_by_role("slider", name=UPPER).locator(".knob").bounding_box()
    assert box is not None
    swipe(page, box["x"] + 5, box["y"] + 5, -10)
    assert heights(page)[31] - before[31] == pytest.approx(
        10 / (page.locator("#contour").evaluate("e => e.clientWidth") - 52), abs=1e-3
    )
    assert page.evaluate("scrollY") == 0
    bent = heights(page)
    swipe(page, 180, 600, -200)
    until(page, "scrollY > 50")
    assert np.array_equal(heights(page), bent)


def swipe(page: Page, x: float, y: float, pixels: int) -> None:
    session = page.context.new_cdp_session(page)
    for kind, share in [("touchStart", 0.0), *(("touchMove", step / 8) for step in range(1, 9)), ("touchEnd", 1.0)]:
        points = [] if kind == "touchEnd" else [{"x": x, "y": y + share * pixels}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
