"""Can an operator show one problem whole, or its outline, and wipe all that was kept?"""

import base64
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from serving.telemetry.capture import Capture, Kept, find, listed, open_captures, wipe
from serving.telemetry.case import content_of
from serving.telemetry.recorder import Recorder
from tests.serving.asking import ROOT, Running, Start, environment, question
from tests.serving.telemetry import sites
from tests.serving.telemetry.sites import DIGEST

INFER = "/v2/models/test/infer"


def command(state: Path, name: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[bytes]:
    given = environment(state) | {"UNJAR_STATE": str(state)} | more
    return subprocess.run([sys.executable, "-m", f"serving.{name}", *arguments], cwd=ROOT, env=given, capture_output=True)


def kept_in(state: Path, count: int) -> list[str]:
    """The identities, once there are so many."""
    limit = time.monotonic() + 20
    while time.monotonic() < limit:
        found = [one[0] for one in listed(state)] if state.exists() else []
        if len(found) >= count:
            return found
        time.sleep(0.1)
    raise AssertionError(f"{listed(state)}")


@pytest.fixture
def keeping(start: Start, tmp_path: Path) -> tuple[Running, Path]:
    state = tmp_path / "state"
    return start(sites.model_with_bins(), UNJAR_STATE=str(state), UNJAR_CAPTURE="all"), state


def test_a_case_holds_what_came_in_and_what_went_out_byte_for_byte(keeping: tuple[Running, Path]) -> None:
    server, state = keeping
    body = json.dumps(question([1, 2, 3], id="ä")).encode().replace(b"[1, 2, 3]", b"[1.0e0,  2, 3]")
    secret = {"authorization": "Bearer my-secret-token", "cookie": "my-secret-cookie"}
    answer = httpx.post(server.url + INFER, content=body, headers=secret)
    own = answer.headers["x-request-id"]
    kept_in(state, 1)
    done = command(state, "case", "export", own, "-", UNJAR_TOKENS="/somewhere/my-secret-path")
    case = json.loads(done.stdout)
    assert content_of(case["request"]) == body
    assert content_of(case["answer"]) == answer.content
    assert case["answer"]["status"] == 200
    assert case["model"]["digest"] == answer.headers["x-model-digest"]
    assert case["settings"]["tokens"] is True
    assert b"my-secret" not in done.stdout
    assert case["server"]["onnxruntime"]


def test_raw_bytes_are_kept_as_they_came(keeping: tuple[Running, Path]) -> None:
    server, state = keeping
    raw = np.array([1, 2, 3], "<f4").tobytes()
    head = json.dumps({"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": 12}}]})
    headers = {"inference-header-content-length": str(len(head))}
    # In parts, so that the server puts them together itself.
    answer = httpx.post(server.url + INFER, content=iter([head.encode(), raw]), headers=headers)
    assert answer.status_code == 200
    (own,) = kept_in(state, 1)
    case = json.loads(command(state, "case", "export", own, "-").stdout)
    assert base64.b64decode(case["request"]["base64"]) == head.encode() + raw
    assert case["request"]["headers"]["inference-header-content-length"] == str(len(head))


def test_a_redacted_case_keeps_shapes_and_counts_and_no_number(keeping: tuple[Running, Path], tmp_path: Path) -> None:
    server, state = keeping
    own = httpx.post(server.url + INFER, json=question([1234.5678, -0.0087654, 0])).headers["x-request-id"]
    kept_in(state, 1)
    model = next(server.log.parent.glob("*.onnx"))
    case = command(state, "case", "export", own, "-", "--redact", UNJAR_MODEL=str(model)).stdout
    said = json.loads(case)
    assert said["redacted"] is True
    (inputs,) = said["request"]["inputs"]
    assert inputs["shape"] == [1, 3]
    assert (inputs["values"], inputs["zero"], inputs["negative"]) == (3, 1, 1)
    assert not re.search(rb"1234|1\.23|87654|8\.77|0\.0088", case)


def test_only_failures_are_kept_when_only_these_are_asked_for(start: Start, tmp_path: Path) -> None:
    state = tmp_path / "state"
    server = start(sites.model_with_bins(), UNJAR_STATE=str(state), UNJAR_CAPTURE="failures")
    httpx.post(server.url + INFER, json=question([1, 2, 3]))
    bad = httpx.post(server.url + INFER, json=question([1, 2, "x"]))
    assert kept_in(state, 1) == [bad.json()["request_id"]]
    case = json.loads(command(state, "case", "export", bad.json()["request_id"], "-").stdout)
    assert (case["answer"]["status"], json.loads(case["answer"]["text"])["code"]) == (400, "invalid_input")


def test_nothing_is_kept_unless_it_was_asked_for(start: Start, tmp_path: Path) -> None:
    state = tmp_path / "state"
    server = start(sites.model_with_bins(), UNJAR_STATE=str(state))
    own = httpx.post(server.url + INFER, content=b"{").json()["request_id"]
    server.stop()
    assert not (state / "captures.db").exists()
    done = command(state, "case", "export", own, "-")
    assert done.returncode == 1
    assert b"UNJAR_CAPTURE is off" in done.stderr


def test_what_a_user_rejected_is_kept_longest(keeping: tuple[Running, Path]) -> None:
    server, state = keeping
    own = httpx.post(server.url + INFER, json=question([1, 2, 3])).headers["x-request-id"]
    kept_in(state, 1)
    httpx.post(f"{server.url}/v1/feedback", json={"request_id": own, "outcome": "rejected"})
    limit = time.monotonic() + 20
    while time.monotonic() < limit and not listed(state)[0][3]:
        time.sleep(0.1)
    assert listed(state)[0][3]


def test_one_command_wipes_all_of_it(keeping: tuple[Running, Path]) -> None:
    server, state = keeping
    for _ in range(20):
        httpx.post(server.url + INFER, json=question([1, 2, 3], id="canary-name-5150"))
    kept_in(state, 20)
    server.stop()
    assert command(state, "case", "wipe").stdout == b"case: 20 requests are no longer kept\n"
    assert listed(state) == []
    assert (state / "captures.db").stat().st_size < 20_000


def kept(number: int, status: int = 200, size: int = 1000) -> Kept:
    noise = np.random.default_rng(number).bytes(size)
    return Kept(f"r{number}", float(number), "/infer", {}, noise, status, {}, b"{}", DIGEST)


def filled(folder: Path, most_bytes: int, requests: list[Kept]) -> list[str]:
    capture = Capture(folder, "all", most_bytes)
    for one in requests:
        (capture._failed if one.status != 200 else capture._good).append(one)
        capture.flush([])
    return sorted(one[0] for one in listed(folder))


def test_the_room_is_bounded_and_good_ones_go_first(tmp_path: Path) -> None:
    left = filled(tmp_path, 6000, [kept(i, 400 if i < 2 else 200) for i in range(10)])
    assert len(left) < 10
    assert {"r0", "r1", "r9"} <= set(left)
    assert "r2" not in left


def test_failures_go_in_the_end_too(tmp_path: Path) -> None:
    left = filled(tmp_path, 6000, [kept(i, 400) for i in range(10)])
    assert "r9" in left
    assert "r0" not in left


def test_what_was_kept_comes_back_as_it_was(tmp_path: Path) -> None:
    filled(tmp_path, 10**6, [kept(3)])
    assert find(tmp_path, "r3") == kept(3)
    assert find(tmp_path, "r4") is None
    assert wipe(tmp_path) == 1


def test_a_file_of_requests_that_cannot_be_read_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "captures.db").write_text("this is no database, whatever it is called")
    assert filled(tmp_path, 10**6, [kept(3)]) == ["r3"]
    assert len(list(tmp_path.glob("captures.db.unreadable-*"))) == 1


def test_counts_do_not_wait_for_requests_that_the_disk_will_not_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(sites.settings(tmp_path, capture="all"), list)
    assert recorder.capture is not None
    recorder.capture._good.append(kept(1))
    monkeypatch.setattr(Capture, "flush", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    recorder.flush()
    assert recorder.problem is None


def test_what_is_too_old_is_not_kept(tmp_path: Path) -> None:
    filled(tmp_path, 10**6, [kept(3), kept(9)])
    Capture(tmp_path, "all", 10**6).forget(5.0)
    assert [one[0] for one in listed(tmp_path)] == ["r9"]


def test_nobody_else_on_the_host_reads_it(tmp_path: Path) -> None:
    open_captures(tmp_path).close()
    assert (tmp_path / "captures.db").stat().st_mode & 0o077 == 0


def test_a_file_is_not_written_over(tmp_path: Path) -> None:
    filled(tmp_path / "state", 10**6, [kept(3)])
    (tmp_path / "there").write_text("mine")
    done = command(tmp_path / "state", "case", "export", "r3", str(tmp_path / "there"))
    assert done.returncode == 1
    assert (tmp_path / "there").read_text() == "mine"


# --- the support bundle


def bundle(state: Path, *arguments: str, **more: str) -> tuple[dict[str, Any], bytes]:
    import io
    import tarfile

    done = command(state, "support", "-", *arguments, **more)
    assert done.returncode == 0, done.stderr
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        parts = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    manifest = json.loads(parts["manifest.json"])
    import hashlib

    assert manifest["facts.json"]["sha256"] == hashlib.sha256(parts["facts.json"]).hexdigest()
    return json.loads(parts["facts.json"]), done.stdout


def test_a_support_bundle_tells_of_the_server_and_of_nobodys_work(keeping: tuple[Running, Path]) -> None:
    server, state = keeping
    for body in (json.dumps(question([1234.5678, 2, 3])), '{"canary-body-8844": 1}', "{"):
        httpx.post(server.url + INFER, content=body, headers={"x-request-id": "canary-header-6021"})
    kept_in(state, 1)
    time.sleep(2.5)
    secret = {"UNJAR_REPORT_URL": "https://canary-name-5150.example/", "UNJAR_REPORT_PROXY": "http://canary-name-5150:1"}
    facts, content = bundle(state, "--log", str(server.log), "--url", server.url, **secret)
    assert facts["health"] == {"live": True, "ready": True}
    assert facts["requests"]["answered"] == 1
    assert facts["settings"]["report_url"] is True
    assert any(event["event"] == "ready" for event in facts["events"])
    assert b"canary" not in content
    assert b"1234" not in content


def test_a_server_that_is_down_is_told_of_too(tmp_path: Path) -> None:
    facts, _ = bundle(tmp_path, "--url", "http://127.0.0.1:9")
    assert facts["health"] == {"live": False, "ready": False}


@pytest.mark.parametrize(
    ("facts", "named"),
    [
        ({"versions": {"unjar": "0.1.0", "hostname": "canary"}}, "versions.hostname"),
        ({"note": "anything"}, "note"),
        ({"settings": {"report_url": "https://somewhere/?q=x"}}, "settings.report_url"),
        ({"events": [{"event": "refused", "request_id": "x"}]}, "request_id"),
        ({"events": [{"event": "my secret"}]}, "event"),
        ({"requests": {"secret": 1}}, "requests"),
        ({"model": {"digest": "secret"}}, "model.digest"),
    ],
)
def test_anything_unknown_stops_the_bundle(facts: dict[str, Any], named: str) -> None:
    from serving.telemetry import support

    with pytest.raises(support.Unknown, match=re.escape(named)):
        support.pack(facts)


def test_the_environment_is_no_part_of_it(tmp_path: Path) -> None:
    _, content = bundle(tmp_path, "--url", "http://127.0.0.1:9", CANARY="canary-in-the-environment")
    assert b"canary" not in content
    assert os.uname().nodename.encode() not in content
