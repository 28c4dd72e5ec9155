"""Which columns make which input of the model, and which rows of them are no question to it?

Arrow's columns go in, numpy's arrays come out with a reason for each row that holds no value, or one that is no such number.
What the values may be is the signature's to say.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from batch.errors import Hopeless
from serving.signature import Array, Signature, Tensor, widens

Reasons = dict[int, str]


def width(tensor: Tensor) -> int:
    """Raises Hopeless when rows of this tensor differ in size."""
    if min(tensor.shape[1:], default=1) < 0:
        raise Hopeless(f"{tensor.name!r}: shape {list(tensor.shape)} differs from row to row, a table's column does not")
    return int(np.prod(tensor.shape[1:], dtype=int))


def is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_text(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def choose(schema: Any, signature: Signature, id_column: str | None, given: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """For each input its columns: those given, in order; those of its name; or all there are. Raises Hopeless."""
    names = [name for name in schema.names if name != id_column]
    lists = [name for name, kind in zip(schema.names, schema.types, strict=True) if name != id_column and is_list(kind)]
    inputs = signature.inputs
    if given:
        left, chosen = list(given), {}
        for tensor in inputs:
            taken = 1 if left and left[0] in lists else width(tensor)
            chosen[tensor.name], left = tuple(left[:taken]), left[taken:]
        if left:
            raise Hopeless(f"column {left[0]!r} is one more than the model takes: {describe(signature)}")
        return chosen
    if all(tensor.name in names for tensor in inputs):
        return {tensor.name: (tensor.name,) for tensor in inputs}
    if len(inputs) > 1:
        missing = next(tensor.name for tensor in inputs if tensor.name not in names)
        raise Hopeless(f"no column is named as the input {missing!r}; name the columns with --columns: {describe(signature)}")
    return {inputs[0].name: tuple(lists if len(lists) == 1 else names)}


def describe(signature: Signature) -> str:
    return ", ".join(f"{tensor.name!r} of {width(tensor)} x {tensor.datatype}" for tensor in signature.inputs)


def expect(schema: Any, columns: Mapping[str, Sequence[str]], signature: Signature, path: str, as_text: bool) -> None:
    """Raises Hopeless when a file with such a schema has not these columns, or not as the model takes them."""
    for tensor in signature.inputs:
        names = columns[tensor.name]
        for name in names:
            if schema.names.count(name) != 1:
                raise Hopeless(f"{path}: has {schema.names.count(name)} columns {name!r}, expected one")
        kinds = [schema.field(name).type for name in names]
        if len(names) == 1 and is_list(kinds[0]):
            wide = kinds[0].list_size if pa.types.is_fixed_size_list(kinds[0]) else width(tensor)
            kinds = [kinds[0].value_type]
        else:
            wide = len(names)
        if wide != width(tensor):
            raise Hopeless(
                f"{path}: {wide} columns {list(names)[:4]} are given for input {tensor.name!r}, which has {width(tensor)};"
                " name them with --columns, in the model's order"
            )
        for name, kind in zip(names, kinds, strict=False):
            if not as_text and not _suits(kind, tensor):
                raise Hopeless(f"{path}: column {name!r} is {kind}, which is no {tensor.datatype} or would lose information")


def _suits(kind: Any, tensor: Tensor) -> bool:
    """Whole numbers are looked at one by one later."""
    if is_text(kind) or tensor.datatype == "BYTES":
        return is_text(kind) and tensor.datatype == "BYTES"
    if pa.types.is_boolean(kind) or tensor.datatype == "BOOL":
        return bool(pa.types.is_boolean(kind)) and tensor.datatype == "BOOL"
    if pa.types.is_floating(kind):
        return widens(np.dtype(kind.to_pandas_dtype()), tensor.dtype)
    return bool(pa.types.is_integer(kind))


def read(batch: Any, columns: Mapping[str, Sequence[str]], signature: Signature) -> tuple[dict[str, Array], Reasons]:
    """Feeds of all rows of the batch, and which of these rows are not to be asked, as their place holds no value."""
    feeds: dict[str, Array] = {}
    reasons: Reasons = {}
    for tensor in signature.inputs:
        names = columns[tensor.name]
        if len(names) == 1 and is_list(batch.column(names[0]).type):
            table = _vectors(batch.column(names[0]), tensor, names[0], reasons)
        else:
            table = np.zeros((batch.num_rows, len(names)), tensor.dtype)
            for i, name in enumerate(names):
                table[:, i] = _numbers(batch.column(name), tensor, name, reasons, 1)
        feeds[tensor.name] = table.reshape(-1, *tensor.shape[1:])
    return feeds, reasons


def _vectors(column: Any, tensor: Tensor, name: str, reasons: Reasons) -> Array:
    size = width(tensor)
    fixed = pa.types.is_fixed_size_list(column.type)
    lengths = np.full(len(column), size) if fixed else np.diff(column.offsets.to_numpy())
    right = lengths == size
    if column.null_count:
        right &= column.is_valid().to_numpy(zero_copy_only=False)
    if right.all():
        # As `flatten`, which loads all of Arrow's functions.
        first = column.offset * size if fixed else column.offsets[0].as_py()
        return _numbers(column.values[first : first + len(column) * size], tensor, name, reasons, size).reshape(-1, size)
    for row in np.flatnonzero(~right).tolist():
        held = f"{lengths[row]} values" if column[row].is_valid else "null"
        reasons.setdefault(row, f"{held} in column {name!r}, expected {size} values")
    inner: Reasons = {}
    numbers = _numbers(column.filter(pa.array(right)).flatten(), tensor, name, inner, size)
    rows = np.flatnonzero(right)
    for row, reason in inner.items():
        reasons.setdefault(int(rows[row]), reason)
    table = np.zeros((len(column), size), tensor.dtype)
    table[right] = numbers.reshape(-1, size)
    return table


def _numbers(column: Any, tensor: Tensor, name: str, reasons: Reasons, size: int) -> Array:
    """column: (n * size,) values of n rows. Returns as many, with anything in the place of what has a reason."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if tensor.datatype == "BYTES":
        return np.asarray(_no_null(column, "", tensor, name, reasons, size).to_numpy(zero_copy_only=False), object)
    if is_text(column.type):
        wanted = pa.from_numpy_dtype(np.dtype(np.float32) if tensor.datatype == "FP16" else tensor.dtype)
        column = _parsed(column, wanted, name, reasons)
    column = _no_null(column, False if tensor.datatype == "BOOL" else 0, tensor, name, reasons, size)
    values: Array = column.to_numpy(zero_copy_only=False)
    if values.dtype == tensor.dtype or values.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return values.astype(tensor.dtype, copy=False)
    with np.errstate(invalid="ignore"):
        cast: Array = values.astype(tensor.dtype, copy=False)
        lost = (cast.astype(values.dtype) != values) | ((cast < 0) != (values < 0))
    for at in np.flatnonzero(lost).tolist():
        reasons.setdefault(at // size, f"{values[at]} in column {name!r} is no {tensor.datatype} without losing information")
    return cast


def _no_null(column: Any, instead: Any, tensor: Tensor, name: str, reasons: Reasons, size: int) -> Any:
    """What is not there is NaN, as for pandas, where the model takes NaN."""
    if column.null_count == 0:
        return column
    if tensor.allow_nan and pa.types.is_floating(column.type):
        return column.fill_null(np.nan)
    for at in np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False)).tolist():
        reasons.setdefault(at // size, f"null in column {name!r}")
    return column.fill_null(instead)


def _parsed(column: Any, wanted: Any, name: str, reasons: Reasons) -> Any:
    """Numbers from text; blanks around them are none of them, and nothing but blanks is null."""
    try:
        return column.cast(wanted)
    except pa.ArrowInvalid:
        # A tenth of all that a worker loads, and hardly ever asked for.
        import pyarrow.compute as pc

        column = pc.utf8_trim_whitespace(column)
        column = pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)
    parts: list[Any] = []
    left = [(0, len(column))]
    while left:
        start, stop = left.pop()
        try:
            parts.append(column[start:stop].cast(wanted))
        except pa.ArrowInvalid:
            if stop - start > 1:
                middle = (start + stop) // 2
                left += [(middle, stop), (start, middle)]
                continue
            reasons.setdefault(start, f"{str(column[start])[:40]!r} in column {name!r} is no {wanted}")
            parts.append(pa.array([False if pa.types.is_boolean(wanted) else 0], wanted))
    return pa.concat_arrays(parts)
