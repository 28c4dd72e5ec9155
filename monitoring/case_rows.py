"""Which rows did a case ask, what does scikit-learn say to them, and how do they become rows that every conversion proves?"""

import base64
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from serving.errors import Refusal
from serving.limits import inflate
from serving.model import Model
from serving.protocol import Decoder
from serving.signature import DTYPES, Array
from serving.telemetry.case import NotACase, content_of
from serving.verification import Tolerance

REGRESSIONS = "unjar-regressions/1"
# What a small body may inflate to.
MOST_TIMES = 2000


def inputs_of(case: dict[str, Any], model: Model) -> list[dict[str, Any]]:
    """The rows that were asked, in the protocol's form, to the last bit. Raises NotACase where they are none for the model."""
    body, head = content_of(case["request"]), case["request"]["headers"]
    try:
        if "content-encoding" in head:
            body = inflate(body, head["content-encoding"].encode(), len(body) * MOST_TIMES)
        decoder = Decoder(model.signature, case["settings"].get("max_rows", 100_000))
        feeds = decoder.decode(body, head.get("inference-header-content-length")).feeds
    except Refusal as refusal:
        raise NotACase(f"holds rows that the model does not take: {refusal}") from None
    told = []
    for tensor in model.signature.inputs:
        array = feeds[tensor.name]
        one: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(array.shape)}
        if array.dtype.hasobject:
            told.append(one | {"data": array.reshape(-1).tolist()})
        else:
            raw = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
            told.append(one | {"base64": base64.b64encode(raw).decode()})
    return told


def scikit_learn(case: dict[str, Any], model: Model, pickle: Path) -> dict[str, Array]:
    """By conversion's own command, in its sandbox: this room opens no pickle. Raises ValueError."""
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows.json"
        rows.write_text(json.dumps({"inputs": inputs_of(case, model)}))
        command = [sys.executable, "-m", "conversion.answer", str(pickle), str(rows)]
        root = Path(__file__).resolve().parent.parent
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(root)})
    if done.returncode:
        raise ValueError(f"{pickle}: {done.stderr.strip()}")
    said = json.loads(done.stdout)
    if "refused" in said:
        raise ValueError(f"{pickle}: scikit-learn refuses these rows: {said['refused']}")
    found = {}
    for one in said["outputs"]:
        dtype, shape = DTYPES[one["datatype"]], tuple(one["shape"])
        data = one["data"] if "data" in one else np.frombuffer(base64.b64decode(one["base64"]), dtype.newbyteorder("<"))
        found[one["name"]] = np.array(data, dtype).reshape(shape)
    return found


def adopt(case: dict[str, Any], model: Model, into: Path, expected: list[dict[str, Any]] | None) -> int:
    """Adds the case's rows to what every conversion proves from now on. Returns how many cases are there.

    Raises NotACase, OSError, or ValueError when the file is another's.
    """
    known: dict[str, Any] = json.loads(into.read_bytes()) if into.exists() else {"format": REGRESSIONS, "rows": []}
    if known.get("format") != REGRESSIONS:
        raise ValueError(f"{into}: is no file of regressions")
    entry: dict[str, Any] = {"name": case["request_id"], "inputs": inputs_of(case, model)}
    if expected is not None:
        tolerance = model.verification.tolerance
        entry["expected"] = [_expected(one, tolerance[one["name"]]) for one in expected]
    known["rows"] = [row for row in known["rows"] if row["name"] != entry["name"]] + [entry]
    part = into.with_name(f".{into.name}.part")
    part.write_text(json.dumps(known, indent=1) + "\n")
    part.replace(into)
    return len(known["rows"])


def _expected(given: dict[str, Any], tolerance: Tolerance) -> dict[str, Any]:
    return {"datatype": "FP64", "atol": tolerance.atol, "rtol": tolerance.rtol} | given
