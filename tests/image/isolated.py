"""What is a site without a way out, in the tests? A second engine, in a network namespace of its own that leads nowhere."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.image.engine import ROOT, Done, run


@dataclass(frozen=True)
class Isolated:
    """`address`: of the engine; `pid`: of whoever has its namespace."""

    address: str
    pid: int

    def run(self, *command: str, folder: Path = ROOT, **more: str) -> Done:
        """On the host of that engine: with its network, and no other."""
        there = ("nsenter", f"--net=/proc/{self.pid}/ns/net", *command)
        return run(*there, cwd=folder, check=False, env={"DOCKER_HOST": self.address} | more, timeout_s=300)

    def shell(self, script: str, folder: Path, **more: str) -> Done:
        return self.run("sh", "-euc", script, folder=folder, **more)


@contextmanager
def isolated_engine(folder: Path) -> Iterator[Isolated]:
    assert os.geteuid() == 0, "a second engine needs root"
    assert shutil.which("dockerd"), "a second engine needs dockerd"
    socket = f"unix://{folder}/docker.sock"
    flags = f"--data-root {folder}/data --exec-root {folder}/exec --pidfile {folder}/pid -H {socket}"
    with (folder / "log").open("wb") as log:
        command = ["unshare", "--net", "sh", "-c", f"ip link set lo up; exec dockerd {flags}"]
        engine = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while run("docker", "version", check=False, env={"DOCKER_HOST": socket}).returncode:
                assert engine.poll() is None, (folder / "log").read_text()[-3000:]
                assert time.monotonic() < deadline
                time.sleep(0.2)
            yield Isolated(socket, engine.pid)
        finally:
            engine.terminate()
            engine.wait(60)
