"""What must the decoder answer? A second reader of the protocol, slow and plain, that shares no code with the first.

Written from docs/api.md. Python's own json, exact integers and fractions; no cutting, no caches, no shortcuts.
"""

import json
import math
import struct
from fractions import Fraction
from typing import Any

import numpy as np

KINDS = {
    "BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32, "UINT64": np.uint64, "INT8": np.int8,
    "INT16": np.int16, "INT32": np.int32, "INT64": np.int64, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64,
    "BYTES": object,
}  # fmt: skip
# Which datatypes may be sent for one of the model's: those whose every value is one of its.
WIDENS = {
    "FP64": {"FP64", "FP32", "FP16", "INT32", "INT16", "INT8", "UINT32", "UINT16", "UINT8"},
    "FP32": {"FP32", "FP16", "INT16", "INT8", "UINT16", "UINT8"},
    "INT64": {"INT64", "INT32", "INT16", "INT8", "UINT32", "UINT16", "UINT8"},
    "BYTES": {"BYTES"},
    "BOOL": {"BOOL"},
}


class No(Exception):
    """The request is to be refused."""


class Number(str):
    """A number as it was written."""


class Pairs(dict[str, Any]):
    """An object whose keys were all different."""


def decode(body: bytes, header_length: int | None, inputs: dict[str, tuple[str, int]], max_rows: int) -> dict[str, Any]:
    """The arrays in the model's datatypes. inputs: name -> (datatype, columns). Raises No."""
    size = len(body) if header_length is None else header_length
    if size > len(body):
        raise No("the header length")
    document = _load(body[:size])
    binary, position = body[size:], 0
    entries = document.get("inputs")
    if type(entries) is not list or not entries:
        raise No("inputs")
    found: dict[str, Any] = {}
    for entry in entries:
        if type(entry) is not Pairs or type(entry.get("name")) is not str or entry["name"] in found:
            raise No("an input")
        name = entry["name"]
        array, used = _tensor(entry, binary[position:] if header_length is not None else None, max_rows)
        position += used
        if name not in inputs:
            raise No("unknown input")
        datatype, columns = inputs[name]
        if entry["datatype"] not in WIDENS[datatype] or array.ndim != 2 or array.shape[1] != columns:
            raise No("does not fit")
        found[name] = array.astype(KINDS[datatype])
    if position != len(binary) or set(found) != set(inputs) or len({len(array) for array in found.values()}) != 1:
        raise No("left over, missing or of different lengths")
    _check_rest(document)
    return found


def _load(text: bytes) -> Pairs:
    def pairs(given: list[tuple[str, Any]]) -> Pairs:
        if len({key for key, _ in given}) != len(given):
            raise No("a key twice")
        return Pairs(given)

    def refuse(_: str) -> None:
        raise No("NaN or infinity")

    try:
        document = json.loads(
            text.decode("utf-8"), object_pairs_hook=pairs, parse_int=Number, parse_float=Number, parse_constant=refuse
        )
    except (ValueError, RecursionError):
        raise No("no JSON") from None
    if type(document) is not Pairs:
        raise No("no object")
    _check_text(document)
    return document


def _check_text(value: Any) -> None:
    stack = [value]
    while stack:
        part = stack.pop()
        if type(part) is str:
            try:
                part.encode("utf-8")
            except UnicodeEncodeError:
                raise No("a lone surrogate") from None
        elif type(part) is Number:
            if math.isinf(float(part)):
                raise No("a number beyond every double")
        elif isinstance(part, dict):
            stack += [*part, *part.values()]
        elif isinstance(part, list):
            stack += part


def _whole(value: Any) -> int:
    if type(value) is not Number or not value.lstrip("-").isdigit():
        raise No("no whole number")
    if len(value) > 20 or not -(2**63) <= int(value) < 2**64:
        raise No("beyond 64 bits")
    return int(value)


def _tensor(entry: Pairs, binary: bytes | None, max_rows: int) -> tuple[Any, int]:
    datatype, written = entry.get("datatype"), entry.get("shape")
    if type(datatype) is not str or datatype not in KINDS or type(written) is not list or not 1 <= len(written) <= 8:
        raise No("datatype or shape")
    shape = [_whole(size) for size in written]
    if min(shape) < 0 or max(shape) > 2**30 or shape[0] > max_rows or "-0" in written:
        raise No("shape")
    parameters = entry.get("parameters", Pairs())
    if type(parameters) is not Pairs:
        raise No("parameters")
    count = math.prod(shape)
    if "binary_data_size" in parameters:
        size = _whole(parameters["binary_data_size"])
        if "data" in entry or binary is None or not 0 <= size <= len(binary) or parameters["binary_data_size"] == "-0":
            raise No("binary size")
        return _raw(datatype, shape, count, binary[:size]), size
    if type(entry.get("data")) is not list:
        raise No("data")
    flat = _flat(entry["data"], shape)
    if len(flat) != count:
        raise No("as many as the shape says")
    return _array(datatype, flat).reshape(shape), 0


def _flat(data: list[Any], shape: list[int]) -> list[Any]:
    if not data or type(data[0]) is not list:
        return data
    level = [data]
    for size in shape:
        if any(type(part) is not list or len(part) != size for part in level):
            raise No("nesting")
        level = [inner for part in level for inner in part]
    return level


def _array(datatype: str, flat: list[Any]) -> Any:
    kind = np.dtype(KINDS[datatype])
    wanted = {"b": bool, "O": str}.get(kind.kind, Number)
    if any(type(value) is not wanted for value in flat):
        raise No("another kind of value")
    if kind.kind == "O":
        array = np.empty(len(flat), object)
        array[:] = flat
        return array
    if kind.kind == "b":
        return np.array(flat, bool)
    if kind.kind in "iu":
        return np.array([_exact(value, kind) for value in flat], kind)
    with np.errstate(over="ignore"):
        array = np.array([float(value) for value in flat], np.float64).astype(kind)
    if not np.isfinite(array).all():
        raise No("too large")
    return array


def _exact(value: Number, kind: Any) -> int:
    if value.lstrip("-").isdigit():
        whole = int(value)
        if abs(whole) >= 2**64:
            raise No("beyond 64 bits")
    else:
        real = Fraction(float(value))
        if real.denominator != 1 or abs(real) >= 2**53:
            raise No("not exactly whole")
        whole = int(real)
    if not np.iinfo(kind).min <= whole <= np.iinfo(kind).max:
        raise No("out of range")
    return whole


def _raw(datatype: str, shape: list[int], count: int, raw: bytes) -> Any:
    kind = np.dtype(KINDS[datatype])
    if kind.kind == "O":
        texts: list[str] = []
        while raw:
            if len(raw) < 4 or len(texts) == count:
                raise No("stray bytes")
            (length,) = struct.unpack("<I", raw[:4])
            if length > len(raw) - 4:
                raise No("a text past the end")
            try:
                texts.append(raw[4 : 4 + length].decode("utf-8"))
            except UnicodeDecodeError:
                raise No("not UTF-8") from None
            raw = raw[4 + length :]
        array = np.empty(len(texts), object)
        array[:] = texts
        if len(texts) != count:
            raise No("too few texts")
        return array.reshape(shape)
    if len(raw) != count * kind.itemsize:
        raise No("bytes")
    if kind.kind == "b" and any(byte > 1 for byte in raw):
        raise No("no truth value")
    return np.frombuffer(raw, kind.newbyteorder("<")).astype(kind).reshape(shape)


def _check_rest(document: Pairs) -> None:
    if type(document.get("id", "")) is not str:
        raise No("id")
    parameters = document.get("parameters", Pairs())
    if type(parameters) is not Pairs or type(parameters.get("binary_data_output", True)) is not bool:
        raise No("parameters")
    if "timeout" in parameters:
        _whole(parameters["timeout"])
        if parameters["timeout"] == "-0":
            raise No("a timeout that is no whole number")
    outputs = document.get("outputs", [])
    if type(outputs) is not list:
        raise No("outputs")
    names: list[str] = []
    for entry in outputs:
        if (
            type(entry) is not Pairs
            or type(entry.get("name")) is not str
            or type(entry.get("parameters", Pairs())) is not Pairs
        ):
            raise No("an output")
        if type(entry.get("parameters", {}).get("binary_data", True)) is not bool:
            raise No("binary_data")
        names.append(entry["name"])
    if len(set(names)) != len(names) or not set(names) <= {"Y"}:
        raise No("which outputs")
