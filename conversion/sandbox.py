"""How is untrusted work kept in a child: how long, how large, and can it reach the network?

The parent hands over a folder and reads files back; it never loads anything that Python could execute.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from conversion.errors import Refused

ROOT = Path(__file__).resolve().parent.parent
_ISOLATE = ["unshare", "--user", "--map-root-user", "--net", "--ipc", "--pid", "--fork", "--kill-child"]


@dataclass(frozen=True)
class Limits:
    """What the child may use before it is stopped."""

    seconds: int = 120
    memory_bytes: int = 8 << 30
    file_bytes: int = 2 << 30
    processes: int = 256


def isolation() -> list[str]:
    """The command prefix that gives the child namespaces of its own, without a network; empty where the host forbids it."""
    if shutil.which("unshare") is None:
        return []
    tried = subprocess.run([*_ISOLATE, "true"], capture_output=True, check=False)
    return _ISOLATE if tried.returncode == 0 else []


def run(module: str, arguments: list[str], folder: Path, limits: Limits) -> list[str]:
    """Runs `python -m module arguments` in `folder` and returns the protections that were active.

    The child's standard error is the caller's. Raises Refused when a limit was hit or the child died.
    """
    prefix = isolation()
    child = subprocess.Popen(
        [*prefix, sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.DEVNULL,
        preexec_fn=lambda: _confine(limits),
        start_new_session=True,
    )
    try:
        code = child.wait(limits.seconds)
    except subprocess.TimeoutExpired:
        raise Refused(f"the conversion was stopped after {limits.seconds} s; --time-limit allows more") from None
    finally:
        _end(child)
    if code != 0:
        raise Refused(f"the conversion's child process {_cause(code)}; nothing was written")
    return _described(limits, isolated=bool(prefix))


def _environment(folder: Path) -> dict[str, str]:
    passed = ("PATH", "LANG", "PYTHONHASHSEED")
    kept = {name: value for name, value in os.environ.items() if name in passed or name.startswith("OPENBLAS_")}
    return kept | {
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        # Deprecations inside skl2onnx are nothing the user could act on.
        "PYTHONWARNINGS": "ignore",
        # One thread: sums in another order would change last digits, and with them the bytes of the model.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _confine(limits: Limits) -> None:
    for what, value in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.seconds),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (value, value))
    if os.geteuid() != 0:  # root is not counted, and inside the container nobody else's processes are either
        resource.setrlimit(resource.RLIMIT_NPROC, (limits.processes, limits.processes))


def _end(child: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        child.wait()


def _cause(code: int) -> str:
    number = -code if code < 0 else code - 128
    if number == signal.SIGXCPU:
        return "used up its processor time; --time-limit allows more"
    if number == signal.SIGXFSZ:
        return "wrote a file larger than it may"
    return f"died of {signal.Signals(number).name}" if number in set(signal.Signals) else f"failed with status {code}"


def _described(limits: Limits, isolated: bool) -> list[str]:
    active = [
        f"time <= {limits.seconds} s",
        f"memory <= {limits.memory_bytes >> 20} MiB",
        f"files <= {limits.file_bytes >> 20} MiB",
        "private folder",
        "allow-listed names",
    ]
    return active + (["no network", "own process and IPC namespace"] if isolated else ["network not cut off by us"])
