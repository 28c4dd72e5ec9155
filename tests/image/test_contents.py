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

MINOR = re.findall(r"^ARG PYTHON=3\.(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[0]
PACKAGES = {
    "_cffi_backend.cpython-312-x86_64-linux-gnu.so", "annotated_doc", "annotated_types", "anyio", "click", "cryptography",
    "csimdjson.abi3.so", "fastapi", "httptools", "idna", "numpy", "numpy.libs", "onnxruntime", "opentelemetry", "orjson",
    "pydantic", "pydantic_core", "simdjson", "starlette", "typing_extensions.pyc", "typing_inspection", "uvicorn", "uvloop",
}  # fmt: skip
# Mount points, whatever the image holds.
MADE_BY_THE_ENGINE = {
    "/.dockerenv", "/dev", "/dev/console", "/dev/pts", "/dev/shm", "/etc/hostname", "/etc/hosts", "/etc/mtab",
    "/etc/resolv.conf", "/proc", "/sys",
}  # fmt: skip
INTERPRETED = re.compile(rb"/ld-linux-[a-z0-9-]+\.so\.\d")
SITE = re.compile(r"^(?P<site>/usr/local/lib/python3\.\d+/site-packages)$")


@pytest.fixture(scope="module")
def site(listing: Listing) -> str:
    return next(name for name in listing.members if SITE.match(name))


@pytest.fixture(scope="module")
def config(image: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(docker("image", "inspect", "--format", "{{json .Config}}", image))
    return read


def test_no_file_is_a_pickle(listing: Listing) -> None:
    contents = {name: listing.read(name) for name in listing.files()} | listing.modules()
    assert {name: verdict for name, content in contents.items() if (verdict := pickled(content))} == {}


def test_no_file_is_named_as_a_pickle(listing: Listing) -> None:
    names = [*listing.files(), *listing.modules()]
    assert [name for name in names if name.endswith((".pkl", ".pickle", ".joblib", ".dill", ".pt", ".pth"))] == []


def test_the_packages_are_those_of_the_lock(listing: Listing, site: str) -> None:
    lock = (ROOT / "requirements/serving.txt").read_text()
    locked = {f"{name.replace('-', '_')}-{version}" for name, version in re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE)}
    installed = {entry.removesuffix(".dist-info") for entry in listing.within(site) if entry.endswith(".dist-info")}
    assert installed <= locked
    # Of these, others' dependencies, nothing is ever loaded.
    assert {name.split("-")[0] for name in locked - installed} == {"flatbuffers", "h11", "packaging", "protobuf", "pycparser"}


def test_every_folder_of_the_packages_is_a_known_one(listing: Listing, site: str) -> None:
    assert {name for name in listing.within(site) if not name.endswith(".dist-info")} == PACKAGES


def test_each_licence_is_inside(listing: Listing, site: str) -> None:
    text = listing.read("/licenses.txt").decode()
    titles = set(re.findall(r"^(.+)\n=+$", text, re.MULTILINE))
    packages = {entry.removesuffix(".dist-info") for entry in listing.within(site) if entry.endswith(".dist-info")}
    assert packages <= titles
    assert {"Python", "Unjar", "Debian's libc6"} <= titles


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
        r"/python3\.?\d+(\.zip)?/(lib-dynload/)?(_pickle\..*|_compat_pickle\.pyc?|pickletools\.pyc?|shelve\.pyc?|lib2to3|ensurepip)"
    )
    assert [name for name in [*listing.members, *listing.modules()] if gone.search(name)] == []
    assert f"/usr/local/lib/python3.{MINOR}/pickle.pyc" in listing.members
    assert not [name for name in listing.modules() if name.endswith("/pickle.pyc")]


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


def test_nothing_can_be_written_and_no_program_changes_its_user(listing: Listing) -> None:
    loose = [
        name for name, member in listing.members.items()
        if not member.issym() and (member.uid != 0 or member.mode & 0o7022) and name not in MADE_BY_THE_ENGINE
    ]  # fmt: skip
    # Where a volume is mounted; without one it is as read-only as the rest.
    assert loose == ["/state"]


def test_the_only_program_is_python(listing: Listing) -> None:
    """A script would need a shell, and a program says which loader starts it."""
    started = {
        name for name in listing.files() if listing.read(name)[:2] == b"#!" or INTERPRETED.search(listing.read(name)[:4096])
    }
    assert {name for name in started if not re.search(r"\.so(\.|$)", name)} == {f"/usr/local/bin/python3.{MINOR}"}
    links = {name for name, member in listing.members.items() if member.issym() and name.startswith("/usr/local/bin/")}
    assert links == {"/usr/local/bin/python", "/usr/local/bin/python3"}


def test_no_secret_and_no_path_of_the_build_is_left(listing: Listing) -> None:
    key = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=]{40}")
    assert [name for name in listing.files() if key.search(listing.read(name))] == []
    paths = re.compile(b"/closure/|/wheels/|/src/convert|" + re.escape(str(ROOT).encode() + b"/"))
    assert [name for name in listing.files() if paths.search(listing.read(name))] == []


def test_it_is_small(listing: Listing) -> None:
    files = {name: member.size for name, member in listing.files().items() if name not in MADE_BY_THE_ENGINE}
    assert len(files) <= 800
    assert sum(files.values()) <= 140e6


def test_bytecode_is_compiled_and_never_checked_against_the_clock(listing: Listing) -> None:
    unchecked_hash = (0b01).to_bytes(4, "little")
    compiled = {name: listing.read(name) for name in listing.files() if name.endswith(".pyc")} | listing.modules()
    assert [name for name, content in compiled.items() if content[4:8] != unchecked_hash] == []
    # Our own rooms with their source, so that a reviewer reads what runs; others without.
    sources = {name for name in listing.files() if name.endswith(".py")}
    assert {name for name in sources if not name.startswith("/app/")} == set()
    spelled = {re.sub(r"([^/]+)\.py$", rf"__pycache__/\1.cpython-3{MINOR}.pyc", name) for name in sources}
    assert spelled <= set(compiled)


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
