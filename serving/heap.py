"""How does memory that a burst of large requests needed go back to the system?

glibc keeps what was freed as long as something above it is in use.
"""

import ctypes
from collections.abc import Callable

from serving.metrics import resident_bytes

# Below this it is not worth the page faults of the next burst.
WORTH_BYTES = 16 << 20
# Processor time: a second that took more is in the midst of something.
WORK_S = 0.05


class Heap:
    """`settle` is called every second."""

    def __init__(self, give_back: Callable[[], None] = lambda: None) -> None:
        """give_back: what has the model give back what it keeps, before the heap does."""
        self._give_back = give_back
        # Looked up once, before the guard is sealed; another C library has no such function.
        self._trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._resident = resident_bytes
        self._kept = 0
        self._cpu_s = 0.0

    def settle(self, cpu_s: float) -> None:
        """Gives back what can be in the first quiet second in which the process holds more than it has to.

        cpu_s: what the process has used so far. What it holds between two requests of a burst says nothing, so nothing is
        done then. How much it has to hold is known only once all else was given back, so at first that is done.
        """
        used_s, self._cpu_s = cpu_s - self._cpu_s, cpu_s
        if used_s > WORK_S:
            return
        resident = self._resident()
        if self._trim is not None and resident > self._kept + WORTH_BYTES:
            self._give_back()
            self._trim(0)
            self._kept = self._resident()
        self._kept = min(self._kept, resident)
