"""How much memory did the processes that this one started need at most? Read from Linux' own accounts."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

EVERY_S = 0.1


class Watched:
    """`with Watched() as seen: ...; seen.peak_bytes` is the most that any one descendant had, by `measure`."""

    def __init__(self, measure: Callable[[int], int] | None = None, every_s: float = EVERY_S) -> None:
        self._measure, self._every_s = measure or high_water, every_s
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
        while not self._over.wait(self._every_s):
            self.peak_bytes = max([self.peak_bytes, *(self._measure(pid) for pid in descendants(os.getpid()))])


def descendants(pid: int) -> list[int]:
    try:
        children = [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]
    except OSError:
        return []
    return children + [below for child in children for below in descendants(child)]


def high_water(pid: int) -> int:
    """The largest resident set that it has had, in bytes; zero for a process that is gone."""
    return _account(pid, "status", "VmHWM:")


def pss(pid: int) -> int:
    """What it holds now and its share of what it holds with others, in bytes; zero for a process that is gone."""
    return _account(pid, "smaps_rollup", "Pss:")


def _account(pid: int, file: str, line: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0
    return next((int(one.split()[1]) * 1024 for one in lines if one.startswith(line)), 0)
