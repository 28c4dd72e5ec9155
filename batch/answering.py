"""Which rows does the model answer, and why not the others?

The signature says no to a whole batch, so a batch that it refuses is halved until the rows are found that it refuses alone.
"""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np

from batch.errors import Retryable
from batch.fitting import Reasons
from serving.errors import InvalidInput
from serving.model import Model
from serving.signature import Array

Feeds = dict[str, Array]


def answer(model: Model, feeds: Feeds, reasons: Reasons) -> tuple[Array, Feeds, Feeds]:
    """reasons: of the rows that are not to be asked; gets those that are refused. Returns which rows are answered, in order,
    with their feeds and the answers to them."""
    size = len(next(iter(feeds.values())))
    asked = np.ones(size, bool)
    asked[list(reasons)] = False
    rows = np.flatnonzero(asked)

    def drop(refused: Reasons) -> Feeds:
        nonlocal rows
        for at, reason in refused.items():
            reasons[int(rows[at])] = reason
        rows = np.delete(rows, list(refused))
        return _only(feeds, rows, size)

    kept = drop(_refused(model.signature.check, _only(feeds, rows, size), len(rows)))
    try:
        with _as_refusal():
            return rows, kept, model.run(kept) if len(rows) else {}
    except InvalidInput:
        kept = drop(_refused(model.run, kept, len(rows)))
        return rows, kept, model.run(kept) if len(rows) else {}


def _only(feeds: Feeds, rows: Array, size: int) -> Feeds:
    return feeds if len(rows) == size else {name: array[rows] for name, array in feeds.items()}


def _refused(asked: Callable[[Feeds], object], feeds: Feeds, size: int) -> Reasons:
    found: Reasons = {}
    # A function that calls itself would keep the feeds alive until Python looks for cycles, which is seldom: 17 MB each time.
    left = [(0, size)] if size else []
    while left:
        start, stop = left.pop()
        try:
            with _as_refusal():
                asked({name: array[start:stop] for name, array in feeds.items()})
        except InvalidInput as error:
            if stop - start == 1:
                found[start] = str(error)
            else:
                middle = (start + stop) // 2
                left += [(middle, stop), (start, middle)]
    return found


@contextlib.contextmanager
def _as_refusal() -> Iterator[None]:
    """A graph may fail on a number, an index out of its table for one, and onnxruntime's exceptions have no common base."""
    try:
        yield
    except Exception as error:
        if not type(error).__module__.startswith("onnxruntime"):
            raise
        said = str(error).splitlines()[0]
        if "alloc" in said.lower():
            raise Retryable(f"onnxruntime has no memory left: {said}") from None
        raise InvalidInput(f"row 0: the model fails on it: {said}") from None
