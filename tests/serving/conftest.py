"""Which servers and applications do the serving tests share?"""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.serving import graphs
from tests.serving.asking import ROOT, Ask, Running, Start, asker, environment


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """start(content, *flags, name=..., before=[...], **environment) -> Running; stopped when the session ends."""
    started: list[Running] = []

    def run(content: bytes, *flags: str, name: str = "test", before: tuple[str, ...] = (), ready: bool = True,
            python: str = sys.executable, **extra: str) -> Running:  # fmt: skip
        folder = tmp_path_factory.mktemp("server")
        (folder / f"{name}.onnx").write_bytes(content)
        home = folder / "home"
        home.mkdir()
        command = [*before, python, str(ROOT / "server.py"), "--model", f"{name}.onnx", "--port", "0", *flags]
        log = folder / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(command, cwd=folder, env=environment(home) | extra, stdout=out, stderr=out)
        running = Running(process, log)
        started.append(running)
        running.url = running.wait_for("listening")["url"]
        if ready:
            running.wait_for("ready")
        return running

    yield run
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()


@pytest.fixture(scope="session")
def linear(start: Start) -> Running:
    return start(graphs.linear(), name="linear")


@pytest.fixture(scope="session")
def ask() -> Ask:
    return asker(graphs.linear())
