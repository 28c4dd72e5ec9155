"""How is untrusted work kept in a child: how long, how large, and can it reach the network?

The parent hands over a folder and reads files back; it never loads anything that Python could execute.
"""

import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from conversion import confined
from conversion.errors import Refused

ROOT = Path(__file__).resolve().parent.parent
_ISOLATE = ["unshare", "--user", "--map-root-user", "--net", "--ipc", "--pid", "--fork", "--kill-child"]


@dataclass(frozen=True)
class Limits:
    """What the child may use before it is stopped."""

    seconds: int = 120
    memory_bytes: int = 8 << 30
    file_bytes: int = 2 << 30
    processes: int = 256


def isolation() -> list[str]:
    """The command prefix that gives the child namespaces of its own, without a network; empty where the host forbids it."""
    if shutil.which("unshare") is None:
        return []
    tried = subprocess.run([*_ISOLATE, "true"], capture_output=True, check=False)
    return _ISOLATE if tried.returncode == 0 else []


def run(module: str, arguments: list[str], folder: Path, limits: Limits) -> list[str]:
    """Runs `python -m module arguments` in `folder` and returns the protections that were active.

    The child's standard error is the caller's. Raises Refused when a limit was hit or the child died.
    """
    prefix = isolation()
    # Outside a namespace of its own the child would be counted together with all else that the user runs; root is never.
    processes = limits.processes if prefix and os.geteuid() != 0 else 0
    before = _processor_seconds()
    with _told_to_end():
        child = subprocess.Popen(
            [*prefix, sys.executable, "-P", confined.__file__, str(processes), module, *arguments],
            cwd=folder,
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            preexec_fn=partial(_confine, limits, os.getpid()),
            start_new_session=True,
        )
        try:
            code = child.wait(limits.seconds)
        except subprocess.TimeoutExpired:
            raise Refused(f"the conversion was stopped after {limits.seconds} s; --time-limit allows more") from None
        finally:
            _end(child)
    if prefix and code == 1:
        code = -signal.SIGKILL  # some versions of unshare cannot end by SIGKILL themselves
    if code != 0:
        # The kernel kills a child that is the first of its namespace where it would warn another.
        tired = _processor_seconds() - before >= limits.seconds
        cause = _tired(limits) if tired and code < 0 else _cause(code, limits)
        raise Refused(f"the conversion's child process {cause}; nothing was written")
    return _described(limits, bool(prefix), processes)


@contextmanager
def _told_to_end() -> Iterator[None]:
    """SIGTERM and SIGHUP end the child and remove its folder too, as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _environment(folder: Path) -> dict[str, str]:
    passed = ("PATH", "LANG", "PYTHONHASHSEED")
    kept = {name: value for name, value in os.environ.items() if name in passed or name.startswith("OPENBLAS_")}
    return kept | {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        # Deprecations inside skl2onnx are nothing the user could act on.
        "PYTHONWARNINGS": "ignore",
        # One thread: sums in another order would change last digits, and with them the bytes of the model.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


_LIBC = ctypes.CDLL(None)  # here, since nothing may be loaded between fork and exec
_SIGNAL_WHEN_PARENT_DIES = 1


def _confine(limits: Limits, parent: int) -> None:
    _LIBC.prctl(_SIGNAL_WHEN_PARENT_DIES, signal.SIGKILL)
    if os.getppid() != parent:  # it died before it could be asked about
        os.kill(os.getpid(), signal.SIGKILL)
    for what, value in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.seconds),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (value, value))


def _end(child: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        child.wait()


def _cause(code: int, limits: Limits) -> str:
    memory = f"more than the {limits.memory_bytes >> 20} MiB of memory it may use; --memory-limit allows more"
    said = {
        confined.OUT_OF_MEMORY: f"needs {memory}",
        confined.OUT_OF_FILE: f"wrote a file larger than the {limits.file_bytes >> 20} MiB that a model may have",
        confined.OUT_OF_DISK: "found no space left on the device that holds the temporary folder; TMPDIR names another",
        confined.OUT_OF_PROCESSES: f"started more than {limits.processes} processes",
    }
    if code in said:
        return said[code]
    number = -code if code < 0 else code - 128
    if number == signal.SIGXCPU:
        return _tired(limits)
    if number not in set(signal.Signals):
        return f"failed with status {code}"
    # Libraries that are written in C end like this when they get no memory, and so does the kernel when it has none left.
    starved = f", perhaps for want of {memory}" if number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT) else ""
    deep = ", or since the pickle is nested too deeply" if number == signal.SIGSEGV else ""
    return f"died of {signal.Signals(number).name}{starved}{deep}"


def _tired(limits: Limits) -> str:
    return f"used up its {limits.seconds} s of processor time; --time-limit allows more"


def _processor_seconds() -> float:
    """Of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _described(limits: Limits, isolated: bool, processes: int) -> list[str]:
    landlock, filtering = confined.landlock(), confined.filtering()
    network = (
        ["no network"] if isolated or filtering else ["no TCP connections"] if landlock >= 4 else ["network not cut off by us"]
    )
    return [
        f"time <= {limits.seconds} s",
        f"memory <= {limits.memory_bytes >> 20} MiB",
        f"files <= {limits.file_bytes >> 20} MiB",
        *([f"processes <= {processes}"] if processes else []),
        "private folder",
        *(["sees only Python, the system's libraries and its folder"] if landlock else []),
        "allow-listed names",
        *network,
        *(["no sockets", "no changes of modes and owners"] if filtering else []),
        *(["own process and IPC namespace"] if isolated else []),
    ]
