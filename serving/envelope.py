"""What goes around every answer: its request id, its error shape, its line in the metrics.

Pure ASGI and outermost, so that nothing inside can leave without it.
"""

import logging
import time

from starlette.requests import ClientDisconnect

from serving.errors import Internal, Refusal
from serving.exchange import CLIENT_LEFT, read_head, refused, request_id
from serving.front import send_reply
from serving.inference import SAFE
from serving.limits import App, Message, Receive, Scope, Send
from serving.logs import event
from serving.metrics import Metrics

PAIRS = [tuple(line.split(b": ", 1)) for line in SAFE.split(b"\r\n")[:-1]]


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
        frame = _Frame(send, request_id(read_head(scope["headers"])))
        scope.setdefault("state", {})["request_id"] = frame.request_id
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
            message["headers"] = [*message.get("headers", ()), *PAIRS, (b"x-request-id", self.request_id.encode())]
        await self.out(message)

    async def refuse(self, refusal: Refusal) -> None:
        self.status = refusal.status
        await send_reply(refused(refusal, self.request_id), self.out)
