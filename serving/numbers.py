"""Where in a JSON text are the tensors' numbers, and which array are they?

Numbers are most of a request and simdjson reads them in half the time, so they are cut out and read apart from the rest.
Whatever is not plainly right is left to the strict reader: None here means "ask there", never a different answer.
"""

import math
import re
import secrets
import threading
from typing import Any

import numpy as np
import simdjson

from serving.signature import Array

START = re.compile(rb'"data"\s*:\s*(?=\[)')
# simdjson reads -0 as the whole number 0.
MINUS_ZERO = re.compile(rb"-0(?![.\deE])")
# No client can know it, so a string that begins with it stands for a list that was cut out.
MARK = secrets.token_hex(8)
MARKS = tuple(f'"{MARK}{i}"'.encode() for i in range(64))
BUFFERS: dict[str, tuple[Any, Any]] = {"f": ("d", np.float64), "i": ("i", np.int64), "u": ("u", np.uint64)}
BIG = 1 << 20
CLOSING = ord("]")


class _Own(threading.local):
    """A parser for each thread. Its buffers grow with the text, so that a large one gets a parser of its own."""

    def __init__(self) -> None:
        self.parser = simdjson.Parser()


_own = _Own()


def cut(text: bytes) -> tuple[bytes, list[bytes]]:
    """The text with marks in place of the lists under "data", and those lists, still to be read."""
    match = START.search(text)
    if match is None:
        return text, []
    kept: list[bytes] = []
    found: list[bytes] = []
    at = 0
    while match is not None and len(found) < len(MARKS):
        start = match.end()
        end = _end(text, start)
        if end:
            kept += (text[at:start], MARKS[len(found)])
            found.append(text[start:end])
            at = end
        match = START.search(text, end or start)
    kept.append(text[at:])
    return b"".join(kept), found


def _end(text: bytes, start: int) -> int:
    """Behind the last bracket before the next string or the end of the object; 0 when there is none."""
    # The quote first, or a body without a brace would be searched to its end for every list.
    quote = text.find(b'"', start)
    brace = text.find(b"}", start, quote) if quote >= 0 else text.find(b"}", start)
    end = brace if brace >= 0 else quote
    if end < 0:
        return 0
    return end if text[end - 1] == CLOSING else text.rfind(b"]", start, end) + 1


def marked(value: object) -> int | None:
    """Which list the value stands for."""
    return int(value[len(MARK) :]) if type(value) is str and value.startswith(MARK) else None


def read(text: bytes, dtype: np.dtype[Any], shape: tuple[int, ...], lists: int = 0) -> Array | None:
    """The array, or None when it takes the strict reader to tell what this is. lists: how many, where that is known."""
    buffer = BUFFERS.get(dtype.kind)
    if buffer is None or len(shape) > 2:
        return None
    kind, wide = buffer
    try:
        parsed: Any = (_own.parser if len(text) < BIG else simdjson.Parser()).parse(text)
        # as_buffer flattens whatever nesting it meets.
        if text.find(b"[", 1) < 0:
            if len(parsed) != (shape[0] * shape[1] if len(shape) == 2 else shape[0]):
                return None
        elif not _is_table(parsed, shape, lists or text.count(b"[") - 1):
            return None
        array: Array = np.ndarray(shape, wide, parsed.as_buffer(of_type=kind))
    except (ValueError, TypeError, RuntimeError):
        return None
    if kind == "d" and np.count_nonzero(array) != array.size and MINUS_ZERO.search(text):
        return None
    return array if dtype is array.dtype else _narrowed(array, dtype)


def is_list(text: bytes) -> bool:
    """Where the whole is JSON, is this one list with no list in it?"""
    return text.startswith(b"[") and text.find(b"]") == len(text) - 1


def read_all(texts: list[bytes], dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array | None:
    """The arrays of several texts, each `is_list`, one behind the other; what each begins with costs more than its numbers."""
    if len(texts) == 1:
        return read(texts[0], dtype, shape)
    # Each ends with its only closing bracket, so that no more than one opens in each.
    together = read(b"[%b]" % b",".join(texts), dtype, (len(texts), math.prod(shape)), len(texts))
    return None if together is None else together.reshape(len(texts) * shape[0], *shape[1:])


def _is_table(parsed: Any, shape: tuple[int, ...], lists: int) -> bool:
    """A list of as many lists of numbers as the shape says: when there are no more in it, none lies deeper."""
    if len(shape) != 2 or lists != shape[0]:
        return False
    columns = shape[1]
    return len(parsed) == shape[0] and all(len(row) == columns for row in parsed)


def _narrowed(array: Array, dtype: np.dtype[Any]) -> Array | None:
    with np.errstate(over="ignore"):
        narrow = array.astype(dtype)
    held = np.isfinite(narrow).all() if dtype.kind == "f" else np.array_equal(narrow, array)
    return narrow if held else None
