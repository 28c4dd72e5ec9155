"""How does memory that a burst of large requests needed go back to the system?

glibc keeps what was freed as long as something above it is in use.
"""

import ctypes
from collections.abc import Callable

# Below this it is not worth the page faults of the next burst.
WORTH_BYTES = 16 << 20


class Heap:
    """`settle` is called now and then while nobody waits."""

    def __init__(self) -> None:
        # Looked up once, before the guard is sealed; another C library has no such function.
        self._trim: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._settled = 0

    def settle(self, resident_bytes: int) -> int:
        """Gives back what can be, when the process has grown since it last did. Returns what it holds to be settled now."""
        if self._settled == 0 or resident_bytes < self._settled:
            self._settled = resident_bytes
        elif self._trim is not None and resident_bytes > self._settled + WORTH_BYTES:
            self._trim(0)
            # What is still there is in use; it is looked at again when more is.
            self._settled = 0
        return self._settled
