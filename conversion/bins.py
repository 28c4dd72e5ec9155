"""Which bins travel with the model for counting what it is asked at a site, and what does chance alone make of them?

Made from the rows of the first set, which are the vendor's own when there are any. Edges are rounded: the extremes of a column
are somebody's numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from conversion.reference import Answers
from conversion.schema import Feeds
from serving.signature import Array
from serving.telemetry.drift import Reference, index
from serving.telemetry.histograms import Bins, Distance, Histograms, column_of, table

DECILES = np.linspace(0, 1, 11)
# Columns beyond these are left out evenly: of the pixels of a picture every tenth tells as much.
MOST_COLUMNS, MOST_VALUES = 256, 40
SIZES = (100, 300, 1_000, 10_000, 100_000)
SAMPLES, MOST_ROWS, FALSE_ALARMS = 200, 2000, 0.01
MOST_DIRECTIONS, KEPT_VARIANCE = 10, 0.95


def reference_of(feeds: Feeds, answers: Answers, origin: str, seed: int = 0) -> Reference:
    """feeds, answers: rows as the graph takes and gives them."""
    rng = np.random.default_rng(seed)
    inputs, outputs = _bins_of(feeds), _bins_of(answers)
    distance, half = _distance(table(feeds, inputs), rng)
    histograms = Histograms(inputs, outputs, distance)
    counts = histograms.count(feeds, answers)
    if distance is not None:
        # Where it was fitted, rows are nearer than others will be.
        counts[-distance.bins.size :] = distance.bins.count(distance.of(table(feeds, inputs)[half]))
    rows = len(next(iter(feeds.values())))
    groups, limits = _limits(histograms, feeds, answers, half, rng)
    return Reference(histograms, counts, rows, origin, SIZES, groups, limits)


def _bins_of(arrays: Mapping[str, Array]) -> tuple[Bins, ...]:
    places = [(name, i) for name, array in arrays.items() for i in range(array.reshape(len(array), -1).shape[1])]
    if len(places) > MOST_COLUMNS:
        places = [places[i] for i in np.linspace(0, len(places) - 1, MOST_COLUMNS).astype(int)]
    found = (_bins(arrays[name].reshape(len(arrays[name]), -1)[:, i], name, i) for name, i in places)
    return tuple(bins for bins in found if bins is not None)


def _bins(column: Array, name: str, place: int) -> Bins | None:
    if column.dtype.kind in "OUSbiu":
        values = sorted(set(column.tolist()))
        if len(values) <= MOST_VALUES and all(len(str(value)) <= 40 for value in values):
            return Bins(name, place, values=tuple(values))
        if column.dtype.kind in "OUS":
            column = np.array([len(str(text)) for text in column.tolist()])
    edges = _edges(column.astype(np.float64))
    return Bins(name, place, edges=edges) if edges else None


def _edges(column: Array) -> tuple[float, ...]:
    """Deciles, rounded to a thousandth of their range, the outermost outward. None where there is no finite number."""
    finite = column[np.isfinite(column)]
    if not len(finite):
        return ()
    deciles = np.quantile(finite, DECILES)
    step = 10.0 ** (np.floor(np.log10(max(float(np.ptp(deciles)), 1e-300))) - 3)
    whole = np.round(deciles / step)
    whole[0], whole[-1] = np.floor(deciles[0] / step), np.ceil(deciles[-1] / step)
    if not np.isfinite(whole).all() or np.ptp(deciles) == 0:
        # A constant: below it, itself, above it.
        return (float(deciles[0]),) * 2
    return tuple(float(f"{edge:.12g}") for edge in np.unique(whole) * step)


def _distance(rows: Array, rng: np.random.Generator) -> tuple[Distance | None, Any]:
    """Fitted on one half of the rows, with edges for the other, which is told too. None where there is nothing to fit."""
    firm = np.flatnonzero(np.isfinite(rows).all(axis=1))
    if len(firm) < 40:
        return None, slice(None)
    chosen = rng.permutation(firm)
    fitted, half = rows[chosen[::2]], chosen[1::2]
    mean, spread = fitted.mean(axis=0), fitted.std(axis=0)
    spread[spread < 1e-12 * np.maximum(np.abs(mean), 1e-300)] = 1.0
    _, singular, directions = np.linalg.svd((fitted - mean) / spread, full_matrices=False)
    variances = singular**2 / len(fitted)
    share = np.cumsum(variances) / max(float(variances.sum()), 1e-300)
    kept = min(int(np.searchsorted(share, KEPT_VARIANCE)) + 1, MOST_DIRECTIONS, len(variances))
    scales = np.maximum(variances[:kept], 1e-9)
    # Either sign is right; which one comes out is the processor's choice.
    directions *= np.sign(np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], 1))
    noise = max(float(variances[kept:].sum()) / max(rows.shape[1] - kept, 1), 1e-6)
    mean, spread, basis, scales = (_short(array) for array in (mean, spread, directions[:kept], scales))
    bare = Distance(mean, spread, basis, scales, float(f"{noise:.4g}"), edges=(0.0,))
    return replace(bare, edges=_edges(bare.of(rows[half]))), half


def _short(array: Array) -> Array:
    """Five digits are enough to measure with, and all that travels."""
    return np.array([float(f"{number:.5g}") for number in array.reshape(-1)]).reshape(array.shape)


def _limits(
    histograms: Histograms, feeds: Feeds, answers: Answers, half: Any, rng: np.random.Generator
) -> tuple[tuple[int, ...], tuple[tuple[float, ...], ...]]:
    """Groups of histograms with as many bins, and each group's limit for each size of a sample."""
    kinds = [0 if bins.tensor == "distance" else bins.size for bins in histograms.all]
    names = sorted(set(kinds))
    groups = tuple(names.index(kind) for kind in kinds)
    columns = [(bins, column_of(feeds, bins)) for bins in histograms.inputs]
    columns += [(bins, column_of(answers, bins)) for bins in histograms.outputs]
    alarms = FALSE_ALARMS / max(len(names), 1)
    limits = _by_chance(columns, groups, alarms, rng)
    if histograms.distance is not None:
        distances = histograms.distance.of(table(feeds, histograms.inputs)[half])
        limits |= _by_chance([(histograms.distance.bins, distances)], groups[-1:], alarms, rng)
    return groups, tuple(limits[group] for group in range(len(names)))


def _by_chance(
    columns: list[tuple[Bins, Array]], groups: Sequence[int], alarms: float, rng: np.random.Generator
) -> dict[int, tuple[float, ...]]:
    """For each group, what its largest index stays below in all but so many samples of each size.

    Whole rows are drawn, as columns go together; first as many as there are, since the vendor's rows are a sample too.
    """
    if not columns:
        return {}
    rows = len(columns[0][1])
    kept = np.unique(np.linspace(0, rows - 1, min(rows, MOST_ROWS)).astype(int))
    marks = [_marks(bins, column[kept]) for bins, column in columns]
    expected = [mark.sum(axis=0) * rows / len(kept) for mark in marks]
    limits: dict[int, list[float]] = {group: [] for group in groups}
    for size in SIZES:
        shares = rng.multinomial(rows, np.full(len(kept), 1 / len(kept)), SAMPLES) / rows
        drawn = np.stack([rng.multinomial(size, share) for share in shares]).astype(np.float32)
        worst = {group: np.zeros(SAMPLES) for group in limits}
        for group, mark, there in zip(groups, marks, expected, strict=False):
            np.maximum(worst[group], index(drawn @ mark, there), out=worst[group])
        for group, found in worst.items():
            limits[group].append(float(f"{_exceeded_by(alarms, found):.3g}"))
    return {group: tuple(found) for group, found in limits.items()}


def _exceeded_by(share: float, largest: Array) -> float:
    """What so small a share of maxima exceeds: of the extreme value distribution with their mean and spread.

    Source: Gumbel, "Statistics of extremes", 1958, estimate by moments.
    """
    scale = float(largest.std()) * np.sqrt(6) / np.pi
    return float(largest.mean() + scale * (-np.log(-np.log1p(-share)) - np.euler_gamma))


def _marks(bins: Bins, column: Array) -> Array:
    """(rows, bins), 1 where the row falls into the bin."""
    return np.equal(bins.find(column)[:, None], np.arange(bins.size)).astype(np.float32)
