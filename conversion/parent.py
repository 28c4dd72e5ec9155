"""Who decides that the child's work is good, and puts it where the user wants it?

Imports neither scikit-learn nor pickle. It loads the child's model as the server will, replays the verification rows
itself, and only then writes; a refusal leaves every file as it was.
"""

import json
import os
import shutil
import stat
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conversion import returned
from conversion.errors import Refused, Unreadable
from conversion.page import render
from conversion.sandbox import Limits, run
from serving.errors import ModelRefused
from serving.model import Model


@dataclass(frozen=True)
class Order:
    """What the user asked for on the command line."""

    source: Path
    output: Path
    data: Path | None = None
    array: str = ""
    report: Path | None = None
    html: Path | None = None
    example: Path | None = None
    methods: tuple[str, ...] = ()
    trust: tuple[str, ...] = ()
    atol: float = 1e-5
    rtol: float = 1e-5
    precision: str = ""
    regressions: Path | None = None
    limits: Limits = field(default_factory=Limits)


def convert(order: Order) -> dict[str, Any]:
    """Writes the model and what else was asked for, and returns the report. Raises Refused or Unreadable."""
    with tempfile.TemporaryDirectory(prefix="unjar-") as name:
        folder = Path(name)
        _hand_over(order, folder)
        protections = run("conversion.child", [], folder, order.limits)
        model, example, report = _taken_back(folder, order.limits)
        report["protections"] = protections
        for path, content in (
            (order.output, model),
            (order.example, example),
            (order.report, (json.dumps(report, indent=1) + "\n").encode()),
            (order.html, render(report, order.output.name).encode()),
        ):
            if path is not None:
                _replace(path, content)
    return report


def _hand_over(order: Order, folder: Path) -> None:
    rows = folder / "rows"
    rows.mkdir()
    copied(order.source, folder / "model.pkl", order.limits)
    if order.data:
        copied(order.data, rows / order.data.name, order.limits)
    if order.regressions:
        copied(order.regressions, folder / "regressions.json", order.limits)
    task = {
        "name": order.output.stem,
        "methods": list(order.methods),
        "trusted": list(order.trust),
        "data": f"rows/{order.data.name}" if order.data else "",
        "array": order.array,
        "atol": order.atol,
        "rtol": order.rtol,
        "precision": order.precision,
        "regressions": "regressions.json" if order.regressions else "",
        "progress": sys.stderr.isatty(),
    }
    (folder / "task.json").write_text(json.dumps(task))


def copied(source: Path, into: Path, limits: Limits) -> None:
    """Raises Unreadable for what has no end, like a device, and what the child could not hold."""
    try:
        found = source.stat()
        if not stat.S_ISREG(found.st_mode):
            raise Unreadable(f"{source}: is no regular file; save it as one")
        if found.st_size > limits.memory_bytes:
            most = f"more than the {limits.memory_bytes >> 20} MiB of memory that reading it may use"
            raise Unreadable(f"{source}: has {found.st_size:,} bytes, {most}; --memory-limit allows more")
        shutil.copyfile(source, into)
    except OSError as error:
        raise Unreadable(f"{error.filename or source}: cannot be read: {error.strerror}") from None


def _taken_back(folder: Path, limits: Limits) -> tuple[bytes, bytes, dict[str, Any]]:
    if os.path.lexists(folder / "refusal.json"):
        raise returned.refusal(folder / "refusal.json")
    model = returned.content(folder / "model.onnx", limits.file_bytes)
    try:
        Model.from_bytes(model, str(folder / "model.onnx")).verify()
    except ModelRefused as error:
        raise Refused(f"the written file does not hold when it is loaded as the server loads it: {error}") from None
    example = returned.content(folder / "example.json", returned.MOST_REPORT_BYTES)
    return model, example, returned.document(folder / "report.json")


def _replace(path: Path, content: bytes) -> None:
    """Writes the file whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
