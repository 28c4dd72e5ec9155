"""Does anything leave, or lie about, that the customer did not mean to give?

Distinctive values go in as inputs, names, headers, tokens and feedback; then every file, figure and page is searched for them:
as text, rounded, and as the bytes of a float of 4 or 8 bytes, in base64 too.
"""

import base64
import hashlib
import json
import re
import signal
import sqlite3
import struct
import time
import zlib
from collections.abc import Iterable
from pathlib import Path

import httpx
import numpy as np
import pytest

from serving.telemetry.outbox import Outbox
from serving.telemetry.store import HOUR_S, Store
from tests.serving.asking import Start, question
from tests.serving.telemetry import sites
from tests.serving.telemetry.sites import DIGEST, tallied
from tests.serving.telemetry.test_case import command, kept_in
from tests.serving.test_no_egress import FILTERED

# None that a time, a size or a count of megabytes could be by chance, however rounded.
NUMBERS = (1234.56789, -0.0087654321, 7654321.25, 91.4159274)
WORDS = ("canary-name-5150", "canary-header-6021", "canary-token-7733", "canary-body-8844", "canary-path-9955")


def numerals_of(number: float) -> re.Pattern[bytes]:
    """How it could be written in digits: exactly, or rounded to four at least. Only where it stands as a number of its own and
    is no short whole one: the 64 hexadecimal digits of a digest hold any four by chance."""
    written = {repr(number), repr(float(np.float32(number))), *(f"{number:.{digits}g}" for digits in (4, 5, 6, 7))}
    longest_first = sorted((re.escape(one) for one in written if "." in one or len(one) > 6), key=len, reverse=True)
    return re.compile(rf"(?<![0-9A-Za-z.])(?:{'|'.join(longest_first)})(?![0-9A-Za-z])".encode())


def traces_of(number: float) -> Iterable[bytes]:
    """How its bytes could lie there."""
    for form in ("<d", ">d", "<f", ">f"):
        raw = struct.pack(form, number)
        yield raw
        # At whichever of three places it stands in a longer text.
        for place in range(3):
            text = base64.b64encode(bytes(place) + raw + bytes(3))
            yield text[4 if place else 0 : -6]


def found(artefacts: dict[str, bytes]) -> list[tuple[str, str]]:
    """Which file holds which of them."""
    wanted = {word: [word.encode(), base64.b64encode(word.encode())[:-4]] for word in WORDS}
    wanted |= {repr(number): [trace for trace in traces_of(number) if len(trace) >= 4] for number in NUMBERS}
    numerals = {repr(number): numerals_of(number) for number in NUMBERS}
    return [
        (name, value)
        for name, content in artefacts.items()
        for value, traces in wanted.items()
        if any(trace in content for trace in traces) or (value in numerals and numerals[value].search(content))
    ]


def everything_in(state: Path) -> dict[str, bytes]:
    """Every file as it lies there, and what is packed in the store unpacked."""
    files = {str(path.relative_to(state)): path.read_bytes() for path in state.rglob("*") if path.is_file()}
    base = sqlite3.connect(state / "telemetry.db")
    packed = [row[0] for row in base.execute("SELECT bins FROM windows")]
    base.close()
    return files | {f"bins {i}": zlib.decompress(blob) for i, blob in enumerate(packed)}


def test_no_canary_is_anywhere(start: Start, tmp_path: Path) -> None:
    state = tmp_path / "state"
    tokens = tmp_path / "tokens"
    tokens.write_text("".join(
        f"{scope}-1 {scope} {hashlib.sha256(token.encode()).hexdigest()}\n"
        for scope, token in (("infer", WORDS[2]), ("admin", "the-operator"))
    ))  # fmt: skip
    server = start(sites.model_with_bins(), UNJAR_STATE=str(state), UNJAR_TOKENS=str(tokens), UNJAR_ACCESS_LOG="on")
    mine, operator = {"authorization": f"Bearer {WORDS[2]}"}, {"authorization": "Bearer the-operator"}
    with httpx.Client(base_url=server.url, headers=mine | {"x-part": WORDS[1], "user-agent": WORDS[1]}) as client:
        for _ in range(12):
            good = question([*NUMBERS[:3]], id=WORDS[0])
            assert client.post("/v2/models/test/infer", json=good).status_code == 200
            own = client.post("/v2/models/test/infer", json=good).headers["x-request-id"]
            client.post("/v1/feedback", json={"request_id": own, "outcome": {"measured": NUMBERS[3]}})
            for bad in (
                question([*NUMBERS, 1.0]), question([WORDS[3], 1, 2]), {"inputs": [{"name": WORDS[0]}]}, {WORDS[0]: 1},
                question([NUMBERS[2] * 1e300] * 3),
            ):  # fmt: skip
                client.post("/v2/models/test/infer", json=bad)
            client.post("/v2/models/test/infer", content=WORDS[3].encode())
            client.get(f"/{WORDS[4]}?{WORDS[4]}")
            client.post(f"/v2/models/{WORDS[4]}/infer", json=good)
            client.post("/v1/feedback", json={"request_id": WORDS[0], "outcome": WORDS[3]})
        shown = {path: httpx.get(server.url + path, headers=operator) for path in ("/metrics", "/status", "/v2/models/stats")}
    assert {answer.status_code for answer in shown.values()} == {200}
    server.stop()
    store = Store(state)
    assert Outbox(state).make(store, 5, time.time() + HOUR_S) == 1
    artefacts = everything_in(state) | {"log": server.log.read_bytes()} | {path: one.content for path, one in shown.items()}
    store.close()
    assert any(name.startswith("outbox/waiting/") for name in artefacts)
    assert any(name.startswith("bins ") and any(content) for name, content in artefacts.items())
    assert found(artefacts) == []


def test_no_canary_is_in_a_redacted_case_or_a_support_bundle(start: Start, tmp_path: Path) -> None:
    state, asked = tmp_path / "state", question([*NUMBERS[:3]], id=WORDS[0])
    model = tmp_path / "model.onnx"
    model.write_bytes(sites.model_with_bins())
    server = start(model.read_bytes(), UNJAR_STATE=str(state), UNJAR_CAPTURE="all")
    headers = {"authorization": f"Bearer {WORDS[2]}", "x-part": WORDS[1]}
    raw = np.array([NUMBERS[:3]], "<f4").tobytes()
    entry = {"name": "X", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"id": WORDS[0], "inputs": [entry]}).encode()
    length = {"inference-header-content-length": str(len(head))}
    for content, more in ((json.dumps(asked).encode(), {}), (head + raw, length), (WORDS[3].encode(), {})):
        httpx.post(f"{server.url}/v2/models/test/infer", content=content, headers=headers | more)
    kept = kept_in(state, 3)
    whole = {f"case {name}": command(state, "case", "export", name, "-").stdout for name in kept}
    assert len(found(whole)) >= 3, "as they came they hold them"
    given = {"UNJAR_MODEL": str(model), "UNJAR_REPORT_URL": f"https://{WORDS[4]}.example/"}
    shown = {f"case {name}": command(state, "case", "export", name, "-", "--redact", **given).stdout for name in kept}
    assert all(b'"redacted": true' in content for content in shown.values())
    flags = ("--log", str(server.log), "--url", server.url)
    shown["bundle"] = command(state, "support", "-", *flags, **given).stdout
    assert b"facts.json" in shown["bundle"]
    assert found(shown) == []


def test_the_search_finds_what_a_sketch_of_raw_values_would_leave() -> None:
    values = np.random.default_rng(0).standard_normal(5000)
    values[17] = NUMBERS[0]
    # As KLL keeps it: some of the values themselves, sorted.
    sketch = np.sort(values)[::-1]
    assert found({"sketch": sketch.tobytes()})
    assert found({"sketch": sketch.astype(np.float32).tobytes()})
    assert found({"report": json.dumps({"sketch": base64.b64encode(sketch.tobytes()).decode()}).encode()})
    assert found({"report": json.dumps({"quantiles": [round(value, 3) for value in sketch.tolist()]}).encode()})
    assert found({"log": b'{"name": "canary-name-5150"}'})
    assert found({"log": b"mean 1234.57, spread 3"})
    assert found({"log": b"[0,91.42]"})


def test_the_search_takes_no_part_of_a_digest_for_a_number() -> None:
    assert not found({"bundle": b'{"digest": "00ab1235ff7654321091.4291424"}'})


@pytest.mark.parametrize("mode", ["off", "review", "auto"])
def test_only_auto_ever_connects(start: Start, tmp_path: Path, mode: str) -> None:
    """The kernel kills the server at its first connect(2), whatever thread or library it comes from."""
    state, hour = tmp_path / "state", int(time.time() // HOUR_S)
    store = Store(state)
    with store.change():
        store.add({(hour - 2, DIGEST): (tallied(answered=50), sites.NO_BINS)})
        store.keep_fact("reported", str(hour - 2))
    store.close()
    server = start(
        sites.model_with_bins(), before=FILTERED, UNJAR_STATE=str(state), UNJAR_REPORTS=mode, UNJAR_REPORT_HOURS="1",
        UNJAR_REPORT_URL="https://127.0.0.1:9/reports",
    )  # fmt: skip
    if mode != "off":
        assert server.wait_for("report_made")["mode"] == mode
    if mode == "auto":
        assert server.process.wait(20) == -signal.SIGSYS
        return
    body = json.dumps(question([1, 2, 3]))
    until = time.monotonic() + 6
    while time.monotonic() < until:
        assert httpx.post(f"{server.url}/v2/models/test/infer", content=body).status_code == 200
        assert httpx.get(f"{server.url}/status").status_code == 200
        time.sleep(0.2)
    assert server.stop() == 0
    assert [entry.state for entry in Outbox(state).entries()] == ([] if mode == "off" else ["waiting"])
