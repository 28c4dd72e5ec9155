"""How does the report look as one page that needs nothing else: no script, no style sheet, no picture from elsewhere?"""

import math
from collections.abc import Sequence
from html import escape
from typing import Any

from conversion.report import bounded, taken

WIDTH, HEIGHT, EDGE = 420, 300, 48
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #ddd; vertical-align: top }
td:last-child { overflow-wrap: anywhere }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
svg { max-width: 100%; height: auto }
figure { display: inline-block; vertical-align: top; max-width: 27rem; margin: 0 1rem 1rem 0 }
figcaption { font-size: .85rem; color: #777 }
@media (prefers-color-scheme: dark) { body { background: #16181b; color: #e6e6e6 } th, td { border-color: #333 } }
"""


def render(report: dict[str, Any], output: str) -> str:
    """The whole page for a report as convert.py writes it."""
    parity = report["parity"]
    sections = [
        f"<h1>{escape(report['provenance']['estimator'])}</h1>",
        f"<p>Accepted as <b>{escape(parity['candidate'])}</b>, evidence: <b>{parity['evidence']}</b>. {_said(parity)}</p>",
        *(f"<p>Note: {escape(note)}.</p>" for note in parity["notes"]),
        *(_plots(name, pairs, parity["tolerance"][name]) for name, pairs in report["points"].items() if pairs),
        "<h2>Candidates</h2>",
        _table(
            ["candidate", "bytes", "one row, µs", "verdict"],
            [[c["name"], c["bytes"], c["one_row_us"], c["verdict"]] for c in report["candidates"]],
        ),
        "<h2>Nearest to failing</h2>",
        _table(["rows", "output", "of", "row", "share allowed", "scikit-learn", "graph", "ties"], _nearest(report["findings"])),
        "<h2>What it takes and gives</h2>",
        _table(["name", "datatype", "shape", ""], _tensors(report["signature"])),
        "<h2>Where it comes from</h2>",
        _table(["", ""], _origin(report, output)),
    ]
    title = f"{output}: how it was converted"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>{''.join(sections)}</body></html>\n"
    )


def _said(parity: dict[str, Any]) -> str:
    if parity["evidence"] == "proved":
        proof = parity["proof"]
        return (
            f"{proof['splits']:,} splits in {proof['trees']:,} trees are the fitted ones for every input; sums of leaves"
            f" differ by at most {proof['rounding']:.0e}."
        )
    if parity["evidence"] == "bounded":
        return f"Bounded: {escape(bounded(parity['bound']))}."
    return f"Not proved: {escape(parity['not_proved'])}. Not bounded: {escape(parity['not_bounded'])}."


def _nearest(findings: list[dict[str, Any]]) -> list[list[Any]]:
    worst = sorted(findings, key=lambda finding: -finding["used"])[:20]
    return [
        [f["kind"], f["output"], f["rows"], f["worst_row"], f"{f['used']:.1e}", f["expected"], f["answered"], f["ties"]]
        for f in worst
    ]


def _tensors(signature: dict[str, Any]) -> list[list[Any]]:
    return [
        [
            tensor["name"],
            tensor["datatype"],
            str(["n", *tensor["shape"][1:]]),
            taken(tensor),
        ]
        for side in ("inputs", "outputs")
        for tensor in signature[side]
    ]


def _origin(report: dict[str, Any], output: str) -> list[list[Any]]:
    source, speed = report["provenance"], report["speed"]
    return [
        ["written", output],
        ["sha256", report["model"]["sha256"]],
        ["bytes", f"{report['model']['bytes']:,} (pickle {source['source_bytes']:,})"],
        ["sha256 of the pickle", source["source_sha256"]],
        ["repaired", ", ".join(source["repairs"]) or "nothing"],
        ["trusted beside the allow-list", ", ".join(source["trusted"]) or "nothing"],
        ["versions", ", ".join(f"{name} {version}" for name, version in source["versions"].items())],
        ["one row alone", f"{speed['onnxruntime_us']:.0f} µs, scikit-learn {speed['scikit_learn_us']:.0f} µs"],
        ["protections", ", ".join(report["protections"])],
        ["names the pickle asked for", ", ".join(source["globals"])],
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    def cell(value: Any) -> str:
        return f'<td class="n">{value:,}</td>' if isinstance(value, int) else f"<td>{escape(str(value))}</td>"

    shown = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f"<table><tr>{shown}</tr>{''.join('<tr>' + ''.join(map(cell, row)) + '</tr>' for row in rows)}</table>"


def _plots(name: str, pairs: list[list[float]], tolerance: dict[str, float]) -> str:
    """The graph's answers against scikit-learn's, and their gap against the magnitude beside the tolerance."""
    signed = [math.copysign(math.log10(1 + abs(value)), value) for pair in pairs for value in pair]
    answers = list(zip(signed[::2], signed[1::2], strict=True))
    low, high = min(signed), max(signed)
    parity = _svg(answers, (low, high), (low, high), line=[(low, low), (high, high)])
    floor = -17.0
    sizes = [math.log10(max(abs(wanted), 1e-6)) for wanted, _ in pairs]
    gaps = [math.log10(max(abs(wanted - found), 10**floor)) for wanted, found in pairs]
    left, right = min(sizes), max(sizes)
    allowed = [
        (x, math.log10(max(tolerance["atol"] + tolerance["rtol"] * 10**x, 10**floor)))
        for x in (left + (right - left) * i / 40 for i in range(41))
    ]
    gap = _svg(list(zip(sizes, gaps, strict=True)), (left, right), (floor, max(*gaps, *(y for _, y in allowed))), line=allowed)
    return (
        f"<h2>{escape(name)}</h2><figure>{parity}<figcaption>graph (up) against scikit-learn (right),"
        f" sign × log10(1 + |value|); the line is equality</figcaption></figure>"
        f"<figure>{gap}<figcaption>log10 of the gap (up) against log10 of the value (right);"
        f" the line is what is allowed, 1e-17 stands for none</figcaption></figure>"
    )


def _svg(
    points: list[tuple[float, float]],
    across: tuple[float, float],
    up: tuple[float, float],
    line: list[tuple[float, float]],
) -> str:
    def place(x: float, y: float) -> tuple[float, float]:
        along = (x - across[0]) / ((across[1] - across[0]) or 1.0)
        height = (y - up[0]) / ((up[1] - up[0]) or 1.0)
        return round(EDGE + along * (WIDTH - EDGE - 12), 1), round(HEIGHT - 30 - height * (HEIGHT - 42), 1)

    dots = "".join('<circle cx="{}" cy="{}" r="1.6"/>'.format(*place(x, y)) for x, y in points)
    path = " ".join("{},{}".format(*place(x, y)) for x, y in line)
    label = 'font-size="11" fill="currentColor"'
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" role="img">'
        f'<polyline points="{path}" fill="none" stroke="#b3541e" stroke-width="1.5"/>'
        f'<g fill="#0f5fa6" fill-opacity=".55">{dots}</g>'
        f'<text x="{EDGE}" y="{HEIGHT - 10}" {label}>{across[0]:.3g}</text>'
        f'<text x="{WIDTH - 12}" y="{HEIGHT - 10}" text-anchor="end" {label}>{across[1]:.3g}</text>'
        f'<text x="{EDGE - 6}" y="{HEIGHT - 30}" text-anchor="end" {label}>{up[0]:.3g}</text>'
        f'<text x="{EDGE - 6}" y="20" text-anchor="end" {label}>{up[1]:.3g}</text></svg>'
    )
