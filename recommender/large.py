"""Which parts are nearest in a catalogue too large to hold, and how is one made of what a batch answered?

LanceDB keeps it in a folder or in an object store: an IVF_PQ index names candidates, and those are measured as exact search
measures. The one module that knows lancedb and pyarrow, which the image does not have; they are loaded for who asks for it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from recommender.addition import check_installed
from recommender.catalogue import SHAPE, Catalogue, CatalogueRefused
from recommender.contour import Array
from recommender.encoder import Encoder
from recommender.matching import laid
from recommender.parts import FAMILY
from serving.errors import CannotStart

PREFIX, SUFFIX = "large/", ".lance"
DONE = "_SUCCESS.json"
FOUND = ["id", "latent"]
# Among fewer parts every one is looked at; the index learns from 256 of them at least.
INDEXED_MIN = 1_000
# Of the index's cells, half as many as the square root of the parts, so many are looked into; so many candidates are measured,
# and twice as many as are asked for at least. benchmarks/catalogue.py has what is missed.
_PROBED, _MEASURED = 40, 100
_CACHE_BYTES = 512 << 20
_AT_ONCE = 65_536
# For so long a server may go on with what a new index has replaced.
_KEPT = timedelta(days=1)


class Large:
    """What `index` wrote at `address`, opened when it is first asked."""

    def __init__(self, address: str) -> None:
        """Raises CannotStart."""
        self.address, self._lancedb = address, _lancedb(address)
        self._session = self._lancedb.Session(index_cache_size_bytes=_CACHE_BYTES, metadata_cache_size_bytes=_CACHE_BYTES // 8)

    def nearest(self, shape: Array, k: int, encoder: Encoder) -> tuple[Catalogue, Array]:
        """shape (24,) -> the k parts nearest to it and their distances (k,) in % chord, nearest first.

        Raises CatalogueRefused where it cannot be read or belongs to another model.
        """
        point = laid(shape, encoder)
        query = self._of(encoder)[0].search(point.astype(np.float32), vector_column_name="point").select([*FOUND, "_distance"])
        parts = self._asked(query.nprobes(_PROBED).refine_factor(max(_MEASURED // k, 2)).limit(k), encoder)
        distance = np.linalg.norm(laid(parts.latent[:, :SHAPE].astype(np.float64), encoder) - point, axis=1)
        return parts, distance

    def part(self, identity: str, encoder: Encoder) -> Catalogue | None:
        """The one part of this id, which begins with PREFIX. Raises CatalogueRefused."""
        quoted = identity.removeprefix(PREFIX).replace("'", "''")
        query = self._of(encoder)[0].search().where(f"id = '{quoted}'").select(FOUND).limit(1)
        found = self._asked(query, encoder)
        return found if len(found) else None

    def count(self, encoder: Encoder) -> int:
        """Raises CatalogueRefused."""
        return self._of(encoder)[1]

    def _of(self, encoder: Encoder) -> tuple[Any, int]:
        table, count, made_by = self._opened
        if made_by != encoder.digest:
            raise CatalogueRefused(
                f"{self.address}: belongs to model {made_by[:12]}, this one is {encoder.digest[:12]};"
                " let python -m batch answer its parts with this model and index them again"
            )
        return table, count

    @cached_property
    def _opened(self) -> tuple[Any, int, str]:
        """The table, how many parts it holds, and the digest of the model that made their coordinates."""
        folder, name = _placed(self.address)
        # lancedb makes a folder that is not there.
        if "://" not in self.address and not Path(self.address).is_dir():
            raise CatalogueRefused(f"{self.address}: there is no such folder; python -m recommender index makes it")
        try:
            table = self._lancedb.connect(folder, session=self._session).open_table(name)
            count, made_by = table.count_rows(), (table.schema.metadata or {}).get(b"model", b"").decode()
            whole = count < INDEXED_MIN or {"point", "id"} <= {one.columns[0] for one in table.list_indices()}
        except (ValueError, OSError, RuntimeError) as problem:
            raise CatalogueRefused(f"{self.address}: cannot be opened: {_first_line(problem)}") from None
        if not whole:
            raise CatalogueRefused(f"{self.address}: was not finished; python -m recommender index makes it again")
        return table, count, made_by

    def _asked(self, query: Any, encoder: Encoder) -> Catalogue:
        try:
            found = query.to_arrow()
        except (ValueError, OSError, RuntimeError) as problem:
            # Another may have been put in its place.
            self.__dict__.pop("_opened", None)
            raise CatalogueRefused(f"{self.address}: cannot be read: {_first_line(problem)}") from None
        names, n = found["id"].to_pylist(), len(found)
        latent = found["latent"].combine_chunks().flatten().to_numpy().reshape(n, _width(encoder))
        return Catalogue(
            id=np.array([PREFIX + name for name in names], dtype=np.str_),
            name=np.array(names, dtype=np.str_),
            source=np.full(n, _placed(self.address)[1] + SUFFIX),
            family=np.full(n, FAMILY),
            # As well as their coordinates tell their shapes.
            contour=encoder.decode(latent.astype(np.float64)).astype(np.float32),
            latent=latent,
            own=np.ones(n, dtype=bool),
            encoder_sha256=encoder.digest,
        )


def index(answered: str, address: str, encoder: Encoder) -> int:
    """From the folder that python -m batch encode made, local or in a store -> how many parts there are now at `address`.

    What was there before stays as it was for who has it open. Raises CannotStart, CatalogueRefused or OSError.
    """
    lancedb, (folder, name) = _lancedb(address), _placed(address)
    import pyarrow as pa
    from lancedb.index import BTree, IvfPq

    fields = {"id": pa.string(), "latent": pa.list_(pa.float32(), _width(encoder)), "point": pa.list_(pa.float32(), SHAPE)}
    schema = pa.schema(list(fields.items()), metadata={"model": encoder.digest})
    rows = pa.RecordBatchReader.from_batches(schema, _answered(answered, schema, encoder))
    table = lancedb.connect(folder).create_table(name, rows, mode="overwrite")
    table.optimize(cleanup_older_than=_KEPT)
    count = int(table.count_rows())
    if count >= INDEXED_MIN:
        table.create_index("point", config=IvfPq(num_partitions=round(count**0.5 / 2), num_sub_vectors=SHAPE))
        table.create_index("id", config=BTree())
    return count


def _answered(folder: str, schema: Any, encoder: Encoder) -> Iterator[Any]:
    """Batches of ids, coordinates and the points that are searched."""
    import pyarrow as pa
    from pyarrow import fs, parquet

    store, root = fs.FileSystem.from_uri(folder if "://" in folder else str(Path(folder).absolute()))
    output = encoder.model.signature.outputs[0].name
    for name in _files(store, root, folder, encoder):
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


def _files(store: Any, root: str, folder: str, encoder: Encoder) -> list[str]:
    """Raises CatalogueRefused where the batch has not ended or was another model's."""
    try:
        with store.open_input_stream(f"{root}/{DONE}") as file:
            said = json.loads(file.read())
    except FileNotFoundError:
        raise CatalogueRefused(f"{folder}: has no {DONE}; python -m batch encode writes it when all is answered") from None
    if said["model"] != encoder.digest:
        raise CatalogueRefused(f"{folder}: was answered by model {said['model'][:12]}, this one is {encoder.digest[:12]}")
    return sorted(name for name in said["files"] if "/" not in name)


def _lancedb(address: str) -> Any:
    """Raises CannotStart."""
    check_installed(address)
    # Its own log is text; what goes wrong is raised too.
    os.environ.setdefault("LANCEDB_LOG", "error")
    import lancedb

    return lancedb


def _width(encoder: Encoder) -> int:
    return encoder.model.signature.outputs[0].shape[1]


def _placed(address: str) -> tuple[str, str]:
    """The folder or store that it lies in, and its name there without the suffix. Raises CannotStart."""
    folder, _, name = address.rstrip("/").rpartition("/")
    if not name.endswith(SUFFIX) or name == SUFFIX:
        raise CannotStart(f"{address}: expected a folder, or an address in an object store, whose name ends in {SUFFIX}")
    return folder or ("/" if address.startswith("/") else "."), name.removesuffix(SUFFIX)


def _first_line(problem: Exception) -> str:
    return str(problem).partition("\n")[0][:300]
