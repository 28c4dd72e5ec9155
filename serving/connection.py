"""How does a plain question get from the socket to the desk without a detour through ASGI?

A subclass of uvicorn's own HTTP/1.1 connection: ASGI's scope, task and messages cost more than reading a question and
running a model. What is not plain (another address, percent signs, a compressed body, Expect, HTTP/1.0) goes the common
way. `fits` says whether this uvicorn is one that the class can stand on.
"""

import logging
import re
import time
from asyncio import TimerHandle
from typing import Any, NamedTuple

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serving.errors import HeadersTooLarge, Internal, InvalidHttp, Overloaded, Refusal, RequestTimeout
from serving.exchange import ENCODING, HEADERS, LENGTH, TWICE, Bare, Desk, Exchange, Head, put, refused, request_id
from serving.front import INFER
from serving.limits import too_large
from serving.logs import event

UVICORN = "0.54.0"
MAX_HEADER_BYTES = 64 << 10
# Where none of these is, a request is plain; HTTP/1.0 keeps a connection only when one asks for it.
SPECIAL = frozenset((b"connection", b"upgrade", b"expect", ENCODING))
# The first to be sent is refused by who is gone, and the second then fails here.
PROBES_S = (0.02, 1.0)
CLOSE = b"connection: close\r\n\r\n"
LENGTH_LINE = re.compile(rb"\r\n(?i:content-length): *(\d+)\r\n")
LONGEST_HEAD = 4096
# What is left of a body, from which on the parser is not given it: it would copy every byte, and it tells nothing of them.
LONG_REST = 64 << 10


class Place:
    """One answer's place on a connection; to uvicorn it looks like a cycle of its own."""

    response_complete = disconnected = False
    said: Bare | None = None

    def __init__(self, connection: "Connection", keep_alive: bool) -> None:
        self.connection = connection
        self.keep_alive = keep_alive
        before = connection.cycle
        # Pipelined questions are answered in the order they came.
        self.turn = before is None or before.response_complete
        connection.cycle = self  # type: ignore[assignment]
        if self.turn:
            connection.current = self
        else:
            connection.flow.pause_reading()
            connection.pipeline.appendleft((self, connection.app))  # type: ignore[arg-type]

    @property
    def message_event(self) -> "Place":
        return self

    def set(self) -> None:
        """uvicorn wakes a cycle up when the client has left."""

    def on_reply(self, reply: Bare) -> None:
        if not self.turn:
            self.said = reply
        elif not self.disconnected:
            self.connection.write_reply(self, reply)

    def begin(self) -> None:
        """Those before it are answered."""
        self.turn = True
        if self.said is not None and not self.disconnected:
            # Not here: each reply begins the next, and thousands may be waiting.
            self.connection.loop.call_soon(self.connection.write_reply, self, self.said)


class Cycle(Place, Exchange):
    """A question and its reply."""

    def __init__(self, connection: "Connection", keep_alive: bool, head: Head, size: int | None = None) -> None:
        Place.__init__(self, connection, keep_alive)
        desk = connection.desk
        Exchange.__init__(self, desk, INFER, desk.inference.name, None, head, size)

    def set(self) -> None:
        if self.disconnected:
            self.abandon()


class Known(NamedTuple):
    """A head that this connection sent before, around the digits of the body's length; and how long both are."""

    before: bytes
    after: bytes
    sizes: tuple[int, int]
    head: Head


class Connection(HttpToolsProtocol):
    """uvicorn's connection with a shorter way to the desk, limits on time and size, and refusals in the one error shape."""

    # Set on a subclass: uvicorn makes the connections itself.
    desk: Desk
    # Empty until the self-check found no difference.
    url_of_model: bytes = b""
    request_timeout_s: float
    max_connections: int

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.head: Head = {}
        self.hot = self.special = False
        self.known: Known | None = None
        self.messages = 0
        self.receiving = self.in_body = False
        self.since = 0.0
        self.header_bytes = self.raw_bytes = self.body_bytes = self.left = 0
        self.offer = self.began = False
        self.parser_method = b""
        self.current: Any = None
        self.timer: TimerHandle | None = None
        self.broken = False

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.since = time.monotonic()
        if len(self.connections) > self.max_connections:
            text = f"{self.max_connections} connections are open already"
            return self.refuse_connection(Overloaded(text, {"retry-after": "1"}))
        self._look_later(min(self.request_timeout_s, self.timeout_keep_alive))
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.current is not None and not self.current.response_complete:
            self.current.disconnected = True
            self.current.message_event.set()
        for cycle, _ in self.pipeline:
            cycle.disconnected = True
            cycle.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def eof_received(self) -> bool | None:  # type: ignore[override]
        """A client may close its half once it has asked; it is still owed the answer."""
        owed = self.cycle is not None and not self.cycle.response_complete and not self.receiving and self.scheme == "http"
        if owed:
            self.cycle.keep_alive = False
            self._still_there(PROBES_S)
        return owed

    def _still_there(self, pauses_s: tuple[float, ...]) -> None:
        """Half closed and gone look the same until something is sent: an interim answer, which HTTP/1.1 clients pass over."""
        cycle: Any = self.cycle
        if cycle.response_complete or self.transport.is_closing():
            return
        if isinstance(cycle, Place):
            waits = cycle.turn
        else:
            waits = cycle is self.current and not cycle.response_started and cycle.scope["http_version"] == "1.1"
        if waits:
            self.transport.write(b"HTTP/1.1 102 Processing\r\n\r\n")
        self.loop.call_later(pauses_s[0], self._still_there, pauses_s[1:] or pauses_s)

    def data_received(self, data: bytes) -> None:
        if self.broken or self._again(data):
            return
        self.messages = 0
        begins = not self.receiving
        try:
            self.began = False
            if self.left:
                data = self._rest(data)
            if data:
                self._parse(data)
                self._count(data)
        except HeadersTooLarge as refusal:
            self.refuse_connection(refusal)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if not isinstance(cause, Refusal):
                event("request_failed", level=logging.ERROR, error=cause or error)
                cause = Internal("the server failed; its log has the time")
            self.refuse_connection(cause)
        except httptools.HttpParserError:
            self.refuse_connection(InvalidHttp("this is not an HTTP/1.1 request that can be read"))
        else:
            if self.receiving:
                if self.hot and self.in_body and LENGTH in self.head and not self.left:
                    left = int(self.head[LENGTH]) - self.body_bytes
                    self.left = left if left >= LONG_REST else 0
            elif begins and self.hot and self.known is None and self.messages == 1:
                self._learn(data)
        return

    def _rest(self, data: bytes) -> bytes:
        """Takes what belongs to the body, as the parser would hand it on; returns what is behind it."""
        part = data if len(data) <= self.left else data[: self.left]
        self.left -= len(part)
        try:
            self.on_body(part)
            if not self.left:
                self._parse_anew()
                self.on_message_complete()
        except Exception:
            # As from the parser.
            raise httptools.HttpParserCallbackError from None
        return data[len(part) :]

    def _parse_anew(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _parse(self, data: bytes) -> None:
        """Nothing is offered to change to; RFC 9110 lets a server go on as if it had not been asked."""
        while True:
            try:
                return self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                self._parse_anew()
                data = self._without_offer() + data[offer.args[0] :]

    def _count(self, data: bytes) -> None:
        """Whatever is not body is counted, or one value could go on for ever."""
        self.raw_bytes = self.raw_bytes + len(data) if self.receiving and not self.began else 0
        if self.raw_bytes > 2 * MAX_HEADER_BYTES + 16 * self.body_bytes:
            raise HeadersTooLarge(f"the request's line and headers have more than {MAX_HEADER_BYTES} bytes")

    def _without_offer(self) -> bytes:
        """The request as it would be without the wish for another protocol."""
        closes = any(name == b"connection" and b"close" in value.lower() for name, value in self.headers)
        kept = [pair for pair in self.headers if pair[0] not in (b"upgrade", b"connection")]
        lines = b"".join(b"%b: %b\r\n" % pair for pair in (*kept, *([(b"connection", b"close")] if closes else [])))
        return b"%b %b HTTP/1.1\r\n%b\r\n" % (self.parser_method, self.url, lines)

    def _learn(self, data: bytes) -> None:
        """A client's heads are the same again and again: this one need not be parsed a second time."""
        length = self.head.get(LENGTH)
        if length is None or self.special or TWICE in self.head:
            return
        end = len(data) - int(length)
        found = [match.span(1) for match in LENGTH_LINE.finditer(data, 0, end)]
        if len(found) == 1 and end <= LONGEST_HEAD and data[:end].endswith(b"\r\n\r\n"):
            start, stop = found[0]
            self.known = Known(data[:start], data[stop:end], (start, end - stop), self.head)

    def _again(self, data: bytes) -> bool:
        """Is this one whole request whose head is known, and nobody before it still waits?"""
        known = self.known
        if known is None or self.receiving or not self.cycle.response_complete:
            return False
        before, after, (start, rest), head = known
        if not data.startswith(before):
            return False
        stop = data.find(b"\r", start, start + 12)
        length = data[start:stop]
        begins = stop + rest
        size = len(data) - begins
        if not (length.isdigit() and data.startswith(after, stop) and size == int(length)):
            return False
        self.hot, self.head = True, head
        cycle = Cycle(self, True, head, size)
        cycle.at_once = len(self.connections) == 1
        cycle.complete(data[begins:])
        return True

    def refuse_connection(self, refusal: Refusal) -> None:
        """What follows cannot be understood: the connection ends with the refusal, after the answers still owed."""
        self.broken = True
        cycle: Any = self.cycle
        if self.in_body:
            if cycle.response_complete:
                # It was answered before its body came.
                return self.transport.close()
            cycle.keep_alive = False
            if self.hot:
                cycle.refuse(refusal)
                return None
            if not self.pipeline and not cycle.response_started:
                status, lines, body = refused(refusal, request_id(self.head))
                self.transport.write(b"".join((STATUS_LINE[status], self._default_lines(), lines, CLOSE, body)))
            # FastAPI waits for a body that will not come.
            cycle.disconnected = True
            cycle.message_event.set()
            return self.transport.close()
        self.desk.metrics.refused(refusal.code)
        self.desk.metrics.request("other", refusal.status, 0.0)
        return Place(self, keep_alive=False).on_reply(refused(refusal, request_id(self.head)))

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.head = {}
        self.header_bytes = self.body_bytes = 0
        self.expect_100_continue = self.special = False
        self.receiving, self.in_body, self.began = True, False, True
        self.since = time.monotonic()

    def on_url(self, url: bytes) -> None:
        self.url += url
        self.header_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.header_bytes += len(name) + len(value)
        if self.in_body and self.header_bytes <= MAX_HEADER_BYTES:
            # A trailer: it says nothing that we read, and comes too late.
            return
        name, value = name.lower(), value.strip(b" \t")
        self.headers.append((name, value))
        if self.header_bytes > MAX_HEADER_BYTES:
            raise HeadersTooLarge(f"the request's line and headers have more than {MAX_HEADER_BYTES} bytes")
        if name in HEADERS:
            put(self.head, name, value)
        if name in SPECIAL:
            self.special = True
            if name == b"expect":
                self.expect_100_continue = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        parser = self.parser
        if parser.should_upgrade() and parser.get_method() != b"CONNECT":
            self.offer, self.parser_method = True, parser.get_method()
            return
        keep_alive = parser.should_keep_alive()
        self.hot = (
            self.url == self.url_of_model and parser.get_method() == b"POST" and not (self.special and self._is_special())
        )
        self._check_body()
        if not self.hot:
            self._common_way()
        else:
            Cycle(self, keep_alive, self.head)
        self.in_body = True
        return

    def _check_body(self) -> None:
        """How the body comes, and whether the client waits to be asked for it. Raises Refusal."""
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            raise InvalidHttp(f"host: expected once, it is there {hosts} times")
        coding = dict(self.headers).get(b"transfer-encoding")
        if coding is not None and coding.lower() != b"chunked":
            raise InvalidHttp("transfer-encoding: expected chunked and nothing else")
        idle = self.cycle is None or self.cycle.response_complete
        if self.expect_100_continue and idle and self.parser.get_http_version() == "1.1":
            length = self.head.get(LENGTH, b"0")
            if len(length) > 18 or int(length) > self.desk.max_body_bytes:
                raise too_large(self.desk.max_body_bytes)
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self.expect_100_continue = False

    def _is_special(self) -> bool:
        parser = self.parser
        return (
            self.expect_100_continue
            or ENCODING in self.head
            or bool(parser.should_upgrade())
            or parser.get_http_version() != "1.1"
        )

    def _common_way(self) -> None:
        url, headers, expected = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expected
        self.scope["headers"] = self.headers = headers
        try:
            if httptools.parse_url(url).path is None:
                raise InvalidHttp("the request's address has no path")
        except httptools.HttpParserInvalidURLError:
            raise InvalidHttp("the request's address cannot be read") from None
        idle = self.cycle is None or self.cycle.response_complete
        super().on_headers_complete()
        if idle:
            self.current = self.cycle

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)
        if self.hot:
            self.cycle.feed(body)  # type: ignore[attr-defined]
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self.offer:
            self.offer = False
            return
        self.receiving = self.in_body = False
        self.messages += 1
        if self.hot:
            self.cycle.complete()  # type: ignore[attr-defined]
        else:
            super().on_message_complete()

    def write_reply(self, place: Place, reply: Bare) -> None:
        place.response_complete = True
        transport = self.transport
        if transport.is_closing():
            return
        status, lines, body = reply
        end = b"\r\n" if place.keep_alive else CLOSE
        transport.write(b"".join((STATUS_LINE[status], self._default_lines(), lines, end, body)))
        if not place.keep_alive:
            transport.close()
        self.on_response_complete()

    def _default_lines(self) -> bytes:
        """The date, which uvicorn makes anew each second."""
        pairs = self.server_state.default_headers
        if _Lines.pairs is not pairs:
            _Lines.pairs, _Lines.text = pairs, b"".join(b"%b: %b\r\n" % pair for pair in pairs)
        return _Lines.text

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self.since = time.monotonic()
        if (self.pipeline or self.flow.read_paused or self.flow.write_paused) and not self.transport.is_closing():
            self._next()

    def _next(self) -> None:
        """The next pipelined request, unless the client does not read what it asked for."""
        if self.flow.write_paused:
            return self.flow.pause_reading()
        self.flow.resume_reading()
        if self.pipeline:
            following: Any = self.pipeline.pop()
            cycle, app = following
            self.current = cycle
            if isinstance(cycle, Place):
                cycle.begin()
            else:
                self._start_asgi_task(cycle, app)
        return None

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.cycle is None or self.cycle.response_complete or self.pipeline:
            self._next()

    def _unset_keepalive_if_required(self) -> None:
        """One timer for each connection looks after all of its times; see `_look`."""

    def _look_later(self, seconds: float) -> None:
        self.timer = self.loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """Has the client taken longer than it may: to send a request, to read an answer, to ask again?"""
        waited_s = time.monotonic() - self.since
        idle = self.cycle is None or self.cycle.response_complete
        if self.receiving or self.flow.write_paused:
            left_s = self.request_timeout_s - waited_s
            if left_s <= 0:
                return self._too_slow()
        elif idle:
            left_s = self.timeout_keep_alive - waited_s
            if left_s <= 0:
                return self.transport.close()
        else:
            left_s = self.request_timeout_s
        self._look_later(max(min(left_s, self.request_timeout_s), 0.01))
        return None

    def _too_slow(self) -> None:
        if self.flow.write_paused:
            return self.transport.abort()
        return self.refuse_connection(RequestTimeout(f"the request did not arrive within {self.request_timeout_s:g} s"))


class _Lines:
    pairs: list[tuple[bytes, bytes]] | None = None
    text = b""
