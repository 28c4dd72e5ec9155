"""python -m benchmarks.image [--runs N]: the image beside a naive and a multi-stage one of the same service.

Size, files, packed size, time from `docker run` to the first answer, memory. Needs an engine, the base image that build.sh uses
($BASE_IMAGE) and the image unjar:latest. Results: benchmarks/results/image.json, docs/image.md.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.machine import described

ROOT = Path(__file__).resolve().parent.parent
RESULTS, PAGE = ROOT / "benchmarks/results/image.json", ROOT / "docs/image.md"
HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", "128", "--memory", "1g")
STAGED = """
FROM {base} AS build
COPY wheels /wheels
RUN python -m venv /venv && /venv/bin/python -m pip install --quiet --no-index --no-deps -r /wheels/requirements.txt
FROM {base}
COPY --from=build /venv /venv
COPY serving /app/serving
COPY recommender /app/recommender
COPY server.py model.onnx /app/
WORKDIR /app
ENV PYTHONDONTWRITEBYTECODE=1
USER 65532
ENTRYPOINT ["/venv/bin/python", "server.py", "--host", "0.0.0.0"]
"""
TARGETS = {"size_mb": 140, "files": 800, "zstd_mb": 40, "cold_start_s": 1.5}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    base = os.environ.get("BASE_IMAGE", "python:3.12-slim")
    result: dict[str, Any] = {**described(), "base": base, "runs": given.runs, "images": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = {
            "naive: pip install of everything": naive(folder / "naive", base),
            "multi-stage: what serves, in a venv": staged(folder / "staged", base),
            "unjar": "unjar:latest",
        }
        for title, image in images.items():
            print(title, file=sys.stderr, flush=True)
            result["images"][title] = measure(image, folder, given.runs)
    for image in list(images.values())[:2]:
        docker("rmi", image)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    PAGE.write_text(page(result))
    print(PAGE.read_text())
    return 0


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def prepare(folder: Path, lock: str) -> None:
    """A folder with the sources, and the wheels of a lock."""
    folder.mkdir()
    for name in ("serving", "recommender", "conversion"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("server.py", "convert.py", "model.onnx", "model.pkl"):
        shutil.copy(ROOT / name, folder)
    wheels = folder / "wheels"
    platforms = [flag for glibc in (28, 27, 26, 24, 17, 12, 5) for flag in ("--platform", f"manylinux_2_{glibc}_x86_64")]
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--only-binary=:all:",
         "--implementation", "cp", "--python-version", "3.12", "--platform", "manylinux2014_x86_64", *platforms,
         "--dest", str(wheels), "-r", str(ROOT / lock)], check=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    # pip does not find hashed wheels of other platforms by their names alone.
    (wheels / "requirements.txt").write_text("\n".join(f"/wheels/{path.name}" for path in sorted(wheels.glob("*.whl"))))


def naive(folder: Path, base: str) -> str:
    """As `pip install -r requirements.txt` and `COPY . .` make it; committed, so that the wheels leave no layer of theirs."""
    prepare(folder, "requirements.txt")
    install = "python -m pip install --quiet --root-user-action=ignore --no-index --no-deps -r /wheels/requirements.txt"
    container = docker("create", "--network", "none", "--volume", f"{folder / 'wheels'}:/wheels", base, *install.split())
    docker("start", "--attach", container)
    shutil.rmtree(folder / "wheels")
    docker("cp", f"{folder}/.", f"{container}:/app")
    changes = (
        "WORKDIR /app",
        "ENV PYTHONDONTWRITEBYTECODE=1",
        "USER 65532",
        'ENTRYPOINT ["python", "server.py", "--host", "0.0.0.0"]',
    )
    flags = [flag for change in (*changes, "CMD []") for flag in ("--change", change)]
    docker("commit", *flags, container, "unjar-benchmark-naive")
    docker("rm", container)
    return "unjar-benchmark-naive"


def staged(folder: Path, base: str) -> str:
    prepare(folder, "requirements/serving.txt")
    (folder / "Dockerfile").write_text(STAGED.format(base=base))
    docker("build", "--network", "none", "--tag", "unjar-benchmark-staged", str(folder))
    return "unjar-benchmark-staged"


def measure(image: str, folder: Path, runs: int) -> dict[str, Any]:
    archive = folder / "image.tar"
    container = docker("create", image)
    docker("export", "--output", str(archive), container)
    docker("rm", container)
    with tarfile.open(archive) as files:
        count = sum(member.isreg() for member in files)
    docker("save", "--output", str(archive), image)
    packed = subprocess.run(["zstd", "-10", "--quiet", "--stdout", str(archive)], capture_output=True, check=True).stdout
    archive.unlink()
    starts, memory = zip(*(start(image) for _ in range(runs)), strict=True)
    size = int(docker("image", "inspect", "--format", "{{.Size}}", image))
    return {
        "size_mb": size / 1e6, "files": count, "zstd_mb": len(packed) / 1e6, "cold_start_s": statistics.median(starts),
        "pss_mb": statistics.median(memory), "shell": has_shell(image),
    }  # fmt: skip


def start(image: str) -> tuple[float, float]:
    """Seconds from `docker run` to the first `ready`, and megabytes then."""
    began = time.monotonic()
    container = docker("run", "--detach", *HARDENED, "--publish", "127.0.0.1::8080", image)
    try:
        port = docker("port", container, "8080/tcp").rpartition(":")[2]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while True:
            try:
                opener.open(f"http://127.0.0.1:{port}/v2/health/ready", timeout=1).close()
                break
            except (OSError, urllib.error.URLError):
                if time.monotonic() > began + 60:
                    raise
                time.sleep(0.01)
        took_s = time.monotonic() - began
        pid = docker("inspect", "--format", "{{.State.Pid}}", container)
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return took_s, sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    finally:
        docker("rm", "--force", container)


def has_shell(image: str) -> bool:
    return (
        subprocess.run(["docker", "run", "--rm", "--entrypoint", "sh", image, "-c", "true"], capture_output=True).returncode
        == 0
    )


def page(result: dict[str, Any]) -> str:
    rows = [
        f"| {title} | {one['size_mb']:.0f} | {one['files']:,} | {one['zstd_mb']:.0f} | {one['cold_start_s']:.2f} |"
        f" {one['pss_mb']:.0f} | {'yes' if one['shell'] else 'no'} |"
        for title, one in result["images"].items()
    ]
    targets = " | ".join(f"{TARGETS[key]:g}" for key in ("size_mb", "files", "zstd_mb", "cold_start_s"))
    return f"""# The image, beside others of the same service

Made by `python -m benchmarks.image`: the same server and model on the same base ({result["base"]}), with a read-only root and
no rights. Cold start: from `docker run` to the first 200 of `/v2/health/ready`, median of {result["runs"]}.
{result["machine"]}; commit {result["commit"]}, {result["date"]}.

| image | MB | files | MB as zstd -10 | cold start, s | memory when ready, MB | a shell inside |
|---|---|---|---|---|---|---|
{chr(10).join(rows)}
| target | {targets} | | no |
"""


if __name__ == "__main__":
    sys.exit(main())
