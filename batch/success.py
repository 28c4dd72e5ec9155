"""Is everything there, and what is it altogether? Counted from the files of OUT alone, never from what a process said."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from batch.manifest import Manifest, Unit
from batch.places import Place
from batch.shard import Footer, present

NAME = "_SUCCESS.json"


def finish(manifest: Manifest, out: Place, digests: Mapping[int, str]) -> dict[str, Any] | None:
    """Writes NAME and returns what it says; None while parts are missing. digests: those known, of parts by their number."""
    seen = out.seen(NAME)
    footers = [(unit, present(manifest, out, unit)) for unit in manifest.units]
    whole = [(unit, found) for unit, found in footers if found is not None]
    if len(whole) < len(footers):
        return None
    said = summary(manifest, whole, _files(manifest, out, whole, digests))
    out.write(NAME, (json.dumps(said, indent=1) + "\n").encode(), seen)
    return said


def summary(manifest: Manifest, whole: list[tuple[Unit, Footer]], files: dict[str, str]) -> dict[str, Any]:
    bins = np.array([found.bins for _, found in whole], np.int64)
    counts = {name: sum(getattr(found, name) for _, found in whole) for name in ("rows", "answered", "quarantined")}
    said: dict[str, Any] = {"model": manifest.model, "manifest": manifest.digest, **counts, "files": files}
    if bins.size:
        counted = sum(found.counted for _, found in whole)
        said["histograms"] = {"rows": counted, "every": manifest.every, "counts": bins.sum(axis=0).tolist()}
    return said


def _files(manifest: Manifest, out: Place, whole: list[tuple[Unit, Footer]], digests: Mapping[int, str]) -> dict[str, str]:
    files = {}
    for unit, found in whole:
        name = manifest.name(unit)
        files[name] = digests.get(unit.index) or out.digest(name)
        if found.quarantined:
            files[manifest.quarantine(unit)] = out.digest(manifest.quarantine(unit))
    return files
