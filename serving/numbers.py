"""Where in a JSON text are the tensors' numbers, and which array are they?

Numbers are most of a request and simdjson reads them in half the time, so they are cut out and read apart from the rest.
Whatever is not plainly right is left to the strict reader: None here means "ask there", never a different answer.
"""

import re
import secrets
import threading
from typing import Any

import numpy as np
import simdjson

from serving.signature import DTYPES, Array

START = re.compile(rb'"data"\s*:\s*(?=\[)')
# simdjson reads -0 as the whole number 0.
MINUS_ZERO = re.compile(rb"-0(?![.\deE])")
# No client can know it, so a string that begins with it stands for a list that was cut out.
MARK = secrets.token_hex(8)
BUFFERS = {"f": ("d", np.float64), "i": ("i", np.int64), "u": ("u", np.uint64)}
BIG = 1 << 20
_own = threading.local()


def cut(text: bytes) -> tuple[bytes, list[bytes]]:
    """The text with marks in place of the lists under "data", and those lists, still to be read."""
    match = START.search(text)
    if match is None:
        return text, []
    kept: list[bytes] = []
    found: list[bytes] = []
    at = 0
    while match is not None:
        start = match.end()
        # The next string or the end of the object, whichever comes first; the quote first, or a body without a brace is
        # searched to its end for every list.
        end = text.find(b'"', start)
        brace = text.find(b"}", start, end) if end >= 0 else text.find(b"}", start)
        end = text.rfind(b"]", start, brace if brace >= 0 else end if end >= 0 else start) + 1
        if end:
            kept += (text[at:start], f'"{MARK}{len(found)}"'.encode())
            found.append(text[start:end])
            at = end
        match = START.search(text, max(end, start))
    return b"".join((*kept, text[at:])), found


def marked(value: object) -> int | None:
    """Which list the value stands for."""
    return int(value[len(MARK) :]) if type(value) is str and value.startswith(MARK) else None


def read(text: bytes, datatype: str, shape: list[int]) -> Array | None:
    """The array in this shape, or None when it takes the strict reader to tell what this is."""
    dtype = DTYPES[datatype]
    if dtype.kind not in BUFFERS or len(shape) > 2:
        return None
    kind, wide = BUFFERS[dtype.kind]
    try:
        parsed = _parser(len(text)).parse(text)
        # as_buffer flattens whatever nesting it meets.
        if text.find(b"[", 1) >= 0 and not _is_table(text, parsed, shape):
            return None
        array: Array = np.frombuffer(parsed.as_buffer(of_type=kind), wide)
    except (ValueError, TypeError):
        return None
    if len(array) != (shape[0] * shape[1] if len(shape) == 2 else shape[0]):
        return None
    return _narrowed(array, dtype, text, shape)


def _parser(size: int) -> Any:
    """One for each thread; its buffers grow with the text, so that a large one gets its own."""
    if size > BIG:
        return simdjson.Parser()
    try:
        return _own.parser
    except AttributeError:
        _own.parser = simdjson.Parser()
        return _own.parser


def _is_table(text: bytes, parsed: Any, shape: list[int]) -> bool:
    """A list of as many lists of numbers as the shape says: with one bracket for each, nothing can lie deeper."""
    if len(shape) != 2 or text.count(b"[") != 1 + shape[0]:
        return False
    columns = shape[1]
    return len(parsed) == shape[0] and all(len(row) == columns for row in parsed)


def _narrowed(array: Array, dtype: np.dtype[Any], text: bytes, shape: list[int]) -> Array | None:
    if dtype.kind == "f":
        if np.count_nonzero(array) != len(array) and MINUS_ZERO.search(text):
            return None
        if dtype != array.dtype:
            with np.errstate(over="ignore"):
                array = array.astype(dtype)
            if not np.isfinite(array).all():
                return None
    elif dtype != array.dtype:
        narrow = array.astype(dtype)
        if not np.array_equal(narrow, array):
            return None
        array = narrow
    return array.reshape(shape)
