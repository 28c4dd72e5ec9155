"""Where are the customer's own parts kept, and how do they get in?

One .npz beside the public catalogue, rewritten as a whole under a lock: it is the old one or the new one, whatever is killed
and whoever else writes. It carries the digest of the model that made its coordinates, and a version that counts its changes.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recommender import catalogue
from recommender.catalogue import ARRAYS, TEXTS, Catalogue, CatalogueRefused
from recommender.contour import Array
from recommender.encoder import Encoder

FILE = "parts.npz"
PREFIX, FAMILY = "own/", "own"
PARTS_MAX = 1_000_000


@dataclass(frozen=True)
class Part:
    """Heights (130,) in chords; `id` without the prefix."""

    id: str
    name: str
    source: str
    heights: Array


@dataclass(frozen=True)
class Parts:
    """What one file holds. Version 0: there is no file yet."""

    version: int
    parts: Catalogue

    @classmethod
    def empty(cls, encoder_sha256: str) -> Parts:
        fields: dict[str, Any] = {name: np.zeros(0, dtype="U1") for name in TEXTS}
        fields |= {name: np.zeros((0, width), dtype=np.float32) for name, width in ARRAYS.items()}
        return cls(0, Catalogue(**fields, own=np.zeros(0, dtype=bool), encoder_sha256=encoder_sha256))


def read(path: Path, encoder_sha256: str) -> Parts:
    """Raises CatalogueRefused for a file that is none; what another encoder made is returned as it is."""
    try:
        arrays = catalogue.arrays_of(path)
    except FileNotFoundError:
        return Parts.empty(encoder_sha256)
    version = arrays.get("version")
    if version is None or version.shape != () or version.dtype.kind != "i":
        raise CatalogueRefused(f"{path.name}: has no version; python -m recommender add writes such files")
    return Parts(int(version), catalogue.from_arrays(path, arrays, own=True))


def add(path: Path, new: Sequence[Part], encoder: Encoder, replace: bool = False) -> Parts:
    """All of them or none. Raises CatalogueRefused where an id is taken or the file belongs to another encoder."""
    with _changing(path):
        old = read(path, encoder.digest)
        _check_encoder(path, old, encoder)
        ids = [PREFIX + part.id for part in new]
        twice = sorted({one for one in ids if ids.count(one) > 1})
        taken = sorted(set(ids) & set(old.parts.id.tolist()))
        if twice or (taken and not replace):
            what = (
                f"{twice[0]} is given twice"
                if twice
                else f"{taken[0]} is there already; --replace puts the new one in its place"
            )
            raise CatalogueRefused(f"{path.name}: {what}; nothing was added")
        if len(old.parts) + len(new) > PARTS_MAX:
            raise CatalogueRefused(f"{path.name}: would hold {len(old.parts) + len(new):,} parts, at most {PARTS_MAX:,}")
        heights = np.array([part.heights for part in new])
        made = Catalogue(
            id=np.array(ids),
            name=np.array([part.name for part in new]),
            source=np.array([part.source for part in new]),
            family=np.full(len(new), FAMILY),
            contour=heights.astype(np.float32),
            latent=encoder.encode(heights).astype(np.float32),
            own=np.ones(len(new), dtype=bool),
            encoder_sha256=encoder.digest,
        )
        kept = old.parts.only(~np.isin(old.parts.id, ids))
        return _write(path, Parts(old.version + 1, kept.and_also(made)))


def remove(path: Path, ids: Sequence[str], encoder: Encoder) -> Parts:
    """Raises CatalogueRefused where one of them is not there; then nothing is removed."""
    with _changing(path):
        old = read(path, encoder.digest)
        absent = sorted(set(ids) - set(old.parts.id.tolist()))
        if absent:
            raise CatalogueRefused(f"{path.name}: holds no {absent[0]}; python -m recommender list shows what it holds")
        return _write(path, Parts(old.version + 1, old.parts.only(~np.isin(old.parts.id, list(ids)))))


def encode_again(path: Path, encoder: Encoder) -> Parts:
    """After another model has come: the same parts in its coordinates."""
    with _changing(path):
        old = read(path, encoder.digest)
        return _write(path, Parts(old.version + 1, current(old.parts, encoder)))


def current(parts: Catalogue, encoder: Encoder) -> Catalogue:
    """The parts in this encoder's coordinates: as they are, or made anew from their shapes."""
    if parts.encoder_sha256 == encoder.digest:
        return parts
    latent = encoder.encode(parts.contour.astype(np.float64)) if len(parts) else parts.latent
    return parts.with_latent(latent, encoder.digest)


def _check_encoder(path: Path, old: Parts, encoder: Encoder) -> None:
    found = old.parts.encoder_sha256
    if found != encoder.digest:
        hint = "python -m recommender encode writes its coordinates anew with this model"
        raise CatalogueRefused(f"{path.name}: belongs to model {found[:12]}, this one is {encoder.digest[:12]}; {hint}")


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[None]:
    """One at a time; the lock goes with who holds it."""
    with open(path.with_name(f".{path.name}.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, made: Parts) -> Parts:
    parts = made.parts
    fields = {name: getattr(parts, name) for name in (*TEXTS, *ARRAYS)}
    content = io.BytesIO()
    np.savez(
        content, version=np.int64(made.version), encoder_sha256=np.str_(parts.encoder_sha256), allow_pickle=False, **fields
    )
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(handle, "wb") as file:
            file.write(content.getvalue())
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    return made
