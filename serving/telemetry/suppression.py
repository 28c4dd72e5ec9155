"""Which counts may leave, so that none tells of fewer than k rows, not even by subtraction?

Small cells are pooled with others until the pool has k rows and two cells: whoever knows the total learns the pool's sum and no
cell of it. A zero stays: it tells of nobody. Reports never share a window, so two of them cannot be subtracted.
"""

from collections.abc import Mapping, Sequence
from typing import Any

# None, where nothing may be told; the counts; or the counts with None for those in the pool, and its sum.
Told = None | list[int] | dict[str, Any]


def pooled(counts: Sequence[int], fewest: int) -> tuple[list[int | None], int] | None:
    """The counts with None for those in the pool, and the pool's sum; None where even all together are too few."""
    found = list(map(int, counts))
    pool = [place for place, count in enumerate(found) if 0 < count < fewest]
    if not pool:
        return list(found), 0
    others = sorted((count, place) for place, count in enumerate(found) if count >= fewest)
    while len(pool) < 2 or sum(found[place] for place in pool) < fewest:
        if not others:
            return None
        pool.append(others.pop(0)[1])
    return [None if place in pool else count for place, count in enumerate(found)], sum(found[place] for place in pool)


def cells(counts: Sequence[int], fewest: int) -> Told:
    safe = pooled(counts, fewest)
    if safe is None:
        return None
    kept, together = safe
    return {"counts": kept, "pooled": together} if together else [count for count in kept if count is not None]


def named(counts: Mapping[str, int], fewest: int) -> dict[str, int | None] | None:
    """The same for counts with names; the pool's sum is called `pooled`."""
    safe = pooled(list(counts.values()), fewest)
    if safe is None:
        return None
    kept, together = safe
    return dict(zip(counts, kept, strict=True)) | ({"pooled": together} if together else {})


def number(count: int, fewest: int) -> int | None:
    return None if 0 < count < fewest else int(count)
