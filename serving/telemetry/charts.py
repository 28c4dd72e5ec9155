"""How do counts look: bars over time, a histogram beside another, a table? As SVG and HTML, for every page that shows figures.

Strings only: no script, no other origin, and one style sheet for all, with light and dark colours.
"""

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from serving.telemetry.histograms import Counts

STYLE = """
:root { --ink: #1b1f24; --soft: #5b6670; --line: #d5dbe1; --page: #fff; --bar: #2b6cb0; --other: #b8c4d0; --bad: #b42318 }
@media (prefers-color-scheme: dark) { :root { --ink: #dde3e9; --soft: #9aa5b0; --line: #333b44; --page: #14171a;
  --bar: #6ea8e5; --other: #4a5763; --bad: #ff8a7a } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; color: var(--ink);
  background: var(--page) }
h1 { font-size: 1.5rem; margin-bottom: 0 } h3 { font-size: 1rem; margin: 1.2rem 0 .2rem }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .4rem; border-top: 1px solid var(--line); padding-top: 1.2rem }
p { max-width: 46rem } .soft { color: var(--soft) } .bad { color: var(--bad); font-weight: 600 } a { color: inherit }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .25rem 1rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
td.n, th.n { text-align: right } svg { width: 100%; height: auto; display: block } rect { fill: var(--bar) }
rect.other { fill: var(--other) } rect.bad { fill: var(--bad) } text { fill: var(--soft); font: 11px system-ui, sans-serif }
line { stroke: var(--line) } code { font: 13px ui-monospace, monospace }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 1.5rem }
figure { margin: 0 } figcaption { color: var(--soft); font-size: .85rem }
"""
WIDTH, HEIGHT, FOOT, LABELS = 960, 150, 18, 12


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[int] = ()) -> str:
    """rows: cells as HTML; `numeric`: which columns hold numbers."""

    def line(tag: str, cells: Sequence[str]) -> str:
        return "".join(f"<{tag}{' class=n' if i in numeric else ''}>{cell}</{tag}>" for i, cell in enumerate(cells))

    return f"<table><tr>{line('th', head)}</tr>{''.join('<tr>' + line('td', row) + '</tr>' for row in rows)}</table>"


def bars(stacks: Sequence[tuple[int, int]], labels: Sequence[str], title: str) -> str:
    """Each a stack of two, the second in red."""
    step, most = WIDTH / len(stacks), max(max(sum(stack) for stack in stacks), 1)
    drawn = [f'<line x1="0" y1="{HEIGHT}" x2="{WIDTH}" y2="{HEIGHT}"/><text x="2" y="11">{most:,}</text>']
    every = -(-len(stacks) // LABELS)
    for i, ((first, second), label) in enumerate(zip(stacks, labels, strict=True)):
        high, low = HEIGHT * first / most * 0.9, HEIGHT * second / most * 0.9
        said = escape(f"{label}: {first:,}" + (f" and {second:,} refused" if second else ""))
        drawn.append(f"<g><title>{said}</title>{_rect(i * step + 1, HEIGHT - high, step - 2, high)}")
        drawn.append(f"{_rect(i * step + 1, HEIGHT - high - low, step - 2, low, 'bad')}</g>")
        if i % every == 0:
            drawn.append(f'<text x="{i * step + 1:.0f}" y="{HEIGHT + FOOT - 4}">{escape(label)}</text>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT + FOOT}" role="img" aria-label="{escape(title)}">{"".join(drawn)}</svg>'


def pairs(here: Counts, vendors: Counts, labels: Sequence[str]) -> str:
    """Shares of the bins, a site's beside the vendor's."""
    width, height = 300, 90
    shares = [counts / max(int(counts.sum()), 1) for counts in (here, vendors)]
    step, most = width / len(labels), max(float(np.max(shares)), 1e-9)
    drawn = []
    for i, label in enumerate(labels):
        drawn.append(f"<g><title>{escape(label)}: here {shares[0][i]:.1%}, at the vendor's {shares[1][i]:.1%}</title>")
        for share, kind, right in ((shares[1][i], "other", 0.0), (shares[0][i], "", step * 0.45)):
            high = height * float(share) / most
            drawn.append(_rect(i * step + right + 1, height - high, step * 0.45, high, kind))
        drawn.append("</g>")
    return f'<svg viewBox="0 0 {width} {height + 2}" role="img" aria-label="shares of bins">{"".join(drawn)}</svg>'


def figure(said: str, chart: str) -> str:
    return f"<figure><figcaption>{escape(said)}</figcaption>{chart}</figure>"


def _rect(x: float, y: float, width: float, height: float, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<rect{named} x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}"/>'
