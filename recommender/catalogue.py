"""Which parts do we know, and which encoder do their coordinates belong to?

Plain arrays from an .npz that can hold no object; nothing is ever unpickled.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SHAPE = 24
DATA = Path(__file__).parent / "data"
CATALOGUE, POLAR = DATA / "catalogue.npz", DATA / "polar.onnx"


class CatalogueRefused(ValueError):
    """A catalogue file that is incomplete or belongs to another encoder."""


@dataclass(frozen=True)
class Catalogue:
    """One row a part. Distances between `latent[:, :24]` are RMS surface distances in % chord."""

    id: NDArray[np.str_]
    name: NDArray[np.str_]
    source: NDArray[np.str_]
    family: NDArray[np.str_]
    contour: NDArray[np.float32]
    latent: NDArray[np.float32]
    station: NDArray[np.float64]
    decode_components: NDArray[np.float64]
    decode_mean: NDArray[np.float64]
    encoder_sha256: str

    def __len__(self) -> int:
        return len(self.id)

    def decode(self, latent: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 24 or 32) coordinates -> (n, 130) heights in chords."""
        return np.asarray(latent[:, :SHAPE] @ self.decode_components + self.decode_mean, dtype=np.float64)


def load(path: Path = CATALOGUE, encoder_sha256: str | None = None) -> Catalogue:
    """Raises CatalogueRefused where an array is absent or misshapen, or where the encoder is not the one given."""
    with np.load(path, allow_pickle=False) as arrays:
        absent = [name for name in Catalogue.__dataclass_fields__ if name not in arrays.files]
        if absent:
            raise CatalogueRefused(f"{path.name}: found no {', '.join(absent)}; write it again with python -m training")
        fields = {name: arrays[name] for name in Catalogue.__dataclass_fields__}
    catalogue = Catalogue(**{**fields, "encoder_sha256": str(fields["encoder_sha256"])})
    _check(path, catalogue, encoder_sha256)
    return catalogue


def _check(path: Path, catalogue: Catalogue, encoder_sha256: str | None) -> None:
    n = len(catalogue)
    shapes = {"name": (n,), "source": (n,), "family": (n,), "contour": (n, 130), "latent": (n, 32)}
    shapes |= {"station": (65,), "decode_components": (SHAPE, 130), "decode_mean": (130,)}
    for name, shape in shapes.items():
        found = getattr(catalogue, name).shape
        if found != shape:
            raise CatalogueRefused(f"{path.name}: {name} has shape {found}, expected {shape}")
    if encoder_sha256 not in (None, catalogue.encoder_sha256):
        found, wanted = catalogue.encoder_sha256[:12], str(encoder_sha256)[:12]
        hint = "coordinates of another encoder mean nothing here; write the catalogue again with python -m training"
        raise CatalogueRefused(f"{path.name}: belongs to encoder {found}, expected {wanted}; {hint}")
