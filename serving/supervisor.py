"""How do several processes serve one port, and what happens when one of them dies?

Each is a server of its own, started by exec: no fork of a process with threads, and no pickles between them. They share the
listening socket and memory for the figures, both by number. This process loads no model and answers nobody.
"""

import mmap
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from serving import VERSION
from serving.errors import CannotStart, ModelRefused
from serving.guard import refuse_unpickling
from serving.logs import event, log_to
from serving.metrics import WIDTH, Metrics
from serving.settings import Settings

BACKLOG = 2048
# A process that dies this soon after its start is started again later and later.
YOUNG_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
PATIENCE_S = 2.0
LOOK_S = 0.05


@dataclass(frozen=True)
class Inherited:
    """What a process was given by number: its listening socket, the memory for the figures, its part, and a pipe that
    ends when the supervisor does."""

    listener: int
    figures: int
    part: int
    lifeline: int

    @classmethod
    def read(cls, text: str) -> "Inherited":
        return cls(*map(int, text.split(",")))

    def __str__(self) -> str:
        return f"{self.listener},{self.figures},{self.part},{self.lifeline}"

    def socket(self) -> socket.socket:
        return socket.socket(fileno=self.listener)

    def metrics(self) -> Metrics:
        return Metrics(_doubles(self.figures), self.part)


def listen(host: str, port: int) -> socket.socket:
    """Raises CannotStart."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else str(error)
        raise CannotStart(f"{host}:{port}: cannot listen: {reason}; give another with --host or --port") from None


def url_of(listener: socket.socket, scheme: str = "http") -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _doubles(number: int) -> "memoryview[Any]":
    return memoryview(mmap.mmap(number, os.fstat(number).st_size)).cast("d")


@dataclass
class Worker:
    """One of the processes, over its successive lives."""

    part: int
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    due: float = 0.0
    pause_s: float = FIRST_PAUSE_S
    lives: int = 0


class Supervisor:
    """Keeps `settings.processes` servers alive until SIGTERM or SIGINT."""

    def __init__(self, settings: Settings, command: list[str]) -> None:
        self.settings = settings
        self.command = command
        self.stopping = False

    def run(self) -> None:
        """Raises CannotStart, or ModelRefused when the first processes will not have the model."""
        count = self.settings.processes
        self.listener = listen(self.settings.host, self.settings.port)
        figures = os.memfd_create("unjar-figures", os.MFD_CLOEXEC)
        # Part 0 is this process's own.
        os.truncate(figures, 8 * WIDTH * (count + 1))
        self.metrics = Metrics(_doubles(figures), 0)
        self.metrics.look_at_process()
        self.figures = figures
        self.ends, self.lifeline = os.pipe2(os.O_CLOEXEC)
        self.workers = [Worker(part + 1) for part in range(count)]
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        event(
            "listening",
            url=url_of(self.listener, "http" if self.settings.tls_cert is None else "https"),
            unjar=VERSION,
            processes=count,
        )
        try:
            self._supervise()
        finally:
            self._drain()

    def _stop(self, *_: object) -> None:
        self.stopping = True

    def _supervise(self) -> None:
        for worker in self.workers:
            self._start(worker)
        while not self.stopping:
            time.sleep(LOOK_S)
            self.metrics.look_at_process()
            for worker in self.workers:
                code = worker.process.poll() if worker.process is not None else None
                if code is not None and not self.stopping:
                    self._died(worker, code)
                if worker.process is None and time.monotonic() >= worker.due and not self.stopping:
                    self._start(worker)

    def _start(self, worker: Worker) -> None:
        given = Inherited(self.listener.fileno(), self.figures, worker.part, self.ends)
        handed = (given.listener, given.figures, given.lifeline)
        worker.process = subprocess.Popen([*self.command, "--inherit", str(given)], pass_fds=handed)
        worker.started = time.monotonic()
        worker.lives += 1
        event("process_started", process=worker.part, pid=worker.process.pid)

    def _died(self, worker: Worker, code: int) -> None:
        if worker.lives == 1 and code in (1, 2) and not self.metrics.is_ready(worker.part):
            # It has said why; the others would say the same.
            raise (ModelRefused if code == 1 else CannotStart)(f"process {worker.part} could not start, the log has the reason")
        young = time.monotonic() - worker.started < YOUNG_S
        worker.pause_s = min(worker.pause_s * 2, LONGEST_PAUSE_S) if young and worker.lives > 1 else FIRST_PAUSE_S
        worker.due = time.monotonic() + worker.pause_s
        worker.process = None
        self.metrics.restarted()
        how = {"signal": signal.Signals(-code).name} if code < 0 else {"exit_code": code}
        event("process_died", process=worker.part, again_in_s=worker.pause_s, **how)

    def _drain(self) -> None:
        """Every process finishes what it has begun."""
        alive = [worker.process for worker in self.workers if worker.process is not None]
        for process in alive:
            process.terminate()
        limit = time.monotonic() + self.settings.grace_s + PATIENCE_S
        for process in alive:
            try:
                process.wait(max(limit - time.monotonic(), 0.01))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        event("stopped", processes=len(alive))


def serve(settings: Settings, inherited: str | None = None) -> None:
    """Serves until SIGTERM or SIGINT. Raises CannotStart or ModelRefused.

    inherited: what the supervisor gave to this process, for it alone.
    """
    if settings.processes > 1 and inherited is None:
        log_to(sys.stderr)
        refuse_unpickling()
        return Supervisor(settings, [sys.executable, *sys.argv]).run()
    # What a server needs, its supervisor does not.
    from serving.process import run

    given = Inherited.read(inherited) if inherited is not None else None
    return run(settings, given)
