"""Which real rows did the user bring with --data?"""

import io
from pathlib import Path

import numpy as np
import pandas as pd

from conversion.errors import Unreadable
from conversion.schema import Column, Feeds, Schema
from serving.signature import Array


def read(path: Path, array: str, schema: Schema) -> Feeds:
    """Rows from .npz, .csv or .parquet as feeds; `array` picks one of an archive, else it is `X` or the only one that fits.

    Raises Unreadable when they do not fit the inputs.
    """
    try:
        if path.suffix == ".npz":
            return _npz(path, array, schema)
        if path.suffix in (".csv", ".parquet"):
            return _frame(path, schema)
        raise ValueError("is not .npz, .csv or .parquet")
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path.name}: {error}") from None


def _npz(path: Path, array: str, schema: Schema) -> Feeds:
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
        if not schema.table:
            return {column.name: _fitted(archive[column.name].reshape(-1, 1), column) for column in schema.columns}
        width = schema.columns[0].width
        found = {name: archive[name] for name in archive.files}
    wanted = array or ("X" if "X" in found else "")
    fitting = [
        values
        for name, values in found.items()
        if wanted in ("", name) and values.ndim == 2 and values.shape[1] == width and values.dtype.kind in "iuf"
    ]
    if len(fitting) != 1:
        shapes = {name: list(values.shape) for name, values in found.items()}
        raise ValueError(f"wanted one numeric array {wanted or 'X'!r} of shape [n, {width}], found {shapes}; --array picks one")
    return {"X": _finite(fitting[0].astype(np.float64))}


def _frame(path: Path, schema: Schema) -> Feeds:
    frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    if schema.table:
        wanted = list(schema.names) or list(frame.columns)
        missing = [name for name in wanted if name not in frame.columns]
        if missing or len(wanted) != schema.columns[0].width:
            raise ValueError(f"wanted {schema.columns[0].width} columns {list(schema.names)}, found {list(frame.columns)}")
        return {"X": _finite(frame[wanted].to_numpy(np.float64))}
    if len(schema.columns) == 1:
        return {"X": _fitted(frame.iloc[:, :1].to_numpy(object), schema.columns[0])}
    missing = [column.name for column in schema.columns if column.name not in frame.columns]
    if missing:
        raise ValueError(f"column {missing[0]!r} is missing; found {list(frame.columns)}")
    return {c.name: _fitted(frame[[c.name]].to_numpy(object), c) for c in schema.columns}


def _fitted(array: Array, column: Column) -> Array:
    return array.astype(str).astype(object) if column.text else _finite(array.astype(np.float64))


def _finite(array: Array) -> Array:
    if not np.isfinite(array).all():
        raise ValueError("a row holds NaN or infinity; leave it out, both are tried anyway")
    # Values that float32 holds too, so that both precisions and scikit-learn see the same numbers.
    return array.astype(np.float32).astype(np.float64)
