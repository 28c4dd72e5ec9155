"""Load from one thread of C, in which each connection knows its own question and its own answer (load.c).

wrk and its like can tell whether an answer is one of those expected, not whether it went to the connection that asked.
"""

import functools
import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("load.c")
_compiled = tempfile.TemporaryDirectory(prefix="load-")


@functools.cache
def program() -> str:
    """Compiled once for this process. Raises FileNotFoundError where there is no C compiler."""
    path = Path(_compiled.name) / "load"
    subprocess.run(["cc", "-O2", "-o", path, SOURCE], check=True)
    return str(path)


def whole(path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """The request as it goes over the wire."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{key}: {value}" for key, value in headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def load(
    port: int, questions: Sequence[tuple[bytes, bytes]], connections: int, seconds: float, core: int | None = None
) -> dict[str, Any]:
    """Ask (whole request, body of its answer), each connection from another one on.

    Returns requests, seconds, p50_us, p99_us and how many answers were wrong, refused (not 200) or broken off.
    Raises RuntimeError where nothing could be measured.
    """
    with tempfile.TemporaryDirectory() as folder:
        for i, (question, answer) in enumerate(questions):
            (Path(folder) / f"question{i}").write_bytes(question)
            (Path(folder) / f"answer{i}").write_bytes(answer)
        pinned = [] if core is None else ["taskset", "-c", str(core)]
        command = [*pinned, program(), str(port), str(connections), f"{seconds:g}", folder]
        ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode != 0:
        raise RuntimeError(ran.stderr.strip() or f"load ended with {ran.returncode}")
    return dict(json.loads(ran.stdout))
