"""What does an Open Inference Protocol request ask for, and how is its answer written?

Version 2 over HTTP with the binary tensor extension. Knows bytes and the model's signature; nothing of HTTP routes and
nothing of onnxruntime. Where the protocol leaves a choice, the strict one is taken: a request with two readings is
refused.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import orjson

from serving import numbers, tensors
from serving.errors import KINDS, InvalidInput, InvalidJson, NotInJson, Refusal, TooManyRows, shown
from serving.signature import DTYPES, Array, Signature, Tensor

HEADER = "inference-header-content-length"
MAX_NAME = 256
MAX_RANK = 8
# Beyond these a request is read anew each time; the memory is bounded.
MOST_FORMS, LONGEST_FORM = 256, 2048
MORE_COMMAS = 10_000
# Reading a list longer than this costs so much that it gains nothing from company.
LATER = 8192
# Numbers of several answers that are written as one text; there is little to gain when there are more.
MOST_TOGETHER = 8192
NOTHING: dict[str, Array] = {}
TOO_DEEP = "the request is not JSON this server reads: nested too deeply"


@dataclass(frozen=True)
class _Input:
    """`data` is the list itself, the number of the list that was cut out, or None for `size` bytes behind the JSON."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | int | None
    size: int

    @cached_property
    def array(self) -> tuple[np.dtype[Any], tuple[int, ...]]:
        return DTYPES[self.datatype], tuple(self.shape)


@dataclass
class Form:
    """A request without its numbers. `outputs`: what is asked for, each with whether it is wanted as raw bytes.

    `around`: what is before and behind the numbers, where it has one list of them. `opening`: what its last answer began with,
    and the shape for which it does.
    """

    id: str | None
    inputs: list[_Input]
    outputs: list[tuple[Tensor, bool]]
    timeout_us: int | None
    rows: int
    around: tuple[bytes, bytes] = (b"", b"")
    opening: tuple[bytes, tuple[int, ...]] | None = None

    @cached_property
    def written_numbers(self) -> int:
        """How many numbers the answer writes in JSON."""
        return self.rows * sum(abs(math.prod(tensor.shape[1:])) for tensor, binary in self.outputs if not binary)


class Question(NamedTuple):
    """The arrays are of the model's datatypes and shapes; their values are still to be checked.

    `text`: instead of them, a list of numbers that nobody has read yet.
    """

    form: Form
    feeds: dict[str, Array]
    text: bytes | None = None


# For who takes it apart at once, which is quicker without the names.
Unnamed = tuple[Form, dict[str, Array], bytes | None]


class Answer(NamedTuple):
    """`json_size` is set when raw bytes follow the JSON."""

    body: bytes
    json_size: int | None = None


class Decoder:
    """Reads requests for one signature.

    A client's requests differ in their numbers; what is around these is the same again and again, and read once.
    """

    def __init__(self, signature: Signature, max_rows: int) -> None:
        self.signature = signature
        self.max_rows = max_rows
        # Text with more values than any request has is not read: its lists would take thirty times its memory.
        self._most_commas = MORE_COMMAS + max_rows * sum(abs(math.prod(tensor.shape[1:])) for tensor in signature.inputs)
        self._forms: dict[bytes, Form] = {}
        self._last: Form | None = None
        self._dtypes = {tensor.name: tensor.dtype for tensor in signature.inputs}

    def decode(self, body: bytes, header_length: str | None, start: int = 0) -> Question:
        """Raises Refusal: what was found, in which tensor, what was expected.

        start: how many bytes are before the body, so that what follows its JSON stands where numbers should.
        """
        form, feeds, text = self.begin(body, header_length, start)
        return Question(form, feeds if text is None else self.finish(form, [text]))

    def finish(self, form: Form, texts: list[bytes]) -> dict[str, Array]:
        """The arrays of questions of one form that `begin` left unread, one behind the other.

        Raises Refusal for a text alone, Unclear for several of which one is not plainly right.
        """
        (entry,) = form.inputs
        array = numbers.read_all(texts, *entry.array)
        if array is not None:
            return {entry.name: self._wide(entry.name, array)}
        if len(texts) > 1:
            raise Unclear
        before, after = form.around
        return self._filled(self._form(before + texts[0] + after), [], None).feeds

    def begin(self, body: bytes, header_length: str | None, start: int = 0) -> Unnamed:
        """As `decode`; a short list of numbers may be left unread, so that several can be read at once."""
        if header_length is None:
            return self._read(body, None)
        if not (header_length.isascii() and header_length.isdigit() and len(header_length) <= 12):
            raise Refusal(f"{HEADER}: {shown(header_length)} is not a number of bytes")
        size = int(header_length)
        if size == 0:
            return self._raw(body)
        if size > len(body) - start:
            raise Refusal(f"{HEADER}: says {size} bytes of JSON, the body has {len(body) - start} bytes")
        return self._read(body[start : start + size], memoryview(body)[start + size :])

    def _read(self, text: bytes, binary: memoryview | None) -> Unnamed:
        if binary is None and (question := self._like_the_last(text)) is not None:
            return question
        rest, lists = numbers.cut(text)
        form = self._forms.get(rest)
        try:
            if form is None:
                form = self._form(rest)
                self._keep(rest, form)
            elif len(lists) == 1 and len(form.inputs) == 1:
                before, _, after = rest.partition(numbers.MARKS[0])
                form.around = before, after
                self._last = form
            return self._filled(form, lists, binary)
        except (Unclear, InvalidJson):
            # The strict reader knows what is wrong and where, or that nothing is.
            return self._filled(self._form(text), [], binary)

    def _like_the_last(self, text: bytes) -> Unnamed | None:
        """When only the numbers are others than in the last request, there is nothing to look for."""
        form = self._last
        if form is None:
            return None
        before, after = form.around
        if not (text.startswith(before) and text.endswith(after)):
            return None
        # Where this is one whole list, the text is the last one with other numbers.
        numerals = text[len(before) : len(text) - len(after)]
        if len(numerals) <= LATER and numbers.is_list(numerals):
            return form, NOTHING, numerals
        (entry,) = form.inputs
        array = numbers.read(numerals, *entry.array)
        return None if array is None else Question(form, {entry.name: self._wide(entry.name, array)})

    def _wide(self, name: str, array: Array) -> Array:
        wanted = self._dtypes[name]
        return array if array.dtype is wanted else tensors.widened(array, wanted)

    def _keep(self, rest: bytes, form: Form) -> None:
        if len(rest) <= LONGEST_FORM and all(type(entry.data) is not list for entry in form.inputs):
            if len(self._forms) >= MOST_FORMS:
                self._forms.clear()
            self._forms[rest] = form

    def _form(self, text: bytes) -> Form:
        if text.count(b",") > self._most_commas:
            raise TooManyRows("the request holds more values than the most rows have; send fewer")
        document = _load(text)
        entries = _field(document, "inputs", list, "the request")
        if not entries:
            raise Refusal("the request: 'inputs' is empty")
        inputs: dict[str, _Input] = {}
        for entry in entries:
            given = _input(entry, self.max_rows)
            if given.name in inputs:
                raise InvalidInput(f"input {given.name!r} is there twice")
            inputs[given.name] = given
        self.signature.expect({name: given.array for name, given in inputs.items()})
        _refuse_repeated_keys(text, document, sum(_texts(given) for given in inputs.values()))
        return Form(
            id=_optional(document, "id", str, "the request"),
            inputs=list(inputs.values()),
            outputs=_outputs(document, self.signature),
            timeout_us=_optional(_parameters(document, "the request"), "timeout", int, "the request"),
            rows=next(iter(inputs.values())).shape[0],
        )

    def _filled(self, form: Form, lists: list[bytes], binary: memoryview | None) -> Question:
        """The question with its arrays. Raises Refusal or _Unclear."""
        feeds: dict[str, Array] = {}
        position, used = 0, 0
        for entry in form.inputs:
            if type(entry.data) is int:
                array: Array | None = numbers.read(lists[entry.data], *entry.array)
                if array is None:
                    raise Unclear
                used += 1
            elif type(entry.data) is list:
                array = tensors.from_json(entry.name, entry.datatype, entry.shape, entry.data)
            else:
                array = _bytes(entry, binary, position)
                position += entry.size
            feeds[entry.name] = self._wide(entry.name, array)
        if used != len(lists):
            raise Unclear
        if binary is not None and position != len(binary):
            raise Refusal(f"the inputs' binary_data_size add up to {position} bytes, {len(binary)} follow the JSON")
        return Question(form, feeds)

    def _raw(self, body: bytes) -> Question:
        """A body of nothing but the single input's bytes; the answer is raw bytes too, as Triton has it."""
        tensor = self.signature.inputs[0]
        row = int(np.prod(tensor.shape[1:], dtype=object)) * tensor.dtype.itemsize
        if len(self.signature.inputs) > 1 or tensor.dtype.hasobject or row <= 0:
            names = [tensor.name for tensor in self.signature.inputs]
            raise Refusal(f"{HEADER}: 0 is for a model with one input of numbers and fixed columns; this one takes {names}")
        if len(body) % row:
            raise InvalidInput(f"input {tensor.name!r}: {len(body)} bytes are not whole rows of {row} bytes")
        shape = [len(body) // row, *tensor.shape[1:]]
        _check_shape(f"input {tensor.name!r}", shape, self.max_rows)
        array = tensors.from_bytes(tensor.name, tensor.datatype, shape, memoryview(body))
        form = Form(None, [], [(output, True) for output in self.signature.outputs], None, shape[0])
        return Question(form, {tensor.name: array})


class Unclear(Exception):
    """A list that was cut out takes the strict reader."""


def _bytes(entry: _Input, binary: memoryview | None, position: int) -> Array:
    if binary is None:
        raise Refusal(f"input {entry.name!r}: 'binary_data_size' needs the header {HEADER}, which says where the JSON ends")
    if not 0 <= entry.size <= len(binary) - position:
        left = len(binary) - position
        raise Refusal(f"input {entry.name!r}: binary_data_size is {entry.size}, {left} bytes are left")
    return tensors.from_bytes(entry.name, entry.datatype, entry.shape, binary[position : position + entry.size])


def _texts(entry: _Input) -> int:
    """How many of the request's strings are elements of this tensor."""
    if type(entry.data) is not list or DTYPES[entry.datatype].kind != "O":
        return 0
    return sum(type(text) is str for text in _elements(entry.data))


def _elements(data: list[Any]) -> Iterator[Any]:
    for value in data:
        if type(value) is list:
            yield from value
        else:
            yield value


def _load(text: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidJson(f"the request is not JSON: {error.msg} at byte {error.pos}") from None
    if type(document) is not dict:
        raise Refusal("the request: expected a JSON object with 'inputs'")
    # orjson reads -0 as the whole number 0, which has no sign.
    return _signed(text) if numbers.MINUS_ZERO.search(text) else document


def _signed(text: bytes) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(text, parse_int=lambda digits: -0.0 if digits == "-0" else orjson.loads(digits))
    except RecursionError:
        raise InvalidJson(TOO_DEEP) from None
    return document


def _input(entry: Any, max_rows: int) -> _Input:
    name = _name(entry, "input")
    here = f"input {name!r}"
    datatype, shape = _field(entry, "datatype", str, here), _field(entry, "shape", list, here)
    if datatype not in DTYPES:
        raise InvalidInput(f"{here}: datatype {shown(datatype)} is not one of {', '.join(DTYPES)}")
    _check_shape(here, shape, max_rows)
    size = _optional(_parameters(entry, here), "binary_data_size", int, here)
    if size is None:
        mark = numbers.marked(entry.get("data"))
        return _Input(name, datatype, shape, _field(entry, "data", list, here) if mark is None else mark, 0)
    if "data" in entry:
        raise Refusal(f"{here}: both 'data' and 'binary_data_size' are there; one of them must go")
    return _Input(name, datatype, shape, None, size)


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
        raise InvalidJson(TOO_DEEP) from None


def _object(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise InvalidJson(f"the request: an object has the key {shown(key)} twice")
        seen.add(key)


class Encoder:
    """Writes answers of one model; what every answer has in common is written once."""

    def __init__(self, signature: Signature, name: str, version: str) -> None:
        self._model = orjson.dumps({"model_name": name, "model_version": version})[:-1]
        self._heads: dict[tuple[str, tuple[int, ...]], bytes] = {}

    def encode(self, form: Form, answers: Mapping[str, Array]) -> Answer:
        """Raises NotInJson for NaN and infinity that were not asked for as raw bytes."""
        if form.opening is not None:
            tensor = form.outputs[0][0]
            array = answers[tensor.name]
            if array.shape == form.opening[1]:
                return Answer(b"%b%b}]}" % (form.opening[0], tensors.to_json(tensor, array)))
        entries: list[bytes] = []
        parts: list[bytes | memoryview] = []
        for tensor, binary in form.outputs:
            array = answers[tensor.name]
            head = self._heads.get((tensor.name, array.shape)) or self._head(tensor, array.shape)
            if binary:
                raw = tensors.to_bytes(array)
                parts.append(raw)
                size = raw.nbytes if isinstance(raw, memoryview) else len(raw)
                entries.append(b'%b"parameters":{"binary_data_size":%d}}' % (head, size))
            else:
                entries.append(b'%b"data":%b}' % (head, tensors.to_json(tensor, array)))
        identity = b"" if form.id is None else b',"id":' + orjson.dumps(form.id)
        opening = b'%b%b,"outputs":[' % (self._model, identity)
        if len(entries) == 1 and not parts:
            form.opening = opening + head + b'"data":', array.shape
        text = b"%b%b]}" % (opening, b",".join(entries))
        return Answer(b"".join((text, *parts)), len(text)) if parts else Answer(text)

    def encode_all(self, form: Form, answers: Mapping[str, Array], size: int) -> list[bytes] | None:
        """The bodies of so many questions of one form, run together; None where each has to be written by itself."""
        if form.opening is None or size * form.written_numbers > MOST_TOGETHER:
            return None
        (tensor, _), (opening, (rows, *columns)) = form.outputs[0], form.opening
        array = answers[tensor.name]
        if array.dtype.hasobject or array.size == 0 or array.shape != (size * rows, *columns):
            return None
        try:
            return [b"%b%b}]}" % (opening, text) for text in tensors.to_json_parts(tensor, array, size)]
        except NotInJson:
            # Only some of them are refused.
            return None

    def _head(self, tensor: Tensor, shape: tuple[int, ...]) -> bytes:
        if len(self._heads) >= MOST_FORMS:
            self._heads.clear()
        head = orjson.dumps({"name": tensor.name, "datatype": tensor.datatype, "shape": shape})[:-1] + b","
        self._heads[tensor.name, shape] = head
        return head
