"""Does a batch open a pickle anywhere, or load what could?"""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from tests.batch.working import LIMIT_S, ROOT, encode, numbers, parquet, vectors

# Loaded by Python itself as it starts, so in the driver, its workers and all that they start. What the image for batch has not
# is not there; pyarrow would take pandas and cloudpickle where it finds them.
WATCH = """
    import atexit, os, sys

    absent = {"sklearn", "joblib", "cloudpickle", "dill", "onnx", "skl2onnx", "pandas", "scipy", "requests", "pytest"}

    class Absent:
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] in absent:
                raise ModuleNotFoundError(name)

    def note(name, arguments):
        if name == "pickle.find_class":
            write(f"find_class {arguments}")

    def write(text):
        with open(os.environ["SEEN"], "a") as file:
            file.write(f"{os.getpid()} {text}\\n")

    def last():
        loaded = {name.split(".")[0] for name in sys.modules}
        write(f"loaded {sorted(loaded & (absent | {'multiprocessing'}))}")

    sys.meta_path.insert(0, Absent())
    sys.addaudithook(note)
    atexit.register(last)
"""


def watched(tmp_path: Path, *words: object) -> list[tuple[str, str]]:
    """What each process noted: its number, and what."""
    (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(WATCH))
    seen = tmp_path / "seen"
    seen.unlink(missing_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "SEEN": str(seen)}
    started = [sys.executable, *map(str, words)]
    done = subprocess.run(started, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in seen.read_text().splitlines()]


def test_no_process_of_a_run_finds_a_class_or_loads_what_could(linear: Path, tmp_path: Path) -> None:
    rows = numbers(400)
    rows[3] = np.nan
    given, out = parquet(tmp_path / "in" / "a.parquet", {"X": vectors(rows)}, 100), tmp_path / "out"
    more = ("--model", linear, "--workers", 2, "--shard-rows", 100)
    seen = watched(tmp_path, "-m", "batch", "encode", given, out, *more)
    assert [what for _, what in seen] == ["loaded []"] * 3
    assert len({process for process, _ in seen}) == 3
    assert [what for _, what in watched(tmp_path, "-m", "batch", "verify", given, out)] == ["loaded []"]


def test_the_watch_sees_a_pickle_and_multiprocessing(tmp_path: Path) -> None:
    code = "import pickle, decimal, multiprocessing; pickle.loads(pickle.dumps(decimal.Decimal(1)))"
    seen = watched(tmp_path, "-c", code)
    assert [what for _, what in seen if "find_class" in what]
    assert seen[-1][1] == "loaded ['multiprocessing']"


@pytest.mark.parametrize("where", ["__main__", "process"])
def test_a_pickle_in_the_room_is_refused(where: str) -> None:
    """Driver and worker begin in a `main`, which puts serving's guard on before anything is read."""
    asked = {"input": "nowhere", "output": "out", "model": "model.onnx"}
    words = {"__main__": ["encode", "nowhere", "out"], "process": [json.dumps(asked)]}[where]
    code = f"""
        import sys, pickle, decimal
        from batch.{where} import main
        sys.argv = ["batch", *{words!r}]
        stream = pickle.dumps(decimal.Decimal(1))
        assert main() == 2
        pickle.loads(stream)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "this process opens no pickle" in done.stderr


def test_an_array_of_objects_is_never_opened(linear: Path, tmp_path: Path) -> None:
    from batch.errors import Hopeless

    np.save(tmp_path / "a.npy", np.array([[1, 2, "x"]], object), allow_pickle=True)
    with pytest.raises(Hopeless, match="holds object"):
        encode(linear, tmp_path / "a.npy", tmp_path / "out")
