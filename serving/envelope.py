"""What goes around every answer: its request id, its error shape, its line in the metrics.

Pure ASGI and outermost, so that nothing inside can leave without it.
"""

import logging
import re
import time
import uuid
from typing import Any

import orjson
from starlette.requests import ClientDisconnect

from serving.errors import Internal, Refusal, body_of
from serving.limits import App, Message, Receive, Scope, Send
from serving.logs import event
from serving.metrics import Metrics

REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
CLIENT_LEFT = 499


class Envelope:
    """ASGI middleware: the client's request id or a new one, refusals as JSON, HEAD as GET, counts."""

    def __init__(self, app: App, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started = time.perf_counter()
        if scope["method"] == "HEAD":
            # A copy: the server below looks at its own scope to leave the body out.
            scope = {**scope, "method": "GET"}
        frame = _Frame(send, _request_id(scope))
        try:
            await self._answer(scope, receive, frame)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            self.metrics.request(route, frame.status or CLIENT_LEFT, time.perf_counter() - started)
        return None

    async def _answer(self, scope: Scope, receive: Receive, frame: "_Frame") -> None:
        try:
            await self.app(scope, receive, frame.send)
        except ClientDisconnect:
            return
        except Exception as error:
            refusal = error if isinstance(error, Refusal) else Internal("the server failed; its log has this request id")
            if refusal.status == 500:
                cause = error.__cause__ or error
                event("request_failed", level=logging.ERROR, error=cause, code=refusal.code, request_id=frame.request_id)
            if frame.status:
                # Half an answer cannot be taken back; the server below closes the connection.
                raise
            self.metrics.refused(refusal.code)
            await frame.refuse(refusal)


class _Frame:
    """One answer on its way out."""

    def __init__(self, send: Send, request_id: str) -> None:
        self.out = send
        self.request_id = request_id
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.request_id.encode())]
        await self.out(message)

    async def refuse(self, refusal: Refusal) -> None:
        body = orjson.dumps(body_of(refusal, self.request_id))
        headers = {"content-type": "application/json", "content-length": str(len(body))} | refusal.headers
        pairs: list[Any] = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": refusal.status, "headers": pairs})
        await self.send({"type": "http.response.body", "body": body})


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return uuid.uuid4().hex
