"""How does the comparison with engines read in docs/batch.md?"""

import json
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.engines.environments import ENGINES

RESULTS, PAGE = Path("benchmarks/results/engines.json"), Path("docs/batch.md")
BEGIN, END = "<!-- python -m benchmarks.engines writes from here -->\n", "<!-- to here -->\n"
TITLES = {engine.name: engine.title for engine in ENGINES}
NAMES = ("distributed", "ray", "pyspark", "daft", "duckdb", "polars")
HEAD = """| | CPU s | rows per CPU s | s | rows/s | memory, MB | processes | classes pickles asked for | packages, MB | lines |
|---|---|---|---|---|---|---|---|---|---|"""


def table(found: dict[str, Any]) -> str:
    """Medians of all rounds; memory and processes the most that was seen."""
    return "\n".join([HEAD, *(_row(name, row, found["rows"]) for name, row in found["engines"].items())])


def _row(name: str, row: dict[str, Any], rows: int) -> str:
    if "not_measured" in row:
        return f"| {TITLES[name]} | not measured: {' '.join(row['not_measured'].split())[:200]} " + "| " * 8 + "|"
    of = {key: [one[key] for one in row["rounds"]] for key in row["rounds"][0]}
    wall_s, cpu_s = median(of["wall_s"]), median(of["cpu_s"])
    most = {key: max(of[key]) for key in ("peak_pss_mb", "processes", "pickle_events", "pickle_processes")}
    pickles = f"{most['pickle_events']:,} in {most['pickle_processes']}" if most["pickle_processes"] else "0"
    return (
        f"| {TITLES[name]} | {cpu_s:.1f} | {rows / cpu_s:,.0f} | {wall_s:.1f} | {rows / wall_s:,.0f} |"
        f" {most['peak_pss_mb']:,} | {most['processes']} | {pickles} | {len(row['versions'])}, {row['mb']:,} |"
        f" {row['lines'] or 'a command'} |"
    )


def section(found: dict[str, Any]) -> str:
    measured = {name: row for name, row in found["engines"].items() if "rounds" in row}
    gap = max(one["worst_gap"] for row in measured.values() for one in row["rounds"])
    held = {name: row["versions"] for row in measured.values() for name in NAMES if name in row["versions"]}
    versions = ", ".join(f"{name} {held[name][name]}" for name in NAMES if name in held)
    arrows = " and ".join(sorted({one["pyarrow"] for one in held.values()}, reverse=True))
    return f"""## Beside engines

`python -m benchmarks.engines`: {found["rows"]:,} rows of 130 float32 in 16 Parquet files, through a network of 130, 64 and 32,
into Parquet; whole commands with start-up, {found["rounds"]} rounds in turns, medians. Every engine answered every row once,
its numbers at most {gap:g} from ours. Where other work runs on the machine, seconds grow and CPU seconds hardly do.
{versions}, pyarrow {arrows};
{found["machine"]}; commit {found["commit"]}, {found["date"]}.

{table(found)}

A million rows are little: what is slow to start looks worse than with a billion. *Memory* is the most that all processes held
together, *lines* are what a user writes. What engines do when a process is killed is in
`docs/decisions/0015-batch-exactly-once-is-the-writers.md`.
"""


def write(found: dict[str, Any]) -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + section(found) + END + rest.partition(END)[2])


def written() -> str:
    return PAGE.read_text().partition(BEGIN)[2].partition(END)[0]


def results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULTS.read_text())
    return found
