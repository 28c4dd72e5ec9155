"""What is a customer's site in the tests: a folder for what deploy.sh remembers, a port, and bundles that the vendor sent?"""

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.bundle import signing
from tests.image.engine import ROOT, Done, docker, inspect, names, run
from tests.serving.asking import question

KEY = signing.new_key()


def bundle(
    folder: Path, image: str, number: int, model: bytes, key: signing.Private = KEY, archive: Path | None = None
) -> Path:
    """A signed bundle as build.sh makes it, but for the pages that nothing here reads. archive: of the image, gzipped."""
    made = folder / f"test-{number}"
    signing.release(made / "model", key, model, number)
    for script in ("deploy.sh", "bundle/verify.sh"):
        shutil.copy(ROOT / script, made)
    if archive is None:
        (made / "image.tar.gz").write_bytes(b"is on the engine already")
    else:
        os.link(archive, made / "image.tar.gz")
    identity = docker("image", "inspect", "--format", "{{.Id}}", image)
    said = {"name": "test", "number": number, "created": "2026-11-01T00:00:00Z", "image": identity, "architecture": "amd64"}
    (made / "bundle.json").write_text(json.dumps(said, indent=1))
    signing.sign(made, key, signature="bundle.sig")
    return made


@dataclass
class Site:
    folder: Path
    name: str
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> Path:
        return self.folder / "vendor.pub"

    def command(self, script: Path, *given: str) -> list[str]:
        return ["sh", str(script), "--name", self.name, "--state", str(self.folder / "state"), *given]

    def deploy(self, made: Path, *given: str, key: bool = True) -> Done:
        flags = ("--key", str(self.key)) if key else ()
        return self.order(made, "--port", str(self.port), *flags, *given)

    def order(self, made: Path, *given: str) -> Done:
        done = run(*self.command(made / "deploy.sh", *given), check=False, timeout_s=180)
        assert "Traceback" not in done.stdout + done.stderr
        return done

    def digest(self) -> str:
        """Of the model that answers."""
        answer = httpx.post(f"{self.url}/v2/models/test/infer", json=question([1, 2, 3]), trust_env=False, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.headers["x-model-digest"]

    def running(self) -> str:
        """The id of the one container there is."""
        assert [other for other in names() if other.startswith(self.name)] == [self.name]
        return str(inspect(self.name)["Id"])


@dataclass
class Heard:
    """What users heard while they asked again and again."""

    digests: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)


@contextmanager
def asked(site: Site, users: int = 4) -> Iterator[Heard]:
    heard, over = Heard(), threading.Event()

    def ask() -> None:
        broken = 0.0
        with httpx.Client(trust_env=False, timeout=10) as client:
            while not over.is_set():
                try:
                    answer = client.post(f"{site.url}/v2/models/test/infer", json=question([1, 2, 3]))
                    if answer.status_code == 200:
                        heard.digests.append(answer.headers["x-model-digest"])
                    else:
                        heard.failed.append(answer.text)
                    if broken:
                        heard.gaps_s.append(time.monotonic() - broken)
                        broken = 0.0
                except httpx.TransportError as error:
                    heard.failed.append(type(error).__name__)
                    broken = broken or time.monotonic()
                # As many as a person's page would ask, so that counts mean something.
                time.sleep(0.01)

    threads = [threading.Thread(target=ask) for _ in range(users)]
    for thread in threads:
        thread.start()
    try:
        yield heard
    finally:
        time.sleep(0.5)
        over.set()
        for thread in threads:
            thread.join()


def begun(command: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
