"""python -m benchmarks.drift: how often is a shift cried without one, and how often is a real one seen?

`--references N` takes fewer than 20 and only prints, `--page` writes the table from the results. For two widths, two sizes of
the reference and three of a sample: our verdict, the index's usual fixed limits 0.1 and 0.2 and, where they are installed
(scripts/tool evidently, nannyml), others' verdicts on the same bytes (benchmarks/drift_of_others.py says how they are asked).
500 and 5,000 rows lie between the sizes for which our limits were found. A sample is drawn from the same distribution, or with
the first column or every one moved by 0.2 of its spread, or with two columns that go together taken apart. References are drawn
anew, since an unlucky one makes all its samples alarm; we and the fixed limits see five samples of each, others the first.
Results: benchmarks/results/drift.json, and the table in docs/decisions/0013-counts-in-fixed-bins.md.
"""

import argparse
import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import described
from conversion.bins import reference_of
from serving.telemetry.drift import Reference, index, judge

WIDTHS, REFERENCE_ROWS, SIZES = (8, 64), (1000, 10_000), (100, 500, 5000)
REFERENCES, OF_EACH = 20, 5
WORLDS = ("nothing", "one column moved", "every column moved", "columns taken apart")
OTHERS = ("evidently", "nannyml")
WAYS = {
    "unjar": "ours",
    "0.1": "0.1",
    "0.2": "0.2",
    "evidently, any column": "Evidently, any column",
    "evidently, half of the columns": "its dataset's verdict",
    "nannyml, any column": "NannyML, any column",
    "nannyml, reconstruction": "its reconstruction",
}
RESULTS, PAGE = Path("benchmarks/results/drift.json"), Path("docs/decisions/0013-counts-in-fixed-bins.md")
Array = Any
Verdicts = dict[str, bool | None]


class Other:
    """A library in an environment of its own, asked over its standard input: a line, then the numbers; it answers a line."""

    def __init__(self, name: str) -> None:
        command = [f".venv-{name}/bin/python", "benchmarks/drift_of_others.py", name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.versions: dict[str, str] = self.answer()

    def ask(self, what: str, rows: Array) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{what} {len(rows)} {rows.shape[1]}\n".encode() + np.ascontiguousarray(rows).tobytes())
        self.process.stdin.flush()

    def answer(self) -> Any:
        """Raises RuntimeError when it ended; what it said is on the standard error."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args!r} ended with {self.process.wait()}, expected an answer")
        return json.loads(line)

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def rows(rng: np.random.Generator, size: int, width: int, world: str) -> Array:
    """Columns go together in pairs: each even one with the next, at a correlation of 0.9."""
    drawn = rng.standard_normal((size, width))
    drawn[:, 1::2] = 0.9 * drawn[:, ::2] + np.sqrt(1 - 0.81) * drawn[:, 1::2]
    if world == "one column moved":
        drawn[:, 0] += 0.2
    if world == "every column moved":
        drawn += 0.2
    if world == "columns taken apart":
        drawn[:, 1] = rng.permutation(drawn[:, 1])
    return drawn


def ours(reference: Reference, sample: Array) -> Verdicts:
    counts = reference.histograms.count({"X": sample}, {})
    pairs = zip(
        reference.histograms.split(counts), reference.histograms.split(reference.counts), reference.histograms.all, strict=True
    )
    largest = max(float(index(here, there)) for here, there, bins in pairs if bins.tensor != "distance")
    return {"unjar": judge(reference, counts).word == "shifted", "0.1": largest > 0.1, "0.2": largest > 0.2}


def judged(rng: np.random.Generator, width: int, known: int, others: list[Other]) -> Iterator[tuple[int, str, Verdicts]]:
    """Of one reference: a size, a world, and what each said about a sample."""
    seen = rows(rng, known, width, "nothing")
    for other in others:
        other.ask("reference", seen)
    reference = reference_of({"X": seen}, {}, "data", seed=int(rng.integers(2**31)))
    for size in SIZES:
        for world in WORLDS:
            for number in range(OF_EACH):
                sample = rows(rng, size, width, world)
                asked = others if number == 0 else []
                for other in asked:
                    other.ask("sample", sample)
                said = ours(reference, sample)
                for other in asked:
                    said |= other.answer()
                yield size, world, said


def measure(references: int, others: list[Other]) -> list[dict[str, Any]]:
    """The shares of samples in which a shift was seen; null where a library cannot be asked."""
    cells = []
    for width in WIDTHS:
        for known in REFERENCE_ROWS:
            said: dict[tuple[int, str], dict[str, list[bool | None]]] = defaultdict(lambda: defaultdict(list))
            for number in range(references):
                rng = np.random.default_rng((width, known, number))
                for size, world, verdicts in judged(rng, width, known, others):
                    for way, verdict in verdicts.items():
                        said[size, world][way].append(verdict)
            for (size, world), ways in said.items():
                place = {"width": width, "reference_rows": known, "rows": size, "world": world}
                samples = {way: len(each) for way, each in ways.items()}
                shares = {way: None if None in each else each.count(True) / len(each) for way, each in ways.items()}
                cells.append({**place, "samples": samples, "seen": shares})
                print(cells[-1], flush=True)
    return cells


def table(found: dict[str, Any]) -> str:
    """Percent of samples: without a shift | one column moved / every column moved / two taken apart."""
    ways = {way: name for way, name in WAYS.items() if way in found["cells"][0]["seen"]}
    lines = [
        "| columns, rows of the reference, of a sample | " + " | ".join(ways.values()) + " |",
        "|---|" + "---|" * len(ways),
    ]
    of = {(cell["width"], cell["reference_rows"], cell["rows"], cell["world"]): cell["seen"] for cell in found["cells"]}
    for place in dict.fromkeys(key[:3] for key in of):
        shares = [[_percent(of[*place, world][way]) for world in WORLDS] for way in ways]
        said = ["–" if each[0] == "–" else f"**{each[0]}** · {' / '.join(each[1:])}" for each in shares]
        lines.append("| " + ", ".join(f"{number:,}" for number in place) + " | " + " | ".join(said) + " |")
    return "\n".join(lines)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:g}"


def section(found: dict[str, Any]) -> str:
    """How it was measured, and the table."""
    samples = found["cells"][0]["samples"]
    others = sorted({count for way, count in samples.items() if way.startswith(OTHERS)})
    versions = ", ".join(f"{name.capitalize()} {found['others'][name]}" for name in OTHERS if name in found["others"])
    number = f"{samples['unjar']} samples a number of ours and of the fixed limits"
    return (
        f"Measured by `benchmarks/drift.py`: {found['references']} references, {number},\n"
        f"{'/'.join(map(str, others)) or 'none'} of the others' ({versions or 'not there'});"
        f" {found['machine']}; commit {found['commit']}.\n\n{table(found)}\n"
    )


def write(found: dict[str, Any]) -> None:
    """Into its page, in place of the one before."""
    before = re.compile(r"^Measured by `benchmarks/drift\.py`:.*\n.*\n\n(\|.*\n)*", re.MULTILINE)
    PAGE.write_text(before.sub(lambda _: section(found), PAGE.read_text()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--references", type=int, default=REFERENCES, help="fewer are only printed")
    parser.add_argument("--page", action="store_true", help="write the table anew from the results")
    given = parser.parse_args()
    if given.page:
        write(json.loads(RESULTS.read_text()))
        return
    others = [Other(name) for name in OTHERS if Path(f".venv-{name}").exists()]
    found: dict[str, Any] = {**described(), "others": {k: v for other in others for k, v in other.versions.items()}}
    found |= {"references": given.references, "cells": measure(given.references, others)}
    for other in others:
        other.end()
    print(table(found))
    if given.references >= REFERENCES:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
        write(found)


if __name__ == "__main__":
    main()
