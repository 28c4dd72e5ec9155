"""Do several processes serve one port as one server, whatever happens to one of them?"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving import settings
from serving.settings import usable_processors
from tests.serving import graphs
from tests.serving.asking import ROOT, START_S, Running, Start, environment, question
from tests.serving.test_metrics import read

INFER = "/v2/models/test/infer"


@pytest.fixture
def two(start: Start) -> Iterator[Running]:
    server = start(graphs.linear(), "--processes", "2", ready=False)
    until(lambda: len(ready(server)) == 2)
    yield server
    if server.process.poll() is None:
        server.stop()


def ready(server: Running) -> list[dict[str, Any]]:
    return [line for line in server.events() if line["event"] == "ready"]


def until(true: Any) -> None:
    limit = time.monotonic() + START_S
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.02)


def pids(server: Running) -> list[int]:
    return [line["pid"] for line in server.events() if line["event"] == "process_started"]


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def used_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def figures(server: Running) -> dict[str, float]:
    return read(httpx.get(f"{server.url}/metrics").text)


def infer(server: Running) -> int:
    """Over a connection of its own, so that any process may take it."""
    return httpx.post(f"{server.url}{INFER}", json=question([1, 2, 3])).status_code


@contextlib.contextmanager
def asking(server: Running, threads: int) -> Iterator[list[int]]:
    """Ask without a pause; the statuses so far, 0 where the connection broke."""
    statuses: list[int] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                statuses.append(infer(server))
            except httpx.TransportError:
                statuses.append(0)

    askers = [threading.Thread(target=ask) for _ in range(threads)]
    for asker in askers:
        asker.start()
    try:
        yield statuses
    finally:
        over.set()
        for asker in askers:
            asker.join()


def test_figures_are_the_sum_whoever_answers(two: Running) -> None:
    assert two.wait_for("all_ready")["processes"] == 2
    assert [infer(two) for _ in range(40)] == [200] * 40
    for _ in range(10):
        assert figures(two)["unjar_requests_total 200 /v2/models/{name}/infer"] == 40
    assert httpx.get(f"{two.url}/v2/models/test/stats").json()["model_stats"][0]["inference_count"] == 40


def test_both_processes_answer_and_the_supervisor_holds_no_model(two: Running) -> None:
    first, second = pids(two)

    def used() -> list[int]:
        return [int((Path("/proc") / str(pid) / "stat").read_text().split()[13]) for pid in (first, second)]

    before, clients = used(), [httpx.Client() for _ in range(40)]
    limit = time.monotonic() + START_S
    while not all(now > then for now, then in zip(used(), before, strict=True)):
        assert time.monotonic() < limit, "only one process works"
        for client in clients:
            assert client.post(f"{two.url}{INFER}", json=question([1, 2, 3])).status_code == 200
    for client in clients:
        client.close()
    maps = (Path("/proc") / str(two.process.pid) / "maps").read_text()
    assert "onnxruntime" not in maps
    assert "numpy" not in maps
    assert used_kb(two.process.pid) < min(used_kb(first), used_kb(second)) / 2


def test_none_takes_a_question_before_it_is_ready(start: Start) -> None:
    """Each is killed in turn while many ask: what comes back must not answer `not_ready` in the others' stead."""
    server = start(graphs.linear(), "--processes", "2", ready=False)
    until(lambda: len(ready(server)) == 2)
    with asking(server, 4) as statuses:
        for count in range(3, 6):
            os.kill(next(pid for pid in pids(server) if alive(pid)), signal.SIGKILL)
            until(lambda count=count: len(ready(server)) == count)
    assert set(statuses) <= {0, 200}


def test_one_that_is_killed_comes_back_and_the_others_answer_meanwhile(two: Running) -> None:
    with asking(two, 1) as statuses:
        until(lambda: len(statuses) > 20)
        before = figures(two)["unjar_rows_total"]
        os.kill(pids(two)[0], signal.SIGKILL)
        two.wait_for("process_died")
        until(lambda: figures(two)["unjar_ready_processes"] == 1)
        until(lambda: len(ready(two)) == 3)
    # Only what the killed process had accepted itself.
    assert statuses.count(0) <= 1
    assert set(statuses) <= {0, 200}
    now = figures(two)
    assert now["unjar_rows_total"] >= before
    assert now["unjar_rows_total"] >= statuses.count(200)
    assert (now["unjar_restarts_total"], now["unjar_ready_processes"]) == (1, 2)
    assert [line["event"] for line in two.events()].count("all_ready") == 1
    (died,) = [line for line in two.events() if line["event"] == "process_died"]
    assert (died["process"], died["signal"]) == (1, "SIGKILL")


def test_sigterm_stops_all_cleanly(two: Running) -> None:
    children = pids(two)
    assert two.stop() == 0
    assert not any(map(alive, children))
    assert two.events()[-1]["event"] == "stopped"


def test_none_outlives_the_supervisor(two: Running) -> None:
    children = pids(two)
    two.process.kill()
    two.process.wait()
    until(lambda: not any(map(alive, children)))


def test_one_that_dies_again_and_again_is_started_later_and_later(two: Running) -> None:
    for dead in range(1, 4):
        os.kill(pids(two)[-1] if dead > 1 else pids(two)[1], signal.SIGKILL)
        until(lambda dead=dead: len(pids(two)) == 2 + dead)
    pauses = [line["again_in_s"] for line in two.events() if line["event"] == "process_died"]
    assert pauses == [0.1, 0.2, 0.4]


def started(tmp_path: Path, content: bytes, *flags: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "test.onnx").write_bytes(content)
    command = [sys.executable, str(ROOT / "server.py"), "--model", "test.onnx", "--port", "0", *flags]
    return subprocess.run(
        command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=False, timeout=START_S
    )


def test_a_refused_model_stops_all_and_is_exit_1(tmp_path: Path) -> None:
    done = started(tmp_path, b"no model", "--processes", "2")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("server.py: test.onnx: onnxruntime cannot load it")
    assert done.stderr.count("onnxruntime cannot load it") == 1
    assert "process_died" not in done.stderr


def test_a_missing_model_stops_all_and_is_exit_2(tmp_path: Path) -> None:
    done = started(tmp_path, b"", "--processes", "2", "--model", "none.onnx")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("server.py: none.onnx: cannot be read: No such file or directory")
    assert done.stderr.count("cannot be read") == 1


def test_a_port_in_use_is_exit_2(two: Running, tmp_path: Path) -> None:
    port = two.url.rpartition(":")[2]
    done = started(tmp_path, graphs.linear(), "--processes", "2", "--port", port)
    assert (done.returncode, "cannot listen" in done.stderr) == (2, True)


def test_a_file_that_went_bad_keeps_nobody_from_answering(two: Running) -> None:
    (two.log.parent / "test.onnx").write_bytes(b"no model")
    os.kill(pids(two)[0], signal.SIGKILL)

    def refused() -> list[dict[str, Any]]:
        return [line for line in two.events() if line["event"] == "process_died" and "reason" in line]

    until(lambda: len(refused()) == 2)
    assert {(line["exit_code"], line["reason"][:38]) for line in refused()} == {(1, "test.onnx: onnxruntime cannot load it:")}
    assert [infer(two) for _ in range(10)] == [200] * 10


def test_a_stop_while_they_start_is_a_clean_stop(start: Start) -> None:
    server = start(graphs.linear(), "--processes", "2", ready=False)
    until(lambda: len(pids(server)) == 2)
    assert server.stop() == 0
    assert not any(map(alive, pids(server)))
    assert [line["event"] for line in server.events()].count("process_died") == 0


def test_one_that_does_not_stop_is_ended(start: Start) -> None:
    server = start(graphs.linear(), "--processes", "2", UNJAR_GRACE_S="1")
    server.wait_for("all_ready")
    os.kill(pids(server)[1], signal.SIGSTOP)
    asked = time.monotonic()
    assert server.stop() == 0
    assert 1.5 < time.monotonic() - asked < 6
    assert not any(map(alive, pids(server)))


def test_an_orphan_that_nobody_waits_for_is_seen_off(start: Start) -> None:
    """As the first process of a container, whose children are not all its own."""
    code = "import os, sys, time\nif not os.fork():\n    time.sleep(2)\n    os._exit(0)\nos.execv(sys.argv[1], sys.argv[1:])"
    server = start(graphs.linear(), "--processes", "2", before=(sys.executable, "-c", code), ready=False)
    server.wait_for("all_ready")
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    (orphan,) = set(map(int, children.read_text().split())) - set(pids(server))
    until(lambda: not Path(f"/proc/{orphan}").exists())
    assert server.stop() == 0


def test_another_release_does_not_count_into_the_same_memory(tmp_path: Path) -> None:
    done = started(tmp_path, graphs.linear(), "--inherit", "3,4,1,5,1")
    assert done.returncode == 2
    assert "another release than its supervisor" in done.stderr


def test_no_pickle_is_read_or_exchanged(start: Start, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        f"out = os.open({str(seen)!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)\n"
        "wanted = ('pickle.find_class', 'subprocess.Popen', 'os.fork')\n"
        "sys.addaudithook(lambda name, given: name in wanted and os.write(out, name.encode() + b'\\n'))\n"
    )
    server = start(graphs.linear(), "--processes", "2", ready=False, PYTHONPATH=f"{tmp_path}:{ROOT}")
    server.wait_for("all_ready")
    assert [infer(server) for _ in range(4)] == [200] * 4
    assert server.stop() == 0
    assert seen.read_text().split() == ["subprocess.Popen"] * 2


@pytest.mark.parametrize(
    ("files", "most"),
    [
        ({}, 64), ({"cpu.max": "max 100000\n"}, 64), ({"cpu.max": "250000 100000\n"}, 2), ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
    ],
)  # fmt: skip
def test_auto_is_the_processors_and_the_quota_allow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], most: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert usable_processors(tmp_path) == most
    monkeypatch.setattr(settings, "usable_processors", lambda: most)
    assert settings.Settings.read({"UNJAR_PROCESSES": "auto"}, {}).processes == most
