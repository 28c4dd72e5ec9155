"""What became of an answer: accepted, rejected, at which rank, how rated, what was measured?

A value is put into a bin that was fixed before it came, here and at once; what is kept of an answer's identity is a part of its
SHA-256.
"""

import hashlib
import sys
from bisect import bisect_right
from itertools import pairwise
from typing import Any

from serving.errors import InvalidInput, Refusal, shown

DECADES = tuple(step * 10.0**power for power in range(-6, 7) for step in (1, 2, 5))
MEASURED = (*(-edge for edge in reversed(DECADES)), *DECADES)
RANKS, RATINGS = 10, 5
VERDICTS = ("accepted", "rejected")
# Of each kind, how many bins it has.
BINS = {"verdict": len(VERDICTS), "rank": RANKS + 1, "rating": RATINGS, "measured": len(MEASURED) + 1}
MOST_ID = 128
EXPECTED = "'accepted', 'rejected', or an object with some of rank, rating, measured"


def labels(kind: str) -> list[str]:
    """What each bin of it holds, for people."""
    if kind == "rank":
        return [*(str(rank) for rank in range(1, RANKS + 1)), f"beyond {RANKS}"]
    if kind == "rating":
        return [str(rating) for rating in range(1, RATINGS + 1)]
    if kind == "measured":
        edges = [f"{edge:g}" for edge in MEASURED]
        between = (f"{low} to {high}" for low, high in pairwise(edges))
        return [f"below {edges[0]}", *between, f"{edges[-1]} and above"]
    return list(VERDICTS)


def identity(request_id: str) -> bytes:
    return hashlib.sha256(request_id.encode()).digest()[:16]


def read(said: Any) -> tuple[str, list[tuple[str, int]]]:
    """The request's identity, and kind and bin of each outcome. Raises Refusal."""
    if type(said) is not dict:
        raise Refusal("the request: expected a JSON object with 'request_id' and 'outcome'")
    strange = said.keys() - {"request_id", "outcome"}
    if strange:
        raise Refusal(f"the request: {shown(min(strange))} is not one of 'request_id', 'outcome'")
    given, outcome = said.get("request_id"), said.get("outcome")
    if type(given) is not str or not 1 <= len(given) <= MOST_ID:
        raise Refusal(f"the request: 'request_id' is {shown(given)}, expected that of an answer, its header x-request-id")
    if outcome in VERDICTS:
        return given, [("verdict", VERDICTS.index(outcome))]
    if type(outcome) is not dict or not outcome:
        raise Refusal(f"the request: 'outcome' is {shown(outcome)}, expected {EXPECTED}")
    for kind in outcome:
        if kind not in BINS or kind == "verdict":
            raise InvalidInput(f"outcome: {shown(kind)} is not one of rank, rating, measured")
    return given, [(kind, _bin(kind, value)) for kind, value in outcome.items()]


def _bin(kind: str, value: Any) -> int:
    """Raises InvalidInput."""
    if kind == "measured":
        if type(value) not in (int, float) or not abs(value) <= sys.float_info.max:
            raise InvalidInput(f"outcome 'measured': {shown(value)}, expected a finite number")
        return bisect_right(MEASURED, value)
    most = RATINGS if kind == "rating" else 1_000_000
    if type(value) is not int or not 1 <= value <= most:
        raise InvalidInput(f"outcome {kind!r}: {shown(value)}, expected a whole number from 1 to {most}")
    return min(value, BINS[kind]) - 1
