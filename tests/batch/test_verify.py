"""Does the proof find every fault there is?"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batch.errors import Hopeless
from batch.places import Draft, Place
from tests.batch.working import encode, numbers, parquet, run, vectors, verified


@pytest.fixture
def done(linear: Path, tmp_path: Path) -> tuple[Path, Path]:
    """IN of two files, and OUT of four shards, the first of which has refused rows."""
    for name in "ab":
        rows = numbers(200)
        rows[3] = np.nan if name == "a" else 1
        parquet(tmp_path / "in" / f"{name}.parquet", {"n": [f"{name}{i}" for i in range(200)], "X": vectors(rows)}, 100)
    encode(linear, tmp_path / "in", tmp_path / "out", id="n", shard_rows=100)
    assert not verified(tmp_path / "in", tmp_path / "out").faults
    return tmp_path / "in", tmp_path / "out"


def parts(out: Path) -> list[Path]:
    return sorted(out.glob("part-*"))


def rewrite(path: Path, change: Callable[[Any], Any]) -> None:
    """The same metadata, other rows: as one would forge it."""
    table = pq.read_table(path)
    said = pq.read_metadata(path).metadata
    pq.write_table(change(table).replace_schema_metadata({k: v for k, v in said.items() if k != b"ARROW:schema"}), path)


def forge(out: Path, part: int, change: Callable[[Any], Any]) -> None:
    rewrite(parts(out)[part], change)
    honest(out)


def honest(out: Path) -> None:
    """Puts the true digests into _SUCCESS.json, so that only the rows can tell."""
    said = json.loads((out / "_SUCCESS.json").read_bytes())
    said["files"] = {name: Place.of(str(out)).digest(name) for name in said["files"]}
    (out / "_SUCCESS.json").write_text(json.dumps(said))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(bytes(content))


def swap(table: Any) -> Any:
    return pa.concat_tables([table.slice(1, 1), table.slice(0, 1), table.slice(2)])


def double(table: Any) -> Any:
    return pa.concat_tables([table.slice(0, 1), table.slice(0, 1), table.slice(2)])


def success(out: Path, **said: object) -> None:
    path = out / "_SUCCESS.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | said))


FAULTS: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "a part is missing": (lambda i, o: parts(o)[1].unlink(), "is missing, and with it 100 rows of 'a.parquet'"),
    "a part is cut": (lambda i, o: cut(parts(o)[1]), "cannot be read, or is not one of ours"),
    "a part is empty": (lambda i, o: parts(o)[1].write_bytes(b""), "cannot be read, or is not one of ours"),
    "a bit is flipped": (lambda i, o: flip(parts(o)[1]), "its bytes are not those that were written"),
    "two parts are exchanged": (lambda i, o: shutil.copy(parts(o)[0], parts(o)[1]), "holds another part's answers"),
    "a stranger's file": (lambda i, o: (o / "x.parquet").write_bytes(b""), "x.parquet: belongs to no part"),
    "a part twice": (lambda i, o: shutil.copy(parts(o)[0], o / "part-7.parquet"), "part-7.parquet: belongs to no part"),
    "no quarantine": (lambda i, o: shutil.rmtree(o / "quarantine"), "quarantine/.* is missing, or not the one"),
    "no end": (lambda i, o: (o / "_SUCCESS.json").unlink(), "the run has not ended"),
    "an end of lies": (lambda i, o: success(o, answered=400), "says other counts"),
    "an end without sense": (lambda i, o: (o / "_SUCCESS.json").write_text("{"), "_SUCCESS.json: cannot be read"),
    "an id twice": (lambda i, o: forge(o, 1, double), "its ids are not those of its rows in IN"),
    "rows in another order": (lambda i, o: forge(o, 2, swap), "its ids are not those of its rows"),
    "a row too few": (lambda i, o: forge(o, 2, lambda t: t.slice(1)), "cannot be read, or is not"),
    "input written again": (lambda i, o: parquet(i / "a.parquet", {"X": [1]}), "IN a.parquet: has changed"),
    "input gone": (lambda i, o: (i / "a.parquet").unlink(), "IN a.parquet: is gone"),
    "more input": (lambda i, o: shutil.copy(i / "a.parquet", i / "c.parquet"), "IN c.parquet: is not in the manifest"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(done: tuple[Path, Path], name: str) -> None:
    plant, said = FAULTS[name]
    plant(*done)
    with pytest.raises(AssertionError, match=said):
        assert not "\n".join(verified(*done).faults)


def test_a_refused_row_under_another_id_is_found(done: tuple[Path, Path]) -> None:
    path = next((done[1] / "quarantine").glob("*"))
    rewrite(path, lambda table: table.set_column(0, "id", pa.array(["another"])))
    honest(done[1])
    assert any("quarantine" in fault and "ids are not those" in fault for fault in verified(*done).faults)


def test_ids_that_the_input_has_twice_are_named(linear: Path, tmp_path: Path) -> None:
    given = parquet(tmp_path / "a.parquet", {"n": ["x", "y", "x"], "X": vectors(numbers(3))})
    encode(linear, given, tmp_path / "out", id="n")
    assert verified(given, tmp_path / "out").faults == ["IN: id 'x' is there 2 times"]


def test_hidden_files_are_swept_when_their_writer_is_gone(done: tuple[Path, Path]) -> None:
    (done[1] / ".part-1.parquet.0123.tmp").write_bytes(b"half")
    writing = Draft(Place.of(str(done[1])), "part-2.parquet")
    found = verified(*done)
    assert not found.faults
    assert len(found.leftover) == 2
    found = verified(*done, sweep=True)
    assert found.swept == [".part-1.parquet.0123.tmp"]
    assert len(found.leftover) == 1
    writing.discard()
    assert not verified(*done).leftover


def test_a_folder_without_a_manifest_proves_nothing(done: tuple[Path, Path]) -> None:
    (done[1] / "manifest.json").write_text("[]")
    with pytest.raises(Hopeless, match="no manifest of a batch"):
        verified(*done)
    (done[1] / "manifest.json").unlink()
    with pytest.raises(Hopeless, match=r"has no manifest\.json"):
        verified(*done)


def test_the_command_says_what_it_found_and_how_it_ended(done: tuple[Path, Path]) -> None:
    given, out = done
    told = run("verify", given, out)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == "batch: 400 rows in, 399 answered, 1 in quarantine: each row exactly once\n"
    parts(out)[0].unlink()
    told = run("verify", given, out)
    assert told.returncode == 1
    assert "is missing, and with it 100 rows" in told.stderr
    shutil.rmtree(given)
    assert run("verify", given, out).returncode == 2
