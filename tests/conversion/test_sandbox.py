"""Is the child held to its limits?"""

import socket
import sys
import textwrap
import time
from pathlib import Path

import pytest

from conversion import sandbox
from conversion.errors import Refused
from conversion.sandbox import Limits, run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose `work.py` the child runs as a module."""
    monkeypatch.setattr(sandbox, "ROOT", tmp_path)
    return tmp_path


def child(folder: Path, code: str) -> None:
    (folder / "work.py").write_text(textwrap.dedent(code))


def test_a_child_that_does_not_end_is_stopped_with_everything_it_started(folder: Path) -> None:
    child(
        folder,
        """
        import pathlib, subprocess, sys, time
        subprocess.Popen([sys.executable, "-c", "import time, pathlib; time.sleep(4); pathlib.Path('late').touch()"])
        time.sleep(60)
        """,
    )
    with pytest.raises(Refused, match=r"stopped after 2 s; --time-limit allows more"):
        run("work", [], folder, Limits(seconds=2))
    time.sleep(3)
    assert not (folder / "late").exists()


def test_memory_beyond_the_limit_is_not_given(folder: Path) -> None:
    child(folder, "x = bytearray(3 << 30)")
    with pytest.raises(Refused, match="needs more than the 1024 MiB of memory it may use; --memory-limit allows more"):
        run("work", [], folder, Limits(memory_bytes=1 << 30))
    run("work", [], folder, Limits(memory_bytes=8 << 30))


def test_a_file_beyond_the_limit_is_not_written(folder: Path) -> None:
    child(folder, "open('large', 'wb').write(bytes(2 << 20))")
    with pytest.raises(Refused):
        run("work", [], folder, Limits(file_bytes=1 << 20))
    assert (folder / "large").stat().st_size <= 1 << 20


def test_the_network_is_out_of_reach_where_the_host_allows_namespaces(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        child(folder, f"import socket; socket.create_connection(('127.0.0.1', {port}), 2)")
        if sandbox.isolation():
            with pytest.raises(Refused, match="failed with status 1"):
                run("work", [], folder, Limits())
        else:
            assert "network not cut off by us" in run("work", [], folder, Limits())


def test_the_child_gets_no_secret_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "secret")
    child(folder, "import os, json; json.dump(dict(os.environ), open('environment.json', 'w'))")
    run("work", [], folder, Limits())
    assert "A_TOKEN" not in (folder / "environment.json").read_text()


def test_a_child_that_dies_is_a_refusal_that_names_the_cause(folder: Path) -> None:
    child(folder, "import ctypes; ctypes.string_at(0)")
    with pytest.raises(Refused, match="died of SIGSEGV"):
        run("work", [], folder, Limits())


def test_the_python_that_runs_the_child_is_ours(folder: Path) -> None:
    child(folder, "import sys; open('which', 'w').write(sys.executable)")
    run("work", [], folder, Limits())
    assert (folder / "which").read_text() == sys.executable
