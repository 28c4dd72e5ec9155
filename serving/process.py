"""How does the server start, say so, and stop?

It listens first and answers `live`; it is ready once the verification rows held; SIGTERM lets what is in flight finish.
"""

import asyncio
import contextlib
import gc
import itertools
import logging
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING

import uvicorn

from serving import VERSION, guard, tls
from serving.addition import Addition
from serving.errors import CannotStart, ModelRefused
from serving.exchange import Desk
from serving.front import Front
from serving.heap import Heap
from serving.inference import Inference
from serving.limits import App
from serving.logs import event, log_to
from serving.metrics import Metrics
from serving.observers import Observer, log_access, traces
from serving.release import Opened, announce, warn_of_age
from serving.repository import Repository, open_first
from serving.settings import Settings
from serving.supervisor import Inherited, listen, url_of
from serving.tokens import Tokens

if TYPE_CHECKING:
    from serving.connection import Connection
    from serving.telemetry.recorder import Recorder

SUMMARY_S, DAY_S = 60, 86_400


def run(settings: Settings, given: Inherited | None = None, addition: Addition | None = None) -> None:
    """Serves until SIGTERM or SIGINT. Raises CannotStart or ModelRefused."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal again once it has stopped; then, as before it has started, this is the whole answer.
        signal.signal(number, lambda *_: sys.exit(0))
    log_to(sys.stderr)
    guard.refuse_unpickling()
    metrics = Metrics() if given is None else given.metrics()
    repository, opened = open_first(settings, metrics.active)
    announce(opened)
    name = settings.name or opened.name or settings.model.stem
    listener = listen(settings.host, settings.port) if given is None else given.socket()
    inference = Inference(name, metrics, settings.max_rows, settings.max_queue)
    inference.shared = given is not None
    life = _Life(inference, settings, opened, listener, repository)
    life.add(addition)
    life.lifeline = None if given is None else given.lifeline
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
            **tls.options(settings),
        )
    )
    life.stop = lambda: setattr(server, "should_exit", True)
    server.run(sockets=[listener])
    if life.failure is not None:
        raise life.failure


class _Life:
    """From listening to the last word in the log."""

    def __init__(self, inference: Inference, settings: Settings, opened: Opened, listener: socket.socket,
                 repository: Repository | None = None) -> None:  # fmt: skip
        self.inference = inference
        inference.watched = settings.state is not None
        self.settings = settings
        self.opened = opened
        self.url = url_of(listener, settings.scheme)
        self.desk = Desk(inference, settings.max_body_bytes, settings.max_held_bytes)
        self.desk.tokens = Tokens(settings.tokens) if settings.tokens is not None else None
        self.desk.observers = tuple(_observers(settings))
        self.front = Front(self.desk, self._cold, self.span)
        self.repository = repository
        self.connection = self._connection()
        self.failure: ModelRefused | None = None
        self.stop: Callable[[], None] = lambda: None
        self.lifeline: int | None = None
        self.tasks: list[asyncio.Task[None]] = []
        self.recorder: Recorder | None = None
        self.addition: Addition | None = None

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

    def add(self, addition: Addition | None) -> None:
        """What another room serves."""
        self.addition = addition
        if addition is not None:
            self.front.shows = addition.shows

    def _cold(self) -> App:
        from serving.app import create_app

        return create_app(self.inference, self.settings, self.recorder, self.addition)

    @contextlib.asynccontextmanager
    async def span(self) -> AsyncIterator[None]:
        if self.lifeline is None:
            event("listening", url=self.url, unjar=VERSION, loop="uvloop", http="httptools")
        else:
            # Its other end is the supervisor's alone, so that it is readable only once the supervisor is gone.
            asyncio.get_running_loop().add_reader(self.lifeline, self.stop)
        tasks = self.tasks = [asyncio.create_task(self._start()), asyncio.create_task(self._keep_house())]
        if self.inference.shared:
            # Others may be ready already: who takes a connection from them must be able to answer it.
            await tasks[0]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if self.front.promotion is not None:
                self.front.promotion.close()
            if self.recorder is not None:
                await asyncio.get_running_loop().run_in_executor(None, self.recorder.stop)
            event("stopped")

    async def _start(self) -> None:
        origin = self.opened.origin
        loop = asyncio.get_running_loop()
        try:
            model = await loop.run_in_executor(self.inference.worker, self.inference.load, self.opened)
            active = self.inference.metrics.active
            if self.repository is not None and active and active != self.opened.number:
                # Another release came to answer while this process started.
                self.opened = self.repository.open(active)
                model = await loop.run_in_executor(self.inference.worker, self.inference.load, self.opened)
        except ModelRefused as refused:
            self.failure = refused
        except Exception as error:
            self.failure = ModelRefused(f"{origin}: cannot be loaded: {type(error).__name__}; convert the model again")
            event("load_failed", error=error)
        else:
            await self._open_short_way()
            self._open_repository()
            self._open_recorder()
            self._seal()
            rows, docs, name = model.verification.size, f"{self.url}/docs", self.inference.name
            event("ready", model=name, version=model.version, digest=model.digest, verified_rows=rows, docs=docs)
            return
        self.inference.reason = str(self.failure)
        self.stop()

    def _open_repository(self) -> None:
        from serving.promotion import Promotion

        self.front.promotion = Promotion(self.inference, self.repository)
        if self.inference.shared and self.repository is not None:
            self.tasks.append(asyncio.create_task(self.front.promotion.follow()))

    def _open_recorder(self) -> None:
        if self.settings.state is None:
            return
        # SQLite and what signs are for who keeps counts.
        from serving.telemetry.recorder import Recorder

        self.recorder = Recorder(self.settings, lambda: self.inference.ledgers)
        self.desk.capture = self.recorder.capture
        self.front.learn = self.recorder.learn
        self.recorder.start()

    def _seal(self) -> None:
        """All that is needed is loaded, but FastAPI, which waits for who asks for it."""
        gc.collect()
        gc.freeze()
        guard.seal()

    async def _open_short_way(self) -> None:
        if self.connection is None or self.inference.served is None or self.settings.front == "asgi":
            return
        from serving.self_check import difference

        reason = await difference(self.inference.name, self.inference.served)
        if reason is None:
            self.connection.url_of_model = f"/v2/models/{self.inference.name}/infer".encode()
        else:
            event("front_is_asgi", level=logging.WARNING, reason=reason)

    def _give_back(self) -> None:
        served = self.inference.served
        if served is not None:
            # Whatever onnxruntime has against it, the house is kept on.
            with contextlib.suppress(Exception):
                served.model.give_back()

    async def _keep_house(self) -> None:
        """Refusals are logged as counts: a client cannot fill the disk."""
        logged: Counter[str] = Counter()
        heap = Heap(self._give_back)
        try:
            for second in itertools.count(1):
                await asyncio.sleep(1)
                self.inference.metrics.look_at_process()
                heap.settle(self.inference.metrics.cpu_s)
                self._read_tokens()
                if second % DAY_S == 0 and self.inference.served is not None:
                    warn_of_age(self.inference.served.opened)
                if second % SUMMARY_S == 0:
                    logged = self._log_since(logged)
        finally:
            self._log_since(logged)

    def _read_tokens(self) -> None:
        try:
            if self.desk.tokens is not None and self.desk.tokens.read_again():
                event("tokens_read", file=self.desk.tokens.path)
        except CannotStart as problem:
            event("tokens_kept", level=logging.ERROR, reason=str(problem))

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
