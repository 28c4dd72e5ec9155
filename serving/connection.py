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
from serving.exchange import ENCODING, HEADERS, LENGTH, TWICE, Desk, Exchange, Head, Reply, refused, request_id
from serving.front import INFER
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


class Place:
    """One answer's place on a connection; to uvicorn it looks like a cycle of its own."""

    response_complete = disconnected = False
    said: Reply | None = None

    def __init__(self, connection: "Connection", keep_alive: bool) -> None:
        self.connection = connection
        self.keep_alive = keep_alive
        before = connection.cycle
        # Pipelined questions are answered in the order they came.
        self.turn = before is None or before.response_complete
        connection.cycle = self  # type: ignore[assignment]
        if not self.turn:
            connection.flow.pause_reading()
            connection.pipeline.appendleft((self, connection.app))  # type: ignore[arg-type]

    @property
    def message_event(self) -> "Place":
        return self

    def set(self) -> None:
        """uvicorn wakes a cycle up when the client has left."""

    def on_reply(self, reply: Reply) -> None:
        if not self.turn:
            self.said = reply
        elif not self.disconnected:
            self.connection.write_reply(self, reply)

    def begin(self) -> None:
        """Those before it are answered."""
        self.turn = True
        if self.said is not None and not self.disconnected:
            self.connection.write_reply(self, self.said)


class Cycle(Place, Exchange):
    """A question and its reply."""

    def __init__(self, connection: "Connection", keep_alive: bool, head: Head, length: bytes | None = None) -> None:
        Place.__init__(self, connection, keep_alive)
        desk = connection.desk
        Exchange.__init__(self, desk, INFER, desk.inference.name, None, head, length)

    def set(self) -> None:
        if self.disconnected:
            self.abandon()


class Known(NamedTuple):
    """A head that this connection sent before, around the digits of the body's length."""

    before: bytes
    after: bytes
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
        self.header_bytes = 0
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
        if isinstance(cycle, Place) and not cycle.response_complete and not self.transport.is_closing():
            if cycle.turn:
                self.transport.write(b"HTTP/1.1 102 Processing\r\n\r\n")
            self.loop.call_later(pauses_s[0], self._still_there, pauses_s[1:] or pauses_s)

    def data_received(self, data: bytes) -> None:
        if self.broken or self._again(data):
            return
        self.messages = 0
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # Nothing is offered to change to; RFC 9110 lets a server go on as if it had not been asked.
            pass
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if not isinstance(cause, Refusal):
                event("request_failed", level=logging.ERROR, error=cause or error)
                cause = Internal("the server failed; its log has the time")
            self.refuse_connection(cause)
        except httptools.HttpParserError:
            self.refuse_connection(InvalidHttp("this is not an HTTP/1.1 request that can be read"))
        else:
            if self.hot and self.known is None and self.messages == 1 and not self.receiving:
                self._learn(data)

    def _learn(self, data: bytes) -> None:
        """A client's heads are the same again and again: this one need not be parsed a second time."""
        length = self.head.get(LENGTH)
        if length is None or self.special or TWICE in self.head:
            return
        end = len(data) - int(length)
        found = [match.span(1) for match in LENGTH_LINE.finditer(data, 0, end)]
        if len(found) == 1 and end <= LONGEST_HEAD and data[:end].endswith(b"\r\n\r\n"):
            start, stop = found[0]
            self.known = Known(data[:start], data[stop:end], self.head)

    def _again(self, data: bytes) -> bool:
        """Is this one whole request whose head is known, and nobody before it still waits?"""
        known = self.known
        if known is None or self.receiving or not self.cycle.response_complete:
            return False
        before, after, head = known
        if not data.startswith(before):
            return False
        start = len(before)
        stop = data.find(b"\r", start, start + 12)
        length = data[start:stop]
        if not (length.isdigit() and data.startswith(after, stop) and len(data) == stop + len(after) + int(length)):
            return False
        self.hot, self.head = True, head
        Cycle(self, True, head, length).complete(data[stop + len(after) :])
        return True

    def refuse_connection(self, refusal: Refusal) -> None:
        """What follows cannot be understood: the connection ends with the refusal, after the answers still owed."""
        self.broken = True
        cycle: Any = self.cycle
        if self.in_body and not cycle.response_complete:
            cycle.keep_alive = False
            if self.hot:
                cycle.refuse(refusal)
                return None
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
        self.header_bytes = 0
        self.expect_100_continue = self.special = False
        self.receiving, self.in_body = True, False
        self.since = time.monotonic()

    def on_url(self, url: bytes) -> None:
        self.url += url
        self.header_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self.headers.append((name, value))
        self.header_bytes += len(name) + len(value)
        if self.header_bytes > MAX_HEADER_BYTES:
            raise HeadersTooLarge(f"the request's line and headers have more than {MAX_HEADER_BYTES} bytes")
        if name in HEADERS:
            if name in self.head:
                self.head[TWICE] = name
            self.head[name] = value
        if name in SPECIAL:
            self.special = True
            if name == b"expect":
                self.expect_100_continue = value.lower() == b"100-continue"

    def on_headers_complete(self) -> None:
        self.in_body = True
        parser = self.parser
        keep_alive = parser.should_keep_alive()
        self.hot = (
            self.url == self.url_of_model and parser.get_method() == b"POST" and not (self.special and self._is_special())
        )
        if not self.hot:
            return self._common_way()
        Cycle(self, keep_alive, self.head)
        return None

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
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self.hot:
            self.cycle.feed(body)  # type: ignore[attr-defined]
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self.receiving = self.in_body = False
        self.messages += 1
        if self.hot:
            self.cycle.complete()  # type: ignore[attr-defined]
        else:
            super().on_message_complete()

    def write_reply(self, place: Place, reply: Reply) -> None:
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
