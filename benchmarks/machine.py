"""On which machine, with which versions, at which commit was something measured?"""

import datetime
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "onnxruntime", "orjson", "pysimdjson", "uvicorn", "uvloop", "httptools", "fastapi", "scikit-learn")


def described(packages: Sequence[str] = PACKAGES) -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return {
        "machine": f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, Linux {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "commit": commit.stdout.strip(),
        "date": datetime.date.today().isoformat(),
    }
