"""Has anything tried what a server never does: unpickle, and once it has started, start processes or load code?

It was refused, counted and logged. The boundary is that the image holds no unpickler and no shell; this is the alarm. A pickle
stream that names no class raises no audit event and can do nothing either.
"""

import contextlib
import itertools
import logging
import sys
import threading
from collections.abc import Iterator
from typing import ClassVar

from serving.errors import shown
from serving.logs import event

KINDS = ("unpickling", "process", "code")
# Python's audit events -> what they are, and whether they are refused only once all is loaded.
WATCHED = {
    "pickle.find_class": ("unpickling", False),
    **dict.fromkeys(
        (
            "subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "pty.spawn",
        ),
        ("process", True),
    ),
    **dict.fromkeys(("compile", "exec", "import", "ctypes.dlopen"), ("code", True)),
}  # fmt: skip
LOGGED_ALL = 10


class Refused(RuntimeError):
    """Raised into whoever tried."""


class _Guard:
    installed = False
    sealed = False
    # The threads that may load code although all is sealed.
    loading: ClassVar[set[int]] = set()
    seen: ClassVar[dict[str, int]] = dict.fromkeys(KINDS, 0)
    # Counts atomically, whichever thread the attempt comes from.
    counters: ClassVar[dict[str, "itertools.count[int]"]] = {kind: itertools.count(1) for kind in KINDS}


def refuse_unpickling() -> None:
    """For the rest of this process: Python has no way to take an audit hook off again."""
    if not _Guard.installed:
        _Guard.installed = True
        sys.addaudithook(_hook)


def seal() -> None:
    """All is loaded: from now on nothing starts a process or loads code."""
    _Guard.sealed = True


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """This thread loads what was put off until somebody asks for it."""
    thread = threading.get_ident()
    within = thread in _Guard.loading
    _Guard.loading.add(thread)
    try:
        yield
    finally:
        if not within:
            _Guard.loading.discard(thread)


def attempts() -> dict[str, int]:
    return dict(_Guard.seen)


def _hook(name: str, arguments: tuple[object, ...]) -> None:
    watched = WATCHED.get(name)
    if watched is None:
        return
    kind, late = watched
    if late and (not _Guard.sealed or (kind == "code" and threading.get_ident() in _Guard.loading)):
        return
    seen = _Guard.seen[kind] = next(_Guard.counters[kind])
    what = ".".join(str(part) for part in arguments[:2]) if kind == "unpickling" else name
    # All of the first, then fewer and fewer: a loop must not fill the disk.
    if seen <= LOGGED_ALL or seen & (seen - 1) == 0:
        event(f"{kind}_refused", level=logging.ERROR, wanted=shown(what), attempts=seen)
    if kind == "unpickling":
        raise Refused(f"a pickle asks for {shown(what)}; this process opens no pickle")
    raise Refused(f"{name}: this process has loaded all it needs; it starts no process and runs no new code")
