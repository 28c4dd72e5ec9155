"""How do the benchmarks start our server, and stop the very one they started?"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# As the Dockerfile has them.
MALLOC = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "67108864",
    "MALLOC_TOP_PAD_": "4194304",
}


@dataclass
class Server:
    process: subprocess.Popen[bytes]
    log: Path
    port: int = 0

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def wait_for(self, name: str, count: int = 1) -> dict[str, Any]:
        limit = time.monotonic() + 60
        while len(found := self.events(name)) < count:
            if self.process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(self.log.read_text())
            time.sleep(0.01)
        return found[-1]

    def pids(self) -> list[int]:
        """The process and its children."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [self.process.pid, *map(int, children)]

    def pss_kb(self) -> int:
        return sum(_field(f"/proc/{pid}/smaps_rollup", "Pss:") for pid in self.pids())

    def descriptors(self) -> int:
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.pids())


def _field(path: str, name: str) -> int:
    return next(int(line.split()[1]) for line in Path(path).read_text().splitlines() if line.startswith(name))


@contextmanager
def serving(model: str, *flags: str, **environment: str) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        command = [sys.executable, str(ROOT / "server.py"), "--model", model, "--name", "model", "--port", "0", *flags]
        kept = {key: value for key, value in os.environ.items() if not key.startswith("UNJAR_")}
        with log.open("wb") as out:
            process = subprocess.Popen(command, env=kept | MALLOC | environment, stdout=out, stderr=out)
        server = Server(process, log)
        try:
            server.port = int(server.wait_for("listening")["url"].rpartition(":")[2])
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
