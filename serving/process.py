"""How does the server start, say so, and stop?

It listens first and answers `live`; it is ready once the verification rows held; SIGTERM lets what is in flight finish.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from serving.errors import CannotStart, ModelRefused
from serving.exchange import Desk
from serving.front import VERSION, Front
from serving.guard import refuse_unpickling
from serving.inference import Inference
from serving.limits import App
from serving.logs import event, log_to
from serving.metrics import Metrics
from serving.observers import Observer, log_access, traces
from serving.settings import Settings

if TYPE_CHECKING:
    from serving.connection import Connection

SUMMARY_S = 60
BACKLOG = 2048


def run(settings: Settings, listener: socket.socket | None = None, metrics: Metrics | None = None) -> None:
    """Serves until SIGTERM or SIGINT. Raises CannotStart or ModelRefused."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal again once it has stopped; then, as before it has started, this is the whole answer.
        signal.signal(number, lambda *_: sys.exit(0))
    log_to(sys.stderr)
    refuse_unpickling()
    content = _read(settings.model)
    listener = listener or listen(settings.host, settings.port)
    life = _Life(
        Inference(settings.name, metrics or Metrics(), settings.max_rows, settings.max_queue), settings, content, listener
    )
    server = uvicorn.Server(
        uvicorn.Config(
            life.front,
            loop="uvloop",
            http=life.connection or "httptools",
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=settings.keep_alive_s,
            timeout_graceful_shutdown=settings.grace_s,
        )
    )
    life.stop = lambda: setattr(server, "should_exit", True)
    server.run(sockets=[listener])
    if life.failure is not None:
        raise life.failure


class _Life:
    """From listening to the last word in the log."""

    def __init__(self, inference: Inference, settings: Settings, content: bytes, listener: socket.socket) -> None:
        self.inference = inference
        self.settings = settings
        self.content = content
        self.url = url_of(listener)
        self.desk = Desk(inference, settings.max_body_bytes, settings.max_held_bytes)
        self.desk.observers = tuple(_observers(settings))
        self.front = Front(self.desk, self._cold, self.span)
        self.connection = self._connection() if settings.front == "fast" else None
        self.failure: ModelRefused | None = None
        self.stop: Callable[[], None] = lambda: None

    def _connection(self) -> "type[Connection] | None":
        # A class of another uvicorn's may be missing what it stands on.
        try:
            from serving.connection import Connection
        except (ImportError, AttributeError, TypeError) as error:
            event("front_is_asgi", level=logging.WARNING, error=error)
            return None
        settings = self.settings
        return type("Connection", (Connection,), {
            "desk": self.desk,
            "request_timeout_s": settings.request_timeout_s,
            "max_connections": settings.max_connections,
        })  # fmt: skip

    def _cold(self) -> App:
        from serving.app import create_app

        return create_app(self.inference, self.settings.max_body_bytes)

    @contextlib.asynccontextmanager
    async def span(self) -> AsyncIterator[None]:
        event("listening", url=self.url, unjar=VERSION, loop="uvloop", http="httptools")
        tasks = [asyncio.create_task(self._start()), asyncio.create_task(self._count_refusals())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            event("stopped")

    async def _start(self) -> None:
        origin = str(self.settings.model)
        loop = asyncio.get_running_loop()
        try:
            model = await loop.run_in_executor(self.inference.worker, self.inference.load, self.content, origin)
        except ModelRefused as refused:
            self.failure = refused
        except Exception as error:
            self.failure = ModelRefused(f"{origin}: cannot be loaded: {type(error).__name__}; convert the model again")
            event("load_failed", error=error)
        else:
            await self._open_short_way()
            rows, docs, name = model.verification.size, f"{self.url}/docs", self.inference.name
            event("ready", model=name, version=model.version, digest=model.digest, verified_rows=rows, docs=docs)
            return
        self.inference.reason = str(self.failure)
        self.stop()

    async def _open_short_way(self) -> None:
        if self.connection is None or self.inference.served is None:
            return
        from serving.self_check import difference

        reason = await difference(self.inference.name, self.inference.served)
        if reason is None:
            self.connection.url_of_model = f"/v2/models/{self.inference.name}/infer".encode()
        else:
            event("front_is_asgi", level=logging.WARNING, reason=reason)

    async def _count_refusals(self) -> None:
        """Refusals are logged as counts: a client cannot fill the disk."""
        logged: Counter[str] = Counter()
        try:
            while True:
                await asyncio.sleep(SUMMARY_S)
                logged = self._log_since(logged)
        finally:
            self._log_since(logged)

    def _log_since(self, logged: Counter[str]) -> Counter[str]:
        now = Counter(self.inference.metrics.refusals)
        if now != logged:
            event("refused", counts=dict(now - logged))
        return now


def _observers(settings: Settings) -> Iterator[Observer]:
    if settings.access_log == "on":
        yield log_access
    if settings.traces == "on":
        yield traces()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CannotStart(f"{path}: cannot be read: {error.strerror}; convert.py writes it, --model names it") from None


def listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else str(error)
        raise CannotStart(f"{host}:{port}: cannot listen: {reason}; give another with --host or --port") from None


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
