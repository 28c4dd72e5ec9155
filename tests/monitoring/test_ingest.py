"""Do the same reports make the same warehouse, whatever their order, and is every other file refused by name?"""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitoring.chains import faults
from monitoring.figures import figures
from monitoring.ingest import Taken, add_model, add_site, ingest
from monitoring.page import render
from monitoring.warehouse import TABLES, Warehouse, open_warehouse
from tests.monitoring.conftest import PROGRAMS
from tests.monitoring.fleet import MODEL, REFERENCE, Site, read
from tests.serving.asking import ROOT


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server on a socket of its own; it refuses to run as root."""
    assert PROGRAMS is not None, "CI keeps reports in PostgreSQL too, and there is no initdb; apt install postgresql"
    programs = PROGRAMS
    folder = tmp_path_factory.mktemp("pg")
    as_user: dict[str, object] = {}
    if os.getuid() == 0:
        for place in (folder, *folder.parents):
            if str(place).startswith("/tmp/"):
                place.chmod(0o755)
        shutil.chown(folder, "postgres", "postgres")
        as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}
    data = folder / "data"
    subprocess.run(
        [programs / "initdb", "-D", data, "-A", "trust", "-U", "vendor", "--no-sync"],
        check=True, capture_output=True, cwd=folder, **as_user,  # type: ignore[call-overload]
    )  # fmt: skip
    command = [programs / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
    with (folder.parent / "pg.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **as_user)  # type: ignore[call-overload]
        address = f"postgresql://vendor@/postgres?host={folder}"
        try:
            _until_it_answers(address)
            yield address
        finally:
            server.terminate()
            server.wait(30)


def _until_it_answers(address: str) -> None:
    import time

    for _ in range(200):
        try:
            return open_warehouse(address).close()
        except OSError:
            time.sleep(0.1)
    raise AssertionError("PostgreSQL does not answer")


@pytest.fixture(params=["duckdb", "postgres"] if PROGRAMS or os.environ.get("CI") == "true" else ["duckdb"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    if request.param == "duckdb":
        made = open_warehouse(str(tmp_path / "all.duckdb"))
    else:
        made = open_warehouse(request.getfixturevalue("postgres"))
        for table in TABLES:
            made.run(f"DELETE FROM {table}")
    yield made
    made.close()


def contents(warehouse: Warehouse) -> dict[str, list[tuple[object, ...]]]:
    return {table: sorted(warehouse.ask(f"SELECT * FROM {table}"), key=repr) for table in TABLES}


def words(taken: list[Taken]) -> list[str]:
    return [one.word for one in taken]


def two_sites(tmp_path: Path, warehouse: Warehouse) -> list[Path]:
    files = []
    for name in ("Ulm", "Rom"):
        site = Site(tmp_path / name)
        files += site.reports(4)
        site.hear(30, 10)
        files.append(site.report())
        add_site(warehouse, name, site.key)
    return files


def test_reports_are_added_once(tmp_path: Path, warehouse: Warehouse) -> None:
    files = two_sites(tmp_path, warehouse)
    assert words(list(ingest(warehouse, files))) == ["added"] * 10
    before = contents(warehouse)
    assert words(list(ingest(warehouse, files))) == ["known"] * 10
    assert words(list(ingest(warehouse, [files[0], files[0]]))) == ["known"] * 2
    assert contents(warehouse) == before
    assert faults(warehouse) == []


def test_the_order_does_not_matter(tmp_path: Path, warehouse: Warehouse) -> None:
    files = two_sites(tmp_path, warehouse)
    list(ingest(warehouse, files))
    expected = contents(warehouse)
    page = render(figures(warehouse, 500_100))
    for seed in range(3):
        shuffled = random.Random(seed).sample(files, len(files))
        for table in TABLES:
            if table != "sites":
                warehouse.run(f"DELETE FROM {table}")
        half = len(files) // 2
        list(ingest(warehouse, shuffled[:half]))
        list(ingest(warehouse, shuffled[half:] + shuffled[:2]))
        assert contents(warehouse) == expected
        assert render(figures(warehouse, 500_100)) == page


def test_several_processes_add_the_same(tmp_path: Path) -> None:
    one, two = (open_warehouse(str(tmp_path / name)) for name in ("one", "two"))
    files = two_sites(tmp_path / "sites", one)
    for site, name, key in one.ask("SELECT site, name, key FROM sites"):
        assert add_site(two, name, key.encode()) == site
    assert list(ingest(one, files)) == list(ingest(two, files, processes=2))
    assert contents(one) == contents(two)


def refusal(warehouse: Warehouse, path: Path) -> str:
    (taken,) = ingest(warehouse, [path])
    assert taken.word == "refused"
    return taken.reason


def test_a_tampered_report_is_refused_by_name(tmp_path: Path, warehouse: Warehouse) -> None:
    site = Site(tmp_path / "site")
    add_site(warehouse, "Ulm", site.key)
    path = site.reports(1)[0]
    path.write_text(path.read_text().replace('"answered": 200', '"answered": 999'))
    assert refusal(warehouse, path).startswith("tampered")
    assert warehouse.ask("SELECT * FROM reports") == []


def test_a_foreign_report_is_refused_by_name(tmp_path: Path, warehouse: Warehouse) -> None:
    path = Site(tmp_path / "site").reports(1)[0]
    assert refusal(warehouse, path).startswith("foreign")


def test_a_report_in_anothers_name_is_refused(tmp_path: Path, warehouse: Warehouse) -> None:
    known, liar = Site(tmp_path / "known"), Site(tmp_path / "liar")
    add_site(warehouse, "Ulm", known.key)
    path = liar.reports(1)[0]
    page = json.loads(path.read_text())
    page["report"]["site"] = read(known.reports(1)[0]).site
    path.write_text(json.dumps(page))
    assert refusal(warehouse, path).startswith("tampered")


@pytest.mark.parametrize("content", ["", "{}", "[]", "\x00", '{"report": 1, "signature": "AAAA"}'])
def test_what_is_no_report_is_refused_by_name(tmp_path: Path, warehouse: Warehouse, content: str) -> None:
    path = tmp_path / "file"
    path.write_text(content)
    assert refusal(warehouse, path).startswith("is no report")


def test_a_file_that_is_not_there_is_named(tmp_path: Path, warehouse: Warehouse) -> None:
    assert "No such file" in refusal(warehouse, tmp_path / "nowhere")


def fault_words(warehouse: Warehouse) -> list[tuple[str, int]]:
    return [(fault.word, fault.sequence) for fault in faults(warehouse)]


def test_a_gap_shows_until_it_is_filled(tmp_path: Path, warehouse: Warehouse) -> None:
    site = Site(tmp_path / "site")
    add_site(warehouse, "Ulm", site.key)
    files = site.reports(5)
    list(ingest(warehouse, [files[0], files[4]]))
    assert fault_words(warehouse) == [("gap", 2)]
    assert "reports 2 to 4" in faults(warehouse)[0].text
    list(ingest(warehouse, files))
    assert faults(warehouse) == []


def test_a_store_that_was_set_back_makes_a_fork_and_neither_twin_counts(tmp_path: Path, warehouse: Warehouse) -> None:
    site = Site(tmp_path / "site")
    add_site(warehouse, "Ulm", site.key)
    first = site.reports(1)
    site.store.close()
    shutil.copytree(tmp_path / "site", tmp_path / "copy")
    again = Site(tmp_path / "copy", site.hour)
    site = Site(tmp_path / "site", site.hour)
    mine, twin = site.reports(1, answered=300), again.reports(2, answered=400)
    list(ingest(warehouse, [*first, *mine, *twin]))
    assert ("fork", 2) in fault_words(warehouse)
    (found,) = figures(warehouse, site.hour).sites
    assert found.answered == 200 + 400
    assert any("numbered 2 and differ" in reason for reason in found.reasons)


def test_a_report_that_does_not_follow_is_flagged(tmp_path: Path, warehouse: Warehouse) -> None:
    site = Site(tmp_path / "site")
    add_site(warehouse, "Ulm", site.key)
    files = site.reports(1)
    site.store.keep_fact("previous", "f" * 64)
    files += site.reports(1)
    list(ingest(warehouse, files))
    assert fault_words(warehouse) == [("broken", 2)]


def test_a_site_that_began_anew_is_flagged(tmp_path: Path, warehouse: Warehouse) -> None:
    site = Site(tmp_path / "site")
    add_site(warehouse, "Ulm", site.key)
    files = [path.rename(tmp_path / path.name) for path in site.reports(2)]
    hour = site.hour
    site.store.close()
    for path in (tmp_path / "site").glob("telemetry.db*"):
        path.unlink()
    list(ingest(warehouse, [*files, *Site(tmp_path / "site", hour).reports(1)]))
    assert fault_words(warehouse) == [("restarted", 1)]


def test_a_key_or_a_name_belongs_to_one_site(tmp_path: Path, warehouse: Warehouse) -> None:
    one, two = Site(tmp_path / "one"), Site(tmp_path / "two")
    add_site(warehouse, "Ulm", one.key)
    add_site(warehouse, "Ulm", one.key)
    with pytest.raises(ValueError, match="the name belongs"):
        add_site(warehouse, "Ulm", two.key)
    with pytest.raises(ValueError, match="the key belongs"):
        add_site(warehouse, "Rom", one.key)
    with pytest.raises(ValueError, match=r"PEM|no P-256"):
        add_site(warehouse, "Köln", b"no key")


# --- by the command


def monitoring(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "monitoring", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)


def test_a_vendor_adds_a_site_takes_its_reports_and_reads_a_page(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    (tmp_path / "ulm.pub").write_bytes(site.key)
    files = site.reports(3)
    assert "foreign" in monitoring(tmp_path, "ingest", str(files[0])).stderr
    assert monitoring(tmp_path, "site", "Ulm", "ulm.pub").returncode == 0
    done = monitoring(tmp_path, "ingest", str(files[0].parent))
    assert (done.returncode, done.stdout) == (0, "monitoring: 3 added, 0 known already, 0 refused\n")
    done = monitoring(tmp_path, "report", "-o", "page.html")
    assert done.returncode == 0, done.stderr
    assert "Ulm" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("site", "Ulm", "nowhere.pub"), "No such file"),
        (("model", "nowhere.onnx"), "cannot be read"),
        (("--warehouse", "nowhere/at/all.duckdb", "report"), "nowhere/at/all.duckdb"),
        (("--warehouse", "postgresql://127.0.0.1:1/x", "report"), "PostgreSQL"),
    ],
)
def test_what_cannot_be_looked_at_says_so(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = monitoring(tmp_path, *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_is_added_once(tmp_path: Path, warehouse: Warehouse) -> None:
    for _ in range(2):
        add_model(warehouse, "linear", MODEL.digest, REFERENCE.to_json())
    assert len(warehouse.ask("SELECT * FROM models")) == 1
