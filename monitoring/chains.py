"""Is a site's sequence of reports whole, and does each follow the one before?

Looks at all reports of a site together, so that it does not matter in which order they came. Counts of a report that has a twin
with other contents belong to nobody until the site was asked: both stay out of all figures.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from monitoring.warehouse import Warehouse


@dataclass(frozen=True)
class Fault:
    """`word`: gap, fork, broken or restarted. `sequence`: at which report, or after which."""

    site: str
    word: str
    sequence: int
    text: str


@dataclass(frozen=True)
class Link:
    sequence: int
    report: str
    previous: str | None
    made: int


def faults(warehouse: Warehouse) -> list[Fault]:
    """Of all sites, by site, chain and number."""
    rows = warehouse.ask(
        "SELECT site, chain, sequence, report, previous, made FROM reports ORDER BY site, chain, sequence, report"
    )
    chains: dict[str, dict[str, list[Link]]] = {}
    for site, chain, *rest in rows:
        chains.setdefault(site, {}).setdefault(chain, []).append(Link(*rest))
    return [fault for site, found in chains.items() for fault in _of_site(site, found)]


def _of_site(site: str, chains: dict[str, list[Link]]) -> Iterator[Fault]:
    # The one that was begun first is the site's first.
    later = sorted(chains.values(), key=lambda links: (links[0].made, links[0].report))[1:]
    for links in later:
        first = links[0]
        yield Fault(site, "restarted", first.sequence, "the site began to count anew: its memory was lost, wiped or moved")
    for links in chains.values():
        yield from _of_chain(site, links)


def _of_chain(site: str, links: list[Link]) -> Iterator[Fault]:
    by_number: dict[int, list[Link]] = {}
    for link in links:
        by_number.setdefault(link.sequence, []).append(link)
    expected = 1
    for number, twins in by_number.items():
        if number > expected:
            missing = f"report {expected}" if number == expected + 1 else f"reports {expected} to {number - 1}"
            yield Fault(site, "gap", expected, f"{missing} did not come: withheld, lost, or on the way")
        if len(twins) > 1:
            yield Fault(site, "fork", number, f"{len(twins)} reports are numbered {number} and differ; none of them is counted")
        before = by_number.get(number - 1, [])
        for link in twins:
            if (number == 1 and link.previous is not None) or (before and link.previous not in [one.report for one in before]):
                yield Fault(site, "broken", number, f"report {number} does not follow the report {number - 1} that is here")
        expected = number + 1


# Reports whose counts belong into figures.
COUNTED = "(SELECT min(report) FROM reports GROUP BY site, chain, sequence HAVING count(*) = 1)"
