"""Which rows would somebody send who has the training data and has never seen the converter's own rows?

Knows nothing of the conversion room. Rows come as scikit-learn takes them: an array, a data frame or a list of texts.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.edge_rows import Answer, edge_rows

PER_KIND, MISSING = 400, "missing categories"


def strangers_rows(X: Any, *, single: bool, nan: bool, infinity: bool, seed: int, label: Answer) -> Iterator[tuple[str, Any]]:
    """(kind, rows). `single`: the model takes float32, so only numbers that float32 holds are asked.

    `label` is what scikit-learn answers first, for finding where its answer changes.
    """
    rng = np.random.default_rng(seed)
    if isinstance(X, list):
        yield from _texts(X, rng)
    elif isinstance(X, pd.DataFrame):
        yield from _frames(X, rng, single=single, nan=nan, infinity=infinity, label=label)
    else:
        for kind, rows in _tables(np.asarray(X, np.float64), rng, nan=nan, infinity=infinity, label=label):
            yield kind, _held(rows, single)


def _held(rows: Any, single: bool) -> Any:
    return rows.astype(np.float32).astype(np.float64) if single else rows


def _tables(X: Any, rng: Any, *, nan: bool, infinity: bool, label: Answer) -> Iterator[tuple[str, Any]]:
    known = X if nan else X[np.isfinite(X).all(axis=1)]
    whole = np.where(np.isnan(X), np.nanmedian(X, axis=0), X)
    spread, centre = whole.std(axis=0) + 1e-12, whole.mean(axis=0)
    picked = whole[rng.integers(0, len(whole), PER_KIND)]
    yield "training rows", known
    yield "jittered a little", picked + 1e-4 * spread * rng.standard_normal(picked.shape)
    yield "jittered much", picked + 0.5 * spread * rng.standard_normal(picked.shape)
    yield "columns resampled", _resampled(whole, rng)
    yield "rounded", np.concatenate([np.round(picked), np.round(picked, 1), np.trunc(picked)])
    yield "between neighbours", _between_neighbours(whole, rng)
    yield "between two rows", (picked + whole[rng.integers(0, len(whole), PER_KIND)]) / 2
    yield "quantile edges", np.quantile(whole, rng.choice([0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0], PER_KIND), axis=0)
    yield "one column moved", _one_moved(whole, rng)
    yield "same row many times", np.repeat(picked[:3], 11, axis=0)
    yield "plain rows", np.stack([np.full(X.shape[1], v) for v in (0.0, -0.0, 1.0, -1.0, 0.5)] + [centre, centre + spread])
    yield "outside", _outside(whole, rng)
    yield "far outside", _far(whole, rng)
    yield "walks between far rows", _walks(np.concatenate([_outside(whole, rng), _far(whole, rng)]), rng)
    yield from _answered(edge_rows(whole, label, rng))
    if nan:
        yield "missing values", _spoilt(whole, rng, np.nan)
    if infinity:
        yield "infinite values", _spoilt(whole, rng, np.inf)


def _answered(kinds: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Without what scikit-learn refuses to answer while the rows are looked for."""
    try:
        yield from kinds
    except (ValueError, TypeError):
        return


def _resampled(X: Any, rng: Any) -> Any:
    return np.column_stack([rng.choice(column, PER_KIND) for column in X.T])


def _between_neighbours(X: Any, rng: Any) -> Any:
    """One column halfway between two values that follow each other in training, and just beside: where trees split."""
    rows = X[rng.integers(0, len(X), 3 * PER_KIND)].copy()
    for i in range(0, len(rows), 3):
        column = int(rng.integers(X.shape[1]))
        values = np.unique(X[:, column])
        if len(values) < 2:
            continue
        at = int(rng.integers(len(values) - 1))
        middle = np.float32(values[at] / 2 + values[at + 1] / 2)
        rows[i : i + 3, column] = [np.nextafter(middle, np.float32(-np.inf)), middle, np.nextafter(middle, np.float32(np.inf))]
    return rows


def _one_moved(X: Any, rng: Any) -> Any:
    rows = X[rng.integers(0, len(X), PER_KIND)].copy()
    columns = rng.integers(0, X.shape[1], PER_KIND)
    low, high = X.min(axis=0), X.max(axis=0)
    rows[np.arange(PER_KIND), columns] = rng.uniform(2 * low - high, 2 * high - low)[columns]
    return rows


def _outside(X: Any, rng: Any) -> Any:
    size = rng.choice([3.0, 10.0, 30.0], (PER_KIND, 1))
    return X.mean(axis=0) + X.std(axis=0) * size * rng.standard_normal((PER_KIND, X.shape[1]))


def _walks(X: Any, rng: Any) -> Any:
    """Twenty steps from one row to another: some stand where neither class is sure, far from everything known."""
    first, second = X[rng.integers(0, len(X), (2, 40))]
    return np.concatenate([first + (second - first) * part for part in np.linspace(0, 1, 20)])


def _far(X: Any, rng: Any) -> Any:
    """A meter read in the wrong unit: one column, or all, a thousand times as large."""
    rows = X[rng.integers(0, len(X), 40)].copy()
    rows[np.arange(20), rng.integers(0, X.shape[1], 20)] *= 1000
    rows[20:] *= rng.choice([-1.0, 50.0, 200.0], (20, 1))
    return rows


def _spoilt(X: Any, rng: Any, value: float) -> Any:
    rows = X[rng.integers(0, len(X), PER_KIND)].copy()
    rows[rng.random(rows.shape) < 0.25] = value
    rows[0] = value
    return rows


def _frames(X: pd.DataFrame, rng: Any, *, single: bool, nan: bool, infinity: bool, label: Answer) -> Iterator[tuple[str, Any]]:
    numbers = [name for name in X.columns if X[name].dtype.kind in "iuf"]
    texts = [name for name in X.columns if name not in numbers]
    values = X[numbers].to_numpy(np.float64, na_value=np.nan)

    def joined(rows: Any, picked: Any) -> pd.DataFrame:
        chosen = X[texts].iloc[picked].reset_index(drop=True)
        return pd.DataFrame(_held(rows, single), columns=numbers).join(chosen)[list(X.columns)]

    def of_the_first(rows: Any) -> Any:
        return label(joined(rows, np.zeros(len(rows), int)))

    if numbers:
        for kind, rows in _tables(values, rng, nan=nan, infinity=infinity, label=of_the_first):
            among = 1 if kind == "where the answer changes" else len(X)
            yield kind, joined(rows, rng.integers(0, among, len(rows)))
    else:
        yield "columns resampled", pd.DataFrame({name: rng.choice(X[name], PER_KIND) for name in X.columns})
    whole = np.flatnonzero(np.isfinite(values).all(axis=1))
    for name in (name for name in texts if X[name].dtype.kind != "b"):
        odd = [text for _, some in _texts(list(X[name].dropna().astype(str)), rng) for text in some][:250]
        for kind, other in ((f"other values of {name}", odd), (MISSING, [None] * 20)):
            picked = rng.choice(whole, len(other))
            rows = joined(values[picked], picked)
            rows[name] = pd.Series(other, dtype=X[name].dtype if X[name].dtype != "category" else "category")
            yield kind, rows


_STRANGE = [
    *("", " ", "\t\n", "x", "?!", "...", "0", "12 345", "3.14 -1e5", "A", "I a o", "nan", "None", "null", "NaN"),
    *("ÄRGER Straße STRASSE", "İstanbul ıssız", "ΣΊΣΥΦΟΣ ς", "Привет, мир", "東京 大阪", "ﬁligree", "½ cup²", "①②③"),
    *("cafe\u0301 café", "a\u00a0b\u2003c", "soft\u00adhyphen", "zero\u200bwidth", "e-mail@example.org", "🙂 wing 🛩️ flap"),
    *("wing_flap wing-flap wing.flap wing/flap", "don't can't it's", "__init__ x1 1x", "ﬀ Ǆ ǅ ß ẞ", "हिन्दी मराठी", "עברית"),
    *(
        "wing\x00flap",
        "\ufeffwing",
        "WING Wing wInG",
        "wing,flap;stall:lift",
        "wing\r\nflap",
        "ＷＩＮＧ",
        "co\u2010op wing\u2019s",
    ),
]


def _texts(X: list[str], rng: Any) -> Iterator[tuple[str, list[str]]]:
    words = sorted({word for text in X for word in text.split()})
    yield "training texts", X
    yield "words resampled", [" ".join(rng.choice(words, rng.integers(1, 15))) for _ in range(PER_KIND)]
    yield "unseen words", [f"{text} unseen{i} {words[i % len(words)]}x" for i, text in enumerate(X[:40])]
    yield "glued", [mark.join(rng.choice(words, 4)) for mark in ("-", "_", ".", ",", "'", "/", "é", "1", "\u00a0", " . ") * 4]
    yield "other case", [change(text) for text in X[:20] for change in (str.upper, str.title, str.swapcase)]
    yield "strange", [*_STRANGE, *(f"{rng.choice(words)} {odd} {rng.choice(words)}" for odd in _STRANGE)]
    yield "blanks", [f"  {word}  " for word in words[:30]] + [f"{word}\n" for word in words[:30]]
    yield "long", [" ".join(rng.choice(words, 400)) for _ in range(4)]
