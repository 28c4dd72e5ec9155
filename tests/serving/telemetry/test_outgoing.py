"""Does a report go to the one address and nowhere else, whatever stands between?"""

import ast
import contextlib
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from serving.telemetry.outbox import APPROVED, SENT, WAITING, Outbox
from serving.telemetry.outgoing import Destination, NotSent, send, send_approved
from serving.telemetry.store import HOUR_S
from tests.serving.asking import ROOT
from tests.serving.telemetry.sites import HOUR, settings
from tests.serving.telemetry.test_outbox import store_with


class Receiver:
    """An HTTPS server that answers as it is told and keeps what it was sent."""

    def __init__(self, folder: Path) -> None:
        self.bodies: list[bytes] = []
        self.heads: list[dict[str, str]] = []
        self.answers: list[int] = []
        self.headers: dict[str, str] = {}
        authority = trustme.CA()
        self.ca = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_port}/v1/reports"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _handler(self) -> Any:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.heads.append({key.lower(): value for key, value in self.headers.items()})
                receiver.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(receiver.answers.pop(0) if receiver.answers else 202)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        return Handler


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path)
    yield made
    made.server.shutdown()
    made.server.server_close()


def approved(state: Path) -> Outbox:
    outbox, store = Outbox(state), store_with(state)
    outbox.make(store, 5, (HOUR + 1) * HOUR_S)
    store.close()
    for entry in outbox.entries(WAITING):
        outbox.move(entry, APPROVED)
    return outbox


def test_the_very_bytes_of_the_file_arrive(tmp_path: Path, receiver: Receiver) -> None:
    outbox = approved(tmp_path / "state")
    content = outbox.entries(APPROVED)[0].path.read_bytes()
    (tmp_path / "token").write_text("let me in\n")
    chosen = settings(tmp_path / "state", report_url=receiver.url, report_ca=receiver.ca, report_token=tmp_path / "token")
    (entry,) = send_approved(outbox, chosen)
    assert entry.state == SENT
    assert receiver.bodies == [content]
    assert receiver.heads[0]["authorization"] == "Bearer let me in"


def test_an_authority_that_was_not_named_is_not_believed(tmp_path: Path, receiver: Receiver) -> None:
    with pytest.raises(NotSent, match="CERTIFICATE_VERIFY_FAILED"):
        Destination(receiver.url, "", None, None).send(b"{}")
    assert receiver.bodies == []


def test_a_busy_receiver_is_asked_again_and_one_that_refuses_is_not(tmp_path: Path, receiver: Receiver) -> None:
    destination = Destination(receiver.url, "", receiver.ca, None)
    receiver.answers = [503, 429, 202]
    send(destination, b"1", pauses_s=(0, 0, 0))
    assert len(receiver.bodies) == 3
    receiver.answers = [409, 202]
    with pytest.raises(NotSent, match="409"):
        send(destination, b"2", pauses_s=(0, 0, 0))
    assert receiver.bodies.count(b"2") == 1


def test_what_was_not_taken_stays_where_it_was(tmp_path: Path, receiver: Receiver) -> None:
    outbox = approved(tmp_path / "state")
    receiver.answers = [500]
    with pytest.raises(NotSent, match="500"):
        send_approved(outbox, settings(tmp_path / "state", report_url=receiver.url, report_ca=receiver.ca), pauses_s=())
    assert [entry.state for entry in outbox.entries()] == [APPROVED]


def test_nobody_is_sent_on_to_another_address(tmp_path: Path, receiver: Receiver) -> None:
    receiver.answers, receiver.headers = [307], {"location": receiver.url}
    with pytest.raises(NotSent, match="307"):
        Destination(receiver.url, "", receiver.ca, None).send(b"{}")
    assert len(receiver.bodies) == 1


def test_a_proxy_of_the_environment_is_not_used(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    Destination(receiver.url, "", receiver.ca, None).send(b"{}")
    assert receiver.bodies == [b"{}"]


def test_a_proxy_that_was_set_is_used(tmp_path: Path, receiver: Receiver) -> None:
    with _proxy() as (address, asked):
        Destination(receiver.url, address, receiver.ca, None).send(b"through")
    assert receiver.bodies == [b"through"]
    assert asked[0].split()[:2] == ["CONNECT", f"127.0.0.1:{receiver.server.server_port}"]


@contextlib.contextmanager
def _proxy() -> Iterator[tuple[str, list[str]]]:
    """Passes bytes both ways once it was asked to."""
    import socket

    listener = socket.create_server(("127.0.0.1", 0))
    asked: list[str] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        client, _ = listener.accept()
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        asked.append(head.split(b"\r\n")[0].decode())
        host, port = asked[0].split()[1].split(":")
        target = socket.create_connection((host, int(port)))
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        threading.Thread(target=pump, args=(client, target), daemon=True).start()
        pump(target, client)
        client.close()
        target.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
    thread.join(10)
    listener.close()


def test_without_an_address_nothing_is_sent(tmp_path: Path) -> None:
    with pytest.raises(NotSent, match="UNJAR_REPORT_URL"):
        send_approved(approved(tmp_path), settings(tmp_path))


CONNECTING = {"urllib", "http", "socket", "ssl", "ftplib", "smtplib", "requests", "httpx", "telnetlib", "xmlrpc"}
# Listens, asks the server in its own container, says what TLS the server speaks; and the one that connects to others.
ALLOWED = {
    "serving/supervisor.py": {"socket"},
    "serving/process.py": {"socket"},
    "serving/tls.py": {"ssl"},
    "serving/health.py": {"urllib", "ssl"},
    "serving/control.py": {"urllib"},
    "serving/check.py": {"urllib"},
    "serving/settings.py": {"urllib"},
    "serving/telemetry/outgoing.py": {"urllib", "ssl"},
}


def test_one_module_of_what_ships_opens_connections_to_others() -> None:
    found: dict[str, set[str]] = {}
    for path in [*ROOT.glob("serving/**/*.py"), *ROOT.glob("recommender/**/*.py")]:
        names = {
            name.split(".")[0]
            for node in ast.walk(ast.parse(path.read_text()))
            for name in (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [str(node.module)]
                if isinstance(node, ast.ImportFrom)
                else []
            )
        }
        if names & CONNECTING:
            found[str(path.relative_to(ROOT))] = names & CONNECTING
    assert {name: used for name, used in found.items() if not used <= ALLOWED.get(name, set())} == {}
    # The settings only take addresses apart.
    assert "urllib.request" not in (ROOT / "serving/settings.py").read_text()
