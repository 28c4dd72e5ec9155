"""Is a body that is too large, or not what it says, refused before it costs anything?"""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.serving import graphs
from tests.serving.asking import Ask, asker, question

INFER = "/v2/models/test/infer"
BODY = json.dumps(question([1, 2, 3])).encode()
LIMIT = 4096


@pytest.fixture(scope="module")
def small() -> Ask:
    return asker(graphs.linear(), max_body_bytes=LIMIT)


async def stream(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def padded(size: int) -> bytes:
    return BODY + b" " * (size - len(BODY))


def test_a_body_of_exactly_the_limit_is_answered_and_one_byte_more_is_not(small: Ask) -> None:
    assert small("POST", INFER, content=padded(LIMIT)).status_code == 200
    refusal = small("POST", INFER, content=padded(LIMIT + 1))
    assert (refusal.status_code, refusal.json()["code"]) == (413, "too_large")
    assert "4096 bytes" in refusal.json()["error"]


def test_a_declared_size_is_refused_before_a_byte_is_read(small: Ask) -> None:
    async def never() -> AsyncIterator[bytes]:
        yield pytest.fail("the body was read")

    refusal = small("POST", INFER, content=never(), headers={"content-length": str(LIMIT + 1)})
    assert refusal.status_code == 413


def test_an_undeclared_size_is_refused_while_it_streams(small: Ask) -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b" " * 1000

    refusal = small("POST", INFER, content=stream(endless()))
    assert refusal.status_code == 413
    assert read <= 6


def test_a_body_in_chunks_is_answered(small: Ask) -> None:
    assert small("POST", INFER, content=stream(BODY[i : i + 1] for i in range(len(BODY)))).status_code == 200


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("GZip", gzip.compress)])
@pytest.mark.parametrize("chunk", [1, 10**6])
def test_compressed_bodies_are_answered(small: Ask, encoding: str, pack: Any, chunk: int) -> None:
    packed = pack(BODY)
    parts = (packed[i : i + chunk] for i in range(0, len(packed), chunk))
    answer = small("POST", INFER, content=stream(parts), headers={"content-encoding": encoding})
    assert answer.json()["outputs"][0]["data"] == [14.0, 140.0]


def test_the_header_length_counts_inflated_bytes(small: Ask) -> None:
    entry = {"name": "X", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": 12}}
    text = json.dumps({"inputs": [entry]}).encode()
    body = gzip.compress(text + b"\0\0\x80?\0\0\0\0\0\0\0\0")
    headers = {"content-encoding": "gzip", "inference-header-content-length": str(len(text))}
    assert small("POST", INFER, content=body, headers=headers).json()["outputs"][0]["data"] == [1.0, 10.0]


def test_a_bomb_is_refused_without_being_inflated() -> None:
    bomb = gzip.compress(b" " * (256 << 20), 9)
    ask = asker(graphs.linear(), max_body_bytes=1 << 20)
    tracemalloc.start()
    refusal = ask("POST", INFER, content=bomb, headers={"content-encoding": "gzip"})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refusal.status_code == 413
    assert peak < 16 << 20


@pytest.mark.parametrize("size", [(1 << 20) - 1, 1 << 20, (1 << 20) + 1, (2 << 20) + 17])
def test_a_body_longer_than_one_piece_is_whole(size: int) -> None:
    ask = asker(graphs.linear(), max_body_bytes=4 << 20)
    answer = ask("POST", INFER, content=gzip.compress(padded(size)), headers={"content-encoding": "gzip"})
    assert answer.status_code == 200
    cut = ask("POST", INFER, content=gzip.compress(padded(size) + b"x"), headers={"content-encoding": "gzip"})
    assert cut.json()["code"] == "invalid_json"


@pytest.mark.parametrize(
    ("encoding", "body", "status", "code", "words"),
    [
        ("gzip", b"not gzip at all", 400, "invalid_encoding", "the body is not gzip"),
        ("deflate", gzip.compress(BODY), 400, "invalid_encoding", "not deflate (a zlib stream)"),
        ("gzip", gzip.compress(BODY)[:-9], 400, "invalid_encoding", "ends in the middle"),
        ("gzip", gzip.compress(BODY)[:-1], 400, "invalid_encoding", "ends in the middle"),
        ("gzip", gzip.compress(BODY) + b"x", 400, "invalid_encoding", "bytes follow the end"),
        ("gzip", b"", 400, "invalid_encoding", "ends in the middle"),
        ("br", BODY, 415, "unsupported_encoding", "expected gzip, deflate or identity"),
        ("gzip, gzip", BODY, 415, "unsupported_encoding", "expected gzip, deflate or identity"),
    ],
)
def test_a_wrong_encoding_is_refused(small: Ask, encoding: str, body: bytes, status: int, code: str, words: str) -> None:
    refusal = small("POST", INFER, content=body, headers={"content-encoding": encoding})
    assert (refusal.status_code, refusal.json()["code"]) == (status, code)
    assert words in refusal.json()["error"]


def test_too_many_rows_are_refused(small: Ask) -> None:
    refusal = asker(graphs.linear(), max_rows=2)("POST", INFER, json=question([0] * 9, [3, 3]))
    assert (refusal.status_code, refusal.json()["code"]) == (413, "too_many_rows")
    assert "3 rows, at most 2 are accepted" in refusal.json()["error"]
