"""What do all processes that were started here take together: memory, processor time, and how many are they at once?

Those that lose their parent come to this process, which ends what is left when the measurement is over.
"""

import contextlib
import ctypes
import os
import resource
import signal
import threading
import time
from pathlib import Path

from benchmarks.memory import descendants, pss

LOOK_S = 0.1
PR_SET_CHILD_SUBREAPER = 36
TICKS = os.sysconf("SC_CLK_TCK")


class Watched:
    """`with Watched() as seen: ...; seen.peak_bytes` is the largest sum of proportional set sizes (PSS)."""

    def __init__(self) -> None:
        self.peak_bytes = self.processes = 0
        self.wall_s = self.cpu_s = 0.0
        self._used: dict[tuple[int, str], float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Watched":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._waited_for = _children_s()
        self._began = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall_s = time.perf_counter() - self._began
        self._over.set()
        self._thread.join()
        end_all()
        # Whoever is waited for tells exactly, the others were seen at the last look; each leaves some out.
        self.cpu_s = max(_children_s() - self._waited_for, sum(self._used.values()))

    def _watch(self) -> None:
        while not self._over.wait(LOOK_S):
            living = descendants(os.getpid())
            sizes = [size for size in map(pss, living) if size]
            self.peak_bytes = max(self.peak_bytes, sum(sizes))
            self.processes = max(self.processes, len(sizes))
            self._used |= dict(filter(None, map(_used, living)))


def end_all() -> None:
    """Ends what an engine has left running, and waits for it."""
    limit = time.monotonic() + 60
    while (left := descendants(os.getpid())) and time.monotonic() < limit:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _used(pid: int) -> tuple[tuple[int, str], float] | None:
    """The process, told apart from a later one of that number by its start, and its seconds."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (pid, fields[19]), (int(fields[11]) + int(fields[12])) / TICKS
