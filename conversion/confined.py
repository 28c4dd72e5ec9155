"""What can the child still see, reach and start? Runs as `python -P conversion/confined.py processes module ...`.

It gives up what it can (Landlock: https://docs.kernel.org/userspace-api/landlock.html; and system calls, by seccomp) before
it becomes the module, and turns a limit that was hit into an exit status, since a child without memory or disk can write no
message.
"""

import ctypes
import errno
import os
import resource
import runpy
import struct
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

FAILED = 89  # not Python's own 1, which unshare ends with as well where its child was killed
OUT_OF_MEMORY, OUT_OF_FILE, OUT_OF_DISK, OUT_OF_PROCESSES = 90, 91, 92, 93
_STATUS = {
    errno.ENOMEM: OUT_OF_MEMORY,
    errno.EFBIG: OUT_OF_FILE,
    errno.ENOSPC: OUT_OF_DISK,
    errno.EDQUOT: OUT_OF_DISK,
    errno.EAGAIN: OUT_OF_PROCESSES,
}
# What an import says when the linker gets no memory, and Python when it gets none in the midst of one.
_STARVED = ("failed to map segment", "cannot allocate memory")
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every processor
_NO_NEW_PRIVILEGES = 38
_EXECUTE, _READ_FILE, _READ_DIR = 1, 1 << 2, 1 << 3
_FOR_FILES = _EXECUTE | _READ_FILE | 1 << 1 | 1 << 14 | 1 << 15  # also write, truncate, ioctl
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # how many rights each version of the interface knows; 16 since the fifth
# Of /proc only what is its own and of the machine: the command lines of others may hold secrets.
_SYSTEM = (
    "/usr /lib /lib64 /bin /proc/self /proc/cpuinfo /proc/meminfo /proc/stat /proc/sys/vm /sys "
    "/etc/ld.so.cache /etc/localtime /dev/null /dev/urandom /dev/zero"
).split()
_INSTALL_FILTER, _ALLOWED, _DENIED = 22, 0x7FFF0000, 0x00050000 | errno.EPERM
_LOAD_WORD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
# Landlock leaves sockets by path and the changing of modes, owners, times and attributes; io_uring would walk around both.
# By processor: how the kernel names it, then socket, io_uring, modes, owners, times, attributes.
_CALLS = {
    "x86_64": (0xC000003E, "41 425 90 91 268 452 92 93 94 260 132 235 261 280 188 189 190 197 198 199 463 466"),
    "aarch64": (0xC00000B7, "198 425 52 53 452 54 55 88 5 6 7 14 15 16 463 466"),
}


def limit_of(error: BaseException) -> int | None:
    """The exit status for an error that only says that a limit was hit."""
    if isinstance(error, MemoryError | SystemError) or _is_starved(error):
        return OUT_OF_MEMORY
    return _STATUS.get(error.errno or 0) if isinstance(error, OSError) else None


def _is_starved(error: BaseException | None) -> bool:
    while isinstance(error, ImportError):
        if any(said in str(error) for said in _STARVED):
            return True
        error = error.__cause__ or error.__context__
    return isinstance(error, MemoryError)


def landlock() -> int:
    """The version of the kernel's Landlock interface; 0 where there is none. From 4 it also keeps from TCP."""
    return max(int(_libc().syscall(_CREATE_RULESET, None, 0, 1)), 0)


def filtering() -> bool:
    """Whether the kernel lets us give system calls up: it looks at the filter, and there is none."""
    if os.uname().machine not in _CALLS:
        return False
    _libc().prctl(_INSTALL_FILTER, 2, None, 0, 0)
    return ctypes.get_errno() == errno.EFAULT


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
    _checked(_libc().prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    if version := landlock():
        _give_up_paths(folder, version)
    if filtering():
        _give_up_calls()


def _give_up_paths(folder: Path, version: int) -> None:
    libc, handled = _libc(), (1 << _FILE_RIGHTS.get(version, 16)) - 1
    # Then TCP in both directions, then abstract sockets and signals to others.
    attributes = struct.pack("=QQQ", handled, 3, 3)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    ruleset = libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    for path, rights in _visible(folder):
        if os.path.exists(path):
            allowed = rights & handled & (~0 if os.path.isdir(path) else _FOR_FILES)
            at = os.open(path, os.O_PATH | os.O_CLOEXEC)
            _checked(libc.syscall(_ADD_RULE, ruleset, 1, struct.pack("=Qi", allowed, at), 0))
            os.close(at)
    _checked(libc.syscall(_RESTRICT_SELF, ruleset, 0))


def _give_up_calls() -> None:
    processor, calls = _CALLS[os.uname().machine]
    numbers = [int(number) for number in calls.split()]
    to_denied = len(numbers) + 1
    steps = [
        (_LOAD_WORD, 0, 0, 4),
        (_IF_EQUAL, 0, to_denied + 2, processor),
        (_LOAD_WORD, 0, 0, 0),
        (_IF_AT_LEAST, to_denied, 0, 1 << 30),  # the numbers of the x32 interface
        *((_IF_EQUAL, to_denied - 1 - at, 0, number) for at, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ALLOWED),
        (_RETURN, 0, 0, _DENIED),
    ]
    program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    described = struct.pack("HP", len(steps), ctypes.addressof(program))
    _checked(_libc().prctl(_INSTALL_FILTER, 2, described, 0, 0))


def _checked(returned: int) -> None:
    if returned != 0:
        raise OSError(ctypes.get_errno(), f"the child cannot be confined: {os.strerror(ctypes.get_errno())}")


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
            traceback.print_exc()
        sys.exit(status or FAILED)


if __name__ == "__main__":
    main()
