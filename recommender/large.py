"""Which parts are nearest in a catalogue too large to hold, and how is one made of what a batch answered?

LanceDB keeps it in a folder or in an object store: an IVF_PQ index names candidates, and those are measured as exact search
measures. The one module that knows lancedb and pyarrow, which the image does not have; they are loaded for who asks for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recommender.addition import check_installed
from recommender.catalogue import SHAPE, Catalogue, CatalogueRefused
from recommender.contour import Array
from recommender.encoder import Encoder
from recommender.matching import laid
from recommender.parts import FAMILY

PREFIX = "large/"
# Written last: which table counts, whose coordinates it holds, and what its files must be.
POINTER, DONE = "catalogue.json", "_SUCCESS.json"
FOUND = ["id", "latent"]
# Among fewer parts every one is looked at; the index learns from 256 of them at least.
INDEXED_MIN = 1_000
# Of the index's cells, half as many as the square root of the parts, so many are looked into; so many candidates are measured,
# and twice as many as are asked for at least. benchmarks/catalogue.py has what is missed.
_PROBED, _MEASURED = 40, 100
_CACHE_BYTES = 512 << 20
_AT_ONCE = 65_536


@dataclass(frozen=True)
class _Opened:
    """`stamp`: of the pointer that was followed."""

    table: Any
    model: str
    parts: int
    stamp: object


class Large:
    """What `index` wrote at `address`; opened when it is first asked, and again when it was made anew."""

    def __init__(self, address: str) -> None:
        """Raises CannotStart."""
        self.address, self._lancedb = address, _lancedb(address)
        self._session = self._lancedb.Session(index_cache_size_bytes=_CACHE_BYTES, metadata_cache_size_bytes=_CACHE_BYTES // 8)
        self._opened: _Opened | None = None

    def nearest(self, shape: Array, k: int, encoder: Encoder) -> tuple[Catalogue, Array]:
        """shape (24,) -> the k parts nearest to it and their distances (k,) in % chord, nearest first.

        Raises CatalogueRefused where it cannot be read or belongs to another model.
        """
        point = laid(shape, encoder)
        query = self._of(encoder).table.search(point.astype(np.float32), vector_column_name="point")
        query = query.select([*FOUND, "_distance"]).nprobes(_PROBED).refine_factor(max(_MEASURED // k, 2)).limit(k)
        parts = self._asked(query, encoder)
        distance = np.linalg.norm(laid(parts.latent[:, :SHAPE].astype(np.float64), encoder) - point, axis=1)
        return parts, distance

    def part(self, identity: str, encoder: Encoder) -> Catalogue | None:
        """The one part of this id, which begins with PREFIX. Raises CatalogueRefused."""
        quoted = identity.removeprefix(PREFIX).replace("'", "''")
        found = self._asked(self._of(encoder).table.search().where(f"id = '{quoted}'").select(FOUND).limit(1), encoder)
        return found if len(found) else None

    def count(self, encoder: Encoder) -> int:
        """Raises CatalogueRefused."""
        return self._of(encoder).parts

    def _of(self, encoder: Encoder) -> _Opened:
        opened = self._opened
        if opened is None or opened.stamp != _stamp(self.address):
            opened = self._opened = self._open()
        if opened.model != encoder.digest:
            raise CatalogueRefused(
                f"{self.address}: belongs to model {opened.model[:12]}, this one is {encoder.digest[:12]};"
                " let python -m batch answer its parts with this model and index them again"
            )
        return opened

    def _open(self) -> _Opened:
        stamp = _stamp(self.address)
        try:
            said = _pointer(self.address)
            if said is None:
                raise CatalogueRefused(f"found no {POINTER}; python -m recommender index writes it")
            _check(self.address, said["files"])
            table = self._lancedb.connect(self.address, session=self._session).open_table(said["table"])
            return _Opened(table, said["model"], said["parts"], stamp)
        except Exception as problem:
            raise CatalogueRefused(f"{self.address}: cannot be opened: {_first_line(problem)}") from None

    def _asked(self, query: Any, encoder: Encoder) -> Catalogue:
        try:
            found = query.to_arrow()
        except Exception as problem:
            raise CatalogueRefused(f"{self.address}: cannot be read: {_first_line(problem)}") from None
        names, n = found["id"].to_pylist(), len(found)
        latent = found["latent"].combine_chunks().flatten().to_numpy().reshape(n, _width(encoder))
        return Catalogue(
            id=np.array([PREFIX + name for name in names], dtype=np.str_),
            name=np.array(names, dtype=np.str_),
            source=np.full(n, self.address.rstrip("/").rpartition("/")[2]),
            family=np.full(n, FAMILY),
            # As well as their coordinates tell their shapes.
            contour=encoder.decode(latent.astype(np.float64)).astype(np.float32),
            latent=latent,
            own=np.ones(n, dtype=bool),
            encoder_sha256=encoder.digest,
        )


def index(answered: str, address: str, encoder: Encoder) -> int:
    """From the folder that python -m batch encode made, local or in a store -> how many parts there are now at `address`.

    Who has open what was there before goes on with it until the next one is made. For one at a time. Raises CannotStart,
    CatalogueRefused or OSError.
    """
    lancedb, files = _lancedb(address), _answered_files(answered, encoder)
    import pyarrow as pa
    from lancedb.index import BTree, IvfPq

    fields = {"id": pa.string(), "latent": pa.list_(pa.float32(), _width(encoder)), "point": pa.list_(pa.float32(), SHAPE)}
    schema = pa.schema(list(fields.items()))
    rows = pa.RecordBatchReader.from_batches(schema, _answered(answered, files, schema, encoder))
    name = secrets.token_hex(8)
    table = lancedb.connect(address).create_table(name, rows)
    count = int(table.count_rows())
    if count >= INDEXED_MIN:
        table.create_index("point", config=IvfPq(num_partitions=round(count**0.5 / 2), num_sub_vectors=SHAPE))
        table.create_index("id", config=BTree())
    _publish(address, {"table": name, "model": encoder.digest, "parts": count, "files": _digests(address, name)})
    return count


def _publish(address: str, said: Mapping[str, Any]) -> None:
    """From now on this one counts; the one before stays for who has it open, and others go."""
    from pyarrow import fs

    store, root = _store(address)
    before = _pointer(address)
    with store.open_output_stream(f"{root}/.{POINTER}") as file:
        file.write(json.dumps(said, indent=1).encode())
    store.move(f"{root}/.{POINTER}", f"{root}/{POINTER}")
    kept = {f"{one['table']}.lance" for one in (said, before) if one is not None}
    for found in store.get_file_info(fs.FileSelector(root)):
        if found.type == fs.FileType.Directory and found.base_name.endswith(".lance") and found.base_name not in kept:
            store.delete_dir(found.path)


def _answered_files(folder: str, encoder: Encoder) -> list[str]:
    """Raises CatalogueRefused where the batch has not ended or was another model's."""
    store, root = _store(folder)
    try:
        with store.open_input_stream(f"{root}/{DONE}") as file:
            said = json.loads(file.read())
    except FileNotFoundError:
        raise CatalogueRefused(f"{folder}: has no {DONE}; python -m batch encode writes it when all is answered") from None
    if said["model"] != encoder.digest:
        raise CatalogueRefused(f"{folder}: was answered by model {said['model'][:12]}, this one is {encoder.digest[:12]}")
    return sorted(name for name in said["files"] if "/" not in name)


def _answered(folder: str, files: list[str], schema: Any, encoder: Encoder) -> Iterator[Any]:
    """Batches of ids, coordinates and the points that are searched."""
    import pyarrow as pa
    from pyarrow import parquet

    store, root = _store(folder)
    output = encoder.model.signature.outputs[0].name
    for name in files:
        with store.open_input_file(f"{root}/{name}") as file:
            for batch in parquet.ParquetFile(file).iter_batches(_AT_ONCE, columns=["id", output]):
                latent = batch[output].flatten().to_numpy().reshape(len(batch), _width(encoder)).astype(np.float32)
                if not np.isfinite(latent).all():
                    raise CatalogueRefused(f"{folder}/{name}: a coordinate is not finite; nothing was indexed")
                point = laid(latent[:, :SHAPE].astype(np.float64), encoder).astype(np.float32)
                lists = [
                    pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1]) for values in (latent, point)
                ]
                yield pa.record_batch([batch["id"].cast(pa.string()), *lists], schema=schema)


def _pointer(address: str) -> Any:
    """What it says, or None where there is none. Raises OSError or ValueError."""
    store, root = _store(address)
    try:
        with store.open_input_stream(f"{root}/{POINTER}") as file:
            return json.loads(file.read())
    except FileNotFoundError:
        return None


def _stamp(address: str) -> object:
    """Changes with the pointer, on a disk; a store is looked at once."""
    try:
        about = None if "://" in address else Path(address, POINTER).stat()
    except FileNotFoundError:
        return "absent"
    return about and (about.st_ino, about.st_mtime_ns)


def _digests(address: str, table: str) -> dict[str, str]:
    """Of every file of a table on a disk; a store answers for its bytes itself."""
    if "://" in address:
        return {}
    return {
        str(path.relative_to(address)): _sha256(path) for path in Path(address, f"{table}.lance").rglob("*") if path.is_file()
    }


def _check(address: str, files: Mapping[str, str]) -> None:
    """Before lancedb sees them, as bytes it did not write may end the process. Raises OSError or CatalogueRefused."""
    for name, digest in files.items():
        found = _sha256(Path(address, name))
        if found != digest:
            raise CatalogueRefused(f"{name} has SHA-256 {found[:12]}, expected {digest[:12]}; index again")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _store(address: str) -> tuple[Any, str]:
    from pyarrow import fs

    store, root = fs.FileSystem.from_uri(address if "://" in address else str(Path(address).absolute()))
    return store, root.rstrip("/")


def _lancedb(address: str) -> Any:
    """Raises CannotStart."""
    check_installed(address)
    # Its own log is text; what goes wrong is raised too.
    os.environ.setdefault("LANCEDB_LOG", "error")
    import lancedb

    return lancedb


def _width(encoder: Encoder) -> int:
    return encoder.model.signature.outputs[0].shape[1]


def _first_line(problem: Exception) -> str:
    return str(problem).partition("\n")[0][:300]
