"""How do the tests run a batch: as the command in processes of its own, or its parts in this one?"""

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batch import success
from batch.manifest import Manifest, settle
from batch.places import Place, is_temporary
from batch.shard import Shards
from batch.sources import Asked, plan
from batch.verify import Verdict, verify
from serving.model import Model
from serving.signature import Array
from serving.verification import compare
from tests.serving import graphs

ROOT = Path(__file__).parents[2]
LIMIT_S = 60
RNG = np.random.default_rng(7)

__all__ = ["compare", "graphs"]


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "batch", *map(str, words)]


def run(*words: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command(*words), cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT_S)


def start(*words: object) -> "subprocess.Popen[str]":
    """In a process group of its own, so that all of it can be killed."""
    quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    return subprocess.Popen(command(*words), cwd=ROOT, text=True, **quiet)


def workers(driver: int) -> list[int]:
    """The driver's own children, as Linux tells it."""
    return [int(pid) for path in Path(f"/proc/{driver}/task").glob("*/children") for pid in path.read_text().split()]


def wait_until(true: Callable[[], object], what: str) -> None:
    limit = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < limit, what
        time.sleep(0.005)


def encode(model: Path, given: Path, out: Path, **asked: Any) -> dict[str, Any]:
    """All shards in this process; returns what _SUCCESS.json says."""
    source, names = Place.of(str(given)).inputs()
    return encode_at(Model.load(model), source, names, Place.of(str(out)), **asked)


def encode_at(model: Model, source: Place, names: list[str], out: Place, **asked: Any) -> dict[str, Any]:
    manifest = plan(source, names, model.signature, Asked(**asked), model.digest)
    settle(manifest, out)
    shards = Shards(manifest, model, source, out)
    done = success.finish(manifest, out, {unit.index: shards.encode(unit) for unit in manifest.units})
    assert done is not None
    return done


def verified(given: Path, out: Path, sweep: bool = False) -> Verdict:
    source, names = Place.of(str(given)).inputs()
    return verify(source, names, Place.of(str(out)), sweep)


def manifest_of(out: Path) -> Manifest:
    return Manifest.from_bytes((out / "manifest.json").read_bytes(), str(out))


def answers(out: Path) -> Any:
    """All answered rows, in the order of the parts."""
    return pa.concat_tables([pq.read_table(path) for path in sorted(out.glob("part-*.parquet"))])


def refused(out: Path) -> list[tuple[Any, str, int, str]]:
    tables = [pq.read_table(path) for path in sorted((out / "quarantine").glob("part-*.parquet"))]
    return [tuple(row.values()) for table in tables for row in table.to_pylist()]


def contents(out: Path) -> dict[str, str]:
    """The digest of every file but those that somebody is still writing."""
    files = [path for path in out.rglob("*") if path.is_file() and not is_temporary(path.name)]
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def parquet(path: Path, columns: Mapping[str, Any], group: int = 1000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(dict(columns)), path, row_group_size=group)
    return path


def vectors(rows: Array) -> Any:
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.reshape(-1)), rows.shape[1])


def numbers(rows: int, wide: int = 3) -> Array:
    return RNG.normal(size=(rows, wide)).astype(np.float32)


WEIGHTS = np.array([[1, 10], [2, 20], [3, 30]], np.float32)
