"""How much memory did the processes that this one started need at most? Read from Linux' own high-water marks."""

import os
import threading
from pathlib import Path
from types import TracebackType

EVERY_S = 0.1


class Watched:
    """`with Watched() as seen: ...; seen.peak_bytes` is the largest resident set of any one descendant."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Watched":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(EVERY_S):
            self.peak_bytes = max([self.peak_bytes, *(_high_water(pid) for pid in descendants(os.getpid()))])


def descendants(pid: int) -> list[int]:
    try:
        children = [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]
    except OSError:
        return []
    return children + [below for child in children for below in descendants(child)]


def _high_water(pid: int) -> int:
    """Zero for a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
