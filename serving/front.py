"""Who answers which address? The server's outermost ASGI application.

Questions to the model and the two health checks are answered here, before there is any framework; everything else goes to
FastAPI, which is imported after the port answers. This form works in every ASGI server; serving/connection.py does the same
for plain questions without ASGI.
"""

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson

from serving.errors import MethodNotAllowed, NotReady, Refusal
from serving.exchange import Desk, Exchange, Reply, read_head, refused, request_id
from serving.inference import SAFE
from serving.limits import App, Receive, Scope, Send

VERSION = "0.1.0"
MODEL = "/v2/models/{name}"
VERSIONED = MODEL + "/versions/{version}"
INFER, VERSION_INFER = MODEL + "/infer", VERSIONED + "/infer"
LIVE, READY = "/v2/health/live", "/v2/health/ready"
INFER_PATH = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")


class Front:
    """ASGI application; `make_cold` makes the one that answers all other addresses, `span` runs while the server does."""

    def __init__(
        self, desk: Desk, make_cold: Callable[[], App], span: Callable[[], AbstractAsyncContextManager[None]] | None = None
    ) -> None:
        self.desk = desk
        self._make_cold = make_cold
        self._span = span
        self._cold: App | None = None
        self._thawing = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        path = scope["path"]
        match = INFER_PATH.fullmatch(path)
        if match is not None:
            return await self._infer(match[1], match[2], scope, receive, send)
        if path in (LIVE, READY):
            return await send_reply(self._health(path, scope), send)
        cold = self._cold or await self.thaw()
        return await cold(scope, receive, send)

    async def thaw(self) -> App:
        """The cold application; its half second of imports leaves the loop to others."""
        async with self._thawing:
            if self._cold is None:
                self._cold = await asyncio.get_running_loop().run_in_executor(self.desk.inference.worker, self._make_cold)
        return self._cold

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        if self._span is None:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        else:
            async with self._span():
                await send({"type": "lifespan.startup.complete"})
                await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _infer(self, name: str, version: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        replied: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        route = INFER if version is None else VERSION_INFER
        exchange = Exchange(self.desk, route, name, version, read_head(scope["headers"]), replied.set_result)
        if scope["method"] != "POST":
            exchange.refuse(MethodNotAllowed(f"{scope['method']} is not allowed here; allowed: POST", {"allow": "POST"}))
        try:
            more = not exchange.done
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return exchange.abandon()
                exchange.feed(message.get("body", b""))
                more = message.get("more_body", False) and not exchange.done
            exchange.complete()
            await _first(replied, receive)
        finally:
            exchange.abandon()
        if replied.done():
            await send_reply(replied.result(), send)
        return None

    def _health(self, path: str, scope: Scope) -> Reply:
        started = time.perf_counter()
        identity = request_id(read_head(scope["headers"]))
        inference = self.desk.inference
        try:
            if scope["method"] not in ("GET", "HEAD"):
                raise MethodNotAllowed(f"{scope['method']} is not allowed here; allowed: GET, HEAD", {"allow": "GET, HEAD"})
            if path == READY and inference.served is None:
                raise NotReady(f"not ready: {inference.reason}")
        except Refusal as refusal:
            self.desk.metrics.refused(refusal.code)
            reply = refused(refusal, identity)
        else:
            body = orjson.dumps({path.rpartition("/")[2]: True})
            lines = b"content-type: application/json\r\ncontent-length: %d\r\n%bx-request-id: %b\r\n"
            reply = Reply(200, lines % (len(body), SAFE, identity.encode()), body)
        self.desk.metrics.request(path, reply.status, time.perf_counter() - started)
        return reply


async def _first(replied: "asyncio.Future[Reply]", receive: Receive) -> None:
    """Until there is a reply or the asker has left."""
    if replied.done():
        return
    left = asyncio.ensure_future(receive())
    try:
        await asyncio.wait((replied, left), return_when=asyncio.FIRST_COMPLETED)
    finally:
        left.cancel()


async def send_reply(reply: Reply, send: Send) -> None:
    pairs: list[Any] = [tuple(line.split(b": ", 1)) for line in reply.lines.split(b"\r\n")[:-1]]
    await send({"type": "http.response.start", "status": reply.status, "headers": pairs})
    await send({"type": "http.response.body", "body": reply.body})
