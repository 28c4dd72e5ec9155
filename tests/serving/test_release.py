"""Does a server with trusted keys answer with nothing but what they vouch for, and say so where people look?"""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.errors import ModelRefused
from serving.release import Release, open_model
from tests.bundle import signing
from tests.serving import graphs
from tests.serving.asking import ROOT, Start, environment, question

KEY = signing.new_key()
NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return signing.public(tmp_path / "vendor.pub", KEY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return signing.release(tmp_path / "7", KEY, graphs.linear(), 7)


def refused(folder: Path, keys: Path) -> str:
    with pytest.raises(ModelRefused) as caught:
        open_model(folder, keys)
    return str(caught.value)


def test_a_verified_release_answers_and_the_server_says_whose_it_is(start: Start, folder: Path, keys: Path) -> None:
    server = start(graphs.linear(), "--model", str(folder), UNJAR_TRUSTED_KEYS=str(keys), UNJAR_REQUIRE_KEYS="on")
    assert httpx.post(server.url + "/v2/models/test/infer", json=question([1, 2, 3])).status_code == 200
    said = server.wait_for("release_verified")
    trust = httpx.get(server.url + "/v2").json()["trust"]
    assert trust == {"mode": "release", "verified": True, "release": 7, "key_sha256": said["key_sha256"]}
    assert "Development mode" not in httpx.get(server.url + "/docs").text


def test_without_keys_the_server_says_that_nobody_verified_the_model(start: Start) -> None:
    server = start(graphs.linear())
    assert server.wait_for("development_mode")["level"] == "warning"
    assert httpx.get(server.url + "/v2").json()["trust"] == {"mode": "development", "verified": False}
    assert "Development mode: no trusted key was given" in httpx.get(server.url + "/docs").text


@pytest.mark.parametrize(
    ("flags", "extra", "status", "expected"),
    [
        ([], {"UNJAR_REQUIRE_KEYS": "on"}, 2, "trusted keys are required and none is given"),
        (["--model", "7"], {"UNJAR_TRUSTED_KEYS": "stranger.pub"}, 1, "7/model.sig: is not a signature of key"),
        (
            ["--model", "7/model.onnx"],
            {"UNJAR_TRUSTED_KEYS": "vendor.pub"},
            1,
            "7/model.onnx: is no folder of a signed release",
        ),
        (["--model", "nowhere"], {"UNJAR_TRUSTED_KEYS": "vendor.pub"}, 1, "nowhere: is no folder"),
        (["--model", "7"], {"UNJAR_TRUSTED_KEYS": "none.pub"}, 2, "none.pub: cannot be read"),
        (["--model", "7"], {"UNJAR_REQUIRE_KEYS": "yes"}, 2, "expected on or off"),
    ],
)
def test_what_cannot_be_trusted_never_listens(
    tmp_path: Path, folder: Path, keys: Path, flags: list[str], extra: dict[str, str], status: int, expected: str
) -> None:
    signing.public(tmp_path / "stranger.pub", signing.new_key())
    (tmp_path / "model.onnx").write_bytes(graphs.linear())
    command = [sys.executable, str(ROOT / "server.py"), "--port", "0", *flags]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path) | extra, capture_output=True, text=True, timeout=30)
    assert done.returncode == status, done.stderr
    assert expected in done.stderr
    assert "listening" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_changed_model_is_refused_before_it_is_loaded(folder: Path, keys: Path) -> None:
    content = bytearray((folder / "model.onnx").read_bytes())
    content[-1] ^= 1
    (folder / "model.onnx").write_bytes(content)
    assert "model.onnx: its SHA-256 is" in refused(folder, keys)


def test_a_manifest_of_another_model_is_refused_even_when_signed(folder: Path, keys: Path) -> None:
    signing.release(folder, KEY, graphs.linear(), 7, model="0" * 64)
    assert f"is of a model whose SHA-256 is {'0' * 64}" in refused(folder, keys)


@pytest.mark.parametrize("name", ["model.onnx", "release.json"])
def test_a_release_without_its_parts_is_refused_even_when_signed(folder: Path, keys: Path, name: str) -> None:
    (folder / name).unlink()
    signing.sign(folder, KEY)
    assert f"signed it without a {name}" in refused(folder, keys)


@pytest.mark.parametrize(
    "change",
    [{"number": 0}, {"number": "7"}, {"number": True}, {"number": None}, {"created": "yesterday"},
     {"created": "2026-11-01T00:00:00"}, {"expires": 5}],
)  # fmt: skip
def test_a_manifest_that_cannot_be_read_is_refused(folder: Path, keys: Path, change: dict[str, Any]) -> None:
    signing.release(folder, KEY, graphs.linear(), **({"number": 7} | change))
    assert "release.json: does not say which release this is" in refused(folder, keys)


@pytest.mark.parametrize(("days", "expected"), [(31, None), (29, "expires on"), (0, "expired on"), (-400, "expired on")])
def test_age_warns_and_stops_nothing(folder: Path, keys: Path, days: int, expected: str | None) -> None:
    ends = NOW + timedelta(days=days)
    signing.release(folder, KEY, graphs.linear(), 7, expires=ends.isoformat())
    release = open_model(folder, keys).release
    assert release is not None
    warning = release.warning(NOW)
    assert (
        (warning is None)
        if expected is None
        else (warning is not None and expected in warning and f"{ends:%Y-%m-%d}" in warning)
    )


def test_an_expired_release_answers_and_the_log_says_so(start: Start, folder: Path, keys: Path) -> None:
    signing.release(folder, KEY, graphs.linear(), 7, expires="2026-01-01T00:00:00Z")
    server = start(graphs.linear(), "--model", str(folder), UNJAR_TRUSTED_KEYS=str(keys))
    assert httpx.post(server.url + "/v2/models/test/infer", json=question([1, 2, 3])).status_code == 200
    assert "expired on 2026-01-01" in server.wait_for("release_expires")["reason"]


def test_times_of_other_zones_are_the_same_moments() -> None:
    said = {"name": "a", "number": 1, "created": "2026-11-01T02:00:00+02:00", "model": "0"}
    assert Release.from_json(json.dumps(said).encode(), "x").created == datetime(2026, 11, 1, tzinfo=UTC)
