"""Is a report one of ours, whole, and new? Then its counts are added, whatever order reports come in.

Only what stands by itself is refused here: no report, of nobody we know, not signed by whom it names. What shows only beside
others, gaps and forks of a site's chain, is found by looking at all of them (monitoring/chains.py), so that two orders of the
same files end in the same warehouse.
"""

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from monitoring.warehouse import Warehouse
from serving.telemetry import document, tally
from serving.telemetry.document import NotAReport, Report
from serving.telemetry.store import HOUR_S

AT_ONCE = 500
Row = dict[str, Any]


@dataclass(frozen=True)
class Taken:
    """What became of one file. `word`: added, known, or refused, and then `reason` says why."""

    origin: str
    word: str
    reason: str = ""
    site: str = ""
    sequence: int = 0


@dataclass(frozen=True)
class Parsed:
    origin: str
    rows: dict[str, list[Row]]
    taken: Taken


def add_site(warehouse: Warehouse, name: str, key: bytes) -> str:
    """Returns the site's fingerprint. Raises ValueError for what is no P-256 public key, or a name or key that is taken."""
    found = serialization.load_pem_public_key(key)
    if not isinstance(found, ec.EllipticCurvePublicKey) or not isinstance(found.curve, ec.SECP256R1):
        raise ValueError("is no P-256 public key; the customer's `report key` prints it")
    site = document.fingerprint(found)
    for known, taken in warehouse.ask("SELECT site, name FROM sites WHERE site = $1 OR name = $2", site, name):
        if (known, taken) == (site, name):
            return site
        raise ValueError(f"{'the key' if known == site else 'the name'} belongs to site {taken!r} already")
    warehouse.append("sites", [{"site": site, "name": name, "key": key.decode()}])
    return site


def add_model(warehouse: Warehouse, name: str, digest: str, reference: Mapping[str, Any] | None) -> None:
    """So that its bins have a meaning here. A model is what its digest says, so that adding one again changes nothing."""
    if not warehouse.ask("SELECT digest FROM models WHERE digest = $1", digest):
        warehouse.append("models", [{"digest": digest, "name": name, "reference": json.dumps(reference)}])


def ingest(warehouse: Warehouse, files: Iterable[Path], processes: int = 1) -> Iterable[Taken]:
    """What became of each file, in the order given; some hundred at once, each of these all or none. Raises OSError."""
    keys: dict[str, str] = dict(warehouse.ask("SELECT site, key FROM sites"))
    pool = ProcessPoolExecutor(processes, initializer=_know, initargs=(keys,)) if processes > 1 else None
    _know(keys)
    try:
        left = map(str, files)
        while paths := list(islice(left, AT_ONCE)):
            parsed = list(map(_parse, paths) if pool is None else pool.map(_parse, paths, chunksize=50))
            yield from _add(warehouse, parsed)
    finally:
        if pool is not None:
            pool.shutdown()


def ingest_one(warehouse: Warehouse, content: bytes, origin: str, site: str) -> Taken:
    """As it was received, from whom may bring the reports of this site alone."""
    _know(dict(warehouse.ask("SELECT site, key FROM sites WHERE site = $1", site)))
    (taken,) = _add(warehouse, [_parsed(content, origin)])
    return taken


def _add(warehouse: Warehouse, parsed: list[Parsed]) -> list[Taken]:
    with warehouse.change():
        sites = sorted({one.taken.site for one in parsed if one.rows})
        known: set[str] = set()
        for site in sites:
            known |= {digest for (digest,) in warehouse.ask("SELECT report FROM reports WHERE site = $1", site)}
        tables: dict[str, list[Row]] = {}
        results = []
        for one in parsed:
            taken = one.taken
            if one.rows:
                digest = one.rows["reports"][0]["report"]
                if digest in known:
                    taken = Taken(taken.origin, "known", "is here already", taken.site, taken.sequence)
                else:
                    known.add(digest)
                    for table, rows in one.rows.items():
                        tables.setdefault(table, []).extend(rows)
            results.append(taken)
        for table, rows in tables.items():
            warehouse.append(table, rows)
    return results


# --- by itself, in whatever process

_keys: dict[str, ec.EllipticCurvePublicKey] = {}


def _know(keys: Mapping[str, str]) -> None:
    _keys.clear()
    for site, text in keys.items():
        key = serialization.load_pem_public_key(text.encode())
        assert isinstance(key, ec.EllipticCurvePublicKey)
        _keys[site] = key


def _parse(path: str) -> Parsed:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        return Parsed(path, {}, Taken(path, "refused", f"cannot be read: {error.strerror}"))
    return _parsed(content, path)


def _parsed(content: bytes, origin: str) -> Parsed:
    try:
        report = document.read(content)
    except NotAReport as problem:
        return Parsed(origin, {}, Taken(origin, "refused", f"is no report: {problem}"))
    key = _keys.get(report.site)
    if key is None:
        reason = f"foreign: is of a site {report.site[:12]}... that nobody added; `monitoring site NAME KEY.pub` adds it"
        return Parsed(origin, {}, Taken(origin, "refused", reason, report.site, report.sequence))
    if not report.signed_by(key):
        reason = "tampered: is not what the site signed"
        return Parsed(origin, {}, Taken(origin, "refused", reason, report.site, report.sequence))
    return Parsed(origin, _rows(report), Taken(origin, "added", "", report.site, report.sequence))


def _rows(report: Report) -> dict[str, list[Row]]:
    said = report.said
    base = {"site": report.site, "chain": said["chain"], "sequence": report.sequence, "report": report.digest}
    made = hour_of(said["made"])
    rows: dict[str, list[Row]] = {
        "reports": [base | {"previous": said["previous"], "made": made, "versions": _text(said["server"])}]
    }
    for model in said["models"]:
        own = base | {"digest": model["digest"]}
        hours = [own | {"release": model["release"]} | _hour(hour) for hour in model["hours"]]
        rows.setdefault("hours", []).extend(hours)
        if model["columns"]:
            span = [hour["hour"] for hour in hours] or [made]
            counts = {"looked_at": model["looked_at"], "first_hour": min(span), "last_hour": max(span)}
            rows.setdefault("columns", []).append(own | counts | {"counts": _text(model["columns"])})
        for kind, counts in model["outcomes"].items():
            rows.setdefault("outcomes", []).append(own | {"made": made, "kind": kind, "counts": _text(counts)})
    return rows


def _hour(said: Mapping[str, Any]) -> Row:
    requests = said["requests"] or {}
    refused = [count for outcome, count in requests.items() if outcome not in (tally.ANSWERED, "pooled")]
    return {
        "hour": hour_of(said["hour"]),
        "answered": requests.get(tally.ANSWERED) or 0,
        "refused": sum(count or 0 for count in refused),
        # Pooled with others: refused, or answered where those were few.
        "unknown": requests.get("pooled", 0),
        "rows": said["rows"],
        "missed": said["missed"] or 0,
        "requests": _text(said["requests"]),
        "latency": _text(said["latency"]),
        "batches": _text(said["batches"]),
    }


def hour_of(text: str) -> int:
    """Hours since 1970."""
    return int(datetime.strptime(text, "%Y-%m-%dT%HZ").replace(tzinfo=UTC).timestamp()) // HOUR_S


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
