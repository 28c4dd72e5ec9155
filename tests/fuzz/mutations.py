"""Which requests are worth trying? Good ones in every spelling, and then what time, bugs and malice make of them."""

import json
import random
import struct
from collections.abc import Callable

DATATYPES = ("FP64", "FP32", "INT64", "BYTES", "BOOL")
NUMBERS = (
    "0", "-0", "-0.0", "1", "-1", "1.0", "1e0", "1E+2", "10e-1", "0e5", "0.1", "5e-324", "1e-400", "1e400", "-1e400", "1e39",
    "3.4028235e38", "3.4028236e38", "65504", "65520", "1.0e-45", "9007199254740993", "9007199254740992.0", "1e22",
    "18446744073709551615", "18446744073709551616", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
    "-9223372036854775809", "123456789012345678901234567890", "0.30000000000000004", "1.7976931348623157e308",
    "2.2250738585072011e-308", "00", "+1", ".5", "5.", "0x10", "1_0", "--1", "NaN", "Infinity", "-Infinity", "null", "true",
    '"1"', "[]", "{}", "[1]", "- 1", "1e", "1e+", "\u0661",
)  # fmt: skip
TEXTS = (
    '"a"',
    '""',
    '"\\u00e9"',
    '"\\"data\\":[1]"',
    '"é"',
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"\\u0000"',
    '"data"',
    '"]}"',
    "1",
    "null",
)
PIECES = (
    b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"-", b"0", b"e", b".", b" ", b"\n", b"\0", b"\xff", b"\xef\xbb\xbf",
    b"null", b"true", b'"data":', b'"data":[1]', b'"shape":[1,2]', b'"name":"X"', b'"datatype":"FP32"', b"[[],[1,2]]",
    b"/**/", b"\\u0022", b'"parameters":{"binary_data_size":8}', b'"id":"data"', b"-0", b"1e999", b"\x0b", b"\xc0\x80",
    b"\xed\xa0\x80",
)  # fmt: skip
ODD = ('"more":[1,{"data":[2]}]', '"parameters":{"x":1}', '"parameters":{"data":[1,2]}')
Case = tuple[bytes, str | None]


def good(rng: random.Random, datatype: str) -> Case:
    """A request that is right, or nearly."""
    sent = datatype if rng.random() < 0.9 else rng.choice(("FP32", "FP16", "INT8", "INT32", "UINT64", "FP64"))
    rows = rng.choice((0, 1, 1, 1, 2, 3, 7))
    if rng.random() < 0.25 and sent != "BYTES":
        return _binary(rng, sent, rows)
    space = rng.choice(("", "", " ", "\n\t "))
    values = [_value(rng, sent) for _ in range(rows * 2)]
    join = f",{space}"
    data = join.join(values)
    if rng.random() < 0.4:
        data = join.join(f"[{join.join(values[at : at + 2])}]" for at in range(0, len(values), 2))
    fields = ['"name":"X"', f'"datatype":"{sent}"', f'"shape":[{rows},2]', f'"data":{space}[{data}]']
    if rng.random() < 0.2:
        rng.shuffle(fields)
    if rng.random() < 0.1:
        fields.insert(
            rng.randrange(5), rng.choice(('"more":[1,{"data":[2]}]', '"parameters":{"x":1}', '"parameters":{"data":[1,2]}'))
        )
    more = [f'"inputs":{space}[{{{join.join(fields)}}}]']
    for choice, chance in (
        ('"id":"7"', 0.2), ('"outputs":[{"name":"Y"}]', 0.2), ('"parameters":{"binary_data_output":true}', 0.1),
        ('"outputs":[{"name":"Y","parameters":{"binary_data":true}}]', 0.05), ('"parameters":{"timeout":100}', 0.05),
        ('"data":[1,2]', 0.03), ('"extra":{"data":"x","n":-0}', 0.03),
    ):  # fmt: skip
        if rng.random() < chance:
            more.insert(rng.randrange(len(more) + 1), choice)
    text = f"{space}{{{join.join(more)}}}{space}"
    return text.encode("utf-8", "surrogatepass"), None


def _value(rng: random.Random, datatype: str) -> str:
    if datatype == "BYTES":
        return rng.choice(TEXTS[:6]) if rng.random() < 0.98 else rng.choice(TEXTS)
    if datatype == "BOOL":
        return rng.choice(("true", "false")) if rng.random() < 0.98 else rng.choice(NUMBERS)
    dice = rng.random()
    if dice < 0.03:
        return rng.choice(NUMBERS)
    if datatype in ("FP64", "FP32", "FP16"):
        if dice < 0.5:
            return repr(rng.uniform(-1, 1))
        (value,) = struct.unpack("<d", rng.randbytes(8)) if datatype == "FP64" else struct.unpack("<f", rng.randbytes(4))
        return repr(value) if value == value and abs(value) < 1e300 else str(rng.randrange(-9, 9))
    return str(rng.randrange(0, 100))


def _binary(rng: random.Random, datatype: str, rows: int) -> Case:
    size = rows * 2 * {"FP64": 8, "INT64": 8, "UINT64": 8, "FP32": 4, "INT32": 4, "FP16": 2}.get(datatype, 1)
    raw = bytes(rng.randrange(2) for _ in range(size)) if datatype == "BOOL" else rng.randbytes(size)
    entry = {"name": "X", "datatype": datatype, "shape": [rows, 2], "parameters": {"binary_data_size": size}}
    text = json.dumps({"inputs": [entry]}).encode()
    return text + raw, str(len(text))


def mutated(rng: random.Random, case: Case, other: Case) -> Case:
    """One to three changes."""
    body, header = case
    for _ in range(rng.randrange(1, 4)):
        body = rng.choice(CHANGES)(rng, body, other[0])
        if rng.random() < 0.03:
            body = other[0]
    if rng.random() < 0.08:
        size = len(body)
        header = rng.choice((None, None, None, str(size), str(size), str(size - 1), str(size + 1), "0"))
    return body[: 1 << 16], header


def _drop(rng: random.Random, body: bytes, other: bytes) -> bytes:
    at = rng.randrange(len(body) + 1)
    return body[:at] + body[at + rng.choice((1, 1, 2, 5, 20)) :]


def _insert(rng: random.Random, body: bytes, other: bytes) -> bytes:
    at = rng.randrange(len(body) + 1)
    return body[:at] + rng.choice(PIECES) + body[at:]


def _flip(rng: random.Random, body: bytes, other: bytes) -> bytes:
    if not body:
        return body
    at = rng.randrange(len(body))
    return body[:at] + bytes([body[at] ^ 1 << rng.randrange(8)]) + body[at + 1 :]


def _number(rng: random.Random, body: bytes, other: bytes) -> bytes:
    """Another number in the place of one."""
    digits = [at for at, byte in enumerate(body[:400]) if byte in b"0123456789"]
    if not digits:
        return body
    start = rng.choice(digits)
    end = start
    while end < len(body) and body[end] in b"0123456789.eE+-":
        end += 1
    return body[:start] + rng.choice(NUMBERS).encode() + body[end:]


def _cut(rng: random.Random, body: bytes, other: bytes) -> bytes:
    return body[: rng.randrange(len(body) + 1)]


def _double(rng: random.Random, body: bytes, other: bytes) -> bytes:
    start = rng.randrange(len(body) + 1)
    end = start + rng.choice((1, 3, 10, 40))
    return body[:end] + body[start:end] + body[end:]


def _splice(rng: random.Random, body: bytes, other: bytes) -> bytes:
    at = rng.randrange(len(body) + 1)
    start = rng.randrange(len(other) + 1)
    return body[:at] + other[start : start + rng.choice((5, 20, 100))] + body[at:]


Change = Callable[[random.Random, bytes, bytes], bytes]
CHANGES: tuple[Change, ...] = (_drop, _insert, _insert, _flip, _number, _number, _cut, _double, _splice)
