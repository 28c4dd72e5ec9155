"""Runs a command that the kernel kills at its first connect(2): python no_egress.py COMMAND...

A seccomp filter, because it needs no privilege, no package and no namespace, holds in containers, and sees every thread:
onnxruntime's telemetry is C++ that no Python hook notices. Killing is the one verdict nobody can swallow and retry.
"""

import ctypes
import os
import platform
import struct
import sys

CONNECT = {"x86_64": 42, "aarch64": 203}[platform.machine()]
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
KILL_PROCESS, ALLOW = 0x80000000, 0x7FFF0000
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06


class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def forbid_connecting() -> None:
    # Load the call's number; if it is connect's, fall through to the kill, else jump over it.
    steps = [(LOAD, 0, 0, 0), (JUMP_IF_EQUAL, 0, 1, CONNECT), (RETURN, 0, 0, KILL_PROCESS), (RETURN, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    program = Program(len(steps), ctypes.cast(code, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "the kernel takes no seccomp filter")


if __name__ == "__main__":
    forbid_connecting()
    os.execvp(sys.argv[1], sys.argv[1:])
