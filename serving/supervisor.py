"""How do several processes serve one port, and what happens when one of them dies?

Each is a server of its own, started by exec: no fork of a process with threads, and no pickles between them. They share the
listening socket and memory for the figures, both by number. This process loads no model and answers nobody.
"""

import contextlib
import mmap
import os
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serving import VERSION
from serving.errors import CannotStart, ModelRefused
from serving.guard import refuse_unpickling
from serving.logs import event, log_to
from serving.metrics import LAYOUT, WIDTH, Metrics
from serving.settings import Settings

if TYPE_CHECKING:
    from serving.addition import Addition

BACKLOG = 2048
# A process that dies this soon after its start is started again later and later.
YOUNG_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
PATIENCE_S = 1.0
LOOK_S, LOOK_WHILE_STARTING_S = 1.0, 0.05
PART_BYTES = 8 * WIDTH
# After the figures of all there is room for a process's last words, its length before it.
WORDS_BYTES = 4096


@dataclass(frozen=True)
class Inherited:
    """What a process was given by number: its listening socket, memory for figures and last words, its part of these, a
    pipe that ends when the supervisor does, and how the supervisor's release lays figures out."""

    listener: int
    memory: int
    part: int
    lifeline: int
    layout: int = LAYOUT

    @classmethod
    def read(cls, text: str) -> "Inherited":
        """Raises CannotStart."""
        given = cls(*map(int, text.split(",")))
        if given.layout != LAYOUT:
            raise CannotStart("the server's files are of another release than its supervisor; start it again as a whole")
        return given

    def __str__(self) -> str:
        return f"{self.listener},{self.memory},{self.part},{self.lifeline},{self.layout}"

    def socket(self) -> socket.socket:
        return socket.socket(fileno=self.listener)

    def metrics(self) -> Metrics:
        return Metrics(Memory(self.memory).figures, self.part)


class Memory:
    """What supervisor and servers share, by file descriptor; in no file system, so that a read-only root does not matter."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        whole = memoryview(mmap.mmap(descriptor, os.fstat(descriptor).st_size))
        parts = len(whole) // (PART_BYTES + WORDS_BYTES)
        self.figures: memoryview[Any] = whole[: parts * PART_BYTES].cast("d")
        self._words = whole[parts * PART_BYTES :]

    @classmethod
    def make(cls, parts: int) -> "Memory":
        descriptor = os.memfd_create("unjar", os.MFD_CLOEXEC)
        os.truncate(descriptor, parts * (PART_BYTES + WORDS_BYTES))
        return cls(descriptor)

    def say(self, part: int, words: str) -> None:
        said = words.encode()[: WORDS_BYTES - 1]
        self._words[part * WORDS_BYTES : part * WORDS_BYTES + len(said) + 1] = said + b"\0"

    def said(self, part: int) -> str:
        return bytes(self._words[part * WORDS_BYTES : (part + 1) * WORDS_BYTES]).partition(b"\0")[0].decode(errors="replace")


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


@dataclass
class Worker:
    """One of the processes, over its successive lives."""

    part: int
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    due: float = 0.0
    pause_s: float = 0.0
    lives: int = 0

    def wait_longer(self) -> None:
        young = time.monotonic() - self.started < YOUNG_S
        self.pause_s = min(self.pause_s * 2 if young and self.pause_s else FIRST_PAUSE_S, LONGEST_PAUSE_S)
        self.due = time.monotonic() + self.pause_s
        self.process = None


class Supervisor:
    """Keeps `settings.processes` servers alive until SIGTERM or SIGINT."""

    def __init__(self, settings: Settings, command: list[str]) -> None:
        self.settings = settings
        self.command = command
        self.stopping = False
        self.all_ready = False

    def run(self) -> None:
        """Raises CannotStart, or ModelRefused when the first processes will not have the model."""
        count = self.settings.processes
        self.listener = listen(self.settings.host, self.settings.port)
        # Part 0 is this process's own.
        self.memory = Memory.make(count + 1)
        self.metrics = Metrics(self.memory.figures, 0)
        self.ends, self.lifeline = os.pipe2(os.O_CLOEXEC)
        self.workers = [Worker(part + 1) for part in range(count)]
        self._hear_signals()
        event("listening", url=url_of(self.listener, self.settings.scheme), unjar=VERSION, processes=count)
        try:
            self._supervise()
        finally:
            self._drain()

    def _hear_signals(self) -> None:
        """A signal ends the pause in `_supervise`: no death goes unnoticed for long, and there is nothing to do meanwhile."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.woken, waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)

    def _stop(self, *_: object) -> None:
        self.stopping = True

    def _supervise(self) -> None:
        while not self.stopping:
            for worker in self.workers:
                code = worker.process.poll() if worker.process is not None else None
                if code is not None and not self.stopping:
                    self._died(worker, code)
                if worker.process is None and time.monotonic() >= worker.due and not self.stopping:
                    self._start(worker)
            self.metrics.look_at_process()
            _reap_others({worker.process.pid for worker in self.workers if worker.process is not None})
            self._say_when_all_are_ready()
            self._pause()

    def _pause(self) -> None:
        now = time.monotonic()
        waits = [worker.due - now for worker in self.workers if worker.process is None]
        longest = LOOK_S if self.all_ready else LOOK_WHILE_STARTING_S
        select.select([self.woken], [], [], max(min([longest, *waits]), 0.0))
        with contextlib.suppress(BlockingIOError):
            os.read(self.woken, 1024)

    def _say_when_all_are_ready(self) -> None:
        if not self.all_ready and all(self.metrics.is_ready(worker.part) for worker in self.workers):
            self.all_ready = True
            event("all_ready", processes=len(self.workers))

    def _start(self, worker: Worker) -> None:
        given = Inherited(self.listener.fileno(), self.memory.descriptor, worker.part, self.ends)
        handed = (given.listener, given.memory, given.lifeline)
        worker.started = time.monotonic()
        worker.lives += 1
        self.memory.say(worker.part, "")
        try:
            worker.process = subprocess.Popen([*self.command, "--inherit", str(given)], pass_fds=handed)
        except OSError as error:
            if worker.lives == 1:
                raise CannotStart(f"process {worker.part} of {len(self.workers)}: {error.strerror}; give fewer") from None
            worker.wait_longer()
            event("process_not_started", process=worker.part, again_in_s=worker.pause_s, error=error)
        else:
            event("process_started", process=worker.part, pid=worker.process.pid)

    def _died(self, worker: Worker, code: int) -> None:
        words = self.memory.said(worker.part)
        if worker.lives == 1 and code in (1, 2) and not self.metrics.is_ready(worker.part):
            # The others would fare no better.
            refused = ModelRefused if words and code == 1 else CannotStart
            raise refused(words or f"process {worker.part} ended before it was ready; the log has the reason")
        worker.wait_longer()
        self.metrics.bury(worker.part)
        self.metrics.restarted()
        how: dict[str, Any] = {"signal": signal.Signals(-code).name} if code < 0 else {"exit_code": code}
        if words:
            how["reason"] = words
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


def _reap_others(ours: set[int]) -> None:
    """The first process of a container is given the orphans of others, and must see them off."""
    with contextlib.suppress(ChildProcessError):
        # Only looked at: the exit codes of our own are for who started them.
        while (seen := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and seen.si_pid not in ours:
            os.waitpid(seen.si_pid, 0)


def serve(settings: Settings, inherited: str | None = None, addition: "Addition | None" = None) -> None:
    """Serves until SIGTERM or SIGINT. Raises CannotStart or ModelRefused.

    inherited: what the supervisor gave to this process, for it alone. addition: what another room serves beside the model.
    """
    if addition is not None and inherited is None:
        addition.check(settings)
    if settings.processes > 1 and inherited is None:
        log_to(sys.stderr)
        refuse_unpickling()
        return Supervisor(settings, [sys.executable, *sys.orig_argv[1:]]).run()
    # What a server needs, its supervisor does not.
    from serving.process import run

    if inherited is None:
        return run(settings, addition=addition)
    given = Inherited.read(inherited)
    try:
        return run(settings, given, addition)
    except (CannotStart, ModelRefused) as error:
        # All would say the same; the supervisor says it once.
        Memory(given.memory).say(given.part, str(error))
        sys.exit(1 if isinstance(error, ModelRefused) else 2)
