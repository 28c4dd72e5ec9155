"""Which real shapes may we learn from, and where does each come from?

Reads nothing outside training/whitelist.csv: the list is of files, each reviewed by its own header, because a name's
prefix decides nothing (`ms` holds NASA MS(1) and a private MS3 series).
"""

import csv
from dataclasses import dataclass
from importlib.abc import Traversable
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recommender.contour import Array, ContourRefused, normalise
from recommender.drawing import read

WHITELIST = Path(__file__).with_name("whitelist.csv")
SAME_PERCENT = 0.05


@dataclass(frozen=True)
class Source:
    file: str
    name: str
    source: str
    family: str
    why: str


@dataclass(frozen=True)
class Shapes:
    """Distinct reviewed shapes, heights (n, 130) in chords, exactly representable in float32."""

    sources: tuple[Source, ...]
    heights: Array

    @property
    def families(self) -> NDArray[np.str_]:
        return np.array([source.family for source in self.sources])

    def __getitem__(self, kept: NDArray[np.intp]) -> "Shapes":
        return Shapes(tuple(self.sources[i] for i in kept), self.heights[kept])


def whitelist() -> list[Source]:
    with WHITELIST.open(newline="", encoding="utf-8") as lines:
        return [Source(**row) for row in csv.DictReader(lines)]


def load() -> Shapes:
    """Every whitelisted shape once. Raises ContourRefused, naming the file, where one cannot be read."""
    sources = whitelist()
    heights = np.stack([heights_of(source.file) for source in sources]).astype(np.float32).astype(np.float64)
    return Shapes(tuple(sources), heights)[distinct(heights)]


def distinct(heights: Array) -> NDArray[np.intp]:
    """Rows farther than 0.05 % chord RMS from every row kept before them."""
    kept: list[int] = []
    for row, shape in enumerate(heights):
        gap = 100.0 * np.sqrt(np.mean((heights[kept] - shape) ** 2, axis=1))
        if not (gap < SAME_PERCENT).any():
            kept.append(row)
    return np.array(kept)


def folder() -> Traversable:
    return files("aerosandbox") / "geometry" / "airfoil" / "airfoil_database"


def heights_of(file: str) -> Array:
    try:
        return normalise(read((folder() / file).read_bytes().decode("latin-1")).points).heights
    except ContourRefused as refusal:
        raise ContourRefused(refusal.code, file, str(refusal)) from refusal
