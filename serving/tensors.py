"""How does one tensor cross the wire: JSON or raw bytes outside, a numpy array inside?

Nothing is allocated by a declared shape before it was compared with the data that is there.
"""

import math
import struct
from itertools import chain
from typing import Any

import numpy as np
import orjson

from serving.errors import KINDS, InvalidInput, NotInJson
from serving.signature import DTYPES, Array, Tensor

WHOLE = {int, float}
JSON_TYPES: dict[str, set[type]] = {"f": WHOLE, "i": WHOLE, "u": WHOLE, "b": {bool}, "O": {str}}
WRITTEN = {"f": "numbers", "i": "whole numbers", "u": "whole numbers", "b": "true and false", "O": "strings"}
# Beyond this a float no longer says which whole number was written.
EXACT = 2**53


def from_json(name: str, datatype: str, shape: list[int], data: list[Any]) -> Array:
    """The array for a JSON list, flat or nested as `shape`. Raises InvalidInput."""
    flat = _flatten(name, shape, data)
    dtype = DTYPES[datatype]
    types = set(map(type, flat))
    if not types <= JSON_TYPES[dtype.kind]:
        at = next(i for i, value in enumerate(flat) if type(value) not in JSON_TYPES[dtype.kind])
        raise InvalidInput(
            f"input {name!r}: {KINDS[type(flat[at])]} {_where(shape, at)}; {datatype} is written as {WRITTEN[dtype.kind]}"
        )
    if dtype.kind == "O":
        return _text(flat, shape)
    if dtype.kind in "iu" and float in types:
        flat = [_whole(name, datatype, shape, at, value) for at, value in enumerate(flat)]
    try:
        with np.errstate(over="ignore"):
            array = np.array(flat, dtype)
    except OverflowError:
        raise InvalidInput(f"input {name!r}: a number does not fit {datatype}") from None
    if dtype.kind == "f" and not np.isfinite(array).all():
        at = int(np.isfinite(array).argmin())
        raise InvalidInput(f"input {name!r}: the number {_where(shape, at)} is too large for {datatype}")
    return array.reshape(shape)


def from_bytes(name: str, datatype: str, shape: list[int], raw: memoryview) -> Array:
    """The array for little-endian, row-major bytes: a view of them where the machine allows. Raises InvalidInput."""
    dtype, size = DTYPES[datatype], math.prod(shape)
    if dtype.hasobject:
        return _text(_split(name, size, raw), shape)
    if size * dtype.itemsize != len(raw):
        raise InvalidInput(
            f"input {name!r}: shape {shape} of {datatype} is {size * dtype.itemsize} bytes, binary data has {len(raw)}"
        )
    array = np.frombuffer(raw, dtype)
    if dtype.kind == "b" and array.view(np.uint8).max(initial=0) > 1:
        raise InvalidInput(f"input {name!r}: a BOOL is one byte, 0 or 1, and another was found")
    # The JSON in front may have any length, and kernels may load aligned.
    return (array if array.flags.aligned else array.copy()).reshape(shape)


def widened(array: Array, dtype: np.dtype[Any]) -> Array:
    """The same values in a wider datatype."""
    # numpy warns of a NaN that signals.
    with np.errstate(invalid="ignore"):
        return array.astype(dtype, copy=False)


def to_json(tensor: Tensor, array: Array) -> bytes:
    """The data, flat, as JSON. Raises NotInJson for NaN and infinity."""
    return _written(tensor, array, array.reshape(-1))


def to_json_parts(tensor: Tensor, array: Array, parts: int) -> list[bytes]:
    """As `to_json` of so many equal parts of an array of numbers; one text costs less than many. Raises NotInJson."""
    texts = _written(tensor, array, array.reshape(parts, -1))[2:-2].split(b"],[")
    return [b"[%b]" % text for text in texts]


def _written(tensor: Tensor, array: Array, laid_out: Array) -> bytes:
    if array.dtype.hasobject:
        return orjson.dumps(laid_out.tolist())
    # Where the model's answers are never NaN or infinite, the session's answers were refused before they came here.
    if (tensor.allow_nan or tensor.allow_infinity) and array.dtype.kind == "f" and not np.isfinite(array).all():
        at = int(np.isfinite(array).argmin())
        found = "NaN" if np.isnan(array.reshape(-1)[at]) else "infinity"
        raise NotInJson(
            f"output {tensor.name!r}: {found} {_where(list(array.shape), at)} cannot be written in JSON; ask for binary_data"
        )
    try:
        return orjson.dumps(laid_out, option=orjson.OPT_SERIALIZE_NUMPY)
    except orjson.JSONEncodeError:
        # A column of something wider.
        return orjson.dumps(np.ascontiguousarray(laid_out), option=orjson.OPT_SERIALIZE_NUMPY)


def to_bytes(array: Array) -> bytes | memoryview:
    if not array.dtype.hasobject:
        return np.ascontiguousarray(array).data
    texts = [text.encode() for text in array.reshape(-1)]
    return b"".join(chain.from_iterable((struct.pack("<I", len(text)), text) for text in texts))


def _flatten(name: str, shape: list[int], data: list[Any]) -> list[Any]:
    if not data or type(data[0]) is not list:
        if len(data) != math.prod(shape):
            raise InvalidInput(f"input {name!r}: shape {shape} has {math.prod(shape)} elements, data has {len(data)}")
        return data
    level = [data]
    for depth, size in enumerate(shape):
        for i, part in enumerate(level):
            if type(part) is not list or len(part) != size:
                where = "data" + "".join(f"[{k}]" for k in np.unravel_index(i, shape[:depth]))
                found = f"has {len(part)} elements" if type(part) is list else f"is {KINDS[type(part)]}"
                raise InvalidInput(f"input {name!r}: {where} {found}, shape {shape} wants {size}")
        level = list(chain.from_iterable(level))
    return level


def _whole(name: str, datatype: str, shape: list[int], at: int, value: float) -> int:
    if type(value) is float and not (value.is_integer() and abs(value) < EXACT):
        raise InvalidInput(f"input {name!r}: the number {_where(shape, at)} is not one {datatype} can hold exactly")
    return int(value)


def _text(texts: list[str], shape: list[int]) -> Array:
    array = np.empty(len(texts), object)
    array[:] = texts
    return array.reshape(shape)


def _split(name: str, size: int, raw: memoryview) -> list[str]:
    """Strings behind their 4-byte lengths, as many as the shape says and not a byte more."""
    texts: list[str] = []
    position = 0
    while position + 4 <= len(raw) and len(texts) < size:
        end = position + 4 + int.from_bytes(raw[position : position + 4], "little")
        if end > len(raw):
            raise InvalidInput(f"input {name!r}: string {len(texts)} says it goes on past the end of its binary data")
        try:
            texts.append(str(raw[position + 4 : end], "utf-8"))
        except UnicodeDecodeError:
            raise InvalidInput(f"input {name!r}: string {len(texts)} is not UTF-8") from None
        position = end
    if len(texts) != size or position != len(raw):
        raise InvalidInput(
            f"input {name!r}: its shape has {size} strings, its binary data {len(texts)} and {len(raw) - position} stray bytes"
        )
    return texts


def _where(shape: list[int], at: int) -> str:
    row, *columns = (int(i) for i in np.unravel_index(at, shape or (1,)))
    return f"at row {row}" + "".join(f", column {column}" for column in columns)
