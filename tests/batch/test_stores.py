"""Is all the same in an object store, where nothing can be renamed and an open upload is seen by nobody?"""

import fcntl
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from batch.errors import Hopeless, Retryable, sorted_out
from batch.manifest import settle
from batch.places import Draft, Place
from batch.shard import Shards
from batch.sources import Asked, plan
from batch.verify import verify
from serving.model import Model
from tests.batch.working import encode_at, numbers, run, vectors


@pytest.fixture
def store() -> Any:
    """pyarrow's own store in memory: folders, files and times, and no local path."""
    return fs._MockFileSystem()


def put(store: Any, name: str, rows: Any) -> None:
    store.create_dir("bucket/in")
    with store.open_output_stream(f"bucket/in/{name}") as file:
        pq.write_table(pa.table({"X": vectors(rows)}), file, row_group_size=100)


def test_a_store_is_read_and_written_as_a_disk_is(store: Any, linear: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        put(store, name, numbers(300))
    source, names = Place(store, "bucket/in", False).inputs()
    out = Place(store, "bucket/out", False)
    store.create_dir("bucket/out/quarantine")
    done = encode_at(Model.load(linear), source, names, out, shard_rows=100)
    assert (done["rows"], done["answered"], len(done["files"])) == (600, 600, 6)
    assert not verify(source, names, out, sweep=False).faults
    assert not [name for name in out.names() if name.startswith(".")]


def test_a_part_that_fails_is_never_seen(store: Any, linear: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, "a.parquet", numbers(300))
    source, names = Place(store, "bucket/in", False).inputs()
    out = Place(store, "bucket/out", False)
    store.create_dir("bucket/out")
    model = Model.load(linear)
    manifest = plan(source, names, model.signature, Asked(), model.digest)
    settle(manifest, out)

    def run(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Model, "run", run)
    with pytest.raises(KeyboardInterrupt):
        Shards(manifest, model, source, out).encode(manifest.units[0])
    assert out.names() == ["manifest.json"]


def test_half_an_upload_is_made_again(store: Any, linear: Path) -> None:
    put(store, "a.parquet", numbers(300))
    source, names = Place(store, "bucket/in", False).inputs()
    out = Place(store, "bucket/out", False)
    store.create_dir("bucket/out")
    done = encode_at(Model.load(linear), source, names, out)
    part = next(iter(done["files"]))
    with out.open(part) as file:
        half = file.read(500)
    out.write(part, half)
    assert encode_at(Model.load(linear), source, names, out) == done


def test_a_file_address_is_a_disk(linear: Path, folder: Path, tmp_path: Path) -> None:
    assert Place.of(f"file://{tmp_path}").local
    told = run("encode", f"file://{folder}", f"file://{tmp_path}/out", "--model", linear, "--id", "part")
    assert told.returncode == 0, told.stderr
    assert run("verify", folder, tmp_path / "out").returncode == 0


def test_a_store_out_of_reach_may_be_tried_again_and_damaged_bytes_not() -> None:
    network = OSError("When getting information: AWS Error NETWORK_CONNECTION")
    assert isinstance(sorted_out(network, "bucket/a", local=False), Retryable)
    assert isinstance(sorted_out(FileNotFoundError(2, "No such file"), "a", local=True), Retryable)
    assert isinstance(sorted_out(OSError("Corrupt snappy compressed data."), "a", local=True), Hopeless)
    assert isinstance(sorted_out(pa.ArrowInvalid("no magic bytes"), "a", local=False), Hopeless)


def test_a_draft_that_is_swept_before_it_is_locked_is_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, locked = Place.of(str(tmp_path)), fcntl.flock
    taken: list[str] = []

    def swept_first(file: Any, how: int) -> None:
        if not taken:
            taken.append(file.name)
            Path(file.name).unlink()
        locked(file, how)

    monkeypatch.setattr(fcntl, "flock", swept_first)
    draft = Draft(place, "a.parquet")
    draft.write(b"all")
    draft.publish()
    draft.discard()
    assert taken
    assert place.read("a.parquet") == b"all"
    assert place.names() == ["a.parquet"]
