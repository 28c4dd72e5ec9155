"""Who does which part, on the processors of this machine? Processes of their own, asked over a pipe.

A part whose process dies is given to another. What is done is counted from OUT, so it is right after a restart and with several
drivers at once.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from batch.manifest import Manifest, Unit
from batch.places import Place

TRIES = 8
LOOK_S = 1.0
Say = Callable[[str], None]


@dataclass
class Run:
    """What has come of the parts so far. `digests`: of the files that this run has written."""

    manifest: Manifest
    out: Place
    left: "queue.SimpleQueue[tuple[Unit, int]]" = field(default_factory=queue.SimpleQueue)
    digests: dict[int, str] = field(default_factory=dict)
    hopeless: list[str] = field(default_factory=list)
    retryable: list[str] = field(default_factory=list)
    workers: set["subprocess.Popen[str]"] = field(default_factory=set)
    # Of workers that ended before they could be asked anything.
    stillborn: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """For a signal: the parts that are being made are given up."""
        self.retryable.append("stopped by a signal; the same command goes on")
        self.stopped.set()
        for process in list(self.workers):
            process.kill()

    def failed(self, said: dict[str, Any]) -> None:
        (self.hopeless if said["hopeless"] else self.retryable).append(str(said["error"]))
        # What cannot be looked at, or written to, cannot be for the others either.
        if not said["hopeless"] or said["unit"] is None:
            self.stopped.set()


def drive(run: Run, units: Sequence[Unit], command: Sequence[str], workers: int, say: Say) -> None:
    """command: starts a worker."""
    for unit in units:
        run.left.put((unit, 0))
    threads = [threading.Thread(target=_feed, args=(run, command), daemon=True) for _ in range(min(workers, len(units)))]
    progress = Progress(run.manifest, run.out)
    say(progress.line())
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        deadline = time.monotonic() + LOOK_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        say(progress.line())


def _feed(run: Run, command: Sequence[str]) -> None:
    """Until nothing is left: a process, and another one when it dies."""
    while not run.stopped.is_set() and not run.left.empty():
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment()) as process:
            run.workers.add(process)
            if run.stopped.is_set():
                process.kill()
            try:
                _ask(run, process)
            finally:
                run.workers.discard(process)


def _ask(run: Run, process: "subprocess.Popen[str]") -> None:
    greeting = _said(process)
    if greeting is None:
        run.stillborn += 1
        if run.stillborn == TRIES:
            ended = f"{TRIES} workers ended as they began, the last with status {process.wait()}"
            run.failed({"unit": None, "hopeless": False, "error": ended})
        return
    if "error" in greeting:
        run.failed(greeting)
        return
    while not run.stopped.is_set():
        try:
            unit, tries = run.left.get_nowait()
        except queue.Empty:
            return
        said = _said(process, str(unit.index))
        if said is None:
            _lost(run, unit, tries + 1, process)
            return
        if "error" in said:
            run.failed(said)
        else:
            run.digests[unit.index] = str(said["digest"])


def _lost(run: Run, unit: Unit, tries: int, process: "subprocess.Popen[str]") -> None:
    if run.stopped.is_set():
        return
    if tries < TRIES:
        run.left.put((unit, tries))
        return
    name = run.manifest.files[unit.file].path
    error = f"{name}: the worker of shard {unit.index} ended {tries} times, at last with status {process.wait()}"
    run.failed({"unit": unit.index, "hopeless": False, "error": error})


def _said(process: "subprocess.Popen[str]", question: str | None = None) -> dict[str, Any] | None:
    """None when the process is gone."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if question is not None:
            process.stdin.write(question + "\n")
            process.stdin.flush()
        line = process.stdout.readline()
    except OSError:
        return None
    if not line.endswith("\n"):
        return None
    found: dict[str, Any] = json.loads(line)
    return found


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


class Progress:
    """How far is OUT, and when is it done?"""

    def __init__(self, manifest: Manifest, out: Place) -> None:
        self._manifest, self._out = manifest, out
        self._began = time.monotonic()
        self._at_first: int | None = None

    def line(self) -> str:
        units = {self._manifest.name(unit): unit for unit in self._manifest.units}
        done = [units[name] for name in self._out.names() if name in units]
        rows = sum(unit.rows for unit in done)
        self._at_first = rows if self._at_first is None else self._at_first
        took = time.monotonic() - self._began
        speed = (rows - self._at_first) / took if took > 0 else 0.0
        left = f"{(self._manifest.rows - rows) / speed:,.0f} s left" if speed else "time left not known yet"
        total = self._manifest.rows
        return f"batch: {len(done)} of {len(units)} shards, {rows:,} of {total:,} rows, {speed:,.0f} rows/s, {left}"


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
