"""Do the walls between the rooms stand, and does each fall when it is broken?"""

import ast
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("serving", "recommender", "conversion", "training", "bundle", "monitoring", "batch")
FOLDERS_THAT_ARE_NO_ROOMS = {"tests", "scripts", "requirements", "docs", "deploy", "benchmarks", "build"}
SHIPPED = ("serving", "recommender", "batch", "server.py")

# Who alone may import what. training writes pickles; conversion/load.py is the only place that reads one.
SOLE_IMPORTERS = {
    "pickle": {"conversion/load.py", "training/artifacts.py"},
    "joblib": {"conversion/load.py"},
    "onnxruntime": {"serving/runtime.py", "training/polar.py"},
    "multiprocessing": set(),
    "conversion": {"convert.py"},
    "lancedb": {"recommender/large.py"},
}


def sources(*places: str) -> list[Path]:
    found = [ROOT / place for place in places if place.endswith(".py")]
    return found + [path for place in places if not place.endswith(".py") for path in (ROOT / place).rglob("*.py")]


def imported(path: Path) -> set[str]:
    """The first part of every module a file imports, wherever in the file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the rooms, to break a wall in."""
    copy = tmp_path_factory.mktemp("house")
    for room in ROOMS:
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__", "data"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def test_the_contracts_hold(house: Path) -> None:
    done = lint(house)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("room", "statement", "contract"),
    [
        ("serving", "import recommender", "doors open one way"),
        ("recommender", "import training", "doors open one way"),
        ("serving", "import conversion", "nothing imports conversion"),
        ("training", "import conversion", "nothing imports conversion"),
        ("serving", "import monitoring", "nothing imports conversion, bundle or monitoring"),
        ("monitoring", "import conversion", "monitoring imports no room but serving"),
        ("conversion", "import training", "conversion imports no room but serving"),
        ("conversion", "import recommender", "conversion imports no room but serving"),
        ("serving", "import pickle", "nothing that reads or exchanges pickles"),
        ("recommender", "def later():\n    import joblib", "nothing that reads or exchanges pickles"),
        ("serving", "import multiprocessing", "nothing that reads or exchanges pickles"),
        ("recommender", "import sklearn", "nothing that reads or exchanges pickles"),
        ("batch", "import multiprocessing", "nothing that reads or exchanges pickles"),
        ("batch", "import recommender", "batch imports no room but serving"),
        ("serving", "import batch", "nothing imports batch"),
        ("monitoring", "from batch import places", "nothing imports batch"),
        ("batch", "import pandas", "nothing beside its own image's list"),
        ("serving", "import pyarrow", "nothing beside the image's own list"),
        ("serving", "import onnx", "nothing beside the image's own list"),
        ("recommender", "import lancedb", "nothing beside the image's own list"),
        ("recommender", "from scipy import interpolate", "nothing beside the image's own list"),
    ],
)
def test_a_broken_wall_is_reported_by_its_name(house: Path, room: str, statement: str, contract: str) -> None:
    broken = house / room / "broken.py"
    broken.write_text(statement + "\n")
    try:
        done = lint(house)
    finally:
        broken.unlink()
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if contract in line and " BROKEN" in line], done.stdout


def test_every_folder_with_code_is_a_room_with_contracts() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/*.py")} - FOLDERS_THAT_ARE_NO_ROOMS
    assert {folder for folder in folders if not folder.startswith(".")} == set(ROOMS)


@pytest.mark.parametrize("name", SOLE_IMPORTERS)
def test_only_the_places_named_here_import_it(name: str) -> None:
    everywhere = sources("convert.py", "server.py", "client.py", *ROOMS)
    importers = {str(path.relative_to(ROOT)) for path in everywhere if name in imported(path)}
    importers -= {path for path in importers if path.startswith(f"{name}/")}
    assert importers == SOLE_IMPORTERS[name]


@pytest.mark.parametrize(
    ("entry", "allowed"),
    [
        ("convert.py", {"sys", "argparse", "pathlib", "conversion"}),
        ("server.py", {"sys", "signal", "argparse", "os", "serving", "recommender"}),
        ("client.py", {"sys", "argparse", "json", "math", "pathlib", "typing", "urllib", "requests"}),
    ],
)
def test_an_entry_point_imports_its_room_and_nothing_else(entry: str, allowed: set[str]) -> None:
    assert imported(ROOT / entry) <= allowed


def test_what_ships_starts_no_process_pool() -> None:
    for path in sources(*SHIPPED):
        assert "ProcessPoolExecutor" not in path.read_text(), path


def test_what_ships_imports_where_the_build_packages_are_absent() -> None:
    code = """
        import sys, pathlib, importlib
        absent = {"sklearn", "skl2onnx", "onnx", "joblib", "cloudpickle", "dill", "pandas", "pyarrow", "lancedb", "scipy",
                  "requests", "conversion", "training", "pytest"}

        class Absent:
            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in absent:
                    raise ModuleNotFoundError(name)

        sys.meta_path.insert(0, Absent())
        for room in ("serving", "recommender"):
            for path in sorted(pathlib.Path(room).rglob("*.py")):
                if path.name != "__main__.py":
                    importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
        importlib.import_module("server")
        assert not absent & {name.split(".")[0] for name in sys.modules}
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_package_takes_the_name_of_an_entry_point() -> None:
    assert not [name for name in ("server", "client", "convert") if (ROOT / name).is_dir()]


def test_entry_points_are_pages_one_reads_in_ten_seconds() -> None:
    # client.py is one file that is copied to hosts without the rest, so it cannot call a room.
    for entry in ("convert.py", "server.py"):
        assert len((ROOT / entry).read_text().splitlines()) <= 40, entry
