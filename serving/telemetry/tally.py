"""What is counted of one model's requests, one place in a list for each figure.

Counting is an addition to a place that is known: the request pays a tenth of a microsecond, and who writes the counts down
compares the list with what it was before.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from serving.errors import REFUSALS
from serving.metrics import BATCH, REQUEST_S

ANSWERED, CLIENT_LEFT, ROWS, LOOKED_AT, MISSED = "answered", "client_left", "rows", "looked_at", "missed"
# What became of a request; each its own code in the one error shape.
OUTCOMES = (ANSWERED, *sorted({refusal.code for refusal in REFUSALS}), CLIENT_LEFT)
PLACES = {outcome: place for place, outcome in enumerate(OUTCOMES)}
AT_ROWS = len(OUTCOMES)
# Rows answered, rows that were counted into histograms, and what could not be kept under its own name.
TOTALS = (ROWS, LOOKED_AT, MISSED)
AT_LOOKED_AT, AT_MISSED = AT_ROWS + 1, AT_ROWS + 2
AT_LATENCY = AT_ROWS + len(TOTALS)
AT_BATCH = AT_LATENCY + len(REQUEST_S) + 1
SIZE = AT_BATCH + len(BATCH) + 1
LEFT = PLACES[CLIENT_LEFT]


def new() -> list[int]:
    return [0] * SIZE


def describe(counts: Iterable[int]) -> dict[str, Any]:
    """The same with names; outcomes that did not occur are left out."""
    counts = list(map(int, counts))
    return {
        "requests": {outcome: counts[place] for outcome, place in PLACES.items() if counts[place]},
        **{name: counts[AT_ROWS + i] for i, name in enumerate(TOTALS)},
        "latency": counts[AT_LATENCY:AT_BATCH],
        "batches": counts[AT_BATCH:SIZE],
    }


def place(said: Mapping[str, Any]) -> list[int]:
    """The other way round; an outcome that only another release knows is missed. Raises KeyError or TypeError."""
    counts = new()
    for outcome, number in said["requests"].items():
        counts[PLACES.get(outcome, AT_MISSED)] += number
    for i, name in enumerate(TOTALS):
        counts[AT_ROWS + i] += said[name]
    counts[AT_LATENCY:AT_BATCH], counts[AT_BATCH:SIZE] = said["latency"], said["batches"]
    return counts
