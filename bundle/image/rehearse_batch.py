"""python rehearse_batch.py FOLDER: what does a run over whole tables load? Called by rehearse.py where the image is for them.

Every kind of file is answered once, with rows that the model refuses, and verified; a store and a share of a cluster are asked
for. Nothing listens at the store's address: what it takes to ask is loaded by then.
"""

import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from serving.model import Model

STORE = "s3://bucket/in?endpoint_override=127.0.0.1:9&scheme=http&allow_bucket_creation=false"


def main(folder: Path) -> None:
    for module in pkgutil.walk_packages(importlib.import_module("batch").__path__, "batch."):
        if module.name != "batch.__main__":
            importlib.import_module(module.name)
    for name in tables(folder):
        run(0, "encode", str(folder / name), str(folder / f"out-{name}"), "--model", "model.onnx", "--workers", "2")
        run(0, "verify", str(folder / name), str(folder / f"out-{name}"), "--sweep")
    run(1, "encode", str(folder), str(folder / "out"), "--shard", "auto")
    run(0, "encode", "s3://bucket/in", "s3://bucket/out", "--on", "k8s", "--shards", "2")
    run(2, "encode", STORE, str(folder / "out"))


def tables(folder: Path) -> list[str]:
    """The rows that travel with the model, and one without a value."""
    folder.mkdir()
    rows = {name: array.reshape(len(array), -1) for name, array in Model.load(Path("model.onnx")).verification.rows.items()}
    pq.write_table(pa.table({name: column(array) for name, array in rows.items()}), folder / "inputs.parquet")
    found = ["inputs.parquet"]
    if len(rows) == 1:
        ((name, array),) = rows.items()
        wide = pa.table({f"{name}.{i}": column(array[:, i : i + 1]) for i in range(array.shape[1])})
        pq.write_table(wide, folder / "wide.parquet")
        pyarrow.csv.write_csv(wide, folder / "wide.csv")
        found += ["wide.parquet", "wide.csv"]
        if array.dtype.kind in "fi":
            np.save(folder / "rows.npy", array)
            found.append("rows.npy")
    return found


def column(array: Any) -> Any:
    kind = pa.array(array[0]).type
    if array.shape[1] == 1:
        return pa.array([*array[:, 0].tolist(), None], kind)
    return pa.array([*array.tolist(), None], pa.list_(kind))


def run(expected: int, *words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "batch", *words], stdout=subprocess.DEVNULL)
    if done.returncode != expected:
        raise SystemExit(f"rehearsal: batch {' '.join(words)} ended with {done.returncode}, expected {expected}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
