"""Who does which part, on the processors of this machine? Processes of their own, asked over a pipe.

All of them begin at once and the first one plans, so this one needs neither Arrow nor the model. A part whose process dies is
given to another. What is done is counted from OUT, so it is right after a restart and with several drivers at once.
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from batch.errors import Hopeless, Retryable, sorted_out
from batch.manifest import Manifest

TRIES = 8
LOOK_S = 1.0
Say = Callable[[str], None]


@dataclass
class Run:
    """What has come of OUT so far. `share`: which of how many; `digests`: of the files that this run has written."""

    out: str
    share: tuple[int, int]
    say: Say
    progress: "Progress | None" = None
    # The numbers of parts, and what a worker is called that has one in hand.
    left: "queue.SimpleQueue[tuple[int, str]]" = field(default_factory=queue.SimpleQueue)
    digests: dict[str, str] = field(default_factory=dict)
    done: dict[str, Any] | None = None
    hopeless: list[str] = field(default_factory=list)
    retryable: list[str] = field(default_factory=list)
    deaths: Counter[str] = field(default_factory=Counter)
    workers: set["Worker"] = field(default_factory=set)
    # How many workers may still get a part.
    busy: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def stop(self) -> None:
        """For a signal: the parts that are being made are given up."""
        self.retryable.append("stopped by a signal; the same command goes on")
        self.halt()
        for worker in list(self.workers):
            worker.process.kill()

    def halt(self) -> None:
        self.stopped.set()
        self.tell()

    def tell(self, **news: object) -> None:
        with self.changed:
            vars(self).update(news)
            self.changed.notify_all()

    def wait_for(self, true: Callable[[], object]) -> None:
        """Or until all is given up."""
        with self.changed:
            self.changed.wait_for(lambda: self.stopped.is_set() or true())

    def failed(self, error: str, hopeless: bool, unit: int | None) -> None:
        (self.hopeless if hopeless else self.retryable).append(error)
        # What cannot be looked at, or written to, cannot be for the others either.
        if not hopeless or unit is None:
            self.halt()

    def ask(self, worker: "Worker", doing: str, *question: object) -> dict[str, Any] | None:
        """None when the worker is gone, which may be tried again. An answer that is an error is noted."""
        said = worker.ask(*question)
        if said is None and not self.stopped.is_set():
            doing = doing if worker.greeted else "a worker that had only begun"
            with self.changed:
                self.deaths[doing] += 1
            if self.deaths[doing] == TRIES:
                self.failed(f"{doing} ended {TRIES} times, at last with status {worker.process.wait()}", False, None)
        elif said is not None and "error" in said:
            self.failed(**said)
        return said


class Worker:
    """A process and its pipe. Its first line says that its model has proved itself here, or what is wrong."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process, self.greeted = process, False

    def ask(self, *question: object) -> dict[str, Any] | None:
        """None when it is gone."""
        with contextlib.suppress(OSError):
            if not self.greeted:
                greeting = self._said()
                self.greeted = greeting is not None and "error" not in greeting
                if not self.greeted:
                    return greeting
            print(json.dumps(question), file=self.process.stdin, flush=True)
            return self._said()
        return None

    def _said(self) -> dict[str, Any] | None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found: dict[str, Any] | None = json.loads(line) if line.endswith("\n") else None
        return found


def drive(run: Run, command: Sequence[str], workers: int) -> None:
    """command: starts a worker. What comes of it is in `run` afterwards."""
    run.busy = workers
    steps = [[_plan, _answer, _finish], *([_answer] for _ in range(workers - 1))]
    threads = [threading.Thread(target=_serve, args=(run, command, one), daemon=True) for one in steps]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        deadline = time.monotonic() + LOOK_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if run.progress is not None:
            run.say(run.progress.line())


def _serve(run: Run, command: Sequence[str], steps: list[Callable[[Run, Worker], bool]]) -> None:
    """Until all steps are taken: a process, and another one when it dies."""
    try:
        while steps and not run.stopped.is_set():
            with _begun(command) as process:
                worker = Worker(process)
                # In this order: either this sees that all is given up, or `stop` sees the worker.
                run.workers.add(worker)
                while steps and not run.stopped.is_set() and steps[0](run, worker):
                    del steps[0]
            run.workers.discard(worker)
    except Exception as error:
        # The others would wait for this thread for ever.
        said = str(error) if isinstance(error, Hopeless | Retryable) else repr(error)
        run.failed(said, isinstance(error, Hopeless), None)


def _plan(run: Run, worker: Worker) -> bool:
    said = run.ask(worker, "the worker that plans", "plan")
    if said is None or "error" in said:
        return False
    manifest = Manifest.from_bytes(said["manifest"].encode(), run.out)
    for unit in manifest.units:
        if unit.index % run.share[1] == run.share[0]:
            run.left.put((unit.index, f"{manifest.files[unit.file].path}: the worker of shard {unit.index}"))
    progress = Progress(manifest, partial(_names, run.out))
    run.say(progress.line())
    run.tell(progress=progress)
    return True


def _answer(run: Run, worker: Worker) -> bool:
    run.wait_for(lambda: run.progress)
    # Those that may not be there yet: an answer says that the one before is.
    asked: list[tuple[int, str]] = []
    while not run.stopped.is_set():
        part = None
        with contextlib.suppress(queue.Empty):
            part = run.left.get_nowait()
            asked.append(part)
        if not asked:
            break
        said = run.ask(worker, asked[-1][1], *(("encode", part[0]) if part else ("rest",)))
        if said is None:
            for one in asked:
                run.left.put(one)
            return False
        run.digests.update(said.get("digests", {}))
        asked = [part] if part and "error" not in said else []
    # There may be fewer parts than workers.
    if not worker.greeted:
        worker.process.kill()
    with run.changed:
        run.tell(busy=run.busy - 1)
    return True


def _finish(run: Run, worker: Worker) -> bool:
    run.wait_for(lambda: not run.busy)
    if run.hopeless or run.retryable:
        return True
    said = run.ask(worker, "the worker that ends the run", "finish", run.digests)
    run.done = said and said.get("done")
    return said is not None


def _begun(command: Sequence[str]) -> "subprocess.Popen[str]":
    # Arrow's allocator would give memory back and ask for it again all the time, and Linux would zero it each time.
    environment = {"MIMALLOC_PURGE_DELAY": "-1", **os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


class Progress:
    """How far is OUT, and when is it done? `names`: tells which files are in it."""

    def __init__(self, manifest: Manifest, names: Callable[[], Sequence[str]]) -> None:
        self._rows = {manifest.name(unit): unit.rows for unit in manifest.units}
        self._all, self._names = manifest.rows, names
        self._began = time.monotonic()
        self._at_first: int | None = None

    def line(self) -> str:
        done = [self._rows[name] for name in self._names() if name in self._rows]
        rows = sum(done)
        self._at_first = rows if self._at_first is None else self._at_first
        took = time.monotonic() - self._began
        speed = (rows - self._at_first) / took if took > 0 else 0.0
        left = f"{(self._all - rows) / speed:,.0f} s left" if speed else "time left not known yet"
        return f"batch: {len(done)} of {len(self._rows)} shards, {rows:,} of {self._all:,} rows, {speed:,.0f} rows/s, {left}"


def _names(out: str) -> Sequence[str]:
    """Of the files in OUT. A disk is asked without Arrow, which takes longer to load than a worker to begin."""
    if "://" in out:
        from batch.places import Place

        return Place.of(out).names()
    try:
        return os.listdir(out)
    except OSError as error:
        raise sorted_out(error, out, True) from None


class Terminal:
    """One line that is written again and again, where somebody looks; else a new one when a part is done."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, line: str) -> None:
        done = line.split(",")[0]
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{line:<110}")
        elif done != self._last:
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
        self._last = done
