"""How does memory that a burst of large requests needed go back to the system?

glibc keeps what was freed as long as something above it is in use.
"""

import ctypes
from collections.abc import Callable

# Below this it is not worth the page faults of the next burst.
WORTH_BYTES = 16 << 20


class Heap:
    """`settle` is called every second."""

    def __init__(self) -> None:
        # Looked up once, before the guard is sealed; another C library has no such function.
        self._trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._least = 0
        self._runs = -1.0
        self._due = False

    def settle(self, resident_bytes: int, runs: float) -> None:
        """Gives back what can be in the first second without a run of the model, when the process has grown.

        runs: of the model, so far. What a process holds between two requests of a burst says nothing, so nothing is done then.
        """
        busy, self._runs = runs != self._runs, runs
        if busy:
            self._due = True
            return
        if self._due and self._trim is not None and resident_bytes > self._least + WORTH_BYTES and self._least:
            self._trim(0)
        elif not self._due or not self._least:
            # As little as it ever holds in peace.
            self._least = min(self._least or resident_bytes, resident_bytes)
        self._due = False
