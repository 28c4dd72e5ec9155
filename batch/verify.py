"""Is every row of IN in OUT exactly once? Told from the files alone, by one who trusts nothing that a run has said.

Each part's ids, answered and refused, must be those of its rows in IN, in their order; then nothing is missing, nothing twice.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batch import manifest as manifests
from batch import sources, success
from batch.errors import Hopeless
from batch.manifest import Manifest, Unit
from batch.places import Place, is_temporary
from batch.shard import Footer, footer, present


@dataclass
class Verdict:
    """`swept`: files of writers that are gone; they are no fault."""

    rows: int = 0
    answered: int = 0
    quarantined: int = 0
    faults: list[str] = field(default_factory=list)
    leftover: list[str] = field(default_factory=list)
    swept: list[str] = field(default_factory=list)


def verify(source: Place, names: list[str], out: Place, sweep: bool) -> Verdict:
    """Raises Hopeless where OUT has no manifest, Retryable where something cannot be looked at."""
    manifest = manifests.settled(out)
    verdict = Verdict(rows=manifest.rows, swept=out.sweep() if sweep else [])
    verdict.faults += list(_inputs(manifest, source, names))
    wanted = {manifests.NAME, success.NAME}
    whole: list[tuple[Unit, Footer]] = []
    for unit in manifest.units:
        wanted |= {manifest.name(unit)}
        found = present(manifest, out, unit)
        # Without the answers the refused rows may be there already.
        wanted |= {manifest.quarantine(unit)} if found is None or found.quarantined else set()
        if found is None:
            verdict.faults.append(_what_is_wrong(manifest, out, unit))
            continue
        whole.append((unit, found))
        verdict.answered += found.answered
        verdict.quarantined += found.quarantined
    for name in out.names():
        if is_temporary(name):
            verdict.leftover.append(name)
        elif name not in wanted:
            verdict.faults.append(f"{name}: belongs to no part of this run")
    verdict.faults += list(_digests(manifest, out, whole))
    if not any(fault.startswith("IN") for fault in verdict.faults):
        verdict.faults += list(_rows(manifest, source, out, whole))
    return verdict


def _inputs(manifest: Manifest, source: Place, names: list[str]) -> Iterator[str]:
    known = {name: file for file in manifest.files for name in file.names or (file.path,)}
    states = source.states(list(known))
    for name in sorted(known.keys() | set(names)):
        if name not in known:
            yield f"IN {name}: is not in the manifest"
        elif name not in states:
            yield f"IN {name}: is gone"
    for file in manifest.files:
        if states.keys() >= set(file.names or (file.path,)) and not file.in_states(states):
            yield f"IN {file.path}: has changed since the run"


def _what_is_wrong(manifest: Manifest, out: Place, unit: Unit) -> str:
    name = manifest.name(unit)
    if out.state(name) is None:
        return f"{name}: is missing, and with it {unit.rows} rows of {manifest.files[unit.file].path!r}"
    with out.asked(name):
        found = footer(out, name)
    if found is None:
        return f"{name}: cannot be read, or is not one of ours"
    if found.model != manifest.model:
        return f"{name}: is of model {found.model[:12]}, expected {manifest.model[:12]}"
    if found.unit != manifest.unit_digest(unit):
        return f"{name}: holds another part's answers"
    return f"{manifest.quarantine(unit)}: is missing, or not the one that {name} was written with"


def _digests(manifest: Manifest, out: Place, whole: list[tuple[Unit, Footer]]) -> Iterator[str]:
    content = out.read(success.NAME)
    if content is None:
        yield f"{success.NAME}: is missing; the run has not ended"
        return
    try:
        said = json.loads(content)
        files = dict(said["files"])
    except (KeyError, TypeError, ValueError):
        yield f"{success.NAME}: cannot be read"
        return
    for name in sorted(files):
        if out.state(name) is not None and out.digest(name) != files[name]:
            yield f"{name}: its bytes are not those that were written"
    if len(whole) == len(manifest.units) and said != success.summary(manifest, whole, files):
        yield f"{success.NAME}: says other counts, or another model or manifest, than the files"


def _rows(manifest: Manifest, source: Place, out: Place, whole: list[tuple[Unit, Footer]]) -> Iterator[str]:
    seen: list[Any] = []
    for unit, found in whole:
        name = manifest.name(unit)
        try:
            at, given = _wanted(manifest, source, unit)
            answered = _column(out, name, "id")
            refused = pa.table({"id": [], "row": []})
            if found.quarantined:
                refused = _columns(out, manifest.quarantine(unit), ["id", "row"])
        except Hopeless as error:
            yield str(error)
            continue
        rows = refused.column("row").to_numpy()
        kept = ~np.isin(at, rows)
        if len(np.unique(rows)) != found.quarantined or kept.sum() != found.answered or len(at) != unit.rows:
            yield f"{name}: {found.answered} rows answered, {found.quarantined} refused, expected {unit.rows}, each once"
        elif not answered.equals(given.filter(pa.array(kept))):
            yield f"{name}: its ids are not those of its rows in IN"
        elif found.quarantined and not _same_refused(refused, at, given):
            yield f"{manifest.quarantine(unit)}: its ids are not those of its rows in IN"
        if manifest.id is not None:
            seen.append(given)
    yield from _twice(seen)


def _wanted(manifest: Manifest, source: Place, unit: Unit) -> tuple[Any, Any]:
    parts = list(sources.ids(manifest, source, unit))
    at = np.concatenate([at for at, _ in parts]) if parts else np.zeros(0, np.int64)
    given = pa.chunked_array([one for _, one in parts], sources.id_type(manifest, source)).combine_chunks()
    order = np.argsort(at, kind="stable")
    return at[order], given.take(pa.array(order))


def _same_refused(refused: Any, at: Any, given: Any) -> bool:
    rows = refused.column("row").to_numpy()
    expected = given.take(pa.array(np.searchsorted(at, rows)))
    return bool(refused.column("id").combine_chunks().equals(expected))


def _columns(out: Place, name: str, columns: list[str]) -> Any:
    with out.asked(name), pq.ParquetFile(out.open(name)) as file:
        return file.read(columns)


def _column(out: Place, name: str, column: str) -> Any:
    return _columns(out, name, [column]).column(column).combine_chunks()


def _twice(seen: list[Any]) -> Iterator[str]:
    """Ids that IN itself has more than once; eight bytes or the text of each are in memory for it."""
    if not seen:
        return
    counted = pc.value_counts(pa.chunked_array(seen))
    for one in counted.filter(pc.greater(counted.field("counts"), 1)).slice(0, 10).to_pylist():
        if one["values"] is not None:
            yield f"IN: id {one['values']!r} is there {one['counts']} times"
