"""Is the body small enough, and what is in it when it is compressed?

Pure ASGI, before anything reads: a declared size is refused at once, an undeclared one while it streams, a compressed
one while it is inflated.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from serving.errors import InvalidEncoding, Refusal, TooLarge, UnsupportedEncoding

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# zlib's names for the two formats: a gzip member, a zlib stream.
FORMATS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
PIECE = 1 << 20


class BodyLimit:
    """ASGI middleware: the application sees at most `max_bytes` of body, inflated."""

    def __init__(self, app: App, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            receive = self._limited(scope, receive)
        await self.app(scope, receive, send)

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        length = encoding = None
        for name, value in scope["headers"]:
            if name == b"content-length":
                length = value
            elif name == b"content-encoding":
                encoding = value.strip().lower()
        if length is not None:
            self._check_declared(length)
        if encoding not in (None, b"", b"identity"):
            if encoding not in FORMATS:
                raise UnsupportedEncoding("content-encoding: expected gzip, deflate or identity")
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"content-encoding"]
            return _Inflated(receive, encoding.decode(), FORMATS[encoding], self.max_bytes).receive
        # With a length, the HTTP parser lets no more than that through.
        return receive if length is not None else _Counted(receive, self.max_bytes).receive

    def _check_declared(self, length: bytes) -> None:
        if not length.isdigit():
            raise Refusal("content-length: expected a number of bytes")
        if len(length) > 18 or int(length) > self.max_bytes:
            raise TooLarge(f"the body has more than the {self.max_bytes} bytes accepted; send fewer rows")


class _Counted:
    """Streams a body of undeclared size until it grows too large."""

    def __init__(self, receive: Receive, max_bytes: int) -> None:
        self.source = receive
        self.max_bytes = max_bytes
        self.total = 0

    async def receive(self) -> Message:
        message = await self.source()
        self.count(len(message.get("body", b"")))
        return message

    def count(self, size: int) -> None:
        self.total += size
        if self.total > self.max_bytes:
            raise TooLarge(f"the body has more than the {self.max_bytes} bytes accepted; send fewer rows")


class _Inflated(_Counted):
    """Streams a compressed body's content in pieces, so that a bomb is noticed one piece after the limit."""

    def __init__(self, receive: Receive, encoding: str, wbits: int, max_bytes: int) -> None:
        super().__init__(receive, max_bytes)
        self.encoding = encoding
        self.inflater = zlib.decompressobj(wbits)
        self.waiting = b""
        self.more_coming = True

    async def receive(self) -> Message:
        while not self.waiting and self.more_coming:
            message = await self.source()
            if message["type"] != "http.request":
                return message
            self.waiting = message.get("body", b"")
            self.more_coming = message.get("more_body", False)
        piece = self._inflate()
        self.count(len(piece))
        # Inflating takes its time; others are let in between two pieces.
        await asyncio.sleep(0)
        more = bool(self.waiting) or self.more_coming
        if not more and not self.inflater.eof:
            raise InvalidEncoding(f"content-encoding: the {self.encoding} body ends in the middle")
        return {"type": "http.request", "body": piece, "more_body": more}

    def _inflate(self) -> bytes:
        try:
            piece = self.inflater.decompress(self.waiting, PIECE)
        except zlib.error:
            raise InvalidEncoding(
                f"content-encoding: the body is not {self.encoding}" + " (a zlib stream)" * (self.encoding == "deflate")
            ) from None
        self.waiting = self.inflater.unconsumed_tail
        if self.inflater.unused_data or (self.inflater.eof and self.waiting):
            raise InvalidEncoding(f"content-encoding: bytes follow the end of the {self.encoding} body")
        return piece
