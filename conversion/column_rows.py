"""Which rows could show a wrong translation of named columns and of text?

Categories that were never seen or are written otherwise, texts on which tokenisers disagree, numbers of every size.
"""

from collections.abc import Iterator

import numpy as np

from conversion.schema import Column, Feeds, Schema
from serving.signature import Array

_WORDS = "the a of model wing part data new old fast slow good bad one two three".split()
# Accents, letters outside Latin, digits, single letters, punctuation, blanks: where tokenisers differ.
_ODD_TEXTS = [
    *("", " ", "a", "don't stop-it now", "x_y z-1 3.14", "tab\tand\nnewline", "UPPER lower MiXed", "1 22 333"),
    *("häuse für den Motor", "ÄÖÜ straße", "naïve café", "крыло самолёта", "機翼 airfoil", "e\u0301tude", "ﬁne ﬂow"),
]


def representable(rows: Array) -> Array:
    """The nearest values that float32 holds, none of them infinite."""
    with np.errstate(over="ignore"):
        return np.nan_to_num(rows.astype(np.float32)).astype(np.float64)


def with_codes(rows: Array, column: Column, rng: np.random.Generator) -> Array:
    """A table's rows with known codes in place of what stands where only codes may be known."""
    changed = rows.copy()
    for feature, codes in enumerate(column.codes):
        if codes:
            changed[:, feature] = rng.choice(np.array(codes), len(rows))
    return changed


def column_sets(schema: Schema, rng: np.random.Generator) -> Iterator[tuple[str, Feeds]]:
    """Rows for named columns and for text; the first set is `typical`."""
    yield "typical", {column.name: _column(column, rng) for column in schema.columns}
    base = {column.name: _column(column, rng) for column in schema.columns}
    for column in schema.columns:
        odd = _odd(column, rng)
        rows = {name: np.resize(array, (len(odd), 1)) for name, array in base.items()} | {column.name: odd}
        yield f"odd values of {column.name!r}", rows


def _column(column: Column, rng: np.random.Generator) -> Array:
    if column.categories:
        chosen = rng.integers(0, len(column.categories), 200)
        values = [column.categories[i] for i in chosen]
        return np.array(values, object if column.text else np.float64).reshape(-1, 1)
    if column.text:
        texts = [" ".join(rng.choice([*_WORDS, *column.words], rng.integers(1, 8))) for _ in range(200)]
        return np.array(texts, object).reshape(-1, 1)
    return representable(column.centre + column.spread * rng.standard_normal((200, 1)))


def _odd(column: Column, rng: np.random.Generator) -> Array:
    """Categories never seen, texts that tokenisers disagree on, numbers of every size."""
    if column.text:
        near = [
            change for c in column.categories[:3] for change in (f"{c} ", f" {c}", str(c).upper(), str(c).lower(), f"{c}\0")
        ]
        glued = [f"{before}{w}{after}" for w in column.words[:20] for before, after in (("é", ""), ("", "ß"), ("x ", " é"))]
        long = [" ".join(rng.choice([*_WORDS, *column.words], size)) for size in (50, 400, 2000)]
        return np.array([*_ODD_TEXTS, *near, *glued, *long], object).reshape(-1, 1)
    between = [float(c) + step for c in column.categories[:20] for step in (-0.5, 0.25, 0.7)]
    sizes = np.concatenate([rng.standard_normal(20) * 10.0**power for power in range(-6, 4)])
    return representable(np.array([0.0, -0.0, 1e-45, *between, *sizes]).reshape(-1, 1))
