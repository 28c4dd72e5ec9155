"""Does the image hold what serves, and nothing that could open a pickle?"""

import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.image.engine import ROOT, docker
from tests.image.listing import Listing
from tests.image.streams import pickled

SITE = re.compile(r"^(?P<site>/usr/local/lib/python3\.\d+/site-packages)$")


@pytest.fixture(scope="module")
def site(listing: Listing) -> str:
    return next(name for name in listing.members if SITE.match(name))


@pytest.fixture(scope="module")
def config(image: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(docker("image", "inspect", "--format", "{{json .Config}}", image))
    return read


def test_no_file_is_a_pickle(listing: Listing) -> None:
    found = {name: verdict for name in listing.files() if (verdict := pickled(listing.read(name)))}
    assert found == {}


def test_no_file_is_named_as_a_pickle(listing: Listing) -> None:
    assert [name for name in listing.files() if name.endswith((".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth"))] == []


def test_the_packages_are_those_of_the_lock(listing: Listing, site: str) -> None:
    lock = (ROOT / "requirements/serving.txt").read_text()
    locked = {f"{name.replace('-', '_')}-{version}" for name, version in re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE)}
    installed = {entry.removesuffix(".dist-info") for entry in listing.within(site) if entry.endswith(".dist-info")}
    assert installed == locked


def test_every_file_of_the_packages_belongs_to_one(listing: Listing, site: str) -> None:
    owned: set[str] = set()
    for entry in listing.within(site):
        if entry.endswith(".dist-info"):
            owned |= {line.split(",")[0].split("/")[0] for line in listing.read(f"{site}/{entry}/RECORD").decode().splitlines()}
    assert set(listing.within(site)) - owned - {"__pycache__", "README.txt"} == set()


def test_our_own_folder_holds_what_serves(listing: Listing) -> None:
    assert set(listing.within("/app")) == {"serving", "recommender", "server.py", "model.onnx", "__pycache__"}


def test_our_own_code_is_this_checkout(listing: Listing) -> None:
    shipped = {
        name.removeprefix("/app/"): name for name in listing.files() if name.startswith("/app/") and name.endswith(".py")
    }
    rooms = [path for room in ("serving", "recommender") for path in (ROOT / room).rglob("*.py")]
    wanted = {str(path.relative_to(ROOT)) for path in [*rooms, ROOT / "server.py"]}
    assert set(shipped) == wanted
    assert [name for name, path in shipped.items() if listing.read(path) != (ROOT / name).read_bytes()] == []


def test_no_unpickler_is_left_in_the_standard_library(listing: Listing) -> None:
    # numpy.random has a module of the same name, which opens nothing.
    gone = re.compile(
        r"/python3\.\d+/(lib-dynload/)?(_pickle\..*|_compat_pickle\.py|pickletools\.py|shelve\.py|lib2to3|ensurepip)$"
    )
    assert [name for name in listing.members if gone.search(name)] == []


def test_no_layer_still_holds_what_was_removed(image: str, tmp_path: Path) -> None:
    saved = tmp_path / "image.tar"
    docker("save", "--output", str(saved), image)
    names: list[str] = []
    with tarfile.open(saved) as archive:
        for member in archive.getmembers():
            if member.isreg() and (file := archive.extractfile(member)) and file.read(512)[257:262] == b"ustar":
                file.seek(0)
                with tarfile.open(fileobj=file) as layer:
                    names += layer.getnames()
    assert any(name.endswith("app/server.py") for name in names)
    removed = re.compile(r"/lib-dynload/_pickle\.|(^|/)\.wh\.|/site-packages/pip/|\.(pickle|pkl)$")
    assert [name for name in names if removed.search(name)] == []


def test_no_program_changes_its_user(listing: Listing) -> None:
    assert [name for name, member in listing.files().items() if member.mode & 0o6000] == []


def test_nothing_of_ours_can_be_written_by_the_server(listing: Listing) -> None:
    ours = [member for name, member in listing.members.items() if name.startswith("/app")]
    assert [member.name for member in ours if member.uid != 0 or (member.mode & 0o022 and not member.issym())] == []


def test_bytecode_is_compiled_and_never_checked_against_the_clock(listing: Listing, site: str) -> None:
    sources = [name for name in listing.files() if name.endswith(".py") and name.startswith(("/app/", site))]
    tag = "cpython-" + site.split("/python")[1].split("/")[0].replace(".", "")
    flags = {}
    for name in sources:
        folder, _, file = name.rpartition("/")
        compiled = f"{folder}/__pycache__/{file.removesuffix('.py')}.{tag}.pyc"
        flags[name] = listing.read(compiled)[4:8] if compiled in listing.members else b"none"
    unchecked_hash = (0b01).to_bytes(4, "little")
    assert {name: flag for name, flag in flags.items() if flag != unchecked_hash} == {}


def test_it_runs_as_nobody_in_particular(config: dict[str, Any]) -> None:
    assert config["User"] == "65532:65532"


def test_nothing_goes_through_a_shell(config: dict[str, Any]) -> None:
    assert config["Healthcheck"]["Test"] == ["CMD", "python", "-m", "serving.health"]
    assert config["Entrypoint"] == ["python", "server.py", "--host", "0.0.0.0"]
    assert not config.get("Cmd")


def test_the_environment_is_set_before_the_first_import(config: dict[str, Any]) -> None:
    environment = dict(pair.split("=", 1) for pair in config["Env"])
    assert environment["ORT_DISABLE_TELEMETRY"] == "1"
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert {name for name in environment if name.startswith("MALLOC_")} == {
        "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_",
    }  # fmt: skip


def test_the_labels_say_what_it_is(config: dict[str, Any]) -> None:
    labels = config["Labels"]
    assert labels["org.opencontainers.image.title"] == "unjar"
    assert all(labels[f"org.opencontainers.image.{key}"] for key in ("description", "revision", "base.name"))
