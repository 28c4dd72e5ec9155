"""How many rows has an input file, how are they cut into parts, and what is in each part?

Rows come in pieces of at most PIECE, so that memory does not depend on how many there are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from batch import fitting
from batch.errors import Hopeless
from batch.fitting import Reasons
from batch.manifest import File, Manifest, Unit
from batch.places import Place
from serving.signature import Array, Signature

PIECE = 8192
KINDS = {"parquet": "parquet", "pq": "parquet", "csv": "csv", "npy": "npy", "dat": "dat"}
# Rows of a part, at least; of outlines, which take longer, contours has its own.
ROWS = 262_144
CSV_BLOCK = 8 << 20
# So many rows are counted in bins, about: all would take as long as to answer them, and these tell a shift.
COUNTED = 4096
# Start, rows and row groups of a part.
Cut = tuple[int, int, tuple[int, int] | None]


@dataclass(frozen=True)
class Piece:
    """Some rows, one behind the other. `at`: their places in the file; `reasons`: those that are not to be asked."""

    at: Array
    ids: Any
    feeds: dict[str, Array]
    reasons: Reasons = field(default_factory=dict)
    # Rows that are not even rows: the place and the reason.
    broken: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True)
class Asked:
    """What the user said of the table."""

    id: str | None = None
    columns: tuple[str, ...] = ()
    shard_rows: int | None = None


def kind_of(names: Sequence[str], where: str) -> str:
    """Raises Hopeless when there is none, or more than one."""
    if not names:
        raise Hopeless(f"{where}: holds no file; expected .parquet, .csv, .npy or .dat")
    kinds = {}
    for name in names:
        suffix = name.rpartition(".")[2].lower()
        if suffix not in KINDS:
            raise Hopeless(f"{where}/{name}: is neither .parquet, .csv, .npy nor .dat; named _{name} it is passed over")
        kinds[KINDS[suffix]] = name
    if len(kinds) > 1:
        raise Hopeless(f"{where}: holds {' and '.join(sorted(kinds.values()))}; expected files of one kind")
    return next(iter(kinds))


def plan(place: Place, names: Sequence[str], signature: Signature, asked: Asked, model: str) -> Manifest:
    """Raises Hopeless when a file is not what the model takes, Retryable when it cannot be looked at."""
    kind = kind_of(names, place.root)
    if asked.id is not None and kind == "npy":
        raise Hopeless(f"{place.root}: .npy has no column {asked.id!r}; rows are numbered")
    if "id" in [tensor.name for tensor in signature.outputs]:
        raise Hopeless("an output of the model is named 'id', as the column of ids is")
    if kind == "dat":
        from batch import contours

        return contours.plan(place, names, signature, asked, model)
    columns: dict[str, tuple[str, ...]] = {}
    files: list[File] = []
    cuts: list[list[Cut]] = []
    id_kind: Any = None
    for name in names:
        state = place.state(name)
        with place.asked(name):
            schema = None if kind == "npy" else _schema(place, name, kind)
            if schema is None:
                _expect_npy(place, name, signature)
            else:
                columns = columns or fitting.choose(schema, signature, asked.id, asked.columns)
                fitting.expect(schema, columns, signature, place.path(name), kind == "csv")
                id_kind = _expect_id(schema, asked.id, id_kind, place.path(name))
            cut = _cut(place, name, kind, asked, columns)
        if state is None:
            raise Hopeless(f"{place.path(name)}: went away while it was looked at")
        files.append(File(name, *state, sum(rows for _, rows, _ in cut)))
        cuts.append(cut)
    every = max(1, sum(file.rows for file in files) // COUNTED)
    return Manifest(model, kind, asked.id, columns, every, tuple(files), _units(files, cuts))


def _units(files: Sequence[File], cuts: Sequence[Sequence[Cut]]) -> tuple[Unit, ...]:
    units: list[Unit] = []
    first = 0
    for i, cut in enumerate(cuts):
        units += [Unit(len(units) + n, i, start, first + start, rows, groups) for n, (start, rows, groups) in enumerate(cut)]
        first += files[i].rows
    return tuple(units)


def _schema(place: Place, name: str, kind: str) -> Any:
    if kind == "parquet":
        with pq.ParquetFile(place.open(name)) as file:
            return file.schema_arrow
    with pa.csv.open_csv(place.open(name), pa.csv.ReadOptions(use_threads=False), _parsing([])) as reader:
        return pa.schema([(column, pa.string()) for column in reader.schema.names])


def _expect_id(schema: Any, name: str | None, before: Any, path: str) -> Any:
    if name is None:
        return None
    if schema.names.count(name) != 1:
        raise Hopeless(f"{path}: has {schema.names.count(name)} columns {name!r}, expected one with the ids")
    found = schema.field(name).type
    if not (fitting.is_text(found) or pa.types.is_integer(found)) or pa.types.is_dictionary(found):
        raise Hopeless(f"{path}: id column {name!r} is {found}; expected whole numbers or text")
    if before is not None and found != before:
        raise Hopeless(f"{path}: id column {name!r} is {found}, in the files before it is {before}")
    return found


def _cut(place: Place, name: str, kind: str, asked: Asked, columns: Any) -> list[Cut]:
    """A CSV is one part: nobody knows where its rows begin."""
    most = asked.shard_rows or ROWS
    if kind == "csv":
        wanted = [asked.id] if asked.id else [next(iter(columns.values()))[0]]
        rows = sum(len(at) + len(broken) for at, _, broken in _csv(place, name, wanted))
        return [(0, rows, None)]
    if kind == "npy":
        rows = _npy(place, name)[2][0]
        return [(start, min(most, rows - start), None) for start in range(0, rows, most)]
    with pq.ParquetFile(place.open(name)) as file:
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
    parts: list[Cut] = []
    begin = start = rows = 0
    for i, size in enumerate(sizes):
        rows += size
        if rows >= most or i == len(sizes) - 1:
            parts.append((start, rows, (begin, i + 1)))
            begin, start, rows = i + 1, start + rows, 0
    return parts


def id_type(manifest: Manifest, place: Place) -> Any:
    if manifest.id is None:
        return pa.string() if manifest.kind == "dat" else pa.int64()
    with place.asked(manifest.files[0].path):
        return _schema(place, manifest.files[0].path, manifest.kind).field(manifest.id).type


def pieces(manifest: Manifest, place: Place, unit: Unit, signature: Signature) -> Iterator[Piece]:
    """Raises Hopeless or Retryable."""
    name = manifest.files[unit.file].path
    with place.asked(name):
        if manifest.kind == "dat":
            from batch import contours

            yield from contours.pieces(manifest, place, unit, signature)
            return
        if manifest.kind == "npy":
            yield from _npy_pieces(place, name, unit, signature)
            return
        needed = [column for chosen in manifest.columns.values() for column in chosen]
        for at, batch, broken in _batches(manifest, place, unit, needed):
            feeds, reasons = fitting.read(batch, manifest.columns, signature)
            yield Piece(at, _ids(manifest, unit, at, batch, reasons), feeds, reasons, broken)


def ids(manifest: Manifest, place: Place, unit: Unit) -> Iterator[tuple[Array, Any]]:
    """The places of all rows, and their ids: as `pieces`, without the rest of the table."""
    name = manifest.files[unit.file].path
    with place.asked(name):
        if manifest.kind == "dat":
            yield np.arange(unit.start, unit.start + unit.rows), stems(manifest.files[unit.file].names)
            return
        columns = [] if manifest.id or manifest.kind != "csv" else [next(iter(manifest.columns.values()))[0]]
        if manifest.id is None and manifest.kind != "csv":
            at = np.arange(unit.start, unit.start + unit.rows)
            yield at, pa.array(at - unit.start + unit.first)
            return
        for at, batch, broken in _batches(manifest, place, unit, columns):
            yield at, _ids(manifest, unit, at, batch, {})
            if broken:
                yield np.array([row for row, _ in broken]), broken_ids(manifest, unit, broken, id_type(manifest, place))


def stems(names: Sequence[str]) -> Any:
    """The ids of outlines."""
    return pa.array([name.rpartition(".")[0] for name in names])


def broken_ids(manifest: Manifest, unit: Unit, broken: Sequence[tuple[int, str]], kind: Any) -> Any:
    """Nobody knows which of the values in a broken row is the id."""
    if manifest.id is not None:
        return pa.nulls(len(broken), kind)
    return pa.array([row - unit.start + unit.first for row, _ in broken], kind)


def _ids(manifest: Manifest, unit: Unit, at: Array, batch: Any, reasons: Reasons) -> Any:
    if manifest.id is None:
        return pa.array(at - unit.start + unit.first, pa.int64())
    found = batch.column(manifest.id)
    if found.null_count:
        for row in np.flatnonzero(found.is_null().to_numpy(zero_copy_only=False)).tolist():
            reasons.setdefault(row, f"null in the id column {manifest.id!r}")
    return found


def _batches(manifest: Manifest, place: Place, unit: Unit, columns: Sequence[str]) -> Iterator[tuple[Array, Any, Any]]:
    name = manifest.files[unit.file].path
    wanted = list(dict.fromkeys([*columns, *([manifest.id] if manifest.id else [])]))
    if manifest.kind == "csv":
        yield from _csv(place, name, wanted)
        return
    begin, end = unit.groups or (0, 0)
    at = unit.start
    with pq.ParquetFile(place.open(name), pre_buffer=False, buffer_size=CSV_BLOCK // 8) as file:
        for batch in file.iter_batches(PIECE, list(range(begin, end)), wanted, use_threads=False):
            yield np.arange(at, at + batch.num_rows), batch, ()
            at += batch.num_rows


def _parsing(broken: list[tuple[int, str]]) -> Any:
    def note(row: Any) -> str:
        # The header is row 1.
        broken.append((row.number - 2, f"has {row.actual_columns} columns, the header {row.expected_columns}"))
        return "skip"

    return pa.csv.ParseOptions(invalid_row_handler=note, newlines_in_values=True, ignore_empty_lines=False)


def _csv(place: Place, name: str, columns: Sequence[str]) -> Iterator[tuple[Array, Any, tuple[tuple[int, str], ...]]]:
    """Everything as text. Rows that have too many or too few columns come as `broken`, each with its place."""
    broken: list[tuple[int, str]] = []
    options = pa.csv.ConvertOptions(
        include_columns=columns, column_types={column: pa.string() for column in columns}, strings_can_be_null=False
    )
    reading = pa.csv.ReadOptions(use_threads=False, block_size=CSV_BLOCK)
    following = 0
    with pa.csv.open_csv(place.open(name), reading, _parsing(broken), options) as reader:
        empty = pa.RecordBatch.from_pylist([], reader.schema)
        for batch in reader:
            for part in _slices(batch):
                at, following = _places(part.num_rows, following, {row for row, _ in broken})
                yield at, part, ()
    if broken:
        yield np.zeros(0, np.int64), empty, tuple(sorted(broken))


def _slices(batch: Any) -> Iterator[Any]:
    for start in range(0, batch.num_rows, PIECE):
        yield batch.slice(start, PIECE)


def _places(rows: int, first: int, passed_over: set[int]) -> tuple[Array, int]:
    """The places of the next so many rows, and the one behind them."""
    found: list[int] = []
    while len(found) < rows:
        if first not in passed_over:
            found.append(first)
        first += 1
    return np.array(found, np.int64), first


def _npy(place: Place, name: str) -> tuple[int, Any, tuple[int, ...]]:
    """Where the numbers begin, their dtype and shape. Raises ValueError for what holds objects, or is not whole."""
    with place.open(name) as file:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, dtype = header(file)
        begin, size = file.tell(), file.size()
    if dtype.hasobject or dtype.kind not in "biuf":
        raise Hopeless(f"{place.path(name)}: holds {dtype}, expected numbers")
    if by_columns and len(shape) > 1:
        raise Hopeless(f"{place.path(name)}: is stored column by column; save numpy.ascontiguousarray of it")
    wanted = begin + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if not shape or size != wanted:
        raise Hopeless(f"{place.path(name)}: has {size} bytes, its header says {wanted}")
    return begin, dtype, tuple(shape)


def _expect_npy(place: Place, name: str, signature: Signature) -> None:
    _, dtype, shape = _npy(place, name)
    if len(signature.inputs) != 1:
        raise Hopeless(f"{place.path(name)}: is one array; the model takes {fitting.describe(signature)}")
    tensor = signature.inputs[0]
    if shape[1:] != tensor.shape[1:]:
        raise Hopeless(f"{place.path(name)}: has shape {list(shape)}, input {tensor.name!r} {list(tensor.shape)}")
    given = pa.schema([("array", pa.list_(pa.from_numpy_dtype(dtype), fitting.width(tensor)))])
    fitting.expect(given, {tensor.name: ("array",)}, signature, place.path(name), False)


def _npy_pieces(place: Place, name: str, unit: Unit, signature: Signature) -> Iterator[Piece]:
    begin, dtype, shape = _npy(place, name)
    tensor, size = signature.inputs[0], int(np.prod(shape[1:], dtype=np.int64))
    with place.open(name) as file:
        for start in range(unit.start, unit.start + unit.rows, PIECE):
            rows = min(PIECE, unit.start + unit.rows - start)
            file.seek(begin + start * size * dtype.itemsize)
            table = np.frombuffer(file.read(rows * size * dtype.itemsize), dtype).astype(dtype.newbyteorder("="), copy=False)
            at = np.arange(start, start + rows)
            column = pa.FixedSizeListArray.from_arrays(pa.array(table), size)
            batch = pa.RecordBatch.from_arrays([column], ["array"])
            feeds, reasons = fitting.read(batch, {tensor.name: ("array",)}, signature)
            yield Piece(at, pa.array(at - unit.start + unit.first), feeds, reasons)
