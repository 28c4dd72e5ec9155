"""Does every datatype go in and come out, in JSON and in bytes, to the last bit and to the last byte?"""

import itertools
import json
import struct
import zlib
from typing import Any

import httpx
import numpy as np
import pytest

from tests.serving import graphs
from tests.serving.asking import Running, Start
from tests.serving.test_metrics import read
from tests.serving.wire import Answer, request, wire

HEADER = "Inference-Header-Content-Length"
KINDS = {
    "BOOL": "?", "UINT8": "u1", "INT32": "<i4", "INT64": "<i8", "UINT64": "<u8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip
EDGES: dict[str, list[Any]] = {
    "BOOL": [True, False],
    "UINT8": [0, 255],
    "INT32": [-(2**31), 2**31 - 1],
    "INT64": [-(2**63), 2**63 - 1],
    "UINT64": [0, 2**64 - 1],
    "FP16": [65504.0, -6e-8],
    "FP32": [3.4028234663852886e38, -1.401298464324817e-45],
    "FP64": [1.7976931348623157e308, -5e-324],
    "BYTES": ['"\\\x00\x7f é€😀', ""],
}
# The nearest numbers, or other things, that the datatype cannot hold.
BEYOND: dict[str, list[str]] = {
    "BOOL": ["0", "1", '"true"', "null"],
    "UINT8": ["-1", "256", "0.5", "true", '"1"', "1e3"],
    "INT32": ["-2147483649", "2147483648", "0.5", "true", "1e10"],
    "INT64": ["-9223372036854775809", "9223372036854775808", "1e19", "0.1", "9007199254740993.0"],
    "UINT64": ["-1", "18446744073709551616", "1e20", "-0.5"],
    "FP16": ["65520", "-1e5", "true", '"NaN"'],
    "FP32": ["3.4028236e38", "-1e39", "true", '"1"'],
    "FP64": ["1.7976931348623159e308", "-1e309", "true", '"1"', "NaN"],
    "BYTES": ["1", "true", "null", '"\\ud800"', '"\\udc00\\ud800"', '["a"]', '"\t"', '"\xff"'],
}


@pytest.fixture(scope="session", params=list(EDGES))
def echo(request: pytest.FixtureRequest, start: Start) -> tuple[Running, str]:
    return start(graphs.echo(request.param)), request.param


def packed(datatype: str, values: list[Any]) -> bytes:
    if datatype != "BYTES":
        return np.array(values, KINDS[datatype]).tobytes()
    return b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in values)


def unpacked(datatype: str, raw: bytes) -> list[Any]:
    if datatype != "BYTES":
        return list(np.frombuffer(raw, KINDS[datatype]).tolist())
    texts = []
    while raw:
        (size,) = struct.unpack_from("<I", raw)
        texts.append(raw[4 : 4 + size].decode())
        raw = raw[4 + size :]
    return texts


def question(datatype: str, rows: int, data: str | None, raw: bytes | None, *headers: str, **parameters: Any) -> bytes:
    size = "" if raw is None else f',"parameters":{{"binary_data_size":{len(raw)}}}'
    given = "" if data is None else f',"data":{data}'
    entry = f'{{"name":"X","datatype":"{datatype}","shape":[{rows},2]{size}{given}}}'
    text = f'{{"inputs":[{entry}],"parameters":{json.dumps(parameters)}}}'.encode("latin-1" if "\xff" in entry else "utf-8")
    return request(text + (raw or b""), *headers, *([f"{HEADER}: {len(text)}"] if raw is not None else []))


def told(datatype: str, answer: Answer, raw: bool) -> list[Any]:
    assert answer.status == 200, answer
    size = int(answer.headers[HEADER.lower()]) if raw else len(answer.body)
    (output,) = json.loads(answer.body[:size])["outputs"]
    assert (output["name"], output["datatype"]) == ("Y", datatype)
    if not raw:
        assert HEADER.lower() not in answer.headers
        assert answer.headers["content-type"] == "application/json"
        return list(output["data"])
    assert answer.headers["content-type"] == "application/octet-stream"
    assert output["parameters"] == {"binary_data_size": len(answer.body) - size}
    assert "data" not in output
    return unpacked(datatype, answer.body[size:])


@pytest.mark.parametrize(("raw_in", "raw_out"), list(itertools.product([False, True], repeat=2)))
@pytest.mark.parametrize("nested", [False, True])
def test_the_edges_of_every_datatype_go_round(echo: tuple[Running, str], raw_in: bool, raw_out: bool, nested: bool) -> None:
    server, datatype = echo
    edges = EDGES[datatype]
    data = json.dumps([edges, edges[::-1]] if nested else edges + edges[::-1], ensure_ascii=nested)
    raw = packed(datatype, edges + edges[::-1]) if raw_in else None
    with wire(server) as client:
        for _ in range(2):
            client.send(question(datatype, 2, None if raw_in else data, raw, binary_data_output=raw_out))
            back = told(datatype, client.answer(), raw_out)
            assert packed(datatype, back) == packed(datatype, edges + edges[::-1])
            assert [type(value) for value in back] == [type(value) for value in edges + edges[::-1]]


def test_what_a_datatype_cannot_hold_is_refused(echo: tuple[Running, str]) -> None:
    server, datatype = echo
    before = rows(server)
    good = json.dumps(EDGES[datatype][0])
    with wire(server) as client:
        for text in BEYOND[datatype]:
            for data in (f"[{good},{text}]", f"[[{text},{good}]]"):
                client.send(question(datatype, 1, data, None))
                answer = client.answer()
                assert (answer.status, answer.code in ("invalid_input", "invalid_json")) == (400, True), (text, answer)
    assert rows(server) == before


@pytest.mark.parametrize("off", [-1, 1])
def test_bytes_that_are_one_too_few_or_too_many_are_refused(echo: tuple[Running, str], off: int) -> None:
    server, datatype = echo
    before = rows(server)
    raw = packed(datatype, EDGES[datatype])
    wrong = raw[:off] if off < 0 else raw + b"\0" * off
    with wire(server) as client:
        client.send(question(datatype, 1, None, wrong) + question(datatype, 1, None, raw))
        assert client.answer().code == "invalid_input"
        assert client.answer().status == 200
    assert rows(server) == before + 1


def test_no_rows_are_no_bytes(echo: tuple[Running, str]) -> None:
    server, datatype = echo
    with wire(server) as client:
        for raw_in, raw_out in itertools.product([False, True], repeat=2):
            client.send(question(datatype, 0, None if raw_in else "[]", b"" if raw_in else None, binary_data_output=raw_out))
            assert told(datatype, client.answer(), raw_out) == []


def test_a_body_of_bytes_alone_is_for_numbers(echo: tuple[Running, str]) -> None:
    server, datatype = echo
    raw = packed(datatype, EDGES[datatype] * 3)
    with wire(server) as client:
        client.send(request(raw, f"{HEADER}: 0"))
        answer = client.answer()
        if datatype == "BYTES":
            assert answer.code == "invalid_request"
        else:
            assert told(datatype, answer, True) == unpacked(datatype, raw)
            client.send(request(zlib.compress(raw), f"{HEADER}: 0", "Content-Encoding: deflate"))
            assert told(datatype, client.answer(), True) == unpacked(datatype, raw)
            client.send(request(raw[:-1], f"{HEADER}: 0"))
            assert client.answer().code == "invalid_input"


@pytest.mark.parametrize("byte", [2, 128, 255])
def test_a_bool_is_no_other_byte_than_0_or_1(echo: tuple[Running, str], byte: int) -> None:
    server, datatype = echo
    with wire(server) as client:
        client.send(question(datatype, 1, None, bytes([1, byte])))
        assert client.answer().code == "invalid_input" if datatype != "UINT8" else client.answer().status == 200


NO_TEXTS = {
    "only a length, of 4 GB": b"\xff\xff\xff\xff",
    "a length of 2 GB behind a text": b"\1\0\0\0a\xff\xff\xff\x7f",
    "no UTF-8": b"\1\0\0\0\xff\0\0\0\0",
    "a surrogate": b"\3\0\0\0\xed\xa0\x80\0\0\0\0",
    "half a character": b"\2\0\0\0\xc3\0\0\0\0\0",
    "half a length": b"\1\0\0\0a\0\0\0",
    "one": b"\0\0\0\0",
    "three": b"\0\0\0\0" * 3,
}


@pytest.mark.parametrize("name", NO_TEXTS)
def test_texts_that_are_none_are_refused(texts: Running, name: str) -> None:
    before = rows(texts)
    with wire(texts) as client:
        client.send(question("BYTES", 1, None, NO_TEXTS[name]))
        assert client.answer().code == "invalid_input"
    assert rows(texts) == before


@pytest.fixture(scope="session")
def texts(start: Start) -> Running:
    return start(graphs.echo("BYTES"))


@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
def test_nan_goes_in_and_out_in_bytes_where_the_model_knows_it(start: Start, datatype: str, allowed: bool) -> None:
    server = start(graphs.echo(datatype, allow_nan=allowed))
    raw = packed(datatype, [np.nan, 1.0])
    with wire(server) as client:
        client.send(question(datatype, 1, None, raw, binary_data_output=True) + question(datatype, 1, None, raw))
        bits, text = client.answer(), client.answer()
        if allowed:
            assert bits.body.endswith(raw)
            assert text.code == "not_in_json"
            assert "binary_data" in text.json()["error"]
        else:
            assert (bits.code, text.code) == ("invalid_input", "invalid_input")
        for value in (np.inf, -np.inf):
            client.send(question(datatype, 1, None, packed(datatype, [1.0, value]), binary_data_output=True))
            assert client.answer().code == "invalid_input"
    server.stop()


def rows(server: Running) -> float:
    return read(httpx.get(f"{server.url}/metrics").text)["unjar_rows_total"]


DURATIONS = {"success", "fail", "queue", "compute_input", "compute_infer", "compute_output", "cache_hit", "cache_miss"}


def test_statistics_have_the_extensions_form(start: Start) -> None:
    """Triton's docs/protocol/extension_statistics.md."""
    server = start(graphs.echo("INT64"))
    begun_ms = httpx.get(f"{server.url}/v2/models/stats").json()["model_stats"][0]["last_inference"]
    with wire(server) as client:
        for count in (1, 1, 3):
            client.send(question("INT64", count, json.dumps([7] * 2 * count), None))
            assert client.answer().status == 200
        client.send(question("INT64", 1, "[1]", None))
        assert client.answer().status == 400
    said = httpx.get(f"{server.url}/v2/models/test/stats").json()
    assert set(said) == {"model_stats"}
    (model,) = said["model_stats"]
    assert {"name", "version", "last_inference", "inference_count", "execution_count", "inference_stats", "batch_stats"} <= set(
        model
    )
    assert (model["inference_count"], model["execution_count"]) == (5, 3)
    assert model["last_inference"] > begun_ms
    stats = model["inference_stats"]
    assert set(stats) - {"cache_miss"} == DURATIONS - {"cache_miss"}
    for name, duration in stats.items():
        assert set(duration) == {"count", "ns"}
        assert all(type(value) is int and value >= 0 for value in duration.values()), name
    assert [stats[name]["count"] for name in ("success", "fail", "queue", "compute_infer", "cache_hit")] == [3, 1, 3, 3, 0]
    assert isinstance(model["batch_stats"], list)
    for batch in model["batch_stats"]:
        assert {"batch_size", "compute_input", "compute_infer", "compute_output"} <= set(batch)
    assert httpx.get(f"{server.url}/v2").json()["extensions"] == ["binary_tensor_data", "model_repository", "statistics"]


@pytest.mark.parametrize("path", ["/v2/models/other/stats", "/v2/models/test/versions/9/stats"])
def test_statistics_of_what_is_not_there_are_refused(texts: Running, path: str) -> None:
    answer = httpx.get(f"{texts.url}{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_model")
    assert httpx.post(f"{texts.url}/v2/models/stats").status_code == 405
