"""Do the documents say what the server has, and is every mistake in a setting reported at once?"""

import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

from recommender.addition import RECOMMENDER
from serving import VERSION, schema
from serving.app import create_app
from serving.errors import REFUSALS, CannotStart
from serving.inference import Inference
from serving.metrics import Metrics
from serving.settings import PREFIX, Settings
from tests.serving.asking import ROOT


def rows_of(document: str) -> list[list[str]]:
    lines = (ROOT / "docs" / document).read_text().splitlines()
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]


def test_the_documented_settings_are_the_settings() -> None:
    said = {row[0]: row[1:] for row in rows_of("settings.md")}
    have = {
        PREFIX + s.name.upper(): ["" if s.default is None else str(s.default), s.metadata["meaning"]] for s in fields(Settings)
    }
    assert said == have


def test_the_documented_errors_are_the_errors() -> None:
    said = [row for row in rows_of("api.md") if row[1].isdigit()]
    have = [[r.code, str(r.status), (r.__doc__ or "").splitlines()[0].rstrip(".")] for r in REFUSALS]
    assert said == have


def test_every_address_is_documented() -> None:
    app = create_app(Inference("m", Metrics(), 1, 1), Settings(max_body_bytes=1), addition=RECOMMENDER)
    paths = {path.replace("{name}", "NAME") for path in schema.document(app, "m", None)["paths"] if "{version}" not in path}
    paths = {path.replace("{identity}", "ID") for path in paths}
    said = set(re.findall(r"`(?:GET|POST) (/[^`]*)`", (ROOT / "docs" / "api.md").read_text()))
    assert said == paths | {"/", "/docs", "/openapi.json", "/status"}


def test_every_flag_is_a_documented_setting() -> None:
    said = subprocess.run([sys.executable, "server.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    flags = set(re.findall(r"--(\w+)", said)) - {"help"}
    assert flags == set(re.findall(r"`--(\w+)`", (ROOT / "docs" / "settings.md").read_text()))
    assert flags <= {setting.name for setting in fields(Settings)}


def test_the_version_is_the_packages() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION


def test_every_code_means_one_thing() -> None:
    assert len({refusal.code for refusal in REFUSALS}) == len(REFUSALS)


def test_flags_win_over_the_environment() -> None:
    settings = Settings.read({"UNJAR_PORT": "1", "UNJAR_HOST": "::1", "PATH": "x"}, {"port": "2", "host": None})
    assert (settings.port, settings.host) == (2, "::1")


def test_the_name_is_the_files_own_unless_given() -> None:
    assert Settings.read({}, {}).name == "model"
    assert Settings.read({"UNJAR_MODEL": "/a/b.c.onnx"}, {}).name == "b.c"
    assert Settings.read({"UNJAR_MODEL": "/a/b.onnx"}, {"name": "wing"}).name == "wing"
    assert Settings.read({}, {"model": "x.onnx"}).model == Path("x.onnx")
    with pytest.raises(CannotStart, match=r"would be 'a b': expected 1 to 128 letters.*--name"):
        Settings.read({"UNJAR_MODEL": "a b.onnx"}, {})


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(CannotStart) as refusal:
        Settings.read({"UNJAR_PRT": "1", "UNJAR_MAX_ROWS": "0", "UNJAR_port": "5"}, {"port": "http", "name": "a/b"})
    text = str(refusal.value)
    assert "UNJAR_PRT: there is no such setting; did you mean UNJAR_PORT" in text
    assert "UNJAR_port: there is no such setting; did you mean UNJAR_PORT" in text
    assert "UNJAR_MAX_ROWS='0': expected a whole number from 1 to" in text
    assert "--port='http': expected a whole number from 0 to 65535" in text
    assert "--name='a/b': expected" in text


@pytest.mark.parametrize("port", ["", "-1", "65536", "1e3", " 80", "٣", "8" * 30])
def test_a_port_is_a_whole_number(port: str) -> None:
    with pytest.raises(CannotStart, match="expected a whole number from 0 to 65535"):
        Settings.read({}, {"port": port})


@pytest.mark.parametrize("host", ["", "a b", "http://x", "x@y"])
def test_a_host_is_an_address(host: str) -> None:
    with pytest.raises(CannotStart, match="expected an address to listen on"):
        Settings.read({"UNJAR_HOST": host}, {})


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("UNJAR_REPORT_URL", "http://unjar.example/"), ("UNJAR_REPORT_URL", "https://unjar.example:99999/"),
        ("UNJAR_REPORT_URL", "https://me:word@unjar.example/"), ("UNJAR_REPORT_URL", "https://:443/"),
        ("UNJAR_REPORT_PROXY", "proxy:3128"), ("UNJAR_REPORT_PROXY", "http://proxy:0"), ("UNJAR_REPORT_PROXY", "http://proxy:70000"),
    ],
)  # fmt: skip
def test_an_address_that_leads_nowhere_is_named(key: str, text: str) -> None:
    with pytest.raises(CannotStart, match=f"^{key}={re.escape(repr(text))}: expected (an address that begins with https|http)"):
        Settings.read({key: text}, {})
