"""Into which bins do rows fall, of the bins that travel with the model?

A count in a bin that was fixed before the row came holds nothing of the row but the bin. Sketches that choose their bins by
what they see (KLL, t-digest) hold raw values: 584 exact ones were found in one of 2.4 kB (docs/decisions/0013).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from serving.signature import Array

Counts = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Bins:
    """Of one column. Numbers and the lengths of texts by `edges`, e of them: below the first, e - 1 between, above the last,
    and missing; everything else by `values`: one bin for each, and one for all others."""

    tensor: str
    column: int
    edges: tuple[float, ...] = ()
    values: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.tensor}[{self.column}]"

    @property
    def size(self) -> int:
        return len(self.values) + 1 if self.values else len(self.edges) + 2

    @property
    def labels(self) -> list[str]:
        """What each bin holds, for people."""
        if self.values:
            return [*map(str, self.values), "any other"]
        edges = [f"{edge:g}" for edge in self.edges]
        between = [f"{low} to {high}" for low, high in pairwise(edges)]
        return [f"below {edges[0]}", *between, f"above {edges[-1]}", "missing"]

    def find(self, column: Array) -> Array:
        """column: (n,) as the model takes or gives it. Returns each row's bin, (n,)."""
        if self.values:
            return np.array([self._at.get(value, len(self._at)) for value in column.tolist()], np.intp)
        if column.dtype.hasobject:
            column = np.array([len(text) for text in column.tolist()], np.float64)
        # "right": what equals the largest edge is still between; NaN sorts behind all.
        inside = np.searchsorted(self._edges, column, "right")
        inside[column == self._edges[-1]] = len(self.edges) - 1
        inside[np.isnan(column)] = len(self.edges) + 1
        return inside

    def count(self, column: Array) -> Counts:
        """Returns (size,)."""
        return np.bincount(self.find(column), minlength=self.size)

    @cached_property
    def _at(self) -> dict[Any, int]:
        return {value: i for i, value in enumerate(self.values)}

    @cached_property
    def _edges(self) -> Array:
        return np.array(self.edges, np.float64)

    def to_json(self) -> dict[str, Any]:
        said: dict[str, Any] = {"tensor": self.tensor, "column": self.column}
        return said | ({"values": list(self.values)} if self.values else {"edges": list(self.edges)})

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Bins":
        """Raises KeyError, TypeError or ValueError."""
        edges, values = tuple(map(float, said.get("edges", ()))), tuple(said.get("values", ()))
        if bool(edges) == bool(values) or list(edges) != sorted(edges):
            raise ValueError("bins have edges that grow, or values")
        return cls(str(said["tensor"]), int(said["column"]), edges, values)


@dataclass(frozen=True)
class Distance:
    """How far a row is from the vendor's, all columns together; a shift of columns against each other shows here only.

    Squared Mahalanobis distance under probabilistic PCA, per column: with z = basis (x - mean) / spread, the sum of z**2 over
    scales, and of what the basis leaves over noise. Source: Tipping and Bishop, J. R. Statist. Soc. B 61(3), 1999.

    columns: (d,) places among the numeric inputs' columns; mean, spread: (d,); basis: (k, d); scales: (k,).
    """

    mean: Array
    spread: Array
    basis: Array
    scales: Array
    noise: float
    edges: tuple[float, ...]

    def of(self, rows: Array) -> Array:
        """rows: (n, d). Returns (n,); NaN where a row has one."""
        with np.errstate(over="ignore", invalid="ignore"):
            centred = (rows - self.mean) / self.spread
            along = centred @ self.basis.T
            left = np.maximum((centred**2).sum(axis=1) - (along**2).sum(axis=1), 0.0)
            found: Array = ((along**2 / self.scales).sum(axis=1) + left / self.noise) / rows.shape[1]
        return found

    @property
    def bins(self) -> Bins:
        return Bins("distance", 0, self.edges)

    def to_json(self) -> dict[str, Any]:
        arrays = {name: getattr(self, name).tolist() for name in ("mean", "spread", "basis", "scales")}
        return {**arrays, "noise": self.noise, "edges": list(self.edges)}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Distance":
        """Raises KeyError, TypeError or ValueError."""
        mean, spread, basis, scales = (np.array(said[name], np.float64) for name in ("mean", "spread", "basis", "scales"))
        if basis.shape != (len(scales), len(mean)) or spread.shape != mean.shape or not said["edges"]:
            raise ValueError("a distance has a mean, a spread and a basis of the same width")
        return cls(mean, spread, basis, scales, float(said["noise"]), tuple(map(float, said["edges"])))


@dataclass(frozen=True)
class Histograms:
    """All columns of one model, as one row of counts: inputs, outputs, distance, one behind the other."""

    inputs: tuple[Bins, ...] = ()
    outputs: tuple[Bins, ...] = ()
    distance: Distance | None = None

    @cached_property
    def all(self) -> tuple[Bins, ...]:
        return (*self.inputs, *self.outputs, *(() if self.distance is None else (self.distance.bins,)))

    @property
    def size(self) -> int:
        return sum(bins.size for bins in self.all)

    def count(self, feeds: Mapping[str, Array], answers: Mapping[str, Array]) -> Counts:
        """Returns (size,)."""
        parts = [bins.count(column_of(feeds, bins)) for bins in self.inputs]
        parts += [bins.count(column_of(answers, bins)) for bins in self.outputs]
        if self.distance is not None:
            parts.append(self.distance.bins.count(self.distance.of(table(feeds, self.inputs))))
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def split(self, counts: Counts) -> list[Counts]:
        """counts: (..., size). One part for each of `all`."""
        return np.split(counts, np.cumsum([bins.size for bins in self.all])[:-1], axis=-1)

    def to_json(self) -> dict[str, Any]:
        said: dict[str, Any] = {side: [bins.to_json() for bins in getattr(self, side)] for side in ("inputs", "outputs")}
        return said if self.distance is None else said | {"distance": self.distance.to_json()}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Histograms":
        """Raises KeyError, TypeError or ValueError."""
        inputs, outputs = (tuple(Bins.from_json(entry) for entry in said[side]) for side in ("inputs", "outputs"))
        return cls(inputs, outputs, Distance.from_json(said["distance"]) if "distance" in said else None)


def column_of(arrays: Mapping[str, Array], bins: Bins) -> Array:
    array = arrays[bins.tensor]
    return array.reshape(len(array), -1)[:, bins.column]


def table(arrays: Mapping[str, Array], inputs: Sequence[Bins]) -> Array:
    """The columns that hold numbers, side by side: (n, d)."""
    columns = [column_of(arrays, bins) for bins in inputs if bins.edges]
    numbers = [column for column in columns if not column.dtype.hasobject]
    return np.column_stack(numbers).astype(np.float64) if numbers else np.zeros((0, 0))
