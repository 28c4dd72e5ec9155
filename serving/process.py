"""How does the server start, say so, and stop?

It listens first and answers `live`; it is ready once the verification rows held; SIGTERM lets what is in flight finish.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from serving.app import VERSION, create_app
from serving.errors import CannotStart, ModelRefused
from serving.guard import refuse_unpickling
from serving.inference import Inference
from serving.logs import event, log_to
from serving.metrics import Metrics
from serving.settings import Settings

SUMMARY_S = 60
BACKLOG = 2048


def run(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. Raises CannotStart or ModelRefused."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal again once it has stopped; then, as before it has started, this is the whole answer.
        signal.signal(number, lambda *_: sys.exit(0))
    log_to(sys.stderr)
    refuse_unpickling()
    content = _read(settings.model)
    listener = _listen(settings.host, settings.port)
    life = _Life(Inference(settings.name, settings.max_rows, Metrics()), settings, content, _url(listener))
    app = create_app(life.inference, settings.max_body_bytes, life.span)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
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

    def __init__(self, inference: Inference, settings: Settings, content: bytes, url: str) -> None:
        self.inference = inference
        self.settings = settings
        self.content = content
        self.url = url
        self.failure: ModelRefused | None = None
        self.stop: Callable[[], None] = lambda: None

    @contextlib.asynccontextmanager
    async def span(self, app: FastAPI) -> AsyncIterator[None]:
        event("listening", url=self.url, unjar=VERSION, loop="uvloop", http="httptools")
        tasks = [asyncio.create_task(self._load()), asyncio.create_task(self._count_refusals())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            event("stopped")

    async def _load(self) -> None:
        origin = str(self.settings.model)
        try:
            model = await self.inference.load_aside(self.content, origin)
        except ModelRefused as refused:
            self.failure = refused
        except Exception as error:
            self.failure = ModelRefused(f"{origin}: cannot be loaded: {type(error).__name__}; convert the model again")
            event("load_failed", error=error)
        else:
            rows = model.verification.size
            docs = f"{self.url}/docs"
            name = self.inference.name
            event("ready", model=name, version=model.version, digest=model.digest, verified_rows=rows, docs=docs)
            return
        self.inference.reason = str(self.failure)
        self.stop()

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


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CannotStart(f"{path}: cannot be read: {error.strerror}; convert.py writes it, --model names it") from None


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else str(error)
        raise CannotStart(f"{host}:{port}: cannot listen: {reason}; give another with --host or --port") from None


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
