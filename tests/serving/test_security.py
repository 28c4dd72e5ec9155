"""Does what docs/security.md says have its tests, and does nothing of a request stay behind?"""

import re
import struct
from pathlib import Path

import httpx
import pytest

from tests.serving import graphs
from tests.serving.asking import ROOT, Start, question

CANARY = "canary4711"
NUMBER = 4711.471147


def test_every_threat_names_a_test_that_exists() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) > 20
    there = {name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())}
    assert named <= there, named - there
    for row in text.splitlines():
        if row.startswith("| ") and not row.startswith("| threat"):
            for file in re.findall(r"`([\w/]+\.py|[\w]+/)`", row.split("|")[3]):
                assert (ROOT / file).exists() or (ROOT / "serving" / file).exists(), file


def test_nothing_of_a_request_is_found_in_log_or_figures(start: Start) -> None:
    """Good and bad, everywhere a client may write, with the access log on."""
    server = start(graphs.linear(), UNJAR_ACCESS_LOG="on")
    url, infer = server.url, f"{server.url}/v2/models/test/infer"
    good = question([NUMBER, 2, 3], id=CANARY)
    with httpx.Client(headers={"user-agent": CANARY, "authorization": f"Bearer {CANARY}", "cookie": CANARY}) as client:
        assert client.post(infer, json=good).status_code == 200
        client.post(f"{infer}?{CANARY}=1", json=good)
        client.post(infer, json=question([CANARY, NUMBER, 3]))
        client.post(infer, json=question([NUMBER, 2]))
        client.post(infer, json={"inputs": [{"name": CANARY, "datatype": "FP32", "shape": [1], "data": [NUMBER]}]})
        client.post(infer, json={"inputs": [{"name": "X", "datatype": CANARY, "shape": [1], "data": [NUMBER]}]})
        client.post(infer, json=question([1, 2, 3], outputs=[{"name": CANARY}]))
        client.post(infer, content=f'{{"{CANARY}'.encode())
        raw = struct.pack("<3f", NUMBER, 2, float("nan"))
        client.post(infer, content=raw, headers={"Inference-Header-Content-Length": "0"})
        client.post(infer, content=b"x", headers={"Inference-Header-Content-Length": CANARY})
        client.post(infer, content=b"x", headers={"content-encoding": CANARY})
        client.get(f"{url}/v2/models/{CANARY}")
        client.get(f"{url}/{CANARY}?{CANARY}")
        client.get(f"{url}/v2", headers={"x-request-id": f"{CANARY} not valid"})
        figures = client.get(f"{url}/metrics").text + client.get(f"{url}/v2/models/stats").text
    assert server.stop() == 0
    for text in (server.log.read_text(), figures):
        assert CANARY not in text
        assert "4711.47" not in text


@pytest.mark.parametrize(
    "header", ["authorization", "content-encoding", "inference-header-content-length", "x-request-timeout-ms"]
)
def test_no_refusal_quotes_a_token(start: Start, tmp_path: Path, header: str) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"web infer {'0' * 64}\n")
    tokens.chmod(0o600)
    server = start(graphs.linear(), UNJAR_TOKENS=str(tokens))
    headers = {"authorization": f"Bearer {CANARY}", header: CANARY}
    answer = httpx.post(f"{server.url}/v2/models/test/infer", json=question([1, 2, 3]), headers=headers)
    assert answer.status_code == 401
    assert CANARY not in answer.text


def test_every_requirement_is_locked_with_hashes() -> None:
    for lock in [ROOT / "requirements.txt", *(ROOT / "requirements").glob("*.txt")]:
        text = re.sub(r"\s*#.*", "", lock.read_text()).replace("\\\n", " ")
        for line in filter(str.strip, text.splitlines()):
            assert re.match(r"[\w.-]+(\[\w+\])?==\S+", line.strip()), (lock, line)
            assert "--hash=sha256:" in line, (lock, line)
