"""Which parts do we know, and which encoder do their coordinates belong to?

Plain arrays from an .npz that can hold no object; nothing is ever unpickled.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SHAPE = 24
DATA = Path(__file__).parent / "data"
CATALOGUE, POLAR = DATA / "catalogue.npz", DATA / "polar.onnx"
TEXTS, ARRAYS = ("id", "name", "source", "family"), {"contour": 130, "latent": 32}

# As numpy writes version 1 of its format: little-endian, by rows; text, floats, whole numbers, truths.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<|][Ufib]\d+)', 'fortran_order': False, 'shape': \(([\d, ]*)\), \} *\n", re.DOTALL
)


class CatalogueRefused(ValueError):
    """A catalogue file that is incomplete or belongs to another encoder."""


@dataclass(frozen=True)
class Catalogue:
    """One row a part. Distances between `latent[:, :24]` are RMS surface distances in % chord. `own`: the customer's."""

    id: NDArray[np.str_]
    name: NDArray[np.str_]
    source: NDArray[np.str_]
    family: NDArray[np.str_]
    contour: NDArray[np.float32]
    latent: NDArray[np.float32]
    own: NDArray[np.bool_]
    encoder_sha256: str

    def __len__(self) -> int:
        return len(self.id)

    def row(self, identity: str) -> int | None:
        """Where the part of this id stands."""
        found = np.flatnonzero(self.id == identity)
        return int(found[0]) if len(found) else None

    def with_latent(self, latent: NDArray[np.floating[Any]], encoder_sha256: str) -> Catalogue:
        """The same parts in another encoder's coordinates."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return Catalogue(**fields | {"latent": latent.astype(np.float32), "encoder_sha256": encoder_sha256})

    def only(self, rows: NDArray[Any]) -> Catalogue:
        """These rows, by their numbers or by a truth for each."""
        fields = {name: getattr(self, name)[rows] for name in (*TEXTS, *ARRAYS, "own")}
        return Catalogue(**fields, encoder_sha256=self.encoder_sha256)

    def and_also(self, other: Catalogue) -> Catalogue:
        """Both, of one encoder. Raises CatalogueRefused where they are not."""
        if other.encoder_sha256 != self.encoder_sha256:
            raise CatalogueRefused(f"parts of encoders {self.encoder_sha256[:12]} and {other.encoder_sha256[:12]} do not mix")
        names = (*TEXTS, *ARRAYS, "own")
        joined = {name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names}
        return Catalogue(**joined, encoder_sha256=self.encoder_sha256)


def load(path: Path = CATALOGUE, encoder_sha256: str | None = None) -> Catalogue:
    """Raises CatalogueRefused where an array is absent or misshapen, or where the encoder is not the one given."""
    catalogue = from_arrays(path, arrays_of(path), own=False)
    if encoder_sha256 not in (None, catalogue.encoder_sha256):
        found, wanted = catalogue.encoder_sha256[:12], str(encoder_sha256)[:12]
        hint = "coordinates of another encoder mean nothing here; write the catalogue again with python -m training"
        raise CatalogueRefused(f"{path.name}: belongs to encoder {found}, expected {wanted}; {hint}")
    return catalogue


def arrays_of(path: Path) -> dict[str, Any]:
    """Raises CatalogueRefused; OSError where there is no such file."""
    content = io.BytesIO(path.read_bytes())
    try:
        with zipfile.ZipFile(content) as archive:
            return {name.removesuffix(".npy"): _array(archive.read(name)) for name in archive.namelist()}
    except (ValueError, EOFError, NotImplementedError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
        raise CatalogueRefused(f"{path.name}: cannot be read as a catalogue: {error}") from None


def _array(content: bytes) -> np.ndarray[Any, Any]:
    """One .npy of plain numbers or text. numpy's own reader has Python's compiler read the header, which a server refuses."""
    header = _HEADER.match(content)
    if header is None:
        raise ValueError("an array is not of plain numbers or text")
    shape = tuple(int(size) for size in header[2].decode().split(",") if size.strip())
    values = np.frombuffer(content, dtype=header[1].decode(), offset=header.end())
    return values.reshape(shape)


def from_arrays(path: Path, arrays: Mapping[str, Any], own: bool) -> Catalogue:
    """Raises CatalogueRefused."""
    absent = [name for name in (*TEXTS, *ARRAYS, "encoder_sha256") if name not in arrays]
    if absent:
        raise CatalogueRefused(f"{path.name}: found no {', '.join(absent)}; write it again")
    n = len(np.atleast_1d(arrays["id"]))
    for name, shape in {**dict.fromkeys(TEXTS, (n,)), **{name: (n, width) for name, width in ARRAYS.items()}}.items():
        array = arrays[name]
        if array.shape != shape or array.dtype.kind != ("U" if name in TEXTS else "f"):
            raise CatalogueRefused(
                f"{path.name}: {name} has shape {array.shape} and dtype {array.dtype}, expected shape {shape}"
            )
    if not all(np.isfinite(arrays[name]).all() for name in ARRAYS):
        raise CatalogueRefused(f"{path.name}: a number is not finite; write it again")
    fields = {name: arrays[name] for name in (*TEXTS, *ARRAYS)}
    return Catalogue(**fields, own=np.full(n, own), encoder_sha256=str(arrays["encoder_sha256"]))
