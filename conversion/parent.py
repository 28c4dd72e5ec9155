"""Who decides that the child's work is good, and puts it where the user wants it?

Imports neither scikit-learn nor pickle. It loads the child's model as the server will, replays the verification rows
itself, and only then writes; a refusal leaves every file as it was.
"""

import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
    limits: Limits = field(default_factory=Limits)


def convert(order: Order) -> dict[str, Any]:
    """Writes the model and what else was asked for, and returns the report. Raises Refused or Unreadable."""
    with tempfile.TemporaryDirectory(prefix="unjar-") as name:
        folder = Path(name)
        _hand_over(order, folder)
        protections = run("conversion.child", [], folder, order.limits)
        report = _taken_back(folder)
        report["protections"] = protections
        for path, content in (
            (order.output, (folder / "model.onnx").read_bytes()),
            (order.example, (folder / "example.json").read_bytes()),
            (order.report, (json.dumps(report, indent=1) + "\n").encode()),
            (order.html, render(report, order.output.name).encode()),
        ):
            if path is not None:
                _replace(path, content)
    return report


def _hand_over(order: Order, folder: Path) -> None:
    rows = folder / "rows"
    rows.mkdir()
    try:
        shutil.copyfile(order.source, folder / "model.pkl")
        if order.data:
            shutil.copyfile(order.data, rows / order.data.name)
    except OSError as error:
        raise Unreadable(f"{error.filename}: cannot be read: {error.strerror}") from None
    task = {
        "name": order.output.stem,
        "methods": list(order.methods),
        "trusted": list(order.trust),
        "data": f"rows/{order.data.name}" if order.data else "",
        "array": order.array,
        "atol": order.atol,
        "rtol": order.rtol,
        "precision": order.precision,
        "progress": sys.stderr.isatty(),
    }
    (folder / "task.json").write_text(json.dumps(task))


def _taken_back(folder: Path) -> dict[str, Any]:
    refusal = folder / "refusal.json"
    if refusal.exists():
        said = json.loads(refusal.read_text())
        raise {"Refused": Refused, "Unreadable": Unreadable}[said["kind"]](said["message"])
    try:
        Model.load(folder / "model.onnx").verify()
    except ModelRefused as error:
        raise Refused(f"the written file does not hold when it is loaded as the server loads it: {error}") from None
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return report


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
