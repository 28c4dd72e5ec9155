"""One part of the work: is it there already, and if not, read, ask, write, and only then show it.

Refused rows are shown first and the answers last: where the answers are, all is.
"""

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batch import sources
from batch.answering import answer
from batch.errors import Hopeless, Retryable
from batch.fitting import is_list, is_text, width
from batch.manifest import Manifest, Unit
from batch.places import Draft, Place, Seen
from serving.model import Model
from serving.signature import Array, Tensor
from serving.telemetry.histograms import Counts

GROUP = 65_536
MODEL, UNIT, COUNTS = b"unjar.model", b"unjar.unit", b"unjar.counts"


@dataclass(frozen=True)
class Footer:
    """What a finished part says of itself. `bins`: how many of `counted` rows fell into each of the model's own bins."""

    model: str
    unit: str
    rows: int
    answered: int
    quarantined: int
    counted: int
    bins: tuple[int, ...]


def footer(out: Place, name: str, holds: str = "answered") -> Footer | None:
    """None where the file is not there, or is not one of ours that is whole."""
    if out.state(name) is None:
        return None
    try:
        with pq.ParquetFile(out.open(name)) as file:
            metadata = file.metadata
        said = metadata.metadata or {}
        counts = json.loads(said[COUNTS])
        found = Footer(said[MODEL].decode(), said[UNIT].decode(), **{**counts, "bins": tuple(counts["bins"])})
    except (pa.ArrowInvalid, KeyError, TypeError, ValueError):
        return None
    except OSError as error:
        if error.errno is None and out.local:
            return None
        raise
    return found if metadata.num_rows == getattr(found, holds) else None


def present(manifest: Manifest, out: Place, unit: Unit) -> Footer | None:
    """The part's footer, when the part is whole: of this model and this unit, with its refused rows beside it."""
    digest = manifest.unit_digest(unit)
    with out.asked(manifest.name(unit)):
        found = footer(out, manifest.name(unit))
        if found is None or (found.model, found.unit) != (manifest.model, digest):
            return None
        if found.quarantined and footer(out, manifest.quarantine(unit), "quarantined") != found:
            return None
    return found


class Part:
    """A Parquet file in the making, which `undo` takes back. It is not begun before `ready` has returned."""

    def __init__(self, out: Place, undo: contextlib.ExitStack, ready: Callable[[], object], name: str, schema: Any) -> None:
        self._out, self._undo, self._ready, self._name, self._schema = out, undo, ready, name, schema
        self._writer: Any = None
        self._waiting: list[Any] = []
        self.rows = 0

    def _begin(self) -> None:
        self._ready()
        self._draft = Draft(self._out, self._name)
        self._undo.callback(self._draft.discard)
        texts = [field.name for field in self._schema if is_text(field.type)]
        plain = [field.name for field in self._schema if not is_list(field.type) and not pa.types.is_floating(field.type)]
        # Numbers of answers repeat too seldom for a dictionary, are too random for a codec, and nobody looks for them by their
        # bounds.
        chosen = {"use_dictionary": texts, "compression": dict.fromkeys(plain, "snappy"), "write_statistics": ["id"]}
        self._writer = pq.ParquetWriter(self._draft, self._schema, **chosen)
        self._undo.callback(self._close)

    def add(self, batch: Any) -> None:
        self.rows += batch.num_rows
        self._waiting.append(batch)
        if sum(one.num_rows for one in self._waiting) >= GROUP:
            self.flush()

    def flush(self) -> None:
        if self._writer is None:
            self._begin()
        if self._waiting:
            table = pa.Table.from_batches(self._waiting)
            self._waiting = []
            self._writer.write_table(table, row_group_size=max(GROUP, table.num_rows))

    def publish(self, said: Mapping[str, Any], seen: Seen) -> str:
        self._writer.add_key_value_metadata({COUNTS.decode(): json.dumps(said)})
        self._writer.close()
        return self._draft.publish(seen)

    def _close(self) -> None:
        self._draft.discard()
        if self._writer.is_open:
            self._writer.close()


class Counted:
    """Some of the rows, picked by their number alone, so that it does not matter who counts them and when."""

    def __init__(self, model: Model, every: int) -> None:
        self._reference, self._every = model.reference, every
        self._kept: list[tuple[dict[str, Array], dict[str, Array]]] = []
        self.rows = 0

    def add(self, numbers: Array, feeds: dict[str, Array], answers: dict[str, Array]) -> None:
        if self._reference is None:
            return
        # Multiplied by the golden ratio's 2**32, so that rows which repeat in a period are not always the same.
        picked = ((numbers * 2_654_435_769) & 0xFFFFFFFF) < (1 << 32) // self._every
        self.rows += int(picked.sum())
        self._kept.append(tuple({name: array[picked] for name, array in side.items()} for side in (feeds, answers)))  # type: ignore[arg-type]

    def bins(self) -> list[int]:
        if self._reference is None:
            return []
        total: Counts = np.zeros(self._reference.histograms.size, np.int64)
        if self.rows:
            sides = [{name: np.concatenate([one[i][name] for one in self._kept]) for name in self._kept[0][i]} for i in (0, 1)]
            total += self._reference.histograms.count(*sides)
        return [int(count) for count in total]


class Shards:
    """Of one manifest, answered by one model that has proved itself here."""

    def __init__(self, manifest: Manifest, model: Model, source: Place, out: Place) -> None:
        self.manifest, self.model, self.source, self.out = manifest, model, source, out
        self.id_type = sources.id_type(manifest, source)

    def encode(self, unit: Unit) -> str:
        """Returns the SHA-256 of the part's file, empty when another made it. Raises Hopeless or Retryable."""
        return self.make(unit)()

    def make(self, unit: Unit, ready: Callable[[], object] = lambda: None) -> Callable[[], str]:
        """All of `encode` but to wait for the disk and to show the file, which what it returns does.

        Until `ready` has returned nothing is written, rows are only answered.
        """
        manifest, digest = self.manifest, self.manifest.unit_digest(unit)
        # Before it is looked at: what is found wanting is replaced only while it is still the same.
        seen = [self.out.seen(name) for name in (manifest.name(unit), manifest.quarantine(unit))]
        if present(manifest, self.out, unit) is not None:
            return str
        self._expect_unchanged(unit)
        said = {MODEL: self.model.digest.encode(), UNIT: digest.encode()}
        with contextlib.ExitStack() as undo, self.out.asked(manifest.name(unit)):
            parts, counted = self._filled(unit, said, partial(Part, self.out, undo, ready))
            self._expect_unchanged(unit)
            answered, quarantined = parts[0].rows, sum(part.rows for part in parts[1:])
            if answered + quarantined != unit.rows:
                path = self.source.path(manifest.files[unit.file].path)
                raise Hopeless(f"{path}: {answered + quarantined} rows came, expected {unit.rows}")
            counts: dict[str, Any] = {"rows": unit.rows, "answered": answered, "quarantined": quarantined}
            counts |= {"counted": counted.rows, "bins": counted.bins()}
            for part in parts:
                part.flush()
            undo_later = undo.pop_all()

        def show() -> str:
            with undo_later, self.out.asked(manifest.name(unit)):
                digests = [part.publish(counts, was) for part, was in reversed(list(zip(parts, seen, strict=False)))]
                if not all(digests) and present(manifest, self.out, unit) is None:
                    raise Retryable(f"{self.out.path(manifest.name(unit))}: another was first, with something else")
                return digests[-1]

        return show

    def _filled(self, unit: Unit, said: dict[bytes, bytes], part: Callable[[str, Any], Part]) -> tuple[list[Part], Counted]:
        """The part for answers, and another when there is a refused row."""
        parts, counted = [part(self.manifest.name(unit), self._schema(said))], Counted(self.model, self.manifest.every)
        for piece in sources.pieces(self.manifest, self.source, unit, self.model.signature):
            if len(piece.at):
                rows, feeds, answers = answer(self.model, piece.feeds, piece.reasons)
                if len(rows):
                    ids = piece.ids if len(rows) == len(piece.at) else piece.ids.take(pa.array(rows))
                    columns = [to_column(answers[tensor.name], tensor) for tensor in self.model.signature.outputs]
                    parts[0].add(pa.RecordBatch.from_arrays([ids, *columns], schema=self._schema(said)))
                    counted.add(piece.at[rows] - unit.start + unit.first, feeds, answers)
            if piece.reasons or piece.broken:
                if len(parts) == 1:
                    parts.append(part(self.manifest.quarantine(unit), self._refused_schema(said)))
                parts[1].add(self._refused(unit, piece, said))
        return parts, counted

    def _schema(self, said: dict[bytes, bytes]) -> Any:
        kinds = {"id": self.id_type} | {tensor.name: column_type(tensor) for tensor in self.model.signature.outputs}
        return pa.schema([pa.field(name, kind, nullable=False) for name, kind in kinds.items()], said)

    def _refused_schema(self, said: dict[bytes, bytes]) -> Any:
        return pa.schema([("id", self.id_type), ("file", pa.string()), ("row", pa.int64()), ("reason", pa.string())], said)

    def _refused(self, unit: Unit, piece: sources.Piece, said: dict[bytes, bytes]) -> Any:
        """The rows that were refused, with where they came from: the file, and the place in it from 0."""
        rows = sorted(piece.reasons)
        at = [int(piece.at[row]) for row in rows]
        reasons = [piece.reasons[row].replace("row 0", f"row {place}", 1) for row, place in zip(rows, at, strict=True)]
        ids = piece.ids.take(pa.array(rows, pa.int64()))
        if piece.broken:
            at += [place for place, _ in piece.broken]
            reasons += [reason for _, reason in piece.broken]
            ids = pa.concat_arrays([ids, sources.broken_ids(self.manifest, unit, piece.broken, self.id_type)])
        file = self.manifest.files[unit.file]
        names = pa.array([file.names[place - unit.start] if file.names else file.path for place in at])
        return pa.RecordBatch.from_arrays(
            [ids, names, pa.array(at, pa.int64()), pa.array(reasons)], schema=self._refused_schema(said)
        )

    def _expect_unchanged(self, unit: Unit) -> None:
        file = self.manifest.files[unit.file]
        # Outlines are many: each is looked at as it is read.
        if not file.names and self.source.state(file.path) != file.state:
            raise Hopeless(f"{self.source.path(file.path)}: has changed since {self.out.root} was begun; give another folder")


def column_type(tensor: Tensor) -> Any:
    kind = pa.string() if tensor.datatype == "BYTES" else pa.from_numpy_dtype(tensor.dtype)
    # One number per row is a plain column.
    return kind if width(tensor) == 1 else pa.list_(pa.field("element", kind, nullable=False), width(tensor))


def to_column(answers: Array, tensor: Tensor) -> Any:
    flat = pa.array(answers.reshape(-1), pa.string() if tensor.datatype == "BYTES" else None)
    return flat if width(tensor) == 1 else pa.FixedSizeListArray.from_arrays(flat, type=column_type(tensor))
