"""Is every question that is none refused without running the model, and does every bit of the others arrive?"""

import gzip
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
from tests.serving.wire import GOOD, Answer, is_good, request, wire

HEADER = "Inference-Header-Content-Length"


@pytest.fixture(scope="session", params=["fast", "asgi"])
def server(request: pytest.FixtureRequest, start: Start) -> Running:
    return start(graphs.linear(), UNJAR_FRONT=request.param, UNJAR_MAX_ROWS="1000", UNJAR_MAX_BODY_BYTES=str(4 << 20))


def tensor(data: str, shape: str = "[1,3]", datatype: str = "FP32", **more: Any) -> bytes:
    return f'{{"inputs":[{{"name":"X","datatype":"{datatype}","shape":{shape},"data":{data}}}]}}'.encode()


def rows(server: Running) -> float:
    return read(httpx.get(f"{server.url}/metrics").text)["unjar_rows_total"]


NUMBERS = [
    "null",
    "true",
    '"1"',
    "[]",
    "{}",
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "1e39",
    "01",
    "+1",
    ".5",
    "5.",
    "0x10",
    "1_0",
    "--1",
    "",
]
BAD = {
    **{f"number {text}": tensor(f"[1,{text},3]") for text in NUMBERS},
    "ragged": tensor("[[1,2],[3]]", "[2,2]"),
    "ragged, but as many": tensor("[[1,2],[3,4,5,6]]", "[2,3]"),
    "nested deeper": tensor("[[[1,2,3]]]"),
    "nested below": tensor("[[1,[2,3]]]"),
    "an empty list and a pair": tensor("[[[],[1,2],3]]"),
    "nested for a flat shape": tensor("[[1,2,3]]", "[3]"),
    "mixed": tensor("[1,[2],3]"),
    "too few": tensor("[1,2]"),
    "too many": tensor("[1,2,3,4]"),
    "wrong columns": tensor("[1,2,3,4]", "[1,4]"),
    "wrong rank": tensor("[1,2,3]", "[3]"),
    "no rank": tensor("[1]", "[]"),
    "negative": tensor("[1,2,3]", "[-1,3]"),
    "fraction": tensor("[1,2,3]", "[1.5,2]"),
    "shape of floats": tensor("[1,2,3]", "[1.0,3]"),
    "shape of booleans": tensor("[1,2,3]", "[true,3]"),
    "huge shape": tensor("[1,2,3]", "[1000000000000,1000000000000]"),
    "beyond 64 bits": tensor("[1,2,3]", "[99999999999999999999,3]"),
    "many dimensions": tensor("[1]", "[" + ",".join(["1"] * 100) + "]"),
    "unknown datatype": tensor("[1,2,3]", datatype="FP128"),
    "wider datatype": tensor("[1,2,3]", datatype="FP64"),
    "unknown input": tensor("[1,2,3]").replace(b'"X"', b'"Z"'),
    "twice": b'{"inputs":[' + b",".join([tensor("[1,2,3]")[11:-2]] * 2) + b"]}",
    "no inputs": b'{"inputs":[]}',
    "nothing": b"{}",
    "unknown output": tensor("[1,2,3]")[:-1] + b',"outputs":[{"name":"nobody"}]}',
    "output twice": tensor("[1,2,3]")[:-1] + b',"outputs":[{"name":"predict"},{"name":"predict"}]}',
    "outputs no list": tensor("[1,2,3]")[:-1] + b',"outputs":{}}',
    "id a number": tensor("[1,2,3]")[:-1] + b',"id":7}',
    "parameters a list": tensor("[1,2,3]")[:-1] + b',"parameters":[]}',
    "timeout a text": tensor("[1,2,3]")[:-1] + b',"parameters":{"timeout":"1"}}',
    "timeout of nothing": tensor("[1,2,3]")[:-1] + b',"parameters":{"timeout":0}}',
    "data twice": b'{"inputs":[{"name":"X","datatype":"FP32","shape":[1,3],"data":[9,9,9],"data":[1,2,3]}]}',
    "inputs twice": tensor("[1,2,3]")[:-1] + b',"inputs":[]}',
    "an escaped key twice": b'{"inputs":[{"name":"X","n\\u0061me":"X","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]}',
    "data elsewhere and none here": b'{"inputs":[{"name":"X","datatype":"FP32","shape":[1,3]}],"data":[1,2,3]}',
    "bad data elsewhere": tensor("[1,2,3]")[:-1] + b',"parameters":{"data":[1,,2]}}',
    "binary size without header": tensor("[1,2,3]").replace(b'"data":[1,2,3]', b'"parameters":{"binary_data_size":12}'),
    "byte order mark": b"\xef\xbb\xbf" + GOOD,
    "UTF-16": GOOD.decode().encode("utf-16"),
    "not UTF-8": GOOD.replace(b'"X"', b'"\xff"'),
    "lone surrogate": GOOD.replace(b'"X"', b'"\\ud800"'),
    "trailing comma": GOOD[:-1] + b",}",
    "trailing text": GOOD + b"x",
    "two documents": GOOD + GOOD,
    "comment": b"/* */" + GOOD,
    "single quotes": GOOD.replace(b'"', b"'"),
    "cut off": GOOD[:-5],
    "a NUL": GOOD + b"\0",
    "empty": b"",
    "a list": b"[]",
    "a number": b"1",
    "a million brackets": b"[" * 1_000_000,
    "a million objects": b'{"a":' * 200_000,
    "deep data": tensor("[" * 5000 + "1" + "]" * 5000),
    "deep and balanced": b'{"inputs":' + b"[" * 1010 + b"]" * 1010 + b"}",
    "a long number": tensor("[1,2," + "9" * 100_000 + "]"),
    "too many rows": tensor("[" + ",".join(["1"] * 3003) + "]", "[1001,3]"),
}


@pytest.mark.parametrize("name", BAD)
def test_it_is_refused_the_model_is_not_run_and_the_connection_lives(server: Running, name: str) -> None:
    before = rows(server)
    with wire(server) as client:
        client.send(request(BAD[name]))
        answer = client.answer()
        assert 400 <= answer.status < 500, answer
        assert answer.code in ("invalid_request", "invalid_input", "invalid_json", "too_many_rows")
        assert len(answer.body) < 1000
        client.send(request(GOOD))
        assert is_good(client.answer())
    assert rows(server) == before + 1


@pytest.mark.parametrize("name", ["ragged, but as many", "number null", "data twice", "cut off"])
def test_it_is_refused_in_a_large_body_too(server: Running, name: str) -> None:
    """Where another reader reads the numbers."""
    row = ",".join(["1.25"] * 3)
    good = "[" + ",".join(f"[{row}]" for _ in range(900)) + "]"
    large = tensor(good, "[900,3]")
    bad = {
        "ragged, but as many": large.replace(b"[1.25,1.25,1.25],[1.25,1.25,1.25]", b"[1.25,1.25],[1.25,1.25,1.25,1.25]", 1),
        "number null": large[:-20] + large[-20:].replace(b"1.25", b"null", 1),
        "data twice": large.replace(b'"data":[', b'"data":[],"data":[', 1),
        "cut off": large[:-1],
    }[name]
    with wire(server) as client:
        client.send(request(large))
        assert client.answer().status == 200
        client.send(request(bad))
        assert 400 <= client.answer().status < 500


GOODS = {
    "spaces": b' \r\n\t{ "inputs" :\n[ {"name":"X" , "datatype":"FP32","shape":[ 1,3 ] ,"data" : [ 1 , 2.0 , 3e0 ] } ] } \n',
    "order": b'{"inputs":[{"data":[1,2,3],"shape":[1,3],"datatype":"FP32","name":"X"}]}',
    "nested": tensor("[[1,2,3]]"),
    "escaped": b'{"in\\u0070uts":[{"name":"\\u0058","datatype":"FP32","shape":[1,3],"data":[1,2,3]}]}',
    "unknown fields": tensor("[1,2,3]")[:-1] + b',"more":{"data":[[1,2],{"data":[3]}]},"data":[1]}',
    "id named data": tensor("[1,2,3]")[:-1] + b',"id":"data"}',
    "id like a list": tensor("[1,2,3]")[:-1] + b',"id":"\\"data\\":[1]"}',
    "numbers": tensor("[1E0,20e-1,0.3E+1]"),
    "whole datatype": tensor("[1,2,3]", datatype="INT8"),
    "no outputs": tensor("[1,2,3]")[:-1] + b',"outputs":[]}',
    "timeout": tensor("[1,2,3]")[:-1] + b',"parameters":{"timeout":9000000}}',
}


@pytest.mark.parametrize("name", GOODS)
def test_other_ways_to_say_the_same(server: Running, name: str) -> None:
    with wire(server) as client:
        for _ in range(2):
            client.send(request(GOODS[name]))
            assert is_good(client.answer())


@pytest.fixture(scope="session", params=["FP64", "FP32", "INT64", "UINT64"])
def echo(request: pytest.FixtureRequest, start: Start) -> tuple[Running, str]:
    return start(graphs.echo(request.param)), request.param


EXACT = {
    "FP64": ["-0.0", "-0", "0", "5e-324", "-5e-324", "2.2250738585072014e-308", "1.7976931348623157e308", "0.1", "1e-400",
             "9007199254740993", "123456789012345678901234567890", "-0e5", "0.30000000000000004", "1e22"],
    "FP32": ["-0.0", "-0", "1e-45", "1.1754944e-38", "3.4028235e38", "0.1", "16777217", "1e-400"],
    "INT64": ["9223372036854775807", "-9223372036854775808", "-0", "1.0", "1e3", "9007199254740993"],
    "UINT64": ["18446744073709551615", "0", "-0", "1e3"],
}  # fmt: skip


def test_every_bit_of_a_number_arrives(echo: tuple[Running, str]) -> None:
    server, datatype = echo
    kind = {"FP64": np.float64, "FP32": np.float32, "INT64": np.int64, "UINT64": np.uint64}[datatype]
    texts = EXACT[datatype]
    wanted = np.array([float(text) if "F" in datatype or "e" in text or "." in text else int(text) for text in texts], kind)
    with wire(server) as client:
        for raw in (False, True):
            for pairs in ("flat", "nested"):
                data = ",".join(f"{text},{text}" if pairs == "flat" else f"[{text},{text}]" for text in texts)
                body = tensor(f"[{data}]", f"[{len(texts)},2]", datatype)[:-1]
                client.send(request(body + b',"parameters":{"binary_data_output":%s}}' % (b"true" if raw else b"false")))
                answer = client.answer()
                assert answer.status == 200, answer
                if raw:
                    back = np.frombuffer(answer.body[int(answer.headers[HEADER.lower()]) :], kind)
                else:
                    back = np.array(answer.json()["outputs"][0]["data"], kind)
                assert back.tobytes() == np.repeat(wanted, 2).tobytes()


def test_random_doubles_go_round_bit_for_bit(start: Start) -> None:
    server = start(graphs.echo("FP64"))
    bits = np.random.default_rng(0).integers(0, 2**64, 6000, dtype=np.uint64).view(np.float64)
    values = bits[np.isfinite(bits)][:4000].reshape(-1, 2)
    with wire(server) as client:
        for form in (repr, lambda value: f"{value:.17g}"):
            data = ",".join(form(float(value)) for value in values.reshape(-1))
            client.send(request(tensor(f"[{data}]", f"[{len(values)},2]", "FP64")))
            back = np.array(client.answer().json()["outputs"][0]["data"])
            assert back.tobytes() == values.tobytes()


def binary(body: dict[str, Any], raw: bytes, *headers: str) -> bytes:
    text = json.dumps(body).encode()
    return request(text + raw, f"{HEADER}: {len(text)}", *headers)


def outputs(answer: Answer) -> dict[str, Any]:
    """Raw or not, each output's values."""
    assert answer.status == 200, answer
    size = int(answer.headers.get(HEADER.lower(), len(answer.body)))
    document, raw = json.loads(answer.body[:size]), answer.body[size:]
    found: dict[str, Any] = {}
    for entry in document["outputs"]:
        length = entry.get("parameters", {}).get("binary_data_size")
        if length is None:
            found[entry["name"]] = entry["data"]
            continue
        part, raw = raw[:length], raw[length:]
        if entry["datatype"] == "BYTES":
            texts = []
            while part:
                (count,) = struct.unpack("<I", part[:4])
                texts.append(part[4 : 4 + count].decode())
                part = part[4 + count :]
            found[entry["name"]] = texts
        else:
            found[entry["name"]] = np.frombuffer(part, {"FP64": "<f8", "INT64": "<i8"}[entry["datatype"]]).tolist()
    assert raw == b""
    return found


AGES, CITIES = struct.pack("<2d", 0.5, 2.0), b"".join(struct.pack("<I", len(t)) + t for t in (b"Ulm", "Köln".encode()))


@pytest.fixture(scope="session", params=["fast", "asgi"])
def mixed(request: pytest.FixtureRequest, start: Start) -> Running:
    return start(graphs.table(), UNJAR_FRONT=request.param)


@pytest.mark.parametrize("age_raw", [False, True])
@pytest.mark.parametrize("city_raw", [False, True])
@pytest.mark.parametrize("wanted", [None, [], ["old"], ["label", "doubled"]])
@pytest.mark.parametrize("all_raw", [None, False, True])
@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
def test_binary_in_every_combination(
    mixed: Running, age_raw: bool, city_raw: bool, wanted: list[str] | None, all_raw: bool | None, packed: str | None
) -> None:
    age: dict[str, Any] = {"name": "age", "datatype": "FP64", "shape": [2, 1]}
    city: dict[str, Any] = {"name": "city", "datatype": "BYTES", "shape": [2, 1]}
    age |= {"parameters": {"binary_data_size": len(AGES)}} if age_raw else {"data": [0.5, 2.0]}
    city |= {"parameters": {"binary_data_size": len(CITIES)}} if city_raw else {"data": ["Ulm", "Köln"]}
    body: dict[str, Any] = {"inputs": [age, city]}
    if wanted is not None:
        body["outputs"] = [{"name": name, "parameters": {"binary_data": i == 0}} for i, name in enumerate(wanted)]
    if all_raw is not None:
        body["parameters"] = {"binary_data_output": all_raw}
    text = json.dumps(body).encode()
    whole = text + AGES * age_raw + CITIES * city_raw
    headers = [f"{HEADER}: {len(text)}"] if age_raw or city_raw else []
    if packed:
        whole, headers = (gzip if packed == "gzip" else zlib).compress(whole), [*headers, f"Content-Encoding: {packed}"]
    with wire(mixed) as client:
        client.send(request(whole, *headers))
        found = outputs(client.answer())
    values = {"doubled": [1.0, 4.0], "label": ["Ulm", "Köln"], "old": [0, 1]}
    assert found == {name: values[name] for name in wanted or values}


@pytest.mark.parametrize(
    ("size", "raw", "header"),
    [(11, 12, 0), (13, 12, 0), (12, 11, 0), (12, 13, 0), (0, 0, 0), (12, 12, 1), (12, 12, -1), (-12, 12, 0), (12, 12, 10**9)],
)
def test_sizes_that_are_off_are_refused(server: Running, size: int, raw: int, header: int) -> None:
    text = json.dumps(
        {"inputs": [{"name": "X", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": size}}]}
    )
    with wire(server) as client:
        client.send(request(text.encode() + b"\0" * raw, f"{HEADER}: {len(text) + header}"))
        assert client.answer().status == 400
        client.send(request(GOOD))
        assert is_good(client.answer())


@pytest.mark.parametrize("value", ["-1", "1.0", "abc", "", "9" * 5000, "０"])
def test_a_header_length_that_is_none_is_refused(server: Running, value: str) -> None:
    with wire(server) as client:
        client.send(request(GOOD, f"{HEADER}: {value.encode().decode('latin-1')}"))
        assert client.answer().status == 400


def test_a_body_of_raw_bytes_alone(server: Running) -> None:
    with wire(server) as client:
        client.send(request(struct.pack("<3f", 1, 2, 3), f"{HEADER}: 0"))
        answer = client.answer()
        size = int(answer.headers[HEADER.lower()])
        assert struct.unpack("<2f", answer.body[size:]) == (14.0, 140.0)


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        (None, False),
        ("gzip", True),
        ("GZIP;q=0.5, br", True),
        ("gzip;q=0", False),
        ("*", True),
        ("identity", False),
        ("br", False),
    ],
)
def test_answers_are_compressed_for_those_who_ask(server: Running, accepted: str | None, packed: bool) -> None:
    body = tensor("[" + ",".join(["1.5"] * 3000) + "]", "[1000,3]")
    plain = request(body)
    asked = request(body, *([f"Accept-Encoding: {accepted}"] if accepted else []))
    with wire(server) as client:
        client.send(plain)
        wanted = client.answer()
        client.send(asked)
        answer = client.answer()
        assert ("content-encoding" in answer.headers) == packed
        if packed:
            assert len(answer.body) < len(wanted.body) / 5
            assert answer.headers["vary"] == "accept-encoding"
        assert (gzip.decompress(answer.body) if packed else answer.body) == wanted.body
        client.send(request(GOOD, "Accept-Encoding: gzip"))
        assert "content-encoding" not in client.answer().headers


def test_the_header_length_of_a_compressed_answer_counts_what_was_compressed(server: Running) -> None:
    body = tensor("[" + ",".join(["1.5"] * 3000) + "]", "[1000,3]")[:-1] + b',"parameters":{"binary_data_output":true}}'
    with wire(server) as client:
        client.send(request(body, "Accept-Encoding: gzip"))
        answer = client.answer()
        whole = gzip.decompress(answer.body)
        assert json.loads(whole[: int(answer.headers[HEADER.lower()])])["outputs"][0]["shape"] == [1000, 2]


def test_statistics_move_with_what_happens(start: Start) -> None:
    server = start(graphs.linear())

    def stats(path: str) -> Any:
        (model,) = httpx.get(f"{server.url}{path}").json()["model_stats"]
        return model

    version = stats("/v2/models/stats")["version"]
    with wire(server) as client:
        client.send(request(tensor("[1,2,3,4,5,6]", "[2,3]")) + request(b"{}"))
        client.answer()
        client.answer()
    for path in ("/v2/models/stats", "/v2/models/test/stats", f"/v2/models/test/versions/{version}/stats"):
        now = stats(path)
        assert (now["name"], now["inference_count"], now["execution_count"]) == ("test", 2, 1)
        assert now["inference_stats"]["success"]["count"] == 1
        assert now["inference_stats"]["fail"]["count"] == 1
        assert now["inference_stats"]["compute_infer"]["ns"] > 0
    assert httpx.get(f"{server.url}/v2/models/other/stats").status_code == 404
