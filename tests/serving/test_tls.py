"""Does HTTPS serve those it should, and nobody else?"""

import datetime
import os
import socket
import ssl
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from serving import tls
from serving.errors import CannotStart
from serving.settings import Settings
from tests.serving import graphs
from tests.serving.asking import ROOT, Running, Start, question

INFER = "/v2/models/test/infer"


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def files(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("tls")
    server = authority.issue_cert("127.0.0.1")
    server.private_key_pem.write_to_path(folder / "key.pem")
    for blob in server.cert_chain_pems:
        blob.write_to_path(folder / "cert.pem", append=True)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return {name: str(folder / f"{name}.pem") for name in ("cert", "key", "ca")}


@pytest.fixture(scope="session")
def one_way(start: Start, files: dict[str, str]) -> Running:
    return start(graphs.linear(), UNJAR_TLS_CERT=files["cert"], UNJAR_TLS_KEY=files["key"])


@pytest.fixture(scope="session")
def mutual(start: Start, files: dict[str, str]) -> Running:
    return start(graphs.linear(), UNJAR_TLS_CERT=files["cert"], UNJAR_TLS_KEY=files["key"], UNJAR_TLS_CLIENT_CA=files["ca"])


def trusting(authority: trustme.CA, client: trustme.LeafCert | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if client is not None:
        client.configure_cert(context)
    return context


def ask(server: Running, context: Any) -> int:
    return httpx.post(f"{server.url}{INFER}", json=question([1, 2, 3]), verify=context).status_code


def test_who_trusts_the_authority_is_answered_over_https(one_way: Running, authority: trustme.CA) -> None:
    assert one_way.url.startswith("https://")
    assert ask(one_way, trusting(authority)) == 200


def test_who_does_not_ends_the_connection_himself(one_way: Running) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        ask(one_way, ssl.create_default_context())


def test_plain_http_gets_no_answer_and_harms_nobody(one_way: Running, authority: trustme.CA) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(one_way.url.replace("https", "http") + "/v2/health/live")
    assert ask(one_way, trusting(authority)) == 200


def test_old_tls_is_refused(one_way: Running, authority: trustme.CA) -> None:
    context = trusting(authority)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(httpx.ConnectError):
        ask(one_way, context)


def test_a_client_with_a_certificate_is_answered(mutual: Running, authority: trustme.CA) -> None:
    assert ask(mutual, trusting(authority, authority.issue_cert("client@site"))) == 200


def test_clients_without_one_or_with_a_strangers_or_an_old_one_are_not(mutual: Running, authority: trustme.CA) -> None:
    old = authority.issue_cert("client@site", not_after=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
    for client in (None, trustme.CA().issue_cert("client@site"), old):
        with pytest.raises(httpx.TransportError):
            ask(mutual, trusting(authority, client))


def test_a_silent_client_does_not_hold_the_others_up(one_way: Running, authority: trustme.CA) -> None:
    host, port = one_way.url.removeprefix("https://").split(":")
    with socket.create_connection((host, int(port))):
        assert ask(one_way, trusting(authority)) == 200


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tls_cert": "cert"}, "UNJAR_TLS_CERT and UNJAR_TLS_KEY go together"),
        ({"tls_client_ca": "ca"}, "UNJAR_TLS_CLIENT_CA needs both"),
        ({"tls_cert": "cert", "tls_key": "ca"}, "no certificate with its key"),
        ({"tls_cert": "cert", "tls_key": "nowhere"}, "No such file"),
        ({"tls_cert": "cert", "tls_key": "key", "tls_client_ca": "key"}, "no certificates to know clients by"),
    ],
)
def test_files_that_do_not_serve_are_refused_at_the_start(given: dict[str, str], words: str, files: dict[str, str]) -> None:
    paths: dict[str, Any] = {name: Path(files.get(value, "/nowhere")) for name, value in given.items()}
    settings = Settings(**paths)
    with pytest.raises(CannotStart, match=words):
        tls.options(settings)


def test_without_a_certificate_nothing_is_told() -> None:
    assert tls.options(Settings()) == {}


def check(files: dict[str, str], url: str, **extra: str) -> int:
    environ = {"UNJAR_TLS_CERT": files["cert"], "UNJAR_TLS_KEY": files["key"], **extra}
    command = [sys.executable, "-m", "serving.health", "--url", url]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environ, capture_output=True, check=False).returncode


def test_the_health_check_speaks_tls_and_shows_the_servers_own_certificate(
    one_way: Running, mutual: Running, files: dict[str, str]
) -> None:
    assert check(files, one_way.url) == 0
    assert check(files, mutual.url, UNJAR_TLS_CLIENT_CA=files["ca"]) == 0
    assert check(files, mutual.url) == 2
