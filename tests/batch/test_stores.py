"""Is all the same in an object store, where nothing can be renamed, and is one writer the first there, whoever is killed?"""

import fcntl
import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest

from batch.errors import Hopeless, Retryable, sorted_out
from batch.manifest import settle
from batch.places import Draft, Place
from batch.shard import Shards
from batch.sources import Asked, plan
from batch.verify import verify
from serving.model import Model
from tests.batch.bucket import Gate, address, contents, moto
from tests.batch.test_no_pickle import watched
from tests.batch.working import (
    LIMIT_S,
    ROOT,
    answers,
    encode,
    encode_at,
    numbers,
    parquet,
    run,
    start,
    vectors,
    verified,
    wait_until,
    workers,
)
from tests.recommender.sections import naca, text_of

ROWS, SHARDS = 1000, 4


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with pytest.MonkeyPatch.context() as patch, moto() as found:
        patch.setenv("AWS_ACCESS_KEY_ID", "any")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "any")
        yield found


@pytest.fixture(scope="module")
def given(port: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two files of two shards; the first shard has a refused row. The same lie in the bucket's folder `in`."""
    folder = tmp_path_factory.mktemp("in")
    place = Place.of(address(port, "in"))
    for name in ("a.parquet", "b.parquet"):
        rows = numbers(ROWS)
        rows[7, 0] = np.nan
        path = parquet(folder / name, {"part": [f"{name}{i}" for i in range(ROWS)], "X": vectors(rows)}, ROWS // 2)
        place.write(name, path.read_bytes(), {})
    return folder


@pytest.fixture
def where(given: Path, request: pytest.FixtureRequest) -> str:
    """A folder of the test's own, beside `in`."""
    return str(request.node.name)


# Of answers; refused rows lie in a folder of their own.
PART = "(?<!quarantine)/part-"


def again(linear: Path, port: int, where: str) -> None:
    """The same command, in this process."""
    source, names = Place.of(address(port, "in")).inputs()
    out = Place.of(address(port, where))
    encode_at(Model.load(linear), source, names, out, id="part", shard_rows=ROWS // 2)
    assert not verify(source, names, out, sweep=False).faults


def words(linear: Path, given: object, out: object, *more: object) -> tuple[object, ...]:
    return ("encode", given, out, "--model", linear, "--id", "part", "--shard-rows", ROWS // 2, "--workers", 1, *more)


@pytest.fixture(scope="module")
def undisturbed(linear: Path, port: int, given: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What OUT holds on a disk when IN is the bucket."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    source, names = Place.of(address(port, "in")).inputs()
    encode_at(Model.load(linear), source, names, Place.of(str(out)), id="part", shard_rows=ROWS // 2)
    encode(linear, given, out.with_name("local"), id="part")
    assert answers(out).equals(answers(out.with_name("local")))
    return contents(Place.of(str(out)))


def test_a_store_holds_what_a_disk_does_byte_for_byte(
    linear: Path, port: int, where: str, undisturbed: dict[str, bytes]
) -> None:
    out = address(port, where)
    told = run(*words(linear, address(port, "in"), out))
    assert told.returncode == 0, told.stderr
    assert "2000 rows in, 1998 answered, 2 in quarantine" in told.stdout
    assert contents(Place.of(out)) == undisturbed
    proved = run("verify", address(port, "in"), out)
    assert (proved.returncode, proved.stderr) == (0, "")
    assert "each row exactly once" in proved.stdout


def test_of_two_writers_of_one_shard_the_store_takes_the_first(
    linear: Path, port: int, where: str, undisturbed: dict[str, bytes]
) -> None:
    with Gate(port, f"{PART}000003").open() as gate:
        gate.meeting = threading.Barrier(2)
        both = [start(*words(linear, address(gate.port, "in"), address(gate.port, where))) for _ in range(2)]
        assert [driver.wait(LIMIT_S) for driver in both] == [0, 0]
        assert gate.statuses == [200, 412]
    assert contents(Place.of(address(port, where))) == undisturbed


def test_of_two_drivers_with_other_plans_the_first_is_kept_and_the_other_told(linear: Path, port: int, where: str) -> None:
    source, out = address(port, "in"), address(port, where)
    with Gate(port, "manifest.json").open() as gate:
        gate.meeting = threading.Barrier(2)
        there = address(gate.port, where)
        both = [start(*words(linear, source, there)), start("encode", source, there, "--model", linear)]
        assert sorted(driver.wait(LIMIT_S) for driver in both) == [0, 1]
        # The second upload of each is to see whether the store looks.
        assert gate.statuses == [200, 412, 412, 412]
    place, names = Place.of(source).inputs()
    assert not verify(place, names, Place.of(out), sweep=False).faults


def test_a_store_that_overwrites_is_refused(linear: Path, port: int, where: str) -> None:
    source, names = Place.of(address(port, "in")).inputs()
    with Gate(port, "").open() as gate:
        gate.forgets = True
        with pytest.raises(Hopeless, match="this store overwrites what it was told to keep"):
            encode_at(Model.load(linear), source, names, Place.of(address(gate.port, where)))
    assert Place.of(address(port, where)).names() == ["manifest.json"]


def test_an_upload_that_meets_another_under_way_is_made_again(port: int, where: str) -> None:
    with Gate(port, "").open() as gate:
        gate.conflicts.release(2)
        place = Place.of(address(gate.port, where))
        assert place.write("a", b"mine", {})
        assert gate.statuses == [409, 409, 200]
        gate.conflicts.release()
        assert not place.write("a", b"late", {})
    assert Place.of(address(port, where)).read("a") == b"mine"


@pytest.mark.parametrize("who", ["worker", "driver", "both"])
def test_kill_9_in_mid_upload_shows_nothing_half(
    linear: Path, port: int, where: str, undisturbed: dict[str, bytes], who: str
) -> None:
    out = Place.of(address(port, where))
    with Gate(port, PART).open() as gate:
        gate.holds.release()
        driver = start(*words(linear, address(port, "in"), address(gate.port, where)))
        wait_until(gate.stuck.is_set, "no upload comes")
        (worker,) = workers(driver.pid)
        assert out.names() == ["manifest.json", *[name for name in undisturbed if name.startswith("quarantine/part-000000")]]
        if who != "worker":
            driver.kill()
            assert driver.wait(LIMIT_S) == -signal.SIGKILL
        if who != "driver":
            os.kill(worker, signal.SIGKILL)
        gate.let_go(cut=who != "driver")
        if who == "worker":
            assert driver.wait(LIMIT_S) == 0
        elif who == "driver":
            wait_until(lambda: [name for name in out.names() if name.startswith("part-")], "the worker gives up")
    for name, content in contents(out).items():
        assert content == undisturbed[name]
    again(linear, port, where)
    assert contents(out) == undisturbed


def test_a_damaged_part_is_made_again_and_nothing_else(
    linear: Path, port: int, where: str, undisturbed: dict[str, bytes]
) -> None:
    out = Place.of(address(port, where))
    again(linear, port, where)
    damaged = next(name for name in out.names() if name.startswith("part-"))
    out.write(damaged, b"PAR1 is how it begins", out.seen(damaged))
    told = run("verify", address(port, "in"), address(port, where))
    assert (told.returncode, "cannot be read" in told.stderr) == (1, True)
    with Gate(port, PART).open() as gate:
        again(linear, gate.port, where)
        assert gate.statuses == [200]
    assert contents(out) == undisturbed


def test_what_is_there_by_now_stays(port: int, where: str) -> None:
    place = Place.of(address(port, where))
    seen = place.seen("a")
    assert seen == {}
    place.write("a", b"first", seen)
    before = place.seen("a")
    for stale in (seen, before | {"e_tag": '"another"'}):
        place.write("a", b"late", stale)
        assert place.read("a") == b"first"
    place.write("a", b"second", before)
    place.write("a", b"third", before)
    assert place.read("a") == b"second"


def test_another_first_with_something_else_may_be_tried_again(
    linear: Path, port: int, where: str, given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, model, answer = Place.of(address(port, where)), Model.load(linear), Model.run
    source, names = Place.of(str(given)).inputs()
    manifest = plan(source, names, model.signature, Asked(), model.digest)
    settle(manifest, out)
    name = manifest.name(manifest.units[0])

    def late(model: Model, feeds: Any) -> Any:
        out.write(name, b"something else", {})
        return answer(model, feeds)

    with monkeypatch.context() as patch:
        patch.setattr(Model, "run", late)
        with pytest.raises(Retryable, match="another was first, with something else"):
            Shards(manifest, model, source, out).encode(manifest.units[0])
    assert out.read(name) == b"something else"
    assert Shards(manifest, model, source, out).encode(manifest.units[0])


def test_input_of_the_same_size_and_second_is_told_by_the_stores_own_mark(linear: Path, port: int, where: str) -> None:
    place = Place.of(address(port, f"{where}/in"))
    np.save(memory := io.BytesIO(), numbers(9))
    content = memory.getvalue()
    place.write("a.npy", content, {})
    out, model = Place.of(address(port, f"{where}/out")), Model.load(linear)
    done = encode_at(model, place, ["a.npy"], out)
    place.write("a.npy", content, place.seen("a.npy"))
    assert encode_at(model, place, ["a.npy"], out) == done
    place.write("a.npy", content[:-1] + bytes([255 - content[-1]]), place.seen("a.npy"))
    with pytest.raises(Hopeless, match=r"was begun with another state of input 'a\.npy'"):
        encode_at(model, place, ["a.npy"], out)


def test_names_may_be_odd_and_the_store_named_by_the_environment(
    linear: Path, port: int, given: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    source = Place.of(address(port, "dü #%/in"))
    source.write("50% #1 [a]+b=ü.parquet", (given / "a.parquet").read_bytes(), {})
    assert source.root.endswith("/dü #%/in")
    asked = [f"s3://tables/{quote(f'dü #%/{folder}')}?region=us-east-1" for folder in ("in", "out?")]
    assert run(*words(linear, *asked)).returncode == 0
    assert not verify(*source.inputs(), Place.of(asked[1]), sweep=False).faults


def test_outlines_in_a_store_are_answered_as_on_a_disk(port: int, where: str, tmp_path: Path) -> None:
    there, model = Place.of(address(port, where)), Model.load(ROOT / "model.onnx")
    (tmp_path / "in").mkdir()
    for digit in range(9):
        content = text_of(naca(0.01 * digit, 0.4, 0.12)).encode()
        (tmp_path / "in" / f"{digit}.dat").write_bytes(content)
        there.write(f"in/{digit}.dat", content, {})
    there.write("in/long.dat", bytes(2_000_000), {})
    source, names = Place.of(address(port, f"{where}/in")).inputs()
    done = encode_at(model, source, names, Place.of(str(tmp_path / "out")), shard_rows=4)
    assert (done["rows"], done["quarantined"]) == (10, 1)
    encode(ROOT / "model.onnx", tmp_path / "in", tmp_path / "local")
    assert answers(tmp_path / "out").equals(answers(tmp_path / "local"))
    assert not verify(source, names, Place.of(str(tmp_path / "out")), sweep=False).faults
    there.write("in/3.dat", text_of(naca(0.0, 0.4, 0.15)).encode(), there.seen("in/3.dat"))
    faults = verify(source, names, Place.of(str(tmp_path / "out")), sweep=False).faults
    assert faults == ["IN 0.dat to 3.dat: has changed since the run"]


@pytest.mark.parametrize("gone", ["IN", "the bucket of IN", "the bucket of OUT"])
def test_a_store_that_is_not_there_may_be_tried_again(linear: Path, port: int, where: str, gone: str) -> None:
    with Gate(port, "").open() as gate:
        nowhere = gate.port
    given, out = address(port, "in"), address(port, where)
    said = "Could not connect"
    if gone == "IN":
        given = address(nowhere, "in")
    elif gone == "the bucket of IN":
        given, said = address(port, "in", "elsewhere"), "elsewhere/in: is not there"
    else:
        out, said = address(port, where, "elsewhere"), "manifest.json: there is no bucket 'elsewhere'"
    told = run(*words(linear, given, out))
    assert told.returncode == 2
    assert said in told.stderr
    assert len(told.stderr.splitlines()) == 1


def test_a_store_that_goes_away_ends_the_run_as_one_that_may_be_tried_again(
    linear: Path, port: int, where: str, undisturbed: dict[str, bytes]
) -> None:
    with Gate(port, PART).open() as gate:
        gate.holds.release()
        driver = start(*words(linear, address(port, "in"), address(gate.port, where)))
        wait_until(gate.stuck.is_set, "no upload comes")
        gate.let_go(cut=True)
    assert driver.wait(LIMIT_S) == 2
    again(linear, port, where)
    assert contents(Place.of(address(port, where))) == undisturbed


def test_no_process_that_asks_a_store_finds_a_class(linear: Path, port: int, where: str, tmp_path: Path) -> None:
    seen = watched(tmp_path, "-m", "batch", *words(linear, address(port, "in"), address(port, where)))
    assert [what for _, what in seen] == ["loaded []"] * 2


def test_an_upload_is_not_held_in_memory(port: int, where: str) -> None:
    code = f"""
        import resource, pathlib
        from batch.places import Draft, Place

        place = Place.of({address(port, where)!r})
        place.write("small", b"starts all threads", {{}})
        status = pathlib.Path("/proc/self/status").read_text()
        taken = 1024 * int(status.split("VmData:")[1].split()[0])
        resource.setrlimit(resource.RLIMIT_DATA, (taken + (16 << 20),) * 2)
        draft = Draft(place, "large")
        for _ in range(64):
            draft.write(bytes(1 << 20))
        print(draft.publish({{}}), place.state("large")[0])
        try:
            bytes(32 << 20)
        except MemoryError:
            print("the limit holds")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT_S
    )
    assert done.stdout.splitlines()[0].endswith(f" {64 << 20}"), done.stderr
    assert done.stdout.splitlines()[1] == "the limit holds"


@pytest.mark.parametrize(
    ("text", "kind", "config"),
    [
        ("s3://b/f?region=eu-west-1", "S3Store", {"bucket": "b", "region": "eu-west-1"}),
        ("s3://k:s%2Ft@b/f?region=r&scheme=http&endpoint_override=h:1", "S3Store",
         {"bucket": "b", "region": "r", "endpoint": "http://h:1", "access_key_id": "k", "secret_access_key": "s/t"}),
        ("gs://anonymous@b/f?scheme=http&endpoint_override=h:1", "GCSStore",
         {"bucket": "b", "base_url": "http://h:1", "skip_signature": "true"}),
        ("abfs://b@account.dfs.core.windows.net/f", "AzureStore", {"container_name": "b", "account_name": "account"}),
        ("abfs://:a2V5@account.blob.core.windows.net/b/f", "AzureStore",
         {"container_name": "b", "account_name": "account", "account_key": "a2V5"}),
    ],
)  # fmt: skip
def test_an_address_means_the_same_to_both_libraries(text: str, kind: str, config: dict[str, str]) -> None:
    place = Place.of(text)
    assert place.root == "b/f"
    assert place.bucket is not None
    assert type(place.bucket.store).__name__ == kind
    assert place.bucket.store.config.items() >= config.items()


def test_a_file_address_is_a_disk(linear: Path, folder: Path, tmp_path: Path) -> None:
    assert Place.of(f"file://{tmp_path}").local
    source, names = Place.of(f"file://{folder}").inputs()
    encode_at(Model.load(linear), source, names, Place.of(f"file://{tmp_path}/out"), id="part")
    assert not verified(folder, tmp_path / "out").faults


def test_a_store_without_its_library_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.delitem(sys.modules, "batch.buckets", raising=False)
    with pytest.raises(Retryable, match=r"needs obstore, which requirements/batch\.txt has"):
        Place.of("s3://b/f?region=eu-west-1")


def test_a_run_on_disks_loads_no_store(tmp_path: Path) -> None:
    code = f"import sys; from batch.places import Place; Place.of({str(tmp_path)!r}).names(); print('obstore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True).stdout == b"False\n"


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
    draft.publish({})
    draft.discard()
    assert taken
    assert place.read("a.parquet") == b"all"
    assert place.names() == ["a.parquet"]
