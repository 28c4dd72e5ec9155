"""Does a Dask cluster leave the same bytes, and is it asked only where nobody else could answer?

Dask lives in an environment of its own: its scheduler, its workers and the command are processes of that, with mutual TLS.
"""

import json
import os
import signal
import subprocess
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from batch.__main__ import main
from tests.batch.working import LIMIT_S, ROOT, contents, encode, numbers, parquet, run, vectors, verified, wait_until

SHARDS = 80
# Loaded by Python itself as it starts.
NOTE = """
    import os, sys

    def note(name, arguments):
        if name == "pickle.find_class":
            with open(os.environ["SEEN"], "a") as file:
                file.write(f"{arguments}\\n")

    sys.addaudithook(note)
"""
Process = subprocess.Popen[str]


@pytest.fixture(scope="module")
def tools() -> Path:
    subprocess.run([ROOT / "scripts" / "tool", "dask"], check=True)
    return ROOT / ".venv-dask" / "bin"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `ours` and `strange`: of an authority of each."""
    place = tmp_path_factory.mktemp("tls")
    for name in ("ours", "strange"):
        authority = trustme.CA()
        (place / name).mkdir()
        authority.cert_pem.write_to_path(place / name / "ca.pem")
        leaf = authority.issue_cert("127.0.0.1")
        leaf.cert_chain_pems[0].write_to_path(place / name / "cert.pem")
        leaf.private_key_pem.write_to_path(place / name / "key.pem")
    return place


@pytest.fixture(scope="module")
def undisturbed(linear: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What OUT holds when this process alone does it."""
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    encode(linear, folder, out, id="part", shard_rows=250)
    return contents(out)


@dataclass
class Cluster:
    tools: Path
    certificates: Path
    place: Path
    processes: list[Process]
    environment: dict[str, str]
    scheduler: Process | None = None

    def start(self, *words: object) -> Process:
        log = self.place / f"log-{len(self.processes)}"
        command = [str(self.tools / str(words[0])), *map(str, words[1:])]
        with log.open("w") as said:
            process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=said, stderr=said, text=True)
        self.processes.append(process)
        return process

    def said(self, process: Process) -> str:
        return (self.place / f"log-{self.processes.index(process)}").read_text()

    @property
    def address(self) -> str:
        return str(json.loads((self.place / "scheduler.json").read_text())["address"])

    def member(self, *words: object) -> Process:
        ours = self.certificates / "ours"
        tls = ("--tls-ca-file", ours / "ca.pem", "--tls-cert", ours / "cert.pem", "--tls-key", ours / "key.pem")
        return self.start("dask", *words, "--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0", *tls)

    def worker(self) -> Process:
        return self.member("worker", self.address, "--no-nanny", "--nthreads", 1)

    def encode(
        self, linear: Path, folder: Path, out: Path, on: str = "", authority: str = "ours", own: str = "ours"
    ) -> Process:
        given = self.certificates / own
        tls = ("--tls-ca", self.certificates / authority / "ca.pem")
        own_tls = ("--tls-cert", given / "cert.pem", "--tls-key", given / "key.pem")
        words = ("--model", linear, "--id", "part", "--shard-rows", 250, "--on", f"dask:{on or self.address}")
        return self.start("python", "-m", "batch", "encode", folder, out, *words, *tls, *own_tls)


@contextmanager
def cluster_at(place: Path, tools: Path, certificates: Path, **settings: str) -> Iterator[Cluster]:
    """A scheduler without workers. All that is started by it is gone at the end."""
    place.mkdir(exist_ok=True)
    given = {"PYTHONPATH": str(ROOT), "DASK_TEMPORARY_DIRECTORY": str(place), **settings}
    found = Cluster(tools, certificates, place, [], os.environ | given)
    try:
        file = place / "scheduler.json"
        began = found.scheduler = found.member("scheduler", "--port", 0, "--protocol", "tls", "--scheduler-file", file)
        wait_until(lambda: began.poll() or (file.exists() and file.read_text().rstrip().endswith("}")), "no scheduler")
        assert began.poll() is None, found.said(began)
        yield found
    finally:
        for process in found.processes:
            process.kill()
            process.wait(LIMIT_S)


@pytest.fixture(scope="module")
def cluster(tools: Path, certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """With two workers. Every process of it notes what classes a pickle has asked it for."""
    place = tmp_path_factory.mktemp("cluster")
    (place / "sitecustomize.py").write_text(textwrap.dedent(NOTE))
    watched = {"PYTHONPATH": f"{place}:{ROOT}", "SEEN": str(place / "seen")}
    with cluster_at(place, tools, certificates, **watched) as found:
        found.worker()
        found.worker()
        yield found


def parts(out: Path) -> int:
    return len(list(out.glob("part-*"))) if out.exists() else 0


# Dask gives a part to others three times when its worker has died; or never, and then the command does.
@pytest.mark.parametrize("failures", ["3", "0"])
def test_kill_9_of_a_worker_loses_nothing(
    tools: Path, certificates: Path, linear: Path, folder: Path, tmp_path: Path, undisturbed: dict[str, str], failures: str
) -> None:
    out = tmp_path / "out"
    allowed = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": failures}
    with cluster_at(tmp_path / "cluster", tools, certificates, **allowed) as cluster:
        doomed, _ = cluster.worker(), cluster.worker()
        driver = cluster.encode(linear, folder, out)
        wait_until(lambda: parts(out) >= 10 or driver.poll() is not None, "nobody does anything")
        doomed.kill()
        assert doomed.wait(LIMIT_S) == -signal.SIGKILL
        assert parts(out) < SHARDS
        assert driver.wait(LIMIT_S) == 0, cluster.said(driver)
        assert f"batch: {SHARDS} of {SHARDS} shards" in cluster.said(driver)
    assert not verified(folder, out, sweep=True).faults
    assert contents(out) == undisturbed


def test_a_run_that_was_stopped_goes_on(
    cluster: Cluster, linear: Path, folder: Path, tmp_path: Path, undisturbed: dict[str, str]
) -> None:
    out = tmp_path / "out"
    driver = cluster.encode(linear, folder, out)
    wait_until(lambda: parts(out) >= 5 or driver.poll() is not None, "nobody does anything")
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(LIMIT_S) == 2
    assert "stopped by a signal; the same command goes on" in cluster.said(driver)
    kept = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}
    assert len(kept) < SHARDS
    again = cluster.encode(linear, folder, out)
    assert again.wait(LIMIT_S) == 0, cluster.said(again)
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}.items() >= kept.items()
    assert contents(out) == undisturbed


def test_a_scheduler_that_dies_may_be_tried_again(
    tools: Path, certificates: Path, linear: Path, folder: Path, tmp_path: Path
) -> None:
    out, soon = tmp_path / "out", {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "2s"}
    with cluster_at(tmp_path / "cluster", tools, certificates, **soon) as cluster:
        cluster.worker()
        driver = cluster.encode(linear, folder, out)
        wait_until(lambda: parts(out) >= 5 or driver.poll() is not None, "nobody does anything")
        assert cluster.scheduler is not None
        cluster.scheduler.kill()
        assert driver.wait(LIMIT_S) == 2
        assert f"batch: {cluster.address}: the scheduler is gone; the same command goes on\n" in cluster.said(driver)


def test_what_a_worker_refuses_is_told_here(cluster: Cluster, linear: Path, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        parquet(tmp_path / "in" / f"{name}.parquet", {"part": range(500), "X": vectors(numbers(500))})
    content = bytearray((tmp_path / "in" / "b.parquet").read_bytes())
    content[4:200] = b"\xff" * 196
    (tmp_path / "in" / "b.parquet").write_bytes(content)
    driver = cluster.encode(linear, tmp_path / "in", tmp_path / "out")
    assert driver.wait(LIMIT_S) == 1
    assert "b.parquet: cannot be read: " in cluster.said(driver)
    assert parts(tmp_path / "out") == 2
    assert not (tmp_path / "out" / "_SUCCESS.json").exists()


@pytest.mark.parametrize(("authority", "own"), [("ours", "strange"), ("strange", "ours")])
def test_who_has_another_authoritys_certificate_is_refused(
    cluster: Cluster, linear: Path, folder: Path, tmp_path: Path, authority: str, own: str
) -> None:
    driver = cluster.encode(linear, folder, tmp_path / "out", authority=authority, own=own)
    assert driver.wait(LIMIT_S) == 2
    said = cluster.said(driver)
    assert f"batch: {cluster.address}: no connection to the scheduler: " in said
    assert "Traceback" not in said
    assert parts(tmp_path / "out") == 0


def test_a_scheduler_that_is_not_there_is_one_sentence(
    tools: Path, certificates: Path, linear: Path, folder: Path, tmp_path: Path
) -> None:
    soon = {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "1s"}
    cluster = Cluster(tools, certificates, tmp_path, [], {**os.environ, **soon})
    driver = cluster.encode(linear, folder, tmp_path / "out", on="tls://127.0.0.1:9")
    assert driver.wait(LIMIT_S) == 2
    said = cluster.said(driver)
    assert said.startswith("batch: tls://127.0.0.1:9: no connection to the scheduler: ")
    assert len(said.splitlines()) == 1


def test_what_dask_hands_on_names_our_function_and_holds_no_code(cluster: Cluster, linear: Path, tmp_path: Path) -> None:
    given = parquet(tmp_path / "in" / "a.parquet", {"part": range(9), "X": vectors(numbers(9))})
    driver = cluster.encode(linear, given, tmp_path / "out")
    assert driver.wait(LIMIT_S) == 0, cluster.said(driver)
    found = (cluster.place / "seen").read_text().splitlines()
    assert "('batch.on_dask', 'encode')" in found
    assert not [what for what in found if "_make_function" in what or "CodeType" in what or "subimport" in what]


ADDRESSES = {
    "tcp://10.0.0.5:8786": "is not encrypted, and whoever reaches a Dask scheduler runs code on its workers",
    "tcp://dask.example.com:8786": "is not encrypted",
    "tcp://127.0.0.1.example.com:8786": "is not encrypted",
    "tcp://[2001:db8::1]:8786": "is not encrypted",
    "tls://10.0.0.5": "is no address of a scheduler",
    "tls://10.0.0.5:port": "is no address of a scheduler",
    "ws://127.0.0.1:8786": "is no address of a scheduler",
    "127.0.0.1:8786": "is no address of a scheduler",
    "": "is no address of a scheduler",
}


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_strangers_could_reach_is_refused_before_anything(
    linear: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    words = ["batch", "encode", str(tmp_path / "nothing"), str(tmp_path / "out"), "--on", f"dask:{address}"]
    monkeypatch.setattr("sys.argv", words)
    # Neither IN nor Dask is there: who looked for one of them would say so, and end with 2.
    assert main() == 1
    assert capsys.readouterr().err.startswith(f"batch: --on dask:{address}: {ADDRESSES[address]}")


def test_without_dask_it_says_what_to_install(linear: Path, folder: Path, tmp_path: Path) -> None:
    told = run("encode", folder, tmp_path / "out", "--model", linear, "--on", "dask:tcp://127.0.0.1:8786")
    assert told.returncode == 2
    assert "--on dask needs requirements/dask.txt, in an environment of its own" in told.stderr


def test_tls_without_certificates_is_refused(tools: Path, linear: Path, folder: Path, tmp_path: Path) -> None:
    words = ["encode", folder, tmp_path / "out", "--model", linear, "--on", "dask:tls://127.0.0.1:9"]
    command = [str(tools / "python"), "-m", "batch", *map(str, words)]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert told.returncode == 1
    assert "needs --tls-ca, --tls-cert and --tls-key" in told.stderr
