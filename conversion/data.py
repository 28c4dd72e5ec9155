"""Which real rows did the user bring with --data?"""

import io
from pathlib import Path
from typing import Any

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
    return {"X": _no_infinity(fitting[0].astype(np.float64))}


def _frame(path: Path, schema: Schema) -> Feeds:
    frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    if schema.table:
        wanted = list(schema.names) or list(frame.columns)
        missing = [name for name in wanted if name not in frame.columns]
        if missing or len(wanted) != schema.columns[0].width:
            raise ValueError(f"wanted {schema.columns[0].width} columns {list(schema.names)}, found {list(frame.columns)}")
        return {"X": np.concatenate([_numbers(frame[name], name) for name in wanted], axis=1)}
    if len(schema.columns) == 1 and schema.columns[0].name == "X":
        return {"X": _fitted(frame.iloc[:, :1].to_numpy(object), schema.columns[0])}
    missing = [column.name for column in schema.columns if column.name not in frame.columns]
    if missing:
        raise ValueError(f"column {missing[0]!r} is missing; found {list(frame.columns)}")
    return {c.name: _texts(frame[c.name], c.name) if c.text else _numbers(frame[c.name], c.name) for c in schema.columns}


def _texts(column: Any, name: str) -> Array:
    """Raises ValueError for a gap: no client can send one."""
    missing = np.flatnonzero(column.isna())
    if len(missing):
        raise ValueError(
            f"row {missing[0]} has no text in column {name!r}, and a client can send none; fill it in or leave it out"
        )
    return np.array(column.astype(str), object).reshape(-1, 1)


def _numbers(column: Any, name: str) -> Array:
    """Gaps become NaN. Raises ValueError for what is no number."""
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = np.flatnonzero(numbers.isna() & column.notna())
    if len(wrong):
        raise ValueError(f"row {wrong[0]} has {column.iloc[wrong[0]]!r} in column {name!r}, where a number is wanted")
    return _no_infinity(numbers.to_numpy(np.float64, na_value=np.nan).reshape(-1, 1))


def _fitted(array: Array, column: Column) -> Array:
    series = pd.Series(array.reshape(-1))
    return _texts(series, column.name) if column.text else _numbers(series, column.name)


def _no_infinity(array: Array) -> Array:
    """NaN stays: where it stands for a gap, scikit-learn says whether it takes it."""
    if np.isinf(array).any():
        row, column = (int(at) for at in np.argwhere(np.isinf(array))[0])
        raise ValueError(f"row {row}, column {column} is infinite; leave the row out, infinity is tried anyway")
    # Values that float32 holds too, so that both precisions and scikit-learn see the same numbers.
    return array.astype(np.float32).astype(np.float64)
