"""Does a container engine answer, and what does it say?"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "128", "--memory", "1g")
BUILT_FROM = (
    "Dockerfile", ".dockerignore", "NOTICE", "build.sh", "bundle", "convert.py", "server.py", "example.json", "model.onnx",
    "model.pkl", "requirements.txt", "requirements", "conversion", "serving", "recommender", "batch", "build/wheels",
)  # fmt: skip

Done = subprocess.CompletedProcess[str]
Start = Callable[..., str]


def silence() -> str | None:
    """Why no engine answers; None when one does."""
    if shutil.which("docker") is None:
        return "there is no docker command"
    asked = run("docker", "version", check=False)
    return None if asked.returncode == 0 else asked.stderr.strip()


def run(
    *command: str, check: bool = True, cwd: Path = ROOT, env: Mapping[str, str] | None = None, timeout_s: float = 600
) -> Done:
    """The finished command; with `check`, a failure shows what it printed."""
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | dict(env or {}), timeout=timeout_s, capture_output=True, text=True, check=False
    )
    if check:
        assert done.returncode == 0, f"{' '.join(command)} exited {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def docker(*arguments: str) -> str:
    return run("docker", *arguments).stdout.strip()


def inspect(container: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(docker("container", "inspect", container))
    return found[0]


def names() -> list[str]:
    return docker("ps", "--all", "--format", "{{.Names}}").splitlines()


def remove(*containers: str) -> None:
    present = [name for name in containers if name in names()]
    if present:
        docker("rm", "--force", "--volumes", *present)


def images(repository: str) -> dict[str, str]:
    """Name to id."""
    lines = docker("images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}", repository).splitlines()
    return dict(line.split() for line in lines)


def remove_images(repository: str) -> None:
    """By name: the same image may have other names."""
    tags = images(repository)
    if tags:
        docker("rmi", *tags)


@contextmanager
def images_as_they_were(repository: str) -> Iterator[None]:
    """Afterwards: who runs the tests may have images of that name, and a server that runs from one."""
    before = images(repository)
    try:
        yield
    finally:
        for tag, identity in before.items():
            docker("tag", identity, tag)
        if made := images(repository).keys() - before.keys():
            docker("rmi", *made)


def python_in(container: str, code: str) -> str:
    return docker("exec", container, "python", "-c", code)


def wait_until_healthy(container: str, within_s: float = 60) -> None:
    """By the image's own health check."""
    deadline = time.monotonic() + within_s
    while (state := inspect(container)["State"])["Health"]["Status"] != "healthy":
        assert state["Running"], docker("logs", container)
        assert time.monotonic() < deadline, state["Health"]
        time.sleep(0.5)


def copy_project(folder: Path) -> Path:
    """What build.sh needs, somewhere it can be changed."""
    for name in BUILT_FROM:
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return folder
