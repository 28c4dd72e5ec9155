"""Do reports come in over HTTPS from whom they are, once, and does everybody else get an answer that says why not?"""

import asyncio
import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from monitoring.ingest import add_site
from monitoring.receiver import PATH, Receiver, read_tokens
from monitoring.warehouse import open_warehouse
from serving.telemetry.outbox import APPROVED, SENT, WAITING
from serving.telemetry.outgoing import send_approved
from tests.monitoring.fleet import Site
from tests.serving.asking import ROOT
from tests.serving.telemetry.sites import settings


class Vendor:
    """A receiver in this process, with two sites."""

    def __init__(self, folder: Path) -> None:
        self.warehouse = open_warehouse(str(folder / "all.duckdb"))
        self.sites = {name: Site(folder / name) for name in ("Ulm", "Rom")}
        tokens = {}
        for name, site in self.sites.items():
            tokens[hashlib.sha256(f"token of {name}".encode()).hexdigest()] = add_site(self.warehouse, name, site.key)
        self.app = Receiver(self.warehouse, tokens, folder / "kept")

    def post(self, content: bytes, name: str = "Ulm", path: str = PATH, method: str = "POST") -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="https://vendor") as client:
                headers = {"authorization": f"Bearer token of {name}"}
                return await client.request(method, path, content=content, headers=headers)

        return asyncio.run(once())


@pytest.fixture
def vendor(tmp_path: Path) -> Iterator[Vendor]:
    made = Vendor(tmp_path)
    yield made
    made.warehouse.close()


def test_a_report_is_added_and_a_second_time_known(vendor: Vendor, tmp_path: Path) -> None:
    content = vendor.sites["Ulm"].reports(1)[0].read_bytes()
    assert (vendor.post(content).status_code, vendor.post(content).status_code) == (201, 200)
    (kept,) = (tmp_path / "kept").rglob("*.json")
    assert kept.read_bytes() == content


def test_nobody_brings_the_reports_of_another_site(vendor: Vendor) -> None:
    content = vendor.sites["Ulm"].reports(1)[0].read_bytes()
    answer = vendor.post(content, "Rom")
    assert answer.status_code == 422
    assert "foreign" in answer.json()["error"]
    assert vendor.warehouse.ask("SELECT * FROM reports") == []


@pytest.mark.parametrize(
    ("content", "name", "path", "method", "status"),
    [
        (b"{}", "Ulm", PATH, "POST", 422),
        (b"", "Ulm", PATH, "POST", 422),
        (b"{}", "nobody", PATH, "POST", 401),
        (b"{}", "Ulm", "/elsewhere", "POST", 404),
        (b"", "Ulm", PATH, "GET", 405),
    ],
)
def test_everything_else_is_told_why(vendor: Vendor, content: bytes, name: str, path: str, method: str, status: int) -> None:
    answer = vendor.post(content, name, path, method)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_too_much_is_not_read(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitoring.receiver.MOST_BYTES", 1000)
    assert vendor.post(b"x" * 1001).status_code == 413


@pytest.mark.parametrize("line", ["Ulm abc", "nobody " + "a" * 64, "Ulm"])
def test_a_token_file_that_makes_no_sense_names_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "tokens").write_text(f"# sites\n{line}\n")
    with pytest.raises(ValueError, match="tokens:2"):
        read_tokens(tmp_path / "tokens", {"Ulm": "f" * 64})


def test_a_site_sends_and_the_vendor_has_it(tmp_path: Path) -> None:
    """Both commands as their users start them, over TLS with an authority of their own."""
    authority, site = trustme.CA(), Site(tmp_path / "site")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    (tmp_path / "site.pub").write_bytes(site.key)
    (tmp_path / "token").write_text("let me in")
    (tmp_path / "tokens").write_text(f"Ulm {hashlib.sha256(b'let me in').hexdigest()}\n")
    run = {"cwd": tmp_path, "env": os.environ | {"PYTHONPATH": str(ROOT)}}
    subprocess.run([sys.executable, "-m", "monitoring", "site", "Ulm", "site.pub"], check=True, **run)  # type: ignore[call-overload]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serve = [sys.executable, "-m", "monitoring", "serve", "--port", str(port), "--cert", "server.pem", "--key", "server.pem"]
    receiver = subprocess.Popen([*serve, "--tokens", "tokens"], **run)  # type: ignore[call-overload]
    try:
        site.reports(2)
        for entry in site.outbox.entries(WAITING):
            site.outbox.move(entry, APPROVED)
        chosen = settings(
            tmp_path / "site", report_url=f"https://127.0.0.1:{port}{PATH}", report_ca=tmp_path / "ca.pem",
            report_token=tmp_path / "token",
        )  # fmt: skip
        _wait_for(port)
        assert [entry.state for entry in send_approved(site.outbox, chosen)] == [SENT, SENT]
    finally:
        receiver.terminate()
        receiver.wait(20)
    done = subprocess.run([sys.executable, "-m", "monitoring", "report"], capture_output=True, text=True, **run)  # type: ignore[call-overload]
    assert "1 sites" in done.stdout
    assert done.returncode == 0


def _wait_for(port: int) -> None:
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the receiver does not listen")
