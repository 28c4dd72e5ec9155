"""Is the body small enough, and what is in it when it is compressed?"""

import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from serving.errors import InvalidEncoding, TooLarge

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# zlib's names for the two formats: a gzip member, a zlib stream; 0 is the body as it is.
FORMATS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15, b"identity": 0, b"": 0}


def too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"the body has more than the {max_bytes} bytes accepted; send fewer rows")


def inflate(body: bytes, encoding: bytes, max_bytes: int) -> bytes:
    """The body's content; of a bomb no more is inflated than the limit. Raises TooLarge or InvalidEncoding."""
    wbits, name = FORMATS[encoding], encoding.decode()
    if wbits == 0:
        return body
    inflater = zlib.decompressobj(wbits)
    try:
        content = inflater.decompress(body, max_bytes + 1)
    except zlib.error:
        kind = " (a zlib stream)" * (name == "deflate")
        raise InvalidEncoding(f"content-encoding: the body is not {name}{kind}") from None
    if len(content) > max_bytes:
        raise too_large(max_bytes)
    if not inflater.eof:
        raise InvalidEncoding(f"content-encoding: the {name} body ends in the middle")
    if inflater.unused_data:
        raise InvalidEncoding(f"content-encoding: bytes follow the end of the {name} body")
    return content


class BodyLimit:
    """ASGI middleware: the application sees at most `max_bytes` of body."""

    def __init__(self, app: App, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        total = 0

        async def limited() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > self.max_bytes:
                raise too_large(self.max_bytes)
            return message

        await self.app(scope, limited if scope["type"] == "http" else receive, send)
