import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Page

from recommender.contour import outline
from tests.recommender.web.conftest import state

PAIR = re.compile(r"(-?[\d.]+) (-?[\d.]+)")


def saved(page: Page, button: str) -> str:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button).click()
    path: Path = waiting.value.path()
    return path.read_text()


def expected(page: Page) -> NDArray[np.float64]:
    return outline(np.array(state(page)["heights"]))


def test_the_dat_file_is_the_shape_in_seligs_order(page: Page) -> None:
    name, *rows = saved(page, "Selig .dat").splitlines()
    assert name == "NACA 2412"
    assert np.abs(np.array([row.split() for row in rows], dtype=float) - expected(page)).max() < 1e-6


def test_the_svg_is_drawn_in_millimetres(page: Page) -> None:
    page.get_by_label("Chord of the download in mm").fill("250")
    root = ElementTree.fromstring(saved(page, "SVG"))
    assert root.attrib["width"] == "250mm"
    points = np.array(PAIR.findall(root[1].attrib["d"]), dtype=float)
    wanted = expected(page) * [250, -250]
    assert np.abs(points - wanted + [0, wanted[:, 1].min()]).max() < 1e-3


def test_the_dxf_is_one_closed_polyline_in_millimetres(page: Page) -> None:
    page.get_by_label("Chord of the download in mm").fill("250")
    lines = saved(page, "DXF").splitlines()
    codes = list(zip((int(code) for code in lines[::2]), lines[1::2], strict=True))
    start = codes.index((0, "LWPOLYLINE"))
    end = codes.index((0, "ENDSEC"), start)
    x, y = ([float(value) for code, value in codes[start:end] if code == axis] for axis in (10, 20))
    assert (70, "1") in codes[start:end]
    assert (90, str(len(x))) in codes[start:end]
    assert codes[codes.index((9, "$INSUNITS")) + 1] == (70, "4")
    assert np.abs(np.column_stack([x, y]) - 250 * expected(page)).max() < 1e-5
    assert codes[-1] == (0, "EOF")


@pytest.mark.parametrize("name", ["0\nSECTION", "a/b:c*?", "Göttingen 398", ""])
def test_no_name_breaks_a_file(page: Page, name: str) -> None:
    page.evaluate("name => import('/web/store.js').then((store) => store.rename(name))", name)
    lines = saved(page, "DXF").splitlines()
    assert len(lines) % 2 == 0
    assert all(re.fullmatch(r"\s*\d+", code) for code in lines[::2])
    assert len(saved(page, "Selig .dat").splitlines()) == 130
