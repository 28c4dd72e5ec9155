"""Does the page say which site needs help, and why?"""

from pathlib import Path

import pytest

from monitoring.figures import Figures, figures
from monitoring.ingest import add_model, add_site, ingest
from monitoring.page import render
from monitoring.warehouse import open_warehouse
from tests.monitoring.fleet import MODEL, REFERENCE, Site
from tests.serving.telemetry.sites import HOUR
from tests.serving.telemetry.test_status_page import Balanced

NOW = HOUR + 60


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Figures:
    folder = tmp_path_factory.mktemp("fleet")
    warehouse = open_warehouse(str(folder / "all.duckdb"))
    add_model(warehouse, "linear", MODEL.digest, REFERENCE.to_json())
    files: list[Path] = []
    for name in ("calm", "calm too", "calm also", "shifted", "refusing", "slow", "disliked", "gap", "silent", "new"):
        site = Site(folder / name.replace(" ", "-"))
        add_site(warehouse, name, site.key)
        if name == "new":
            continue
        for _ in range(10 if name == "silent" else 50):
            refused = {"invalid_input": 40} if name == "refusing" else {}
            site.count(shift=2.0 if name == "shifted" else 0.0, latency=10 if name == "slow" else 4, **refused)
            if site.hour % 5 == 0:
                if name in ("calm", "calm too", "disliked"):
                    site.hear(*((20, 180) if name == "disliked" else (190, 10)))
                files.append(site.report())
        if name == "gap":
            files.pop(-2)
    list(ingest(warehouse, files))
    found = figures(warehouse, NOW)
    warehouse.close()
    return found


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("shifted", "rows are not like the vendor's: "),
        ("refusing", "16.7% of the last week's requests were refused, most as invalid_input"),
        ("slow", "slow: 99% within 0.25 s, the others within 0.0025 s"),
        ("disliked", "90% of the answers with a verdict were rejected"),
        ("gap", "report 9 did not come"),
        ("silent", "silent for "),
        ("new", "no report has come yet"),
    ],
)
def test_a_site_in_need_is_found_and_the_reason_said(fleet: Figures, name: str, why: str) -> None:
    (site,) = [site for site in fleet.sites if site.name == name]
    assert len(site.reasons) == 1, site.reasons
    assert why in site.reasons[0]
    assert site.reasons[0].replace("'", "&#x27;") in render(fleet)


def test_calm_sites_are_left_in_peace(fleet: Figures) -> None:
    assert [site.name for site in fleet.sites if not site.reasons] == ["calm", "calm also", "calm too"]


def test_who_needs_help_comes_first(fleet: Figures) -> None:
    needs = [bool(site.reasons) for site in fleet.sites]
    assert needs == sorted(needs, reverse=True)


def test_the_page_is_whole_and_needs_nothing_else(fleet: Figures) -> None:
    text = render(fleet)
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    assert "<script" not in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "7 of 10 sites need attention" in text
    assert "Grey: at the vendor" in text


def test_a_name_is_only_ever_text(tmp_path: Path) -> None:
    warehouse = open_warehouse(str(tmp_path / "all.duckdb"))
    add_site(warehouse, "<script>alert(1)</script>", Site(tmp_path / "site").key)
    assert "<script" not in render(figures(warehouse, NOW))


def test_nobody_yet_is_no_error(tmp_path: Path) -> None:
    assert "None of 0 sites" in render(figures(open_warehouse(str(tmp_path / "all.duckdb")), NOW))
