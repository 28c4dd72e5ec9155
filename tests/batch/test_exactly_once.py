"""Is every row there once, to the byte, whatever is killed, and whenever?

Moments are numbers of files in OUT, from seeds, so that none depends on how fast a machine is.
"""

import os
import random
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from batch.driver import Progress
from batch.places import Place
from tests.batch.working import (
    LIMIT_S,
    ROOT,
    command,
    contents,
    encode,
    graphs,
    manifest_of,
    numbers,
    parquet,
    run,
    start,
    vectors,
    verified,
    wait_until,
    workers,
)

SHARDS, WORKERS = 80, 2
# In each of the tests that kill, of which there are four: twenty of workers, twenty of drivers.
SEEDS, KILLS = range(4), 5
# A machine that stands still may end a run before its moment; then another run gives the kills that are left.
RUNS = 10
# Loaded by Python itself as it starts: notes each part that any process begins.
NOTES = """
    import os, sys

    def note(name, arguments):
        if name == "open" and arguments[1] == "x" and os.path.basename(arguments[0]).startswith(".part-"):
            file = os.open(os.environ["BEGUN"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(file, f"{arguments[0]}\\n".encode())
            os.close(file)

    sys.addaudithook(note)
"""


@pytest.fixture(scope="module")
def undisturbed(linear: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What OUT holds when nothing happens."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    encode(linear, folder, out, id="part", shard_rows=250)
    found = contents(out)
    assert len([name for name in found if name.startswith("part-")]) == SHARDS
    assert len([name for name in found if name.startswith("quarantine/")]) == 12
    return found


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], int]:
    """How many parts have been begun in OUT since the test began, by whom ever."""
    (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(NOTES))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("BEGUN", str(tmp_path / "begun"))
    return lambda out: sum(Path(line).parent == out for line in (tmp_path / "begun").read_text().splitlines())


def words(linear: Path, folder: Path, out: Path, *more: object) -> tuple[object, ...]:
    return ("encode", folder, out, "--model", linear, "--id", "part", "--shard-rows", 250, "--workers", WORKERS, *more)


def parts(out: Path) -> int:
    return len(list(out.glob("part-*"))) if out.exists() else 0


def published(out: Path) -> dict[str, int]:
    """When each part was written."""
    return {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}


def _is_past(out: Path, moment: int) -> bool:
    return parts(out) >= moment


def _killed(driver: "subprocess.Popen[str]", out: Path, moment: int, rng: random.Random, killed: list[int]) -> bool:
    """Kills one of the driver's workers, if it is the moment and there is one; true as well when all is over already."""
    if driver.poll() is not None:
        return True
    living = [pid for pid in workers(driver.pid) if _lives(pid)]
    if not _is_past(out, moment) or not living:
        return False
    try:
        os.kill(rng.choice(living), signal.SIGKILL)
    except ProcessLookupError:
        return False
    killed.append(moment)
    return True


def _lives(pid: int) -> bool:
    """One that was killed stays in the list until its driver has looked."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def killed_with(driver: "subprocess.Popen[str]", all_at_once: bool) -> int:
    """How the driver ended. A worker whose driver was killed ends with the shard that it has in hand."""
    left = workers(driver.pid)
    (os.killpg if all_at_once else os.kill)(driver.pid, signal.SIGKILL)
    wait_until(lambda: not any(_lives(pid) for pid in left), "a worker does not end")
    return driver.wait(LIMIT_S)


def test_a_run_in_processes_leaves_the_same_bytes(
    linear: Path, folder: Path, tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    told = run(*words(linear, folder, tmp_path / "out"))
    assert told.returncode == 0, told.stderr
    assert "20000 rows in, 19988 answered, 12 in quarantine" in told.stdout
    assert f"{SHARDS} of {SHARDS} shards" in told.stderr
    assert contents(tmp_path / "out") == undisturbed


@pytest.mark.parametrize("seed", SEEDS)
def test_kill_9_of_workers_loses_nothing_and_repeats_what_they_had_in_hand(
    linear: Path, folder: Path, tmp_path: Path, undisturbed: dict[str, str], begun: Callable[[Path], int], seed: int
) -> None:
    rng, total = random.Random(seed), 0
    for number in range(RUNS):
        out, killed = tmp_path / f"out{number}", list[int]()
        driver = start(*words(linear, folder, out))
        for moment in sorted(rng.sample(range(SHARDS - 30), min(3, KILLS - total))):
            wait_until(partial(_killed, driver, out, moment, rng, killed), "no worker to kill")
        assert driver.wait(LIMIT_S) == 0
        assert contents(out) == undisturbed
        assert not verified(folder, out, sweep=True).faults
        assert SHARDS <= begun(out) <= SHARDS + len(killed)
        total += len(killed)
        if total == KILLS:
            return
    pytest.fail(f"only {total} workers were killed")


@pytest.mark.parametrize("all_at_once", [False, True], ids=["driver", "machine"])
@pytest.mark.parametrize("seed", SEEDS[: len(SEEDS) // 2])
def test_kill_9_of_the_driver_loses_nothing_and_repeats_what_its_workers_had_in_hand(
    linear: Path,
    folder: Path,
    tmp_path: Path,
    undisturbed: dict[str, str],
    begun: Callable[[Path], int],
    seed: int,
    all_at_once: bool,
) -> None:
    """all_at_once: its workers die with it, as when a machine does; else they end with what they have in hand."""
    rng, total = random.Random(100 + seed), 0
    for number in range(RUNS):
        out, killed, kept = tmp_path / f"out{number}", 0, dict[str, int]()
        for moment in sorted(rng.sample(range(SHARDS - 30), KILLS - total)):
            driver = start(*words(linear, folder, out))
            # A moment that is past already is one at the very beginning.
            wait_until(partial(_is_past, out, moment), "the driver does nothing")
            killed += killed_with(driver, all_at_once) == -signal.SIGKILL
            # What was there was passed over.
            assert published(out).items() >= kept.items()
            kept = published(out)
        manifest, rows = manifest_of(out), 250 * len(kept)
        line = Progress(manifest, Place.of(str(out)).names).line()
        assert line.startswith(f"batch: {len(kept)} of {SHARDS} shards, {rows:,} of 20,000 rows, ")
        assert run(*words(linear, folder, out)).returncode == 0
        assert published(out).items() >= kept.items()
        assert contents(out) == undisturbed
        assert not verified(folder, out, sweep=True).faults
        assert SHARDS <= begun(out) <= SHARDS + (WORKERS * killed if all_at_once else 0)
        total += killed
        if total == KILLS:
            return
    pytest.fail(f"only {total} drivers were killed")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_as_one_that_may_be_tried_again(
    linear: Path, folder: Path, tmp_path: Path, undisturbed: dict[str, str], number: int
) -> None:
    out = tmp_path / "out"
    driver = start(*words(linear, folder, out))
    wait_until(lambda: parts(out) >= 5, "the driver does nothing")
    driver.send_signal(number)
    assert driver.wait(LIMIT_S) == 2
    assert parts(out) < SHARDS
    encode(linear, folder, out, id="part", shard_rows=250)
    assert contents(out) == undisturbed


def test_two_drivers_on_one_folder_do_no_harm(linear: Path, folder: Path, tmp_path: Path, undisturbed: dict[str, str]) -> None:
    out = tmp_path / "out"
    both = [start(*words(linear, folder, out)) for _ in range(2)]
    assert [driver.wait(LIMIT_S) for driver in both] == [0, 0]
    assert contents(out) == undisturbed
    assert not verified(folder, out).faults


def test_shares_of_several_machines_make_one_whole(
    linear: Path, folder: Path, tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    out = tmp_path / "out"
    first = run(*words(linear, folder, out, "--shard", "0/2"))
    assert (first.returncode, parts(out)) == (0, SHARDS // 2)
    assert "this share is done" in first.stdout
    assert not (out / "_SUCCESS.json").exists()
    assert f"{SHARDS // 2} of {SHARDS} shards" in first.stderr
    assert run(*words(linear, folder, out, "--shard", "1/2")).returncode == 0
    assert contents(out) == undisturbed


def test_a_part_that_is_no_longer_whole_is_made_again(
    linear: Path, folder: Path, tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    out = tmp_path / "out"
    encode(linear, folder, out, id="part", shard_rows=250)
    cut, gone, other, *_ = sorted(out.glob("part-*"))
    cut.write_bytes(cut.read_bytes()[:-9])
    gone.unlink()
    other.write_bytes(b"")
    next((out / "quarantine").glob("*")).unlink()
    encode(linear, folder, out, id="part", shard_rows=250)
    assert contents(out) == undisturbed


# A worker that plans as it should, and then?
PLANS = """
import json, sys
print('{"unit": null}', flush=True)
for line in sys.stdin:
    question = json.loads(line)
    if question == ["plan"]:
        print(json.dumps({"manifest": open(sys.argv[1]).read()}), flush=True)
    else:
        break
"""


@pytest.mark.parametrize(
    ("worker", "said"),
    [
        (PLANS, "0.parquet: the worker of shard 0 ended 8 times, at last with status 0"),
        ("print('{\"unit\": null}', flush=True); input()", "the worker that plans ended 8 times, at last with status 0"),
        ("raise SystemExit(3)", "a worker that had only begun ended 8 times, at last with status 3"),
        ("print('no JSON', flush=True); input()", "JSONDecodeError"),
    ],
)
def test_workers_that_die_again_and_again_end_the_run(
    linear: Path, folder: Path, tmp_path: Path, worker: str, said: str
) -> None:
    from batch import driver
    from batch.sources import Asked, plan
    from serving.model import Model

    source, names = Place.of(str(folder)).inputs()
    model = Model.load(linear)
    manifest = plan(source, names[:1], model.signature, Asked(shard_rows=5000), model.digest)
    (tmp_path / "manifest").write_bytes(manifest.content)
    tried = driver.Run(str(tmp_path), (0, 1), lambda line: None)
    driver.drive(tried, [sys.executable, "-c", worker, str(tmp_path / "manifest")], 2)
    assert [error.split("(")[0] for error in tried.retryable] == [said]
    assert tried.done is None


def test_a_full_disk_may_be_tried_again(linear: Path, folder: Path, tmp_path: Path, undisturbed: dict[str, str]) -> None:
    disk, out = tmp_path / "disk", tmp_path / "disk" / "out"
    disk.mkdir()
    again = " ".join(command(*words(linear, folder, out)))
    # In a mount namespace of its own, which is gone with the shell.
    script = f"""
        mount -t tmpfs -o size=200k none {disk} || exit 9
        {again}; echo "ended $?"
        find {disk} -name '.*' -type f
        mount -o remount,size=50m {disk}
        {again}; echo "ended $?"
        cp -r {out} {tmp_path}/copy
    """
    shell = ["unshare", "-rm", "sh", "-c", script]
    done = subprocess.run(shell, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    told = [line for line in done.stdout.splitlines() if not line.startswith("batch: ")]
    assert told == ["ended 2", "ended 0"], done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert contents(tmp_path / "copy") == undisturbed


def test_a_damaged_file_spoils_its_own_shard_only(linear: Path, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        parquet(tmp_path / "in" / f"{name}.parquet", {"X": vectors(numbers(500))})
    content = bytearray((tmp_path / "in" / "b.parquet").read_bytes())
    content[4:200] = b"\xff" * 196
    (tmp_path / "in" / "b.parquet").write_bytes(content)
    told = run("encode", tmp_path / "in", tmp_path / "out", "--model", linear)
    assert told.returncode == 1
    assert "b.parquet: cannot be read: " in told.stderr
    assert "Traceback" not in told.stderr
    assert parts(tmp_path / "out") == 2
    assert not (tmp_path / "out" / "_SUCCESS.json").exists()
    told = run("verify", tmp_path / "in", tmp_path / "out")
    assert told.returncode == 1
    assert "is missing, and with it 500 rows of 'b.parquet'" in told.stderr


def test_another_model_is_refused_by_its_name(linear: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    encode(linear, folder, out, id="part", shard_rows=250)
    before = contents(out)
    (tmp_path / "other.onnx").write_bytes(graphs.linear(scale=2))
    told = run(*words(tmp_path / "other.onnx", folder, out))
    assert told.returncode == 1
    assert "was begun with model 6f90920f327c, this is" in told.stderr
    assert contents(out) == before


def test_changed_input_and_other_settings_are_refused(linear: Path, tmp_path: Path) -> None:
    given, out = tmp_path / "in", tmp_path / "out"
    columns = {"part": ["a", "b"], "X": vectors(numbers(2))}
    parquet(given / "a.parquet", columns)
    encode(linear, given, out, id="part")

    def refusal(*more: object) -> str:
        told = run("encode", given, out, "--model", linear, *more)
        assert told.returncode == 1
        return told.stderr

    assert "was begun with id 'part', this is None" in refusal()
    parquet(given / "b.parquet", columns)
    assert "was begun without input 'b.parquet', which is there now" in refusal("--id", "part")
    (given / "b.parquet").unlink()
    parquet(given / "a.parquet", {"part": ["a", "c"], "X": vectors(numbers(2))})
    assert "was begun with another state of input 'a.parquet'" in refusal("--id", "part")
    (given / "a.parquet").rename(given / "z.parquet")
    assert "was begun with input 'a.parquet', which is gone" in refusal("--id", "part")


def test_input_that_changes_while_it_runs_is_refused(linear: Path, tmp_path: Path) -> None:
    from batch.errors import Hopeless
    from batch.manifest import settle
    from batch.places import Place
    from batch.shard import Shards
    from batch.sources import Asked, plan
    from serving.model import Model

    given = parquet(tmp_path / "a.parquet", {"X": vectors(numbers(5))})
    source, names = Place.of(str(given)).inputs()
    model, out = Model.load(linear), Place.of(str(tmp_path / "out"))
    manifest = plan(source, names, model.signature, Asked(), model.digest)
    settle(manifest, out)
    parquet(given, {"X": vectors(numbers(6))})
    with pytest.raises(Hopeless, match="has changed since"):
        Shards(manifest, model, source, out).encode(manifest.units[0])
    assert out.names() == ["manifest.json"]


def test_a_folder_with_anything_else_in_it_is_refused(linear: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("mine")
    told = run(*words(linear, folder, tmp_path))
    assert (told.returncode, [path.name for path in tmp_path.iterdir()]) == (1, ["letters.txt"])
    assert "holds 'letters.txt' and no manifest.json" in told.stderr


@pytest.mark.parametrize(("given", "out"), [("in", "in"), ("in", "in/out"), ("in/deep", "in"), ("in", "in/../in/out")])
def test_in_and_out_may_not_lie_in_each_other(linear: Path, tmp_path: Path, given: str, out: str) -> None:
    parquet(tmp_path / "in" / "deep" / "a.parquet", {"X": vectors(numbers(2))})
    told = run("encode", tmp_path / given, tmp_path / out, "--model", linear)
    assert told.returncode == 1
    assert "IN and OUT lie in each other" in told.stderr
    assert not list(tmp_path.rglob("manifest.json"))


def test_out_may_lie_beside_a_file(linear: Path, tmp_path: Path) -> None:
    given = parquet(tmp_path / "a.parquet", {"X": vectors(numbers(2))})
    for _ in range(2):
        assert run("encode", given, tmp_path / "out", "--model", linear).returncode == 0


def test_exit_codes_tell_what_may_be_tried_again(linear: Path, folder: Path, tmp_path: Path) -> None:
    assert run(*words(linear, tmp_path / "nothing", tmp_path / "out")).returncode == 2
    assert run(*words(tmp_path / "no.onnx", folder, tmp_path / "out")).returncode == 2
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    assert run(*words(tmp_path / "bad.onnx", folder, tmp_path / "out")).returncode == 1
    assert run("encode", "nostore://x/y", tmp_path / "out", "--model", linear).returncode == 2
    assert run(*words(linear, folder, tmp_path / "out", "--columns", "nope,a,b")).returncode == 1
    assert not (tmp_path / "out").exists()


def test_a_model_that_answers_otherwise_here_answers_no_row(folder: Path, tmp_path: Path) -> None:
    import numpy as np

    content = graphs.linear(answers={"predict": np.zeros((3, 2), np.float32)})
    (tmp_path / "wrong.onnx").write_bytes(content)
    told = run(*words(tmp_path / "wrong.onnx", folder, tmp_path / "out"))
    assert told.returncode == 1
    assert "scikit-learn answered 0.0" in told.stderr
    assert not (tmp_path / "out").exists()
