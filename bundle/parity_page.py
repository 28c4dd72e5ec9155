"""How does the customer read that the model answers as scikit-learn did? One page from what the model says of itself."""

from collections.abc import Iterable
from html import escape
from typing import Any

from serving.model import Model
from serving.runtime import VERSION
from serving.verification import Gap

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }
table { border-collapse: collapse; margin: .5rem 0 1.5rem } h2 { margin-top: 2rem; font-size: 1.1rem }
th, td { text-align: left; padding: .25rem 1.2rem .25rem 0; border-bottom: 1px solid #ddd; vertical-align: top }
td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
@media (prefers-color-scheme: dark) { body { background: #16181b; color: #e6e6e6 } th, td { border-color: #333 } }
"""
MEANING = {
    "proved": "for every possible input, by comparing the fitted parameters with the graph's",
    "bounded": "the rounding error of both was bounded over the range below, whatever the row",
    "tested": "on the rows below, chosen to be as hard as could be found",
}


def render(model: Model, gaps: dict[str, Gap], name: str, number: int) -> str:
    parity, source = model.parity, model.provenance
    title = f"{name}, release {number}: parity with scikit-learn"
    evidence = str(parity["evidence"])
    sections = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(str(source['estimator']))} was translated to ONNX as <b>{escape(str(parity['candidate']))}</b> and"
        f" accepted. Evidence: <b>{escape(evidence)}</b>, {MEANING[evidence]}.</p>",
        "<h2>The rows that travel with the model</h2>",
        f"<p>Scikit-learn's own answers to them are in model.onnx. The server asks itself all of them before it is ready, on"
        f" the machine where it runs. When this page was made, with onnxruntime {escape(VERSION)}:</p>",
        _table(
            ["output", "rows", "largest difference", "allowed", "wrong"],
            ((output, gap.rows, f"{gap.max_abs:.1e}", _allowed(parity, output), gap.wrong) for output, gap in gaps.items()),
        ),
        "<h2>Rows that were compared at conversion</h2>",
        _table(["kind", "rows"], sorted(parity["rows"].items())),
        _table(["output", "largest difference"], ((output, f"{gap:.1e}") for output, gap in parity["max_abs"].items())),
        *([] if "bound" not in parity else [_bound(parity["bound"])]),
        "<h2>Where it comes from</h2>",
        _table(["", ""], [
            ("model.onnx, SHA-256", model.digest), ("model.pkl, SHA-256", source["source_sha256"]),
            ("repairs of the translation", ", ".join(source["repairs"]) or "none"), *sorted(source["versions"].items()),
        ]),
    ]  # fmt: skip
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>{''.join(sections)}</body></html>\n"
    )


def _allowed(parity: Any, output: str) -> str:
    tolerance = parity["tolerance"].get(output, {"atol": 0.0, "rtol": 0.0})
    return f"{tolerance['atol']:g} + {tolerance['rtol']:g} × |answer|"


def _bound(bound: Any) -> str:
    low, high = bound.get("low", []), bound.get("high", [])
    text = f"At most {bound['largest']:.1e} anywhere in the range of {', '.join(bound['range'])}"
    return f"<p>{escape(text)}; {len(low) or len(high)} columns, each with its own range, which model.onnx holds.</p>"


def _table(heads: list[str], rows: Iterable[Iterable[Any]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
