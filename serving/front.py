"""Who answers which address? The server's outermost ASGI application.

What is asked again and again, the model, health and figures, is answered here before there is any framework; everything else
goes to FastAPI, which is imported for the first who asks. This form works in every ASGI server; serving/connection.py does
the same for plain questions to the model without ASGI.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import orjson

from serving import guard
from serving.errors import Conflict, Forbidden, Internal, InvalidJson, MethodNotAllowed, NotReady, Refusal
from serving.exchange import Bare, Desk, Exchange, Reply, read_head, refused, request_id
from serving.inference import SAFE
from serving.limits import App, Receive, Scope, Send, too_large
from serving.logs import event
from serving.telemetry.feedback import read as read_feedback

if TYPE_CHECKING:
    from serving.promotion import Promotion

MODEL = "/v2/models/{name}"
VERSIONED = MODEL + "/versions/{version}"
INFER, VERSION_INFER = MODEL + "/infer", VERSIONED + "/infer"
LIVE, READY, METRICS, ALL_STATS = "/v2/health/live", "/v2/health/ready", "/metrics", "/v2/models/stats"
FIXED = (LIVE, READY, METRICS, ALL_STATS)
FEEDBACK, STATUS = "/v1/feedback", "/status"
REPOSITORY = "/v2/repository"
INDEX, LOAD, UNLOAD = f"{REPOSITORY}/index", REPOSITORY + "/models/{name}/load", REPOSITORY + "/models/{name}/unload"
OF_REPOSITORY = re.compile(REPOSITORY + r"/(?:index|models/([^/]+)/(load|unload))")
MAX_ORDER_BYTES = 1 << 16
NOTHING_KEPT = "this server keeps no counts; UNJAR_STATE names the folder for them"
PROMETHEUS = b"text/plain; version=0.0.4; charset=utf-8"
OF_MODEL = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/(infer|ready|stats)")


class Front:
    """ASGI application; `make_cold` makes the one that answers all other addresses, `span` runs while the server does."""

    def __init__(
        self, desk: Desk, make_cold: Callable[[], App], span: Callable[[], AbstractAsyncContextManager[None]] | None = None
    ) -> None:
        self.desk = desk
        self.promotion: Promotion | None = None
        # Who notes feedback, where anybody does.
        self.learn: Callable[[str, list[tuple[str, int]]], None] | None = None
        # Which addresses anybody may see.
        self.shows: Callable[[str], bool] = lambda path: False
        self._make_cold = make_cold
        self._span = span
        self._cold: App | None = None
        self._thawing = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        path = scope["path"]
        if path == FEEDBACK:
            return await send_reply(await self._feedback(scope, receive), send)
        if path in FIXED:
            return await send_reply(self._plain(path, "", None, scope), send)
        match = OF_MODEL.fullmatch(path)
        if match is None and (order := OF_REPOSITORY.fullmatch(path)) is not None:
            return await send_reply(await self._repository(order, scope, receive), send)
        if match is None:
            return await self._pass_on(scope, receive, send)
        name, version, what = match.groups()
        route = f"{MODEL if version is None else VERSIONED}/{what}"
        if what != "infer":
            return await send_reply(self._plain(route, name, version, scope), send)
        return await self._infer(route, name, version, scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """To FastAPI, for those who may."""
        started, head = time.perf_counter(), read_head(scope["headers"])
        try:
            if not self.shows(scope["path"]):
                self.desk.admit(head, "admin" if scope["path"] == STATUS else "infer")
        except Refusal as refusal:
            self.desk.metrics.refused(refusal.code)
            self.desk.metrics.request("other", refusal.status, time.perf_counter() - started)
            return await send_reply(refused(refusal, request_id(head)), send)
        try:
            cold = self._cold or await self.thaw()
        except Exception as error:
            event("request_failed", level=logging.ERROR, error=error)
            reply = refused(Internal("the server failed; its log has the time"), request_id(head))
            self.desk.metrics.request("other", reply.status, time.perf_counter() - started)
            return await send_reply(reply, send)
        return await cold(scope, receive, send)

    async def thaw(self) -> App:
        """The cold application; its half second of imports leaves the loop to others."""
        async with self._thawing:
            if self._cold is None:
                self._cold = await asyncio.get_running_loop().run_in_executor(None, self._load)
        return self._cold

    def _load(self) -> App:
        with guard.loading():
            return self._make_cold()

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

    async def _infer(self, route: str, name: str, version: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        replied: asyncio.Future[Bare] = asyncio.get_running_loop().create_future()
        exchange = _Awaited(replied, self.desk, route, name, version, read_head(scope["headers"]))
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
        except asyncio.CancelledError:
            # The grace time of a stop is over.
            exchange.refuse(NotReady("the server stops, and the request has not arrived; send it to another"))
        finally:
            exchange.abandon()
        if replied.done():
            await send_reply(replied.result(), send)
        return None

    async def _repository(self, order: "re.Match[str]", scope: Scope, receive: Receive) -> Reply:
        """What changes who answers: for administrators; where there are no tokens, for who is on this very host."""
        started = time.perf_counter()
        head = read_head(scope["headers"])
        identity = request_id(head)
        name, verb = order.groups()
        route = INDEX if verb is None else LOAD if verb == "load" else UNLOAD
        try:
            self.desk.admit(head, "admin")
            if self.desk.tokens is None and (scope.get("client") or ("",))[0] not in ("127.0.0.1", "::1"):
                raise Forbidden(
                    "without tokens, only who is on the server's own host may do this; UNJAR_TOKENS names a file of them"
                )
            if scope["method"] != "POST":
                raise MethodNotAllowed(f"{scope['method']} is not allowed here; allowed: POST", {"allow": "POST"})
            if self.promotion is None:
                raise NotReady("the server starts; ask again")
            said = await self._ordered(self.promotion, name, verb, await _body(receive))
        except Refusal as refusal:
            self.desk.metrics.refused(refusal.code)
            reply = refused(refusal, identity)
        else:
            reply = _json_reply(said, identity)
        self.desk.metrics.request(route, reply.status, time.perf_counter() - started)
        return reply

    async def _feedback(self, scope: Scope, receive: Receive) -> Reply:
        """What became of an answer."""
        started, head = time.perf_counter(), read_head(scope["headers"])
        identity = request_id(head)
        try:
            self.desk.admit(head, "infer")
            if scope["method"] != "POST":
                raise MethodNotAllowed(f"{scope['method']} is not allowed here; allowed: POST", {"allow": "POST"})
            try:
                said = orjson.loads(await _body(receive))
            except orjson.JSONDecodeError as error:
                raise InvalidJson(f"the request is not JSON: {error.msg} at byte {error.pos}") from None
            answer, bins = read_feedback(said)
            if self.learn is None:
                raise Conflict(NOTHING_KEPT)
            self.learn(answer, bins)
        except Refusal as refusal:
            self.desk.metrics.refused(refusal.code)
            reply = refused(refusal, identity)
        else:
            noted = {"request_id": answer, "noted": [kind for kind, _ in bins]}
            reply = _json_reply(noted, identity)._replace(status=202)
        self.desk.metrics.request(FEEDBACK, reply.status, time.perf_counter() - started)
        return reply

    async def _ordered(self, promotion: "Promotion", name: str | None, verb: str | None, body: bytes) -> object:
        try:
            said = orjson.loads(body or b"{}")
        except orjson.JSONDecodeError as error:
            raise InvalidJson(f"the request is not JSON: {error.msg}") from None
        parameters = said.get("parameters", {}) if type(said) is dict else None
        if type(parameters) is not dict:
            raise Refusal("the request: expected a JSON object, its 'parameters' an object too")
        if name is None:
            return promotion.index()
        if verb == "unload":
            raise Conflict("the release that answers cannot be unloaded; another one takes its place when it is loaded")
        return await promotion.load(name, parameters)

    def _plain(self, route: str, name: str, version: str | None, scope: Scope) -> Reply:
        """What is asked for with GET and known at once."""
        started = time.perf_counter()
        head = read_head(scope["headers"])
        identity = request_id(head)
        try:
            if route in (METRICS, ALL_STATS) or route.endswith("/stats"):
                self.desk.admit(head, "admin")
            elif route not in (LIVE, READY):
                self.desk.admit(head, "infer")
            if scope["method"] not in ("GET", "HEAD"):
                raise MethodNotAllowed(f"{scope['method']} is not allowed here; allowed: GET", {"allow": "GET"})
            kind, body = self._said(route, name, version)
        except Refusal as refusal:
            self.desk.metrics.refused(refusal.code)
            reply = refused(refusal, identity)
        else:
            reply = _reply(kind, body, identity)
        self.desk.metrics.request(route, reply.status, time.perf_counter() - started)
        return reply

    def _said(self, route: str, name: str, version: str | None) -> tuple[bytes, bytes]:
        """Content type and body. Raises Refusal."""
        inference = self.desk.inference
        if route == METRICS:
            return PROMETHEUS, inference.metrics.text()
        if route == LIVE:
            said: dict[str, object] = {"live": True}
        elif route == READY:
            if inference.served is None:
                raise NotReady(f"not ready: {inference.reason}")
            said = {"ready": True}
        elif route.endswith("/ready"):
            inference.find(name, version)
            said = {"name": name, "ready": True}
        else:
            inference.find(name or inference.name, version)
            said = inference.metrics.statistics()
        return b"application/json", orjson.dumps(said)


def _reply(kind: bytes, body: bytes, identity: str) -> Reply:
    lines = b"content-type: %b\r\ncontent-length: %d\r\n%bx-request-id: %b\r\n"
    return Reply(200, lines % (kind, len(body), SAFE, identity.encode()), body)


def _json_reply(said: object, identity: str) -> Reply:
    return _reply(b"application/json", orjson.dumps(said), identity)


async def _body(receive: Receive) -> bytes:
    """Raises TooLarge."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_ORDER_BYTES:
            raise too_large(MAX_ORDER_BYTES)
    return body


class _Awaited(Exchange):
    def __init__(self, replied: "asyncio.Future[Bare]", *opening: Any) -> None:
        self.replied = replied
        super().__init__(*opening)

    def on_reply(self, reply: Bare) -> None:
        self.replied.set_result(reply)


async def _first(replied: "asyncio.Future[Bare]", receive: Receive) -> None:
    """Until there is a reply or the asker has left."""
    if replied.done():
        return
    left = asyncio.ensure_future(receive())
    try:
        await asyncio.wait((replied, left), return_when=asyncio.FIRST_COMPLETED)
    finally:
        left.cancel()


async def send_reply(reply: Bare, send: Send) -> None:
    status, lines, body = reply
    pairs: list[Any] = [tuple(line.split(b": ", 1)) for line in lines.split(b"\r\n")[:-1]]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
