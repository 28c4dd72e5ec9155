"""What does an Open Inference Protocol request ask for, and how is its answer written?

Version 2 over HTTP with the binary tensor extension. Knows bytes and the model's signature; nothing of HTTP routes and
nothing of onnxruntime. Where the protocol leaves a choice, the strict one is taken: a request with two readings is
refused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from serving import tensors
from serving.errors import KINDS, InvalidInput, InvalidJson, Refusal, TooManyRows, shown
from serving.signature import DTYPES, Array, Signature, Tensor

HEADER = "inference-header-content-length"
MAX_NAME = 256
MAX_RANK = 8


@dataclass(frozen=True)
class Question:
    """The tensors, and the outputs asked for: each with whether it is wanted as raw bytes."""

    id: str | None
    feeds: dict[str, Array]
    outputs: list[tuple[Tensor, bool]]


@dataclass(frozen=True)
class Answer:
    """`json_size` is set when raw bytes follow the JSON."""

    body: bytes
    json_size: int | None = None


def decode(body: bytes, header_length: str | None, signature: Signature, max_rows: int) -> Question:
    """Raises Refusal: what was found, in which tensor, what was expected."""
    if header_length is None:
        return _document(body, body, None, signature, max_rows)
    if not (header_length.isascii() and header_length.isdigit() and len(header_length) <= 12):
        raise Refusal(f"{HEADER}: {shown(header_length)} is not a number of bytes")
    size = int(header_length)
    if size == 0:
        return _raw(body, signature, max_rows)
    if size > len(body):
        raise Refusal(f"{HEADER}: says {size} bytes of JSON, the body has {len(body)} bytes")
    return _document(body, body[:size], memoryview(body)[size:], signature, max_rows)


def _document(body: bytes, text: bytes, binary: memoryview | None, signature: Signature, max_rows: int) -> Question:
    document = _load(text)
    entries = _field(document, "inputs", list, "the request")
    if not entries:
        raise Refusal("the request: 'inputs' is empty")
    feeds: dict[str, Array] = {}
    position, strings = 0, 0
    for entry in entries:
        name, array, size = _input(entry, binary, position, max_rows)
        if name in feeds:
            raise InvalidInput(f"input {name!r} is there twice")
        feeds[name] = array
        position += size
        strings += array.size if array.dtype.hasobject and "data" in entry else 0
    if binary is not None and position != len(binary):
        raise Refusal(f"the inputs' binary_data_size add up to {position} bytes, {len(binary)} follow the JSON")
    _refuse_repeated_keys(text, document, strings)
    return Question(_optional(document, "id", str, "the request"), feeds, _outputs(document, signature))


def _load(text: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidJson(f"the request is not JSON: {error.msg} at byte {error.pos}") from None
    if type(document) is not dict:
        raise Refusal("the request: expected a JSON object with 'inputs'")
    return document


def _input(entry: Any, binary: memoryview | None, position: int, max_rows: int) -> tuple[str, Array, int]:
    """One input's name and array, and how many bytes behind the JSON it takes."""
    name = _name(entry, "input")
    here = f"input {name!r}"
    datatype, shape = _field(entry, "datatype", str, here), _field(entry, "shape", list, here)
    if datatype not in DTYPES:
        raise InvalidInput(f"{here}: datatype {shown(datatype)} is not one of {', '.join(DTYPES)}")
    _check_shape(here, shape, max_rows)
    size = _optional(_parameters(entry, here), "binary_data_size", int, here)
    if size is None:
        return name, tensors.from_json(name, datatype, shape, _field(entry, "data", list, here)), 0
    if "data" in entry:
        raise Refusal(f"{here}: both 'data' and 'binary_data_size' are there; one of them must go")
    if binary is None:
        raise Refusal(f"{here}: 'binary_data_size' needs the header {HEADER}, which says where the JSON ends")
    if not 0 <= size <= len(binary) - position:
        raise Refusal(f"{here}: binary_data_size is {size}, {len(binary) - position} bytes are left")
    return name, tensors.from_bytes(name, datatype, shape, binary[position : position + size]), size


def _check_shape(here: str, shape: list[Any], max_rows: int) -> None:
    if not 1 <= len(shape) <= MAX_RANK:
        raise InvalidInput(f"{here}: shape has {len(shape)} sizes, expected 1 to {MAX_RANK}, the first one the rows")
    for size in shape:
        if type(size) is not int or size < 0:
            raise InvalidInput(f"{here}: shape holds {shown(size)}, expected whole numbers from 0")
    if shape[0] > max_rows:
        raise TooManyRows(f"{here}: {shape[0]} rows, at most {max_rows} are accepted in one request; send fewer")


def _outputs(document: dict[str, Any], signature: Signature) -> list[tuple[Tensor, bool]]:
    binary = _optional(_parameters(document, "the request"), "binary_data_output", bool, "the request") or False
    wanted: dict[str, bool] = {}
    for entry in _optional(document, "outputs", list, "the request") or []:
        name = _name(entry, "output")
        if name in wanted:
            raise Refusal(f"output {name!r} is asked for twice")
        own = _optional(_parameters(entry, f"output {name!r}"), "binary_data", bool, f"output {name!r}")
        wanted[name] = binary if own is None else own
    return [(tensor, wanted.get(tensor.name, binary)) for tensor in signature.select(list(wanted))]


def _raw(body: bytes, signature: Signature, max_rows: int) -> Question:
    """A body of nothing but the single input's bytes; the answer is raw bytes too, as Triton has it."""
    tensor = signature.inputs[0]
    row = int(np.prod(tensor.shape[1:], dtype=object)) * tensor.dtype.itemsize
    if len(signature.inputs) > 1 or tensor.dtype.hasobject or row <= 0:
        names = [tensor.name for tensor in signature.inputs]
        raise Refusal(f"{HEADER}: 0 is for a model with one input of numbers and fixed columns; this one takes {names}")
    if len(body) % row:
        raise InvalidInput(f"input {tensor.name!r}: {len(body)} bytes are not whole rows of {row} bytes")
    shape = [len(body) // row, *tensor.shape[1:]]
    _check_shape(f"input {tensor.name!r}", shape, max_rows)
    array = tensors.from_bytes(tensor.name, tensor.datatype, shape, memoryview(body))
    return Question(None, {tensor.name: array}, [(output, True) for output in signature.outputs])


def _name(entry: Any, kind: str) -> str:
    if type(entry) is not dict:
        raise Refusal(f"the request: '{kind}s' holds {shown(entry)}, expected objects")
    name: str = _field(entry, "name", str, f"an {kind}")
    if not 1 <= len(name) <= MAX_NAME:
        raise Refusal(f"an {kind}: its name has {len(name)} characters, expected 1 to {MAX_NAME}")
    return name


def _field(holder: dict[str, Any], key: str, kind: type, here: str) -> Any:
    if key not in holder:
        raise Refusal(f"{here}: {key!r} is missing")
    if type(holder[key]) is not kind:
        raise Refusal(f"{here}: {key!r} is {shown(holder[key])}, expected {KINDS[kind]}")
    return holder[key]


def _optional(holder: dict[str, Any], key: str, kind: type, here: str) -> Any:
    """Absent is fine, null is not: it has two readings."""
    return _field(holder, key, kind, here) if key in holder else None


def _parameters(holder: dict[str, Any], here: str) -> dict[str, Any]:
    return _optional(holder, "parameters", dict, here) or {}


def _refuse_repeated_keys(text: bytes, document: dict[str, Any], strings: int) -> None:
    """orjson keeps the last of two equal keys without a word, so the strings that were written are counted.

    `strings`: how many are elements of tensors. Without escapes each string is two quotation marks, and a key that was
    dropped leaves its marks over. With escapes the slow parser looks.
    """
    stack: list[Any] = [document]
    while stack:
        value = stack.pop()
        if type(value) is dict:
            strings += len(value)
            stack += [part for key, part in value.items() if key != "data" or type(part) is not list]
        elif type(value) is list:
            stack += value
        elif type(value) is str:
            strings += 1
    if b"\\" not in text and text.count(b'"') == 2 * strings:
        return
    try:
        json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise InvalidJson("the request is not JSON this server reads: nested too deeply") from None


def _object(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise InvalidJson(f"the request: an object has the key {shown(key)} twice")
        seen.add(key)


def encode(question: Question, answers: Mapping[str, Array], name: str, version: str) -> Answer:
    """Raises NotInJson for NaN and infinity that were not asked for as raw bytes."""
    entries: list[dict[str, Any]] = []
    parts: list[bytes | memoryview] = []
    for tensor, binary in question.outputs:
        array = answers[tensor.name]
        entry: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": array.shape}
        if binary:
            raw = tensors.to_bytes(array)
            parts.append(raw)
            entry["parameters"] = {"binary_data_size": raw.nbytes if isinstance(raw, memoryview) else len(raw)}
        else:
            entry["data"] = tensors.to_json(tensor.name, array)
        entries.append(entry)
    document: dict[str, Any] = {"model_name": name, "model_version": version}
    if question.id is not None:
        document["id"] = question.id
    text = orjson.dumps(document | {"outputs": entries}, option=orjson.OPT_SERIALIZE_NUMPY)
    return Answer(b"".join((text, *parts)), len(text)) if parts else Answer(text)
