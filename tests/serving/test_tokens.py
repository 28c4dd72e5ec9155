"""Is an address open to exactly those whose token is good for it?"""

import hashlib
import hmac
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.errors import CannotStart, Forbidden, Unauthorized
from serving.tokens import Tokens
from tests.serving import graphs
from tests.serving.asking import ROOT, Ask, Start, asker, question

INFER = "/v2/models/test/infer"


def line(name: str, scope: str, token: str) -> str:
    return f"{name} {scope} {hashlib.sha256(token.encode()).hexdigest()}"


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines))
    path.chmod(0o600)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path / "tokens", "# ours", "", line("web", "infer", "abc") + " # the page", line("ops", "admin", "xyz"))


@pytest.mark.parametrize("header", [b"Bearer abc", b"bearer abc", b"BEARER   abc"])
def test_a_known_token_is_let_in(path: Path, header: bytes) -> None:
    assert Tokens(path).allow(header, "infer") == "web"


@pytest.mark.parametrize(
    "header", [None, b"", b"abc", b"Basic abc", b"Bearer", b"Bearer ", b"Bearer abcd", b"Bearer ab", b"Bearer \xfc",
               b"Bearer " + b"a" * 600, b"Bearer abc abc", b" Bearer abc"],
)  # fmt: skip
def test_anything_else_is_not(path: Path, header: bytes | None) -> None:
    with pytest.raises(Unauthorized) as refused:
        Tokens(path).allow(header, "infer")
    assert refused.value.headers == {"www-authenticate": "Bearer"}
    assert "abc" not in str(refused.value)


def test_the_admin_may_do_everything_and_others_only_ask(path: Path) -> None:
    tokens = Tokens(path)
    assert tokens.allow(b"Bearer xyz", "admin") == "ops"
    assert tokens.allow(b"Bearer xyz", "infer") == "ops"
    with pytest.raises(Forbidden, match="wants one with the scope 'admin'"):
        tokens.allow(b"Bearer abc", "admin")


def test_every_token_is_compared_whichever_fits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[bytes] = []
    same = hmac.compare_digest

    def watched(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return same(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    tokens = Tokens(path)
    for given in (b"Bearer abc", b"Bearer xyz"):
        tokens.allow(given, "infer")
    assert len(compared) == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no token"),
        ("# nothing\n", "holds no token"),
        ("web infer abc\n", "tokens:1: expected a name, infer or admin"),
        (f"\nweb root {'0' * 64}\n", "tokens:2: expected a name"),
        (f"web infer {'0' * 64}\nweb admin {'1' * 64}\n", "tokens:2: 'web' is there twice"),
        (f"web infer {'0' * 64} more\n", "tokens:1: expected"),
        ("\udcff", "not UTF-8"),
    ],
)
def test_a_file_that_holds_something_else_is_named_with_its_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "tokens"
    path.write_bytes(text.encode(errors="surrogateescape"))
    path.chmod(0o600)
    with pytest.raises(CannotStart, match=re.escape(words)):
        Tokens(path)


def test_a_file_others_may_write_is_refused(path: Path) -> None:
    path.chmod(0o620)
    with pytest.raises(CannotStart, match="others than its owner may write it; chmod go-w"):
        Tokens(path)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="No such file"):
        Tokens(tmp_path / "none")


def test_a_changed_file_counts_and_a_broken_one_leaves_the_old(path: Path) -> None:
    tokens = Tokens(path)
    assert not tokens.read_again()
    written(path, line("new", "infer", "new"))
    assert tokens.read_again()
    assert tokens.allow(b"Bearer new", "infer") == "new"
    with pytest.raises(Unauthorized):
        tokens.allow(b"Bearer abc", "infer")
    for broken in ("nonsense", ""):
        written(path, broken)
        with pytest.raises(CannotStart):
            tokens.read_again()
    path.unlink()
    with pytest.raises(CannotStart):
        tokens.read_again()
    assert tokens.allow(b"Bearer new", "infer") == "new"


@pytest.fixture
def closed(path: Path) -> Ask:
    ask = asker(graphs.linear())
    ask.front.desk.tokens = Tokens(path)  # type: ignore[attr-defined]
    return ask


@pytest.mark.parametrize(
    ("method", "address", "nobody", "web"),
    [
        ("GET", "/v2/health/live", 200, 200),
        ("GET", "/v2/health/ready", 200, 200),
        ("GET", "/v2", 401, 200),
        ("GET", "/v2/models/test", 401, 200),
        ("GET", "/v2/models/test/ready", 401, 200),
        ("POST", INFER, 401, 200),
        ("GET", "/docs", 401, 200),
        ("GET", "/openapi.json", 401, 200),
        ("GET", "/nowhere", 401, 404),
        ("GET", "/metrics", 401, 403),
        ("GET", "/v2/models/stats", 401, 403),
        ("GET", "/v2/models/test/stats", 401, 403),
    ],
)
def test_each_address_asks_for_the_right_scope(closed: Ask, method: str, address: str, nobody: int, web: int) -> None:
    body: dict[str, Any] = {"json": question([1, 2, 3])} if method == "POST" else {}
    assert closed(method, address, **body).status_code == nobody
    assert closed(method, address, headers={"authorization": "Bearer abc"}, **body).status_code == web
    admin = closed(method, address, headers={"authorization": "Bearer xyz"}, **body)
    assert admin.status_code in (200, 404)
    refusal = closed(method, address, headers={"authorization": "Bearer secret"}, **body)
    assert "secret" not in refusal.text


def test_a_token_refused_is_refused_before_the_body_is_read(closed: Ask) -> None:
    async def never() -> Any:
        yield pytest.fail("the body was read")

    assert closed("POST", INFER, content=never()).status_code == 401


def test_a_new_token_works_on_the_server_that_reads_it(start: Start, tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "serving.tokens", "new", "web"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    token = made.stderr.split()[-1]
    assert token.startswith("unjar_")
    assert token not in made.stdout
    file = written(tmp_path / "tokens", made.stdout)
    server = start(graphs.linear(), UNJAR_TOKENS=str(file))
    headers = {"authorization": f"Bearer {token}"}
    assert httpx.post(f"{server.url}{INFER}", json=question([1, 2, 3])).status_code == 401
    assert httpx.post(f"{server.url}{INFER}", json=question([1, 2, 3]), headers=headers).status_code == 200
    written(tmp_path / "next", line("other", "infer", "abc"))
    os.replace(tmp_path / "next", file)
    server.wait_for("tokens_read")
    assert httpx.post(f"{server.url}{INFER}", json=question([1, 2, 3]), headers=headers).status_code == 401
    assert token not in server.log.read_text()


def test_a_name_that_is_none_makes_no_token() -> None:
    command = [sys.executable, "-m", "serving.tokens", "new", "a b"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
