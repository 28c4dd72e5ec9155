"""Where are outcomes kept, so that a sweep can be taken up again and two can be compared?

One JSON object a line: small enough to be committed, and readable in a diff.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from benchmarks.case import Outcome


def read(path: Path) -> dict[str, Outcome]:
    """By name; the last line counts."""
    if not path.exists():
        return {}
    return {said["name"]: Outcome(**said) for said in map(json.loads, path.read_text().splitlines())}


def append(path: Path, one: Outcome) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as out:
        out.write(json.dumps(asdict(one)) + "\n")


def write(path: Path, outcomes: Iterable[Outcome]) -> None:
    """The whole file, in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(asdict(one)) + "\n" for one in outcomes))


def compared(before: dict[str, Outcome], now: Iterable[Outcome]) -> Iterator[str]:
    """What is new, gone, or of another verdict, candidate or evidence."""
    seen = set()
    for one in now:
        seen.add(one.name)
        old, new = (_told(before[one.name]) if one.name in before else "not there"), _told(one)
        if old != new:
            yield f"{one.name}: {old} -> {new}"
    yield from (f"{name}: {_told(one)} -> not there" for name, one in before.items() if name not in seen)


def _told(one: Outcome) -> str:
    told = " ".join(word for word in (one.verdict, one.candidate, one.evidence) if word)
    return f"{told}, {len(one.mismatches)} mismatches" if one.mismatches else told
