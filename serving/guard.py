"""Has anything tried to unpickle? It was refused, counted and logged.

The boundary is that the image holds no unpickler; this is the alarm. A stream that names no class raises no audit event
and can do nothing either.
"""

import itertools
import logging
import sys

from serving.errors import shown
from serving.logs import event


class UnpicklingRefused(RuntimeError):
    """Raised out of pickle.load in place of importing what the stream names."""


class _Guard:
    installed = False
    seen = 0
    # Counts atomically, whichever thread the attempt comes from.
    counter = itertools.count(1)


def refuse_unpickling() -> None:
    """For the rest of this process: Python has no way to take an audit hook off again."""
    if not _Guard.installed:
        _Guard.installed = True
        sys.addaudithook(_hook)


def attempts() -> int:
    return _Guard.seen


def _hook(name: str, arguments: tuple[object, ...]) -> None:
    if name != "pickle.find_class":
        return
    _Guard.seen = next(_Guard.counter)
    wanted = ".".join(str(part) for part in arguments)
    event("unpickling_refused", level=logging.ERROR, wanted=shown(wanted), attempts=_Guard.seen)
    raise UnpicklingRefused(f"a pickle asks for {shown(wanted)}; this process opens no pickle")
