"""How do the measurements read: a table, a plot, and which of the promises hold?"""

import json
import math
from pathlib import Path
from typing import Any

Result = dict[str, Any]
PAGE, PLOT = Path("docs/serving-speed.md"), Path("docs/serving-speed.svg")
UVLOOP = Path("benchmarks/results/uvloop.json")
# What, the bound, and whether it is the least (or the most).
PROMISED = (
    ("JSON, 1 row, 64 connections: CPU of naive FastAPI + onnxruntime, in ours", 20, True),
    ("JSON, 1 row, 64 connections: CPU of the ASGI echo, in ours", 1, True),
    ("JSON, 1 row, 1 connection: our p50, in the echo's", 1.25, False),
    ("JSON, 1024 rows: CPU of naive FastAPI + onnxruntime, in ours", 14, True),
    ("binary, 1024 rows, 1 connection: rows/s, in onnxruntime's own in process", 0.45, True),
    ("the same, 16 connections", 0.45, True),
    ("cold start to the first right answer, s", 0.7, False),
    ("memory after load, MB", 90, False),
)
FORMATS = {"native": "JSON of its own", "v2json": "V2 JSON", "v2binary": "V2 binary"}


def table(result: Result) -> str:
    lines = [
        "| server, format | CPU µs, 1 row, 64 conn. | req/s 1 conn. | 16 | 64 | p50 / p99 ms, 1 conn. | 64 | CPU µs, 32 rows |"
        " CPU ms, 1024 rows | rows/s, 1024 rows | errors | wrong |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in result["servers"].items():
        if "cells" not in row:
            lines.append(f"| {name} | not measured: {row.get('not_measured', '')} " + "| " * 10 + "|")
            continue
        for kind in dict.fromkeys(key.split()[0] for key in row["cells"]):
            one, many, most = (row["cells"][f"{kind} 1 {c}"] for c in (1, 16, 64))
            middle, large = row["cells"][f"{kind} 32 16"], row["cells"][f"{kind} 1024 1"]
            errors = sum(cell["errors"] for key, cell in row["cells"].items() if key.startswith(kind + " "))
            wrong = sum(cell["wrong"] for key, cell in row["cells"].items() if key.startswith(kind + " "))
            lines.append(
                f"| {name}, {FORMATS[kind]} | {most['cpu_us']:,.0f} | {one['per_s']:,.0f} | {many['per_s']:,.0f} |"
                f" {most['per_s']:,.0f} | {one['p50_us'] / 1e3:.2f} / {one['p99_us'] / 1e3:.2f} |"
                f" {most['p50_us'] / 1e3:.2f} / {most['p99_us'] / 1e3:.2f} | {middle['cpu_us']:,.0f} |"
                f" {large['cpu_us'] / 1e3:.2f} | {large['per_s'] * 1024:,.0f} | {errors} | {wrong} |"
            )
    return "\n".join(lines)


def starts(result: Result) -> str:
    lines = [
        "| server | port open after s | first right answer after s | memory idle -> at most -> after load, MB |",
        "|---|---|---|---|",
    ]
    for name, row in result["servers"].items():
        if "cells" in row:
            lines.append(
                f"| {name} | {row['live_s']:.2f} | {row['first_answer_s']:.2f} |"
                f" {row['idle_kb'] / 1024:.0f} -> {row['peak_kb'] / 1024:.0f} -> {row['loaded_kb'] / 1024:.0f} |"
            )
    return "\n".join(lines)


def figures(result: Result, server: str) -> list[float]:
    """What is promised, of this server: in the order of PROMISED."""
    of, naive, echo = (result["servers"][name] for name in (server, "naive-onnxruntime", "asgi-echo"))

    def ratio(of: Result, key: str, other: Result, other_key: str, what: str) -> float:
        return float(other["cells"][other_key][what] / of["cells"][key][what])

    alone_per_s = 1e6 / result["in_process"]["1024"]
    return [
        ratio(of, "v2json 1 64", naive, "native 1 64", "cpu_us"),
        ratio(of, "v2json 1 64", echo, "native 1 64", "cpu_us"),
        1 / ratio(of, "v2json 1 1", echo, "native 1 1", "p50_us"),
        ratio(of, "v2json 1024 1", naive, "native 1024 1", "cpu_us"),
        *(of["cells"][f"v2binary 1024 {connections}"]["per_s"] / alone_per_s for connections in (1, 16)),
        of["first_answer_s"],
        of["loaded_kb"] / 1024,
    ]


def promises(result: Result) -> str:
    """What was promised, what was measured, of us and of the bare server, and whether it holds."""
    lines = ["| what | promised | measured | holds | the bare server |", "|---|---|---|---|---|"]
    measured = zip(PROMISED, figures(result, "unjar"), figures(result, "bare"), strict=True)
    for (what, bound, least), ours, bare in measured:
        held = ours >= bound if least else ours <= bound
        lines.append(
            f"| {what} | {'at least' if least else 'at most'} {bound:g} | {ours:.2f} | {'yes' if held else 'no'} | {bare:.2f} |"
        )
    return "\n".join(lines)


def reasons(result: Result) -> str:
    """Why a promise does not hold here."""
    naive, echo, bare = (result["servers"][name]["cells"] for name in ("naive-onnxruntime", "asgi-echo", "bare"))
    cheaper = naive["native 1 64"]["cpu_us"] / echo["native 1 64"]["cpu_us"]
    trip_us, bare_us = echo["native 1 1"]["p50_us"], bare["v2json 1 1"]["p50_us"]
    bare_ms, bound_ms = bare["v2json 1024 1"]["cpu_us"] / 1e3, naive["native 1024 1"]["cpu_us"] / 14e3
    peak = result["servers"]["unjar"]["peak_kb"] / 1024
    return f"""What does not hold, and why. The bare server (`benchmarks/load/bare.py`) reads, runs the model and writes, each
by the fastest way found, and nothing else: it has no routes, limits, checks, request ids, counts or telemetry. What it has left
of a bound is all that these may take. It lets no questions share a run, so at 64 connections ours may be ahead of it, and its
memory is room for a body of every connection. The echo, which reads no number and runs no model, is {cheaper:.0f} times cheaper
than naive FastAPI here. At one connection its round trip is {trip_us:.0f} µs, the bound is {1.25 * trip_us:.0f}, the bare
server takes {bare_us:.0f}. 1024 rows of JSON are 2.6 MB of numbers: the bound is {bound_ms:.2f} ms, the bare server takes
{bare_ms:.2f}. Memory of ours is what is left after the load; while sixteen bodies of 2.6 MB are on their way it
is {peak:.0f} MB. Runs of the benchmark differ by what neighbours of this machine do."""


def uvloops() -> str:
    if not UVLOOP.exists():
        return ""
    result = json.loads(UVLOOP.read_text())
    lines = [
        "\n## uvloop\n", f"Our server, JSON, 1 row; {result['machine']}; commit {result['commit']}.\n",
        "| uvloop | CPU µs, 64 conn. | req/s 1 conn. | 16 | 64 |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for version, cells in result["versions"].items():
        speeds = " | ".join(f"{cells[c]['per_s']:,.0f}" for c in ("1", "16", "64"))
        lines.append(f"| {version} | {cells['64']['cpu_us']:.0f} | {speeds} |")
    return "\n".join(lines) + "\n"


def telemetry() -> str:
    path = UVLOOP.parent / "telemetry.json"
    if not path.exists():
        return ""
    result = json.loads(path.read_text())
    first = result["ways"]["nothing kept"]
    lines = [
        "\n## What keeping counts costs\n",
        f"`benchmarks/telemetry.py`: the same server, {result['rounds']} rounds of {result['seconds']:g} s, interleaved;"
        f" {result['machine']}; commit {result['commit']}.",
        "Requests per second of those when nothing is kept, and processor time.\n",
        "| what is kept | JSON, 1 row, 64 conn. | CPU µs | 1 conn. | binary, 1024 rows, 16 conn. | errors | wrong |",
        "|---|---|---|---|---|---|---|",
    ]
    for way, cells in result["ways"].items():
        many, one, large = (cells[key]["per_s"] / first[key]["per_s"] for key in cells)
        faults = " | ".join(str(sum(cell[name] for cell in cells.values())) for name in ("errors", "wrong"))
        cpu = cells["v2json 1 64"]["cpu_us"]
        lines.append(f"| {way} | {many:.3f} | {cpu:.1f} | {one:.3f} | {large:.3f} | {faults} |")
    return "\n".join(lines) + "\n"


def endurance() -> str:
    """What else was measured, of those files that are there."""
    found = {path.stem: json.loads(path.read_text()) for path in UVLOOP.parent.glob("*.json")}
    said = {
        "soak": _soak,
        "kill": _kill,
        "crosstalk": _crosstalk,
        "fuzz": _fuzz,
        "wire_fuzz": _wire,
        "counts": _counts,
        "fleet": _fleet,
    }
    rows = [
        f"| `benchmarks/{name}.py` | {say(found[name])} | {found[name]['commit']} |"
        for name, say in said.items()
        if name in found
    ]
    table = ["| what | seen | commit |", "|---|---|---|", *rows]
    return "\n## Endurance\n\n" + "\n".join(table) + "\n" if rows else ""


def _soak(of: Result) -> str:
    memory = [of["pss_kb"][half] / 1024 for half in ("first_half", "second_half")]
    settled = [kb / 1024 for kb in of["settled_pss_kb"]]
    return (
        f"{of['minutes']:g} minutes at full load, {of['connections']} connections, {of['requests']:,} requests, good and bad:"
        f" {len(of['wrong'])} wrong answers, {of['counts'].get('broken', 0)} broken connections; PSS {memory[0]:.1f} MB in the"
        f" first half and {settled[0]:.1f} after it, {memory[1]:.1f} in the second and {settled[1]:.1f} after it"
    )


def _kill(of: Result) -> str:
    return (
        f"one of two processes killed under the load of {of['connections']} connections: {of['counts'].get('broken', 0)} of"
        f" {of['requests']:,} requests lost with it, {len(of['wrong'])} wrong, at most"
        f" {of['longest_time_without_an_answer_s'] * 1e3:.0f} ms without an answer; killed at {of['died'][17:23]} s,"
        f" ready again at {of['ready_again'][17:23]} s"
    )


def _crosstalk(of: Result) -> str:
    wrong = len(of["fast"]["wrong"]) + len(of["asgi"]["wrong"])
    return (
        f"{of['fast']['requests']:,} requests each way, {of['connections']} connections, different rows, sizes, formats and"
        f" errors: {wrong} answers to another question"
    )


def _fuzz(of: Result) -> str:
    return f"{of['inputs']:,} odd requests, beside a twin that shares no code: {len(of['wrong'])} differences, crashes, hangs"


def _wire(of: Result) -> str:
    return f"{of['requests']:,} odd requests at a running server: {len(of['wrong'])} times 5xx, no answer or one out of shape"


def _counts(of: Result) -> str:
    return (
        f"{of['answered']:,} requests to two processes, one killed in the midst and all in the end: {of['in_the_store']:,} are"
        f" in the store; {of['lost']:,} were not written yet, {of['allowed']:,} may be"
    )


def _fleet(of: Result) -> str:
    return (
        f"{of['sites']:,} sites, {of['days']} reports each of 24 hours ({of['bytes'] / 1e9:.1f} GB): verified and added in"
        f" {of['ingest_s'] / 60:.1f} min, the page made in {of['report_s']:.0f} s"
    )


def write(result: Result) -> None:
    plot(result)
    versions = ", ".join(f"{name} {number}" for name, number in result["packages"].items())
    PAGE.write_text(
        f"""# How fast the server is, beside others

Made by `python -m benchmarks.serving`: {result["rounds"]} rounds of {result["seconds"]:g} s for each cell, all servers in
each round, medians. One core for the server, the other for the load, in which every connection asks its own question and
compares the answer with onnxruntime's, byte for byte. Ours runs with all it has in production. {result["machine"]};
Python {result["python"]}; {versions}; commit {result["commit"]}, {result["date"]}.

Model: StandardScaler, then a network 128 -> 64 -> 32 -> 8 in double precision, as convert.py writes it; every server that uses
onnxruntime has this file. A row of JSON is 2.5 kB.

![CPU time per request](serving-speed.svg)

{table(result)}

onnxruntime alone, in process: {", ".join(f"{us:.0f} µs for {rows} rows" for rows, us in result["in_process"].items())}.

{starts(result)}

## Promises

{promises(result)}

{reasons(result)}
{telemetry()}{uvloops()}{endurance()}"""
    )


def plot(result: Result) -> None:
    """Bars on a logarithmic scale, as text."""
    bars = [
        (f"{name}, {FORMATS[key.split()[0]]}", cell["cpu_us"])
        for name, row in result["servers"].items()
        for key, cell in row.get("cells", {}).items()
        if key.endswith(" 1 64")
    ]
    bars.sort(key=lambda bar: bar[1])
    left, width, height = 230, 460, 22
    most = math.log10(max(us for _, us in bars) / 10)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left + width + 80} {height * len(bars) + 40}"'
        ' font-family="system-ui, sans-serif" font-size="13">',
        f'<text x="{left}" y="16" fill="#57606a">µs of processor time for a row, 64 connections (logarithmic)</text>',
    ]
    for number, (name, us) in enumerate(bars):
        y, long = 28 + number * height, max(math.log10(us / 10) / most * width, 1)
        colour = "#0a7d3c" if name.startswith("unjar,") else "#9aa4ae"
        lines += [
            f'<text x="{left - 8}" y="{y + 13}" text-anchor="end" fill="#57606a">{name}</text>',
            f'<rect x="{left}" y="{y}" width="{long:.0f}" height="{height - 5}" fill="{colour}"/>',
            f'<text x="{left + long + 6:.0f}" y="{y + 13}" fill="#57606a">{us:,.0f}</text>',
        ]
    PLOT.write_text("\n".join([*lines, "</svg>"]) + "\n")
