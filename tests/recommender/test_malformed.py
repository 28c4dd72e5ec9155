"""Ten thousand drawings of real parts that went wrong: each gives a valid contour, or a refusal with a sentence and a place."""

import math
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from recommender.catalogue import load
from recommender.contour import THICKNESS_MAX, THICKNESS_MIN, Contour, ContourRefused, normalise, outline
from recommender.drawing import from_points, read
from recommender.geometry import fault
from recommender.trailing import extension

# Ten thousand in all.
BATCHES, TEXTS, LISTS = 20, 300, 200
SECONDS = 2.0
ODD = [
    "nan",
    "-inf",
    "1e308",
    "-1e308",
    "1e-320",
    "1e99",
    "0",
    "-0.0",
    "1D+400",
    "9" * 400,
    "0x10",
    "1_0",
    "½",
    "٣",
    "",
    "--1",
    "1e",
]
JUNK = ["\x00", "\ufeff", "é", "\u2028", "\x85", "💥", "\t", "\r", ";", "//", "#", "\x1a", "\ud800", "1e5", "\n\n", "," * 50]
ITEMS: list[object] = [None, True, "0.5", [], [0.1], [0.1, 0.2, 0.3], [[0.1, 0.2]], {}, [True, 0], [None, 0], 10**400, math.nan]
ITEMS += [[math.nan, 0.0], [0.0, math.inf], [1e308, -1e308], [10**400, 0], [1e-320, 5e-324], ["0.1", "0.2"], [{}, []]]
Rows = list[list[float]]
PLACE = re.compile(r"line \d+|points? \d+( and \d+)?|points|outline|trailing edge|first point|x/c = \d\.\d+")


@cache
def sections() -> list[Rows]:
    """Every tenth part of the catalogue with 40 to 129 points."""
    drawn = []
    for number, heights in enumerate(load().contour[::10].astype(np.float64)):
        points = outline(heights)
        at = np.linspace(0, len(points) - 1, 40 + 89 * (number % 3) // 2)
        columns = [np.interp(at, np.arange(len(points)), column) for column in points.T]
        drawn.append(np.column_stack(columns).tolist())
    return drawn


def selig(rows: Rows, rng: random.Random) -> str:
    separator, end = rng.choice([" ", "  ", "\t", ", "]), rng.choice(["\n", "\n", "\r\n"])
    return end.join(["A part of 1933", *(f"{x:.5f}{separator}{y:.5f}" for x, y in rows)])


def lednicer(rows: Rows, rng: random.Random) -> str:
    nose = min(range(len(rows)), key=lambda row: rows[row][0])
    upper, lower = rows[nose::-1], rows[nose:]
    counts = f"{len(upper)}. {len(lower)}." if rng.random() < 0.7 else f"{rng.randrange(200)}. {rng.randrange(200)}."
    parts = ["\n".join(f"{x:.5f} {y:.5f}" for x, y in part) for part in rng.sample([upper, lower], 2)]
    return f"A part of 1933\n {counts}\n\n{parts[0]}\n\n{parts[1]}\n"


def deranged(rows: Rows, rng: random.Random) -> Rows:
    """The same points, or some of them, where they should not be."""
    one, other = sorted(rng.sample(range(len(rows)), 2))
    size = float(f"1e{rng.randrange(-330, 330)}") if rng.random() < 0.3 else 10.0 ** rng.uniform(-3, 3)
    wild = rng.gauss(0.0, 10.0 ** rng.uniform(-4, 1))
    ways: list[Callable[[], Rows]] = [
        lambda: rows[one:other],
        lambda: rows[:one] + rows[other:],
        lambda: rows[one:] + rows[:one],
        lambda: rows[:one] + rows[one:other][::-1] + rows[other:],
        lambda: rows[:other] + rows[one:],
        lambda: rows * rng.choice([2, 3, 50]),
        lambda: [row for row in rows for _ in range(rng.choice([2, 40]))],
        lambda: rng.sample(rows, len(rows)),
        lambda: sorted(rows, reverse=rng.random() < 0.5),
        lambda: [[y, x] for x, y in rows],
        lambda: [[y, x] if one <= number < other else [x, y] for number, (x, y) in enumerate(rows)],
        lambda: [[x * size, y * size] for x, y in rows],
        lambda: [[x, y * size] for x, y in rows],
        lambda: [[x, -y] if one <= number < other else [x, y] for number, (x, y) in enumerate(rows)],
        lambda: [[x + rng.gauss(0, abs(wild)), y + rng.gauss(0, abs(wild))] for x, y in rows],
        lambda: [[x, y + wild] if number == one else [x, y] for number, (x, y) in enumerate(rows)],
        lambda: [rows[one]] * len(rows),
        lambda: [[x, 0.0] for x, _ in rows],
        lambda: [[round(x * rng.choice([1, 10, 100]), 0), round(y * 100, 0)] for x, y in rows],
    ]
    return rng.choice(ways)()


def garbled(text: str, rng: random.Random) -> str:
    """The same text after an accident."""
    lines = text.split("\n")
    line, at = rng.randrange(len(lines)), rng.randrange(len(text) + 1)
    words = lines[line].split(" ")
    words[rng.randrange(len(words))] = rng.choice(ODD)
    ways: list[Callable[[], str]] = [
        lambda: text[:at],
        lambda: text[at:],
        lambda: text[:at] + rng.choice(JUNK) + text[at:],
        lambda: text[:at] + "".join(chr(rng.randrange(256)) for _ in range(rng.randrange(30))) + text[at:],
        lambda: text[:at] + text[at + rng.randrange(40) :],
        lambda: "\n".join([*lines[:line], " ".join(words), *lines[line + 1 :]]),
        lambda: "\n".join(lines[:line] + lines[line + 1 :]),
        lambda: "\n".join(lines[:line] + [lines[line]] * rng.choice([2, 3, 6000]) + lines[line:]),
        lambda: "\n".join([lines[0], *rng.sample(lines[1:], len(lines) - 1)]),
        lambda: "\n".join([*lines[:line], "", "", *lines[line:]]),
        lambda: "\n".join([*lines[:line], f"{rng.randrange(130)} {rng.randrange(130)}", *lines[line:]]),
        lambda: text.replace(rng.choice("0123456789.-"), rng.choice("0123456789.-,;e "), rng.choice([1, -1])),
        lambda: text.replace(" ", rng.choice(["", "\t", "  ", ",", "\u00a0"])),
        lambda: text.replace(".", ","),
        lambda: text + text,
        lambda: text.swapcase().encode("utf-16", "surrogatepass").decode("latin-1"),
    ]
    return rng.choice(ways)()


def spoiled(rows: Rows, rng: random.Random) -> object:
    """The same points as JSON of somebody who did not read the page."""
    items: list[object] = list(rows)
    at = rng.randrange(len(items))
    ways: list[Callable[[], object]] = [
        lambda: [*items[:at], rng.choice(ITEMS), *items[at:]],
        lambda: [*items[:at], rng.choice(ITEMS), *items[at + 1 :]],
        lambda: rng.choice(ITEMS),
        lambda: [rng.choice(ITEMS) for _ in range(20)],
        lambda: items[: rng.randrange(15)],
        lambda: [items],
        lambda: [*rows[0], *rows[-1]] * 20,
        lambda: [[round(x, 2), int(abs(y) > 0.01)] for x, y in rows],
        lambda: [[x, y] for x, y in pairwise(x for x, _ in rows)],
        lambda: {"points": items},
    ]
    return rng.choice(ways)()


def drawn_as_text(rng: random.Random) -> Contour:
    rows = rng.choice(sections())
    if rng.random() < 0.6:
        rows = deranged(rows, rng)
    text = rng.choice([selig, lednicer])(rows, rng) if rows else ""
    for _ in range(rng.choice([0, 1, 1, 2, 3])):
        text = garbled(text, rng)
    return normalise(read(text).points)


def drawn_as_json(rng: random.Random) -> Contour:
    rows = rng.choice(sections())
    for _ in range(rng.choice([0, 1, 1, 2])):
        rows = deranged(rows, rng) if len(rows) > 1 else rows
    value = spoiled(rows, rng) if rows and rng.random() < 0.5 else rows
    return normalise(from_points(value).points)


def answer(draw: Callable[[random.Random], Contour], seed: str) -> Contour | ContourRefused:
    try:
        return draw(random.Random(seed))
    except ContourRefused as refused:
        return refused


def judge(draw: Callable[[random.Random], Contour], seed: str) -> str:
    start = time.process_time()
    given = answer(draw, seed)
    assert time.process_time() - start < SECONDS, seed
    if isinstance(given, ContourRefused):
        sentence = str(given).removeprefix(f"{given.where}: ")
        assert PLACE.fullmatch(given.where), (seed, given)
        assert 20 < len(sentence) < 200, (seed, given)
        assert sentence.isprintable(), (seed, given)
        return given.code
    assert given.heights.shape == (130,), seed
    assert np.isfinite([*given.heights, *given.nose, given.chord, given.trailing_gap, given.rotation_deg]).all(), seed
    assert THICKNESS_MIN <= (given.upper - given.lower).max() <= THICKNESS_MAX, seed
    assert fault(given.heights) is None, seed
    longer = extension(given.heights)
    assert longer is None or np.isfinite(longer.heights).all(), seed
    return "contour"


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_drawing_that_went_wrong_gives_a_valid_contour_or_a_reason(batch: int) -> None:
    outcomes = Counter(judge(drawn_as_text, f"text {batch} {number}") for number in range(TEXTS))
    outcomes.update(judge(drawn_as_json, f"json {batch} {number}") for number in range(LISTS))
    assert outcomes.total() == TEXTS + LISTS
    # So that they are not five hundred times the same refusal.
    assert outcomes["contour"] > 50
    assert set(outcomes) >= {
        "too_few_points", "unreadable_line", "wrong_counts", "not_points", "not_finite", "size", "thickness",
        "surface_runs_back", "trailing_gap",
    }  # fmt: skip
