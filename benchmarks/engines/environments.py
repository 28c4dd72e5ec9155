"""Which engines are measured, with what are they installed, and what does a user write for each?

Each has an environment of its own, made by `python -m benchmarks.engines --install`; pinned, but not hashed, as nothing of it
ships. All have the numpy, onnxruntime and pyarrow that ours has, but Daft, which takes no pyarrow from 26 on.
"""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOME = Path.home() / ".cache" / "unjar-engines"
SCRIPTS = Path(__file__).parent
LOCK = Path("requirements/batch.txt")
# What an environment holds beside what venv puts in.
HELD = """
import json, pathlib, sys
from importlib.metadata import distributions
place = pathlib.Path(sys.prefix) / "lib"
found = {one.metadata["Name"].lower(): one.version for one in distributions() if one.metadata["Name"].lower() != "pip"}
files = [path for path in place.rglob("*") if path.is_file() and "/pip/" not in str(path) and path.suffix != ".pyc"]
print(json.dumps({"versions": found, "mb": round(sum(path.stat().st_size for path in files) / 1e6)}))
"""


@dataclass(frozen=True)
class Engine:
    """`home`: its environment. `scripts`: what a user writes, first the one that is run. `words`: for our own command.

    `loops`: so many of the script run beside each other, each with its number.
    """

    name: str
    title: str
    home: str
    packages: tuple[str, ...]
    scripts: tuple[str, ...]
    words: tuple[str, ...] = ()
    loops: int = 0

    @property
    def python(self) -> Path:
        return HOME / self.home / "bin" / "python"

    @property
    def lines(self) -> int:
        """Of code: no empty line, comment or text on top."""
        return sum(_code_lines((SCRIPTS / name).read_text()) for name in self.scripts)

    def commands(self, source: str, out: str, model: str) -> list[list[str]]:
        if not self.scripts:
            words = ["encode", source, out, "--model", model, "--id", "id", *self.words]
            return [[str(self.python), "-m", "batch", *words]]
        base = [str(self.python), str(SCRIPTS / self.scripts[0]), source, out, model]
        return [[*base, str(i), str(self.loops)] for i in range(self.loops)] or [base]

    def held(self) -> dict[str, Any]:
        told = subprocess.run([self.python, "-c", HELD], capture_output=True, text=True, check=True)
        return dict(json.loads(told.stdout))


def _code_lines(text: str) -> int:
    body = re.sub(r'^""".*?"""\n', "", text, count=1, flags=re.DOTALL)
    return len([line for line in body.splitlines() if line.strip() and not line.strip().startswith("#")])


OURS, OURS_ON_DASK = ("-r", str(LOCK)), ("-r", "requirements/dask.txt")
DASK, RAY = ("distributed==2026.8.0",), ("ray[data]==2.60.0",)
ENGINES = (
    Engine("ours, 1", "`python -m batch`, 1 worker", "ours", OURS, (), ("--workers", "1")),
    Engine("ours, 2", "`python -m batch`, 2 workers", "ours", OURS, (), ("--workers", "2")),
    Engine("ours on Dask", "`python -m batch --on dask:...`, 2 workers", "dask-ours", OURS_ON_DASK, ("dask_ours.py",)),
    Engine("loop, 1", "loop by hand, 1 process", "loop", (), ("loop.py", "shard.py"), loops=1),
    Engine("loop, 2", "loop by hand, 2 processes", "loop", (), ("loop.py", "shard.py"), loops=2),
    Engine("Dask, names", "Dask, given names of files", "dask", DASK, ("dask_names.py", "shard.py")),
    Engine("Ray, names", "Ray, given names of files", "ray", RAY, ("ray_names.py", "shard.py")),
    Engine("Ray Data", "Ray Data, its own reader and writer", "ray", RAY, ("ray_rows.py", "shard.py")),
    Engine(
        "Spark", "Spark, `mapInArrow`, and a JVM", "spark", ("pyspark==4.3.0", "pandas==2.3.3"), ("spark_rows.py", "shard.py")
    ),
    Engine("Daft", "Daft, native", "daft", ("daft==0.7.26", "pyarrow==25.0.0"), ("daft_rows.py", "shard.py")),
    Engine("DuckDB", "DuckDB, Arrow function and COPY", "duckdb", ("duckdb==2.0.0",), ("duckdb_rows.py", "shard.py")),
    Engine("Polars", "Polars, streaming", "polars", ("polars==2.1.0",), ("polars_rows.py", "shard.py")),
)


def install(engines: Sequence[Engine]) -> None:
    """Each environment from nothing. What cannot be installed is noted with the reason, and the others go on."""
    base = re.findall(r"^((?:numpy|onnxruntime|pyarrow)==\S+)", LOCK.read_text(), re.MULTILINE)
    if shutil.which("java") is None:
        print("engines: Spark needs a Java machine: apt-get install default-jre-headless")
        subprocess.run(["apt-get", "update", "-q"], check=False, stdout=subprocess.DEVNULL)
        subprocess.run(["apt-get", "install", "-yq", "--no-install-recommends", "default-jre-headless"], check=False)
    for home, packages in dict.fromkeys((engine.home, engine.packages) for engine in engines):
        print(f"engines: {HOME / home}: {' '.join([*base, *packages])}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", HOME / home], check=True)
        pip = [str(HOME / home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        named = {package.split("==")[0] for package in packages}
        pinned = [] if "-r" in packages else [package for package in base if package.split("==")[0] not in named]
        done = subprocess.run([*pip, *pinned, *packages], capture_output=True, text=True, check=False)
        if done.returncode:
            (HOME / home / "failed").write_text(next(iter(re.findall(r"^ERROR: (.*)", done.stderr, re.MULTILINE)), done.stderr))
            print(f"engines: {home}: cannot be installed: {done.stderr}", file=sys.stderr)
