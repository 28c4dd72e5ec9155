"""What do the reports say of all sites and of each: traffic, errors, times, drift, outcomes, and who needs attention, why?"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from monitoring.chains import COUNTED, Fault, faults
from monitoring.warehouse import Warehouse
from serving.metrics import REQUEST_S
from serving.telemetry import feedback
from serving.telemetry.drift import Reference, Verdict, judge
from serving.telemetry.histograms import Bins, Counts

WEEK_H, DAY_H = 168, 24
# A site that said nothing for so long, in multiples of the time between its reports.
SILENT_AFTER, SHORTEST_H = 3, 12
MANY_REFUSED, TIMES_SLOWER, MANY_REJECTED, ENOUGH = 0.05, 3.0, 2.0, 100


@dataclass
class Model:
    """One model at one site, over the last week of its hours."""

    digest: str
    release: int
    verdict: Verdict | None
    counts: Counts | None
    outcomes: dict[str, list[int]]


@dataclass
class Site:
    """The figures of one site. `days`: (first hour, answered, refused), oldest first; `latency`, `codes`: of the last week."""

    site: str
    name: str
    days: list[tuple[int, int, int]] = field(default_factory=list)
    answered: int = 0
    refused: int = 0
    unknown: int = 0
    missed: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    latency: Counts = field(default_factory=lambda: np.zeros(len(REQUEST_S) + 1, np.int64))
    models: list[Model] = field(default_factory=list)
    last_made: int | None = None
    every_h: float = DAY_H
    faults: list[Fault] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    @property
    def refused_share(self) -> float:
        return self.refused / max(self.answered + self.refused, 1)

    def within(self, share: float) -> float | None:
        """Seconds in which so many of the last week's answers came, an upper bound; None without answers."""
        if not self.latency.sum():
            return None
        place = int(np.searchsorted(np.cumsum(self.latency), share * self.latency.sum()))
        return REQUEST_S[place] if place < len(REQUEST_S) else float("inf")


@dataclass
class Figures:
    """Sites that need attention come first, the most reasons before others. `now`: the hour these are of."""

    now: int
    sites: list[Site]
    references: dict[str, tuple[str, Reference | None]]
    newest: dict[str, int]


def figures(warehouse: Warehouse, now: int) -> Figures:
    """now: hours since 1970."""
    sites = {site: Site(site, name) for site, name in warehouse.ask("SELECT site, name FROM sites ORDER BY name")}
    references = {
        digest: (name, None if reference in (None, "null") else Reference.from_json(json.loads(reference)))
        for digest, name, reference in warehouse.ask("SELECT digest, name, reference FROM models")
    }
    for fault in faults(warehouse):
        sites[fault.site].faults.append(fault)
    _reports(warehouse, sites)
    _traffic(warehouse, sites)
    _recent(warehouse, sites, now)
    releases = _models(warehouse, sites, references, now)
    _attention(list(sites.values()), releases, now)
    ordered = sorted(sites.values(), key=lambda site: (-len(site.reasons), -site.answered, site.name))
    return Figures(now, ordered, references, releases)


def _reports(warehouse: Warehouse, sites: dict[str, Site]) -> None:
    rows = warehouse.ask("SELECT site, max(made), min(made), count(*) FROM reports GROUP BY site")
    for site, last, first, count in rows:
        sites[site].last_made = last
        if count > 1:
            sites[site].every_h = max((last - first) / (count - 1), 1.0)


def _traffic(warehouse: Warehouse, sites: dict[str, Site]) -> None:
    """By day, all the time there is: hours of a year of many sites are more than anybody looks at."""
    rows = warehouse.ask(
        "SELECT site, hour - hour % 24, sum(answered), sum(refused), sum(unknown), sum(missed)"
        f" FROM hours WHERE report IN {COUNTED} GROUP BY 1, 2 ORDER BY 1, 2"
    )
    for site, day, answered, refused, unknown, missed in rows:
        one = sites[site]
        one.days.append((int(day), int(answered), int(refused)))
        one.answered += int(answered)
        one.refused += int(refused)
        one.unknown += int(unknown)
        one.missed += int(missed)


def _recent(warehouse: Warehouse, sites: dict[str, Site], now: int) -> None:
    rows = warehouse.ask(f"SELECT site, requests, latency FROM hours WHERE hour > $1 AND report IN {COUNTED}", now - WEEK_H)
    for site, requests, latency in rows:
        one = sites[site]
        for outcome, count in (json.loads(requests) or {}).items():
            one.codes[outcome] = one.codes.get(outcome, 0) + (count or 0)
        one.latency = one.latency + _spread(json.loads(latency), np.ones(len(REQUEST_S) + 1))


def _spread(told: Any, weights: Any) -> Counts:
    """Counts where some were pooled: the pool's sum over its cells, by these weights. Zeros where nothing was told."""
    if told is None:
        return np.zeros(len(weights), np.int64)
    if isinstance(told, list):
        return np.array(told, np.int64)
    hidden = np.array([count is None for count in told["counts"]])
    counts = np.array([count or 0 for count in told["counts"]], np.int64)
    share = np.where(hidden, weights, 0.0)
    spread: Counts = counts + np.rint(told["pooled"] * share / max(float(share.sum()), 1e-300)).astype(np.int64)
    return spread


def _models(
    warehouse: Warehouse, sites: dict[str, Site], references: dict[str, tuple[str, Reference | None]], now: int
) -> dict[str, int]:
    """Adds to each site the models of its last week. Returns each model's name with its newest release anywhere."""
    rows = warehouse.ask(
        f"SELECT site, digest, max(release), max(hour) FROM hours WHERE hour > $1 AND report IN {COUNTED}"
        " GROUP BY site, digest ORDER BY site, max(hour) DESC, digest",
        now - WEEK_H,
    )
    drifts = _drifts(warehouse, references, now)
    outcomes = _outcomes(warehouse)
    newest: dict[str, int] = {}
    for site, digest, release, _ in rows:
        name, _ = references.get(digest, (digest[:12], None))
        newest[name] = max(newest.get(name, 0), int(release))
        verdict, counts = drifts.get((site, digest), (None, None))
        sites[site].models.append(Model(digest, int(release), verdict, counts, outcomes.get((site, digest), {})))
    return newest


def _drifts(
    warehouse: Warehouse, references: dict[str, tuple[str, Reference | None]], now: int
) -> dict[tuple[str, str], tuple[Verdict, Counts]]:
    rows = warehouse.ask(f"SELECT site, digest, counts FROM columns WHERE last_hour > $1 AND report IN {COUNTED}", now - WEEK_H)
    totals: dict[tuple[str, str], Counts] = {}
    for site, digest, text in rows:
        reference = references.get(digest, ("", None))[1]
        if reference is None:
            continue
        told = json.loads(text)
        parts = zip(reference.histograms.all, reference.histograms.split(reference.counts), strict=True)
        counts = np.concatenate([_column(told, bins, there) for bins, there in parts])
        totals[site, digest] = totals.get((site, digest), np.zeros(len(counts), np.int64)) + counts
    found = {}
    for key, counts in totals.items():
        known = references[key[1]][1]
        assert known is not None
        found[key] = judge(known, counts), counts
    return found


def _column(told: dict[str, Any], bins: Bins, there: Counts) -> Counts:
    """A column that was not told, or has another shape than the vendor's, tells nothing."""
    counts = _spread(told.get(bins.name), there + 0.5) if _size(told.get(bins.name)) == bins.size else None
    return np.zeros(bins.size, np.int64) if counts is None else counts


def _size(told: Any) -> int:
    return 0 if told is None else len(told if isinstance(told, list) else told["counts"])


def _outcomes(warehouse: Warehouse) -> dict[tuple[str, str], dict[str, list[int]]]:
    """Of all time: outcomes are few and late."""
    found: dict[tuple[str, str], dict[str, list[int]]] = {}
    for site, digest, kind, text in warehouse.ask(f"SELECT site, digest, kind, counts FROM outcomes WHERE report IN {COUNTED}"):
        size = feedback.BINS[kind]
        before = found.setdefault((site, digest), {}).get(kind, [0] * size)
        more = _spread(json.loads(text), np.ones(size))
        found[site, digest][kind] = [a + int(b) for a, b in zip(before, more, strict=True)]
    return found


# --- who needs attention


def _attention(sites: Sequence[Site], newest: dict[str, int], now: int) -> None:
    slow = _middle(site.within(0.99) for site in sites)
    rejected = _middle(_rejected(site) for site in sites)
    for site in sites:
        site.reasons.extend(_reasons(site, newest, now, slow, rejected))


def _reasons(site: Site, newest: dict[str, int], now: int, slow: float | None, rejected: float | None) -> Iterable[str]:
    if site.last_made is None:
        yield "no report has come yet"
        return
    silent_h = now - site.last_made
    if silent_h > max(SILENT_AFTER * site.every_h, SHORTEST_H):
        yield f"silent for {_long(silent_h)}; a report came every {_long(round(site.every_h))} before"
    for word in ("fork", "broken", "restarted", "gap"):
        found = [fault for fault in site.faults if fault.word == word]
        if found:
            yield found[0].text + (f" (and {len(found) - 1} more)" if len(found) > 1 else "")
    for model in site.models:
        if model.verdict is not None and model.verdict.shifted:
            worst = ", ".join(shift.name for shift in model.verdict.shifted[:3])
            yield f"rows are not like the vendor's: {worst} and {max(len(model.verdict.shifted) - 3, 0)} more columns"
    refused = sum(count for outcome, count in site.codes.items() if outcome not in ("answered", "pooled"))
    total = sum(site.codes.values())
    if total >= ENOUGH and refused > MANY_REFUSED * total:
        most = max(((c, o) for o, c in site.codes.items() if o not in ("answered", "pooled")), default=(0, ""))
        yield f"{refused / total:.1%} of the last week's requests were refused, most as {most[1]}"
    own = site.within(0.99)
    if own is not None and slow is not None and own > TIMES_SLOWER * slow:
        yield f"slow: 99% within {own:g} s, the others within {slow:g} s"
    share = _rejected(site)
    if share is not None and rejected is not None and share > max(MANY_REJECTED * rejected, 0.1):
        yield f"{share:.0%} of the answers with a verdict were rejected, {rejected:.0%} at the others"
    if site.missed:
        yield f"{site.missed:,} requests could not be counted by kind: the site's disk could not be written"


def _rejected(site: Site) -> float | None:
    verdicts = np.sum([model.outcomes.get("verdict", [0, 0]) for model in site.models], axis=0) if site.models else [0, 0]
    total = int(sum(verdicts))
    return int(verdicts[1]) / total if total >= ENOUGH else None


def _middle(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _long(hours: float) -> str:
    return f"{hours:.0f} h" if hours < 2 * DAY_H else f"{hours / DAY_H:.0f} days"
