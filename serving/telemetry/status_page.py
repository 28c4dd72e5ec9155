"""What does a site see of its own server, without sending anything? The same counts as in the reports, and the outbox.

Plain HTML and SVG made here: no script, no other origin, one style sheet whose hash is in the policy.
"""

import base64
import hashlib
import sqlite3
import time
from dataclasses import dataclass
from html import escape

import numpy as np

from serving import VERSION
from serving.metrics import REQUEST_S
from serving.settings import Settings
from serving.signature import Array
from serving.telemetry import feedback, tally
from serving.telemetry.charts import STYLE, bars, figure, pairs, table
from serving.telemetry.document import NotAReport
from serving.telemetry.drift import Reference, Verdict, judge
from serving.telemetry.outbox import SENT, WAITING, Entry, Outbox, named_hour
from serving.telemetry.store import HOUR_S, Store, Window

HOURS, MOST_SHIFTS, MOST_REPORTS = 48, 6, 20
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}


@dataclass(frozen=True)
class Seen:
    """What the page is made of."""

    hour: int
    windows: list[Window]
    outcomes: dict[tuple[str, str, int], int]
    entries: list[Entry]
    problem: str | None = None


def page(settings: Settings, reference: Reference | None, digest: str | None, problem: str | None) -> str:
    """digest, reference: of the model that answers; problem: what keeps counts from being written, if anything does."""
    assert settings.state is not None
    hour = int(time.time() // HOUR_S)
    try:
        store = Store(settings.state)
        try:
            seen = Seen(hour, store.windows(hour - HOURS + 1), store.all_outcomes(), Outbox(settings.state).entries(), problem)
        finally:
            store.close()
    except (sqlite3.Error, OSError) as error:
        seen = Seen(hour, [], {}, [], problem or f"{type(error).__name__}: {error}")
    return render(seen, settings, reference, digest)


def render(seen: Seen, settings: Settings, reference: Reference | None, digest: str | None) -> str:
    parts = [
        _traffic(seen),
        _latency(seen.windows),
        _drift(seen, reference, digest),
        _feedback(seen.outcomes, digest),
        _outbox(seen.entries, settings),
    ]
    trouble = ""
    if seen.problem is not None:
        trouble = (
            f'<p class="bad">Counts cannot be written: {escape(seen.problem)}. They wait in memory; the server answers.</p>'
        )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="refresh" content="60"><title>Unjar: status</title><style>{STYLE}</style><h1>Status</h1>'
        f'<p class="soft">Model {escape((digest or "none")[:12])}, Unjar {VERSION}. The last {HOURS} hours until'
        f" {_when(seen.hour)}, hours in UTC. Nothing on this page has left the site unless the outbox says so.</p>"
        f"{trouble}{''.join(parts)}</html>"
    )


def _when(hour: int) -> str:
    return named_hour(hour).replace("T", " ").replace("Z", ":59")


def _traffic(seen: Seen) -> str:
    hours = range(seen.hour - HOURS + 1, seen.hour + 1)
    good, refused = dict.fromkeys(hours, 0), dict.fromkeys(hours, 0)
    outcomes: dict[str, int] = {}
    rows = 0
    for window in seen.windows:
        said = tally.describe(window.tally)
        rows += said["rows"]
        for outcome, count in said["requests"].items():
            outcomes[outcome] = outcomes.get(outcome, 0) + count
            into = good if outcome == tally.ANSWERED else refused
            into[window.hour] = into.get(window.hour, 0) + count
    total = sum(outcomes.values())
    if not total:
        return "<h2>Requests</h2><p>The model was not asked in these hours.</p>"
    stacks = [(good[hour], refused[hour]) for hour in hours]
    chart = bars(stacks, [named_hour(hour)[5:13].replace("T", " ") + "h" for hour in hours], "requests per hour")
    often = sorted(outcomes.items(), key=lambda pair: -pair[1])
    lines = [(outcome, f"{count:,}", f"{count / total:.2%}") for outcome, count in often]
    found = table(["outcome", "requests", "share"], lines, numeric=(1, 2))
    return f"<h2>Requests</h2><p>{total:,} requests, {rows:,} rows answered. Refused ones are red.</p>{chart}{found}"


def _latency(windows: list[Window]) -> str:
    counts = (
        np.sum([window.tally[tally.AT_LATENCY : tally.AT_BATCH] for window in windows], axis=0)
        if windows
        else np.zeros(1, np.int64)
    )
    total = int(counts.sum())
    if not total:
        return ""
    bounds = [f"{bound * 1e3:g}" for bound in REQUEST_S]
    labels = [*bounds, "more"]
    said = ", ".join(f"{share:.0%} within {_within(counts, share)}" for share in (0.5, 0.95, 0.99))
    return (
        "<h2>Time to answer</h2>"
        f"<p>{said}. From a request's headers to its answer's end; each bar up to so many milliseconds.</p>"
        + bars([(int(count), 0) for count in counts], labels, "answers by time, ms")
    )


def _within(counts: Array, share: float) -> str:
    at = int(np.searchsorted(np.cumsum(counts), share * counts.sum()))
    return f"{REQUEST_S[at] * 1e3:g} ms" if at < len(REQUEST_S) else f"more than {REQUEST_S[-1]:g} s"


def _drift(seen: Seen, reference: Reference | None, digest: str | None) -> str:
    title = "<h2>Are the rows like the vendor's?</h2>"
    if reference is None:
        return f"{title}<p>This model carries no bins; it was converted before there were any.</p>"
    own = [w.bins for w in seen.windows if w.digest == digest and len(w.bins) == reference.histograms.size]
    counts = np.sum(own, axis=0) if own else np.zeros(reference.histograms.size, np.int64)
    verdict = judge(reference, counts)
    origin = "the vendor's own rows" if reference.origin == "data" else "rows made from the model alone, not real ones"
    said = f"<p>{_words(verdict)} Compared with {reference.rows:,} of {origin}.</p>"
    named = dict(zip([bins.name for bins in reference.histograms.all], range(len(reference.histograms.all)), strict=True))
    figures = []
    for shift in verdict.shifts[:MOST_SHIFTS]:
        place = named[shift.name]
        bins = reference.histograms.all[place]
        here, there = reference.histograms.split(counts)[place], reference.histograms.split(reference.counts)[place]
        label = "distance from the vendor's rows" if bins.tensor == "distance" else bins.name
        kind = "beyond chance" if shift.beyond else "within chance"
        said_of = f"{label}: index {shift.index:.3f}, {kind} ({shift.limit:.3f})"
        figures.append(figure(said_of, pairs(here, there, bins.labels)))
    legend = "<p class=\"soft\">Blue: here. Grey: at the vendor's. Bins are tenths of the vendor's rows.</p>" if figures else ""
    return f'{title}{said}{legend}<div class="columns">{"".join(figures)}</div>'


def _words(verdict: Verdict) -> str:
    if verdict.word == "not enough data":
        return f"Not enough data: {verdict.rows:,} rows were looked at, 100 are needed."
    if verdict.shifted:
        many = len(verdict.shifted)
        return (
            f'<span class="bad">Shifted</span>: {many} of {len(verdict.shifts)} columns differ by more than chance makes of'
            f" {verdict.rows:,} rows. The model may be asked what it was not made for."
        )
    return f"As at the vendor's: no column of {verdict.rows:,} rows differs by more than chance."


def _feedback(outcomes: dict[tuple[str, str, int], int], digest: str | None) -> str:
    own = {(kind, place): count for (model, kind, place), count in outcomes.items() if model == digest}
    if not own:
        return ""
    rows = [(kind, escape(feedback.labels(kind)[place]), f"{count:,}") for (kind, place), count in sorted(own.items())]
    return f"<h2>What became of the answers</h2>{table(['outcome', 'value', 'answers'], rows, numeric=(2,))}"


def _outbox(entries: list[Entry], settings: Settings) -> str:
    modes = {
        "review": "A report leaves when an operator approves it and sends or exports it.",
        "auto": f"Reports are sent by themselves to {escape(settings.report_url or 'nobody: UNJAR_REPORT_URL is not set')}.",
        "off": "No reports are made.",
    }
    title = f"<h2>Outbox</h2><p>Mode <b>{settings.reports}</b>. {modes[settings.reports]}</p>"
    if not entries:
        return f"{title}<p>It is empty.</p>"
    rows = [
        (str(entry.sequence), entry.state, f"{entry.path.stat().st_size:,}" if entry.path.exists() else "", _contents(entry))
        for entry in reversed(entries[-MOST_REPORTS:])
    ]
    waiting = sum(entry.state == WAITING for entry in entries)
    sent = sum(entry.state == SENT for entry in entries)
    how = "<code>python -m serving.report show NUMBER</code> prints one."
    said = f"<p>Waiting for approval: {waiting}. Have left: {sent}. {how}</p>"
    return title + said + table(["report", "state", "bytes", "hours"], rows, numeric=(0, 2))


def _contents(entry: Entry) -> str:
    try:
        hours = sorted({hour["hour"] for model in entry.read().said["models"] for hour in model["hours"]})
    except (OSError, NotAReport) as error:
        return escape(f"cannot be read: {error}")
    return f"{hours[0]} to {hours[-1]}" if hours else "feedback only"
