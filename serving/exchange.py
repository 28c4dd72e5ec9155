"""How does one question become one reply, whatever carried it here?

Both fronts, the ASGI application and the connection of its own, only move bytes; what a request may be, what it costs and
what it is told is decided here, once.
"""

import asyncio
import gzip
import itertools
import logging
import math
import re
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import orjson

from serving.batching import Outcome
from serving.errors import Internal, Overloaded, Refusal, UnsupportedEncoding, body_of, shown
from serving.inference import SAFE, Inference
from serving.limits import FORMATS, inflate, too_large
from serving.logs import event
from serving.observers import Observer, trace_id
from serving.protocol import HEADER, NOTHING, Unnamed
from serving.signature import Array
from serving.telemetry.ledger import Ledger
from serving.telemetry.tally import AT_LATENCY, LEFT, PLACES
from serving.tokens import Tokens

if TYPE_CHECKING:
    from serving.telemetry.capture import Capture

REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
LENGTH, ENCODING, HEADER_LENGTH = b"content-length", b"content-encoding", HEADER.encode()
ID, AUTHORIZATION, TRACE = b"x-request-id", b"authorization", b"traceparent"
TIMEOUT, ACCEPTED = b"x-request-timeout-ms", b"accept-encoding"
# What a request's headers can say to us; a header that is there twice has two readings.
HEADERS = frozenset((LENGTH, ENCODING, HEADER_LENGTH, ID, AUTHORIZATION, TRACE, TIMEOUT, ACCEPTED))
TWICE = b""
CLIENT_LEFT = 499
JSON = b"content-type: application/json\r\n"
BYTES = b"content-type: application/octet-stream\r\n" + HEADER_LENGTH + b": %d\r\n"
# JSON text that takes longer to read than others should wait, and as many numbers to write.
BIG_TEXT = 256 << 10
BIG_ANSWER = 8192
WORTH_GZIP = 1024
SMALL_PART = 4096
Head = dict[bytes, bytes]
_prefix = secrets.token_hex(10)
_count = itertools.count()


def request_id(head: Head) -> str:
    """The client's own, when it is one; else different for every request of every process, and cheap."""
    given = head.get(ID)
    if given is not None and REQUEST_ID.fullmatch(given):
        return str(given, "ascii")
    return f"{_prefix}{next(_count):012x}"


class Reply(NamedTuple):
    """`lines` are the headers as HTTP/1.1 writes them, each with its end of line.

    A model's answer is the bare three, which are quicker to make and to take apart.
    """

    status: int
    lines: bytes
    body: bytes


Bare = tuple[int, bytes, bytes]


def refused(refusal: Refusal, request_id: str) -> Reply:
    body = orjson.dumps(body_of(refusal, request_id))
    more = b"".join(b"%b: %b\r\n" % (name.lower().encode(), value.encode()) for name, value in refusal.headers.items())
    kind = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
    return Reply(refusal.status, b"%b%bx-request-id: %b\r\n%b" % (kind, SAFE, request_id.encode(), more), body)


def read_head(pairs: list[tuple[bytes, bytes]]) -> Head:
    """What the headers say; their names in lower case."""
    head: Head = {}
    for name, value in pairs:
        if name in HEADERS:
            put(head, name, value.strip(b" \t"))
    return head


def put(head: Head, name: bytes, value: bytes) -> None:
    if name in head and name == ACCEPTED:
        value = head[name] + b", " + value
    elif name in head and name != TRACE:
        head[TWICE] = name
    head[name] = value


class Desk:
    """Where questions are handed in: what all of them share."""

    def __init__(self, inference: Inference, max_body_bytes: int, max_held_bytes: int) -> None:
        self.inference = inference
        self.metrics = inference.metrics
        self.max_body_bytes = max_body_bytes
        self.max_held_bytes = max_held_bytes
        self.held = 0
        self.active = 0
        self.tokens: Tokens | None = None
        self.observers: tuple[Observer, ...] = ()
        self.capture: Capture | None = None

    def admit(self, head: Head, scope: str) -> None:
        """Raises Unauthorized or Forbidden."""
        if self.tokens is not None:
            self.tokens.allow(head.get(AUTHORIZATION), scope)

    def hold(self, size: int) -> None:
        """Raises Overloaded when the bodies of unanswered requests would take more memory than they may."""
        if self.held + size > self.max_held_bytes:
            raise Overloaded(
                f"the requests that wait hold {self.held} bytes, at most {self.max_held_bytes} are kept; send this one later",
                {"retry-after": "1"},
            )
        self.held += size


class Exchange:
    """One question and its reply. A front derives its own, with `on_reply`."""

    done = at_once = False
    rows = 0
    deadline = math.inf
    request_id = ""
    # As it was received, where requests are kept.
    body: bytes | None = None
    _size = _holds = _start = 0
    # Of the model that was asked; of none until it is found.
    _ledger: Ledger | None = None

    def __init__(self, desk: Desk, route: str, name: str, version: str | None, head: Head, size: int | None = None) -> None:
        """size: of the body, where it is here already; else the head tells."""
        self.desk = desk
        self.route = route
        self.head = head
        self.started = time.perf_counter()
        self._parts: list[bytes | bytearray] = []
        desk.active += 1
        try:
            if TWICE in head:
                raise Refusal(f"the header {head[TWICE].decode()} is there twice; it has two readings")
            if desk.tokens is not None:
                desk.admit(head, "infer")
            if ENCODING in head and head[ENCODING].strip().lower() not in FORMATS:
                raise UnsupportedEncoding("content-encoding: expected gzip, deflate or identity")
            self._served = desk.inference.find(name, version)
            ledger = self._ledger = self._served.ledger
            self.request_id = request_id(head) if ID in head else f"{ledger.mark}{next(_count):012x}"
            if TIMEOUT in head:
                self._allow(_milliseconds(head[TIMEOUT]))
            if size is None and LENGTH in head:
                size = _declared(head[LENGTH])
            if size is not None and size > desk.max_body_bytes:
                raise too_large(desk.max_body_bytes)
        except Refusal as refusal:
            self.request_id = self.request_id or request_id(head)
            self.refuse(refusal)

    def on_reply(self, reply: Bare) -> None:
        """Called once, on the loop's thread, unless the asker leaves before."""
        raise NotImplementedError

    def _hold(self, size: int) -> None:
        self.desk.hold(size - self._holds)
        self._holds = size

    def _allow(self, seconds: float) -> None:
        self.deadline = min(self.deadline, self.started + seconds)

    def feed(self, part: bytes) -> None:
        """The next bytes of the body."""
        if self.done:
            return None
        self._size += len(part)
        if self._size > self._holds:
            try:
                if self._size > self.desk.max_body_bytes:
                    raise too_large(self.desk.max_body_bytes)
                self._hold(self._size)
            except Refusal as refusal:
                return self.refuse(refusal)
        if len(part) >= SMALL_PART or not self._parts:
            self._parts.append(part)
        elif isinstance(self._parts[-1], bytearray):
            # Objects for each of a million bytes would take more than the bytes.
            self._parts[-1] += part
        else:
            self._parts.append(bytearray(part))
        return None

    def complete(self, body: bytes | None = None) -> None:
        """The body is here; what was fed, unless it is given whole."""
        if self.done:
            return None
        if body is None:
            body = self._joined()
        if self.desk.capture is not None:
            self.body = body[self._start :] if self._start else body
        if len(body) > BIG_TEXT or ENCODING in self.head:
            given = self.head.get(HEADER_LENGTH, b"")
            # What is behind the JSON is not read, only pointed at.
            if ENCODING in self.head or not given.isdigit() or len(given) > 12 or int(given) > BIG_TEXT:
                return self._aside(self._read, body, then=self._ask)
        try:
            question = self._read(body)
        except Exception as error:
            return self.refuse(error)
        return self._ask(question)

    def _joined(self) -> bytes:
        parts, self._parts = self._parts, []
        if len(parts) == 1:
            return bytes(parts[0])
        given = self.head.get(HEADER_LENGTH, b"")
        if ENCODING not in self.head and given.isdigit() and 0 < len(given) <= 12 and int(given):
            # Numbers in memory begin at a multiple of eight; while the bytes are copied anyway, they can.
            self._start = -int(given) % 8
            parts.insert(0, bytes(self._start))
        return b"".join(parts)

    def _read(self, body: bytes) -> Unnamed:
        head = self.head
        if ENCODING in head:
            body = inflate(body, head[ENCODING].strip().lower(), self.desk.max_body_bytes)
        return self._served.decoder.begin(
            body, str(head[HEADER_LENGTH], "latin-1") if HEADER_LENGTH in head else None, self._start
        )

    def _ask(self, question: Unnamed) -> None:
        if self.done:
            return
        form, self.feeds, self.text = question
        self.form, self.rows = form, form.rows
        self.since = time.perf_counter()
        try:
            if form.timeout_us is not None:
                self._allow(_microseconds(form.timeout_us))
            if ENCODING in self.head:
                self._hold(max(self._holds, sum(array.nbytes for array in self.feeds.values())))
            self._served.batcher.put(self, self.desk.active == 1)
        except Exception as error:
            self.refuse(error)

    def settle(self, outcome: Outcome) -> None:
        """The model has answered, or will not."""
        if self.done:
            return None
        if isinstance(outcome, Refusal):
            return self.refuse(outcome)
        if self.form.written_numbers > BIG_ANSWER and self.desk.active > 1:
            return self._aside(self._write, outcome, then=self._reply)
        try:
            reply = self._write(outcome)
        except Exception as error:
            return self.refuse(error)
        return self._reply(reply)

    def _write(self, answers: Mapping[str, Array] | bytes) -> Bare:
        served = self._served
        body, json_size = (answers, None) if isinstance(answers, bytes) else served.encoder.encode(self.form, answers)
        lines = JSON if json_size is None else BYTES % json_size
        if len(body) >= WORTH_GZIP and ACCEPTED in self.head and accepts_gzip(self.head[ACCEPTED]):
            body = gzip.compress(body, 1, mtime=0)
            lines += b"content-encoding: gzip\r\nvary: accept-encoding\r\n"
        return 200, b"%bcontent-length: %d\r\n%b%b\r\n" % (lines, len(body), served.lines, self.request_id.encode()), body

    def _aside(self, work: Callable[..., object], *given: object, then: Callable[..., None]) -> None:
        """On the worker's thread, which leaves the loop to others."""

        def finished(done: "asyncio.Future[object]") -> None:
            if self.done or done.cancelled():
                return
            error = done.exception()
            if error is None:
                then(done.result())
            else:
                self.refuse(error)

        asyncio.get_running_loop().run_in_executor(self.desk.inference.worker, work, *given).add_done_callback(finished)

    def refuse(self, error: BaseException) -> None:
        if self.done:
            return
        refusal = error if isinstance(error, Refusal) else Internal("the server failed; its log has this request id")
        if refusal.status == 500:
            cause = error.__cause__ or error
            known = {"code": refusal.code, "request_id": self.request_id, "trace_id": trace_id(self.traceparent)}
            event("request_failed", level=logging.ERROR, error=cause, **known)
        self.desk.metrics.refused(refusal.code)
        if self._ledger is not None:
            self._ledger.counts[PLACES[refusal.code]] += 1
        self._reply(refused(refusal, self.request_id))

    def _reply(self, reply: Bare) -> None:
        if self.desk.capture is not None:
            self.desk.capture.keep(self, reply)
        self._close(reply[0])
        self.on_reply(reply)

    def abandon(self) -> None:
        """The asker has left: what is not done yet never will be."""
        if not self.done:
            if self._ledger is not None:
                self._ledger.counts[LEFT] += 1
            self._close(CLIENT_LEFT)

    def _close(self, status: int) -> None:
        self.done = True
        # A connection keeps its last exchange, for as long as the client keeps the connection.
        self._parts, self.feeds, self.text = [], NOTHING, None
        desk = self.desk
        desk.active -= 1
        desk.held -= self._holds
        seconds = time.perf_counter() - self.started
        bucket = desk.metrics.request(self.route, status, seconds)
        if status == 200:
            ledger = self._served.ledger
            ledger.counts[AT_LATENCY + bucket] += 1
            if ledger.asked is not None and ID in self.head:
                ledger.asked.append(self.request_id)
        for observe in desk.observers:
            observe(self, status, seconds)

    @property
    def digest(self) -> str:
        """Of the model that was asked; empty where none was found."""
        return "" if self._ledger is None else self._ledger.digest

    @property
    def traceparent(self) -> bytes | None:
        return self.head.get(TRACE)


def _declared(length: bytes) -> int:
    if not length.isdigit():
        raise Refusal("content-length: expected a number of bytes")
    return int(length) if len(length) <= 18 else sys.maxsize


def _milliseconds(value: bytes) -> float:
    if not (value.isdigit() and len(value) <= 9 and int(value) > 0):
        raise Refusal(f"{TIMEOUT.decode()}: expected a whole number of milliseconds from 1")
    return int(value) / 1e3


def _microseconds(value: int) -> float:
    if value <= 0:
        raise Refusal(f"the request: parameter 'timeout' is {shown(value)}, expected microseconds from 1")
    return value / 1e6


def accepts_gzip(value: bytes) -> bool:
    """Does an Accept-Encoding header name gzip, or anything, with a weight above 0?"""
    weights = {}
    for part in value.lower().split(b","):
        coding, _, parameters = part.partition(b";")
        weight = parameters.partition(b"q=")[2].strip()
        weights[coding.strip()] = weight.strip(b"0.") != b"" or not weight
    return weights.get(b"gzip", weights.get(b"*", False))
