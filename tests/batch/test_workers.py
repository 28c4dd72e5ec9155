"""Does a run begin at once, keep a worker busy while the disk has to confirm, and still say what went wrong?"""

import errno
import os
import subprocess
import sys
import threading
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from batch.errors import Retryable
from batch.shard import Shards
from batch.worker import Worker
from tests.batch.working import LIMIT_S, ROOT, manifest_of, numbers, parquet, run, vectors, verified


@pytest.fixture
def worker(linear: Path, tmp_path: Path) -> Worker:
    """With three parts to make."""
    given = parquet(tmp_path / "in" / "a.parquet", {"X": vectors(numbers(300))}, 100)
    asked = {"input": str(given), "output": str(tmp_path / "out"), "model": str(linear)}
    found = Worker(Namespace(**asked, id=None, columns=None, shard_rows=100))
    found.plan()
    return found


def shown(out: Path) -> list[str]:
    return sorted(path.name for path in out.glob("part-*"))


def test_the_driver_loads_neither_arrow_nor_the_model() -> None:
    code = "import sys, batch.__main__; print(sorted({'numpy', 'pyarrow', 'onnxruntime'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_worker_loads_no_pandas(linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow would, where it lies: longer than anything else takes that a worker loads."""
    (tmp_path / "pandas.py").write_text(f"open({str(tmp_path / 'loaded')!r}, 'w')\n__version__ = '9.9'\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    given = parquet(tmp_path / "in" / "a.parquet", {"X": vectors(numbers(10))}, 10)
    assert run("encode", given, tmp_path / "out", "--model", linear).returncode == 0
    assert not (tmp_path / "loaded").exists()


def test_a_part_is_made_while_the_disk_confirms_the_one_before(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, made, sync = [threading.Event() for _ in range(3)], Shards.make, os.fsync
    seen: list[list[str]] = []

    def make(self: Shards, unit: Any, ready: Any) -> Any:
        begun[unit.index].set()
        seen.append(shown(tmp_path / "out"))
        return made(self, unit, ready)

    def fsync(descriptor: int) -> None:
        if not os.readlink(f"/proc/self/fd/{descriptor}").endswith("/out"):
            assert begun[1].wait(LIMIT_S), "the disk is waited for"
        sync(descriptor)

    monkeypatch.setattr(Shards, "make", make)
    monkeypatch.setattr(os, "fsync", fsync)
    assert worker.encode(0) == {"digests": {}}
    names = [manifest_of(tmp_path / "out").name(unit) for unit in manifest_of(tmp_path / "out").units]
    first = worker.encode(1)["digests"]
    assert list(first) == ["0"]  # type: ignore[call-overload]
    assert seen == [[], []]
    assert list(worker.encode(2)["digests"]) == ["1"]  # type: ignore[call-overload]
    assert list(worker.rest()["digests"]) == ["2"]  # type: ignore[call-overload]
    assert shown(tmp_path / "out") == names


def test_nothing_of_a_part_is_written_before_it_may_be(worker: Worker, tmp_path: Path) -> None:
    seen: list[str] = []
    shards = worker._shards
    show = shards.make(shards.manifest.units[0], lambda: seen.extend(path.name for path in (tmp_path / "out").iterdir()))
    assert seen == ["manifest.json"]
    show()
    assert len(shown(tmp_path / "out")) == 1


def test_a_disk_that_fails_at_the_last_moment_may_be_tried_again(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        assert worker.encode(0) == {"digests": {}}
        with pytest.raises(Retryable, match="No space left on device"):
            worker.rest()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["manifest.json"]
    again = Worker(worker.given)
    again.encode(0)
    again.rest()
    assert len(shown(tmp_path / "out")) == 1


def test_more_workers_than_shards_do_no_harm(linear: Path, folder: Path, tmp_path: Path) -> None:
    words = ("encode", folder, tmp_path / "out", "--model", linear, "--id", "part", "--shard-rows", 5000, "--workers", 7)
    told, again = run(*words), run(*words)
    assert told.returncode == 0, told.stderr
    assert len(shown(tmp_path / "out")) == 4
    assert "20000 rows in, 19988 answered" in told.stdout
    assert again.stdout == told.stdout
    assert not verified(folder, tmp_path / "out").faults
