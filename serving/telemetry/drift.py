"""Are these counts other than those at the vendor's, by more than chance?

The population stability index, whose size by chance alone depends on how many rows, bins and columns there are: its limits
travel with the model and were found by resampling (conversion/bins.py), not taken from a table. Too few rows are an answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.signature import Array
from serving.telemetry.histograms import Counts, Histograms

FEWEST = 100
# Below this a shift is of no use to anybody, however sure; and what lies between two sizes of samples is not known exactly.
SMALLEST, SLACK = 0.01, 1.05


@dataclass(frozen=True)
class Reference:
    """What the vendor saw: bins, how many of its `rows` fell into each, and what chance alone makes of the index.

    `groups`: for each of the histograms, which others it is judged with, those with as many bins. `limits`: for each group and
    each of the `sizes` of samples, what its largest index stays below by chance, so that one sample in a hundred has a column
    beyond. `origin`: data, or typical where the vendor brought no rows.
    """

    histograms: Histograms
    counts: Counts
    rows: int
    origin: str
    sizes: tuple[int, ...]
    groups: tuple[int, ...]
    limits: tuple[tuple[float, ...], ...]

    def limits_for(self, rows: int) -> list[float]:
        """For a sample of so many rows, of each histogram."""
        at, known = np.log(np.clip(rows, self.sizes[0], self.sizes[-1])), np.log(self.sizes)
        of_group = [float(np.exp(np.interp(at, known, np.log(limits)))) for limits in self.limits]
        return [max(SLACK * of_group[group], SMALLEST) for group in self.groups]

    def to_json(self) -> dict[str, Any]:
        null = {"sizes": self.sizes, "groups": self.groups, "limits": self.limits}
        said = {"bins": self.histograms.to_json(), "counts": self.counts.tolist(), "null": null}
        return said | {"rows": self.rows, "origin": self.origin}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "Reference":
        """Raises KeyError, TypeError or ValueError when it is not one that `to_json` wrote."""
        histograms, null = Histograms.from_json(said["bins"]), said["null"]
        counts = np.array(said["counts"], np.int64)
        sizes, groups = tuple(map(int, null["sizes"])), tuple(map(int, null["groups"]))
        limits = tuple(tuple(map(float, one)) for one in null["limits"])
        if counts.shape != (histograms.size,) or len(groups) != len(histograms.all) or {len(sizes)} != set(map(len, limits)):
            raise ValueError("counts, bins and limits differ in number")
        return cls(histograms, counts, int(said["rows"]), str(said["origin"]), sizes, groups, limits)


@dataclass(frozen=True)
class Shift:
    """Of one column: its index, and the limit that chance keeps to."""

    name: str
    index: float
    limit: float

    @property
    def beyond(self) -> bool:
        return self.index > self.limit


@dataclass(frozen=True)
class Verdict:
    """`word`: "not enough data", "as at the vendor's", or "shifted". Shifts worst first, by how far beyond the limit."""

    word: str
    rows: int
    shifts: tuple[Shift, ...] = ()

    @property
    def shifted(self) -> tuple[Shift, ...]:
        return tuple(shift for shift in self.shifts if shift.beyond)


def index(found: Array, expected: Array) -> Array:
    """Population stability index, natural logarithm. (..., bins) each; returns (...).

    Half a row is added to every bin, so that an empty one is no infinity.
    """
    here, there = found + 0.5, expected + 0.5
    here, there = here / here.sum(axis=-1, keepdims=True), there / there.sum(axis=-1, keepdims=True)
    total: Array = ((here - there) * np.log(here / there)).sum(axis=-1)
    return total


def judge(reference: Reference, counts: Counts) -> Verdict:
    """counts: (size,) of the same bins."""
    found = reference.histograms.split(counts)
    rows = [int(part.sum()) for part in found]
    if max(rows, default=0) < FEWEST:
        return Verdict("not enough data", max(rows, default=0))
    limits = {size: reference.limits_for(size) for size in set(rows)}
    expected = reference.histograms.split(reference.counts)
    shifts = [
        Shift(bins.name, float(index(found[i], expected[i])), limits[rows[i]][i])
        # A column of which nothing was told, or little, says nothing.
        for i, bins in enumerate(reference.histograms.all) if rows[i] >= FEWEST
    ]  # fmt: skip
    shifts.sort(key=lambda shift: shift.index / shift.limit, reverse=True)
    return Verdict("shifted" if shifts[0].beyond else "as at the vendor's", max(rows), tuple(shifts))
