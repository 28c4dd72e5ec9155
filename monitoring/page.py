"""What does a person read who looks after models at many sites? One page that needs nothing else, whoever needs help first.

Plain HTML and SVG; made from figures alone, so that it can be tested without a warehouse.
"""

from datetime import UTC, datetime
from html import escape

from monitoring.figures import DAY_H, Figures, Model, Site
from serving.telemetry import feedback
from serving.telemetry.charts import STYLE, bars, figure, pairs, table
from serving.telemetry.drift import Reference
from serving.telemetry.store import HOUR_S

MOST_DETAILS, MOST_SHIFTS, DAYS = 50, 6, 60


def render(seen: Figures) -> str:
    needy = [site for site in seen.sites if site.reasons]
    parts = [
        _summary(seen, needy),
        _fleet(seen),
        _table_of_sites(seen),
        _versions(seen),
        *(_site(site, seen) for site in needy[:MOST_DETAILS]),
        *(_site(site, seen) for site in [one for one in seen.sites if not one.reasons][: max(MOST_DETAILS - len(needy), 0)]),
    ]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Unjar: all sites</title><style>{STYLE}</style><h1>All sites</h1>{''.join(parts)}</html>\n"
    )


def _summary(seen: Figures, needy: list[Site]) -> str:
    answered = sum(site.answered for site in seen.sites)
    who = f'<span class="bad">{len(needy)} of {len(seen.sites)} sites need attention.</span>'
    calm = f"None of {len(seen.sites)} sites needs attention."
    return (
        f'<p class="soft">Until {_when(seen.now)} UTC. Of what customers chose to send; small counts stay at the site.</p>'
        f"<p>{who if needy else calm} {answered:,} requests were answered in all.</p>"
    )


def _fleet(seen: Figures) -> str:
    first = seen.now - seen.now % DAY_H - (DAYS - 1) * DAY_H
    days = {first + i * DAY_H: [0, 0] for i in range(DAYS)}
    for site in seen.sites:
        for day, answered, refused in site.days:
            if day in days:
                days[day][0] += answered
                days[day][1] += refused
    labels = [_date(day) for day in days]
    stacks = [(answered, refused) for answered, refused in days.values()]
    return f"<h2>Requests per day</h2><p>Refused ones are red.</p>{bars(stacks, labels, 'requests per day, all sites')}"


def _table_of_sites(seen: Figures) -> str:
    rows = []
    for place, site in enumerate(seen.sites):
        detailed = place < MOST_DETAILS
        name = f'<a href="#{site.site[:16]}">{escape(site.name)}</a>' if detailed else escape(site.name)
        slow = site.within(0.99)
        rows.append([
            name,
            f'<span class="bad">{escape(site.reasons[0])}</span>' if site.reasons else "",
            f"{site.answered:,}",
            f"{site.refused_share:.2%}",
            "" if slow is None else f"{slow * 1e3:g} ms",
            ", ".join(_called(model, seen) for model in site.models[:2]),
            "never" if site.last_made is None else _date(site.last_made),
        ])  # fmt: skip
    head = ["site", "why it needs attention", "answered", "refused", "99% within", "models of the last week", "last report"]
    return f"<h2>Sites</h2>{table(head, rows, numeric=(2, 3, 4))}"


def _versions(seen: Figures) -> str:
    counts: dict[tuple[str, int, str], int] = {}
    for site in seen.sites:
        for model in site.models:
            name = seen.references.get(model.digest, (model.digest[:12], None))[0]
            key = (name, model.release, model.digest[:12])
            counts[key] = counts.get(key, 0) + 1
    if not counts:
        return ""
    rows = [
        [escape(name), str(release), digest, str(sites), "newest" if seen.newest.get(name) == release else "older"]
        for (name, release, digest), sites in sorted(counts.items(), key=lambda pair: (pair[0][0], -pair[0][1]))
    ]
    return f"<h2>Versions in use</h2>{table(['model', 'release', 'version', 'sites', ''], rows, numeric=(1, 3))}"


def _site(site: Site, seen: Figures) -> str:
    reasons = "".join(f'<li class="bad">{escape(reason)}</li>' for reason in site.reasons)
    others = "".join(f"<li>{escape(fault.text)}</li>" for fault in site.faults[:20])
    recent = site.days[-DAYS:]
    chart = bars([(a, r) for _, a, r in recent], [_date(day) for day, _, _ in recent], "requests per day") if recent else ""
    return (
        f'<h2 id="{site.site[:16]}">{escape(site.name)}</h2><p class="soft">Site {site.site[:16]}</p>'
        + (f"<ul>{reasons}</ul>" if reasons else "<p>Nothing that needs attention.</p>")
        + chart
        + _codes(site)
        + "".join(_model(model, seen) for model in site.models[:3])
        + (f"<h3>Its chain of reports</h3><ul>{others}</ul>" if others else "")
    )


def _codes(site: Site) -> str:
    total = sum(site.codes.values())
    if not total:
        return ""
    said = ", ".join(f"{share:.0%} within {_seconds(site.within(share))}" for share in (0.5, 0.99))
    often = sorted(site.codes.items(), key=lambda pair: -pair[1])
    rows = [[escape("too few to tell apart" if o == "pooled" else o), f"{c:,}", f"{c / total:.2%}"] for o, c in often if c]
    return f"<h3>The last week</h3><p>{said}.</p>{table(['outcome', 'requests', 'share'], rows, numeric=(1, 2))}"


def _seconds(seconds: float | None) -> str:
    return "nobody knows" if seconds is None else f"{seconds * 1e3:g} ms"


def _model(model: Model, seen: Figures) -> str:
    reference = seen.references.get(model.digest, ("", None))[1]
    return f"<h3>{escape(_called(model, seen))}</h3>{_drift(model, reference)}{_outcomes(model)}"


def _called(model: Model, seen: Figures) -> str:
    name = seen.references.get(model.digest, ("", None))[0]
    release = f", release {model.release}" if model.release else ""
    return f"{name} {model.digest[:12]}{release}" if name else f"{model.digest[:12]}{release}"


def _drift(model: Model, reference: Reference | None) -> str:
    if reference is None:
        return "<p>Its bins are not known here: <code>python -m monitoring model model.onnx</code> adds them.</p>"
    if model.verdict is None or model.counts is None:
        return "<p>No rows were told of.</p>"
    verdict = model.verdict
    if verdict.word == "not enough data":
        return f"<p>Not enough data to tell whether its rows are the vendor's: {verdict.rows:,} rows.</p>"
    if not verdict.shifted:
        return f"<p>{verdict.rows:,} rows; none of {len(verdict.shifts)} columns differs by more than chance.</p>"
    places = {bins.name: place for place, bins in enumerate(reference.histograms.all)}
    here, there = reference.histograms.split(model.counts), reference.histograms.split(reference.counts)
    figures = []
    for shift in verdict.shifted[:MOST_SHIFTS]:
        place = places[shift.name]
        bins = reference.histograms.all[place]
        said = f"{shift.name}: index {shift.index:.3f}, by chance below {shift.limit:.3f}"
        figures.append(figure(said, pairs(here[place], there[place], bins.labels)))
    return (
        f"<p>{len(verdict.shifted)} of {len(verdict.shifts)} columns of {verdict.rows:,} rows differ by more than chance."
        f' Blue: there. Grey: at the vendor.</p><div class="columns">{"".join(figures)}</div>'
    )


def _outcomes(model: Model) -> str:
    rows = [
        [kind, escape(label), f"{count:,}"]
        for kind, counts in sorted(model.outcomes.items())
        for label, count in zip(feedback.labels(kind), counts, strict=True)
        if count
    ]
    return table(["outcome", "value", "answers"], rows, numeric=(2,)) if rows else ""


def _when(hour: int) -> str:
    return f"{datetime.fromtimestamp(hour * HOUR_S, UTC):%Y-%m-%d %H:00}"


def _date(hour: int) -> str:
    return f"{datetime.fromtimestamp(hour * HOUR_S, UTC):%Y-%m-%d}"
