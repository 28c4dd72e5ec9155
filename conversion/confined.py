"""What can the child still see, reach and start? Runs as `python -P conversion/confined.py processes module ...`.

It gives up what it can (Landlock: https://docs.kernel.org/userspace-api/landlock.html) before it becomes the module, and
turns a limit that was hit into an exit status, since a child without memory or disk can write no message.
"""

import ctypes
import errno
import os
import resource
import runpy
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

OUT_OF_MEMORY, OUT_OF_FILE, OUT_OF_DISK, OUT_OF_PROCESSES = 90, 91, 92, 93
_STATUS = {
    errno.ENOMEM: OUT_OF_MEMORY,
    errno.EFBIG: OUT_OF_FILE,
    errno.ENOSPC: OUT_OF_DISK,
    errno.EDQUOT: OUT_OF_DISK,
    errno.EAGAIN: OUT_OF_PROCESSES,
}
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every processor
_NO_NEW_PRIVILEGES = 38
_EXECUTE, _READ_FILE, _READ_DIR = 1, 1 << 2, 1 << 3
_FOR_FILES = _EXECUTE | _READ_FILE | 1 << 1 | 1 << 14 | 1 << 15  # also write, truncate, ioctl
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # how many rights each version of the interface knows; 16 since the fifth
_SYSTEM = "/usr /lib /lib64 /bin /proc /sys /etc/ld.so.cache /etc/localtime /dev/null /dev/urandom /dev/zero".split()


def limit_of(error: BaseException) -> int | None:
    """The exit status for an error that only says that a limit was hit."""
    if isinstance(error, MemoryError):
        return OUT_OF_MEMORY
    return _STATUS.get(error.errno or 0) if isinstance(error, OSError) else None


def landlock() -> int:
    """The version of the kernel's Landlock interface; 0 where there is none. From 4 it also keeps from TCP."""
    return max(int(_libc().syscall(_CREATE_RULESET, None, 0, 1)), 0)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _visible(folder: Path) -> Iterator[tuple[str, int]]:
    """What is needed to run: Python, its packages, the system's libraries, our own code; and the private folder."""
    yield str(folder), ~0
    for path in (*_SYSTEM, sys.prefix, sys.base_prefix, *sys.path):
        ours = path == os.environ.get("PYTHONPATH")
        yield path, _READ_DIR if ours else _EXECUTE | _READ_FILE | _READ_DIR
        if ours:
            yield from ((f"{path}/{room}", _READ_FILE | _READ_DIR) for room in ("conversion", "serving"))


def _give_up(folder: Path) -> None:
    version, libc = landlock(), _libc()
    if not version:
        return
    handled = (1 << _FILE_RIGHTS.get(version, 16)) - 1
    attributes = struct.pack("=QQ", handled, 3)[: 16 if version >= 4 else 8]
    ruleset = libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    for path, rights in _visible(folder):
        if os.path.exists(path):
            allowed = rights & handled & (~0 if os.path.isdir(path) else _FOR_FILES)
            at = os.open(path, os.O_PATH | os.O_CLOEXEC)
            _checked(libc.syscall(_ADD_RULE, ruleset, 1, struct.pack("=Qi", allowed, at), 0))
            os.close(at)
    _checked(libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _checked(libc.syscall(_RESTRICT_SELF, ruleset, 0))


def _checked(returned: int) -> None:
    if returned != 0:
        raise OSError(ctypes.get_errno(), f"landlock: {os.strerror(ctypes.get_errno())}")


def main() -> None:
    processes, module = int(sys.argv[1]), sys.argv[2]
    del sys.argv[1:3]
    if processes:
        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
    _give_up(Path.cwd())
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except Exception as error:
        if (status := limit_of(error)) is None:
            raise
        sys.exit(status)


if __name__ == "__main__":
    main()
