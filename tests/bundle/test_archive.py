"""Do two builders' archives of the same files become one image?"""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from bundle.image.archive import write

FILES = {"app/server.py": b"serve", "usr/bin/python": b"\x7fELF", "app/model.onnx": b"model"}
CONFIG = {
    "Env": ["PATH=/usr/local/bin"],
    "User": "65532:65532",
    "Labels": {"a": "b"},
    "Entrypoint": ["python"],
    "WorkingDir": "/app",
}


def layer(names: list[str], mtime: int, owner: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.uname, member.uid = len(FILES[name]), mtime, owner, mtime % 7
            archive.addfile(member, io.BytesIO(FILES[name]))
    return out.getvalue()


def saved(path: Path, content: bytes, **more: Any) -> Path:
    config = {"architecture": "amd64", "os": "linux", "config": CONFIG | more, "created": str(path), "rootfs": {}}
    parts = {"x/layer.tar": content, "c.json": json.dumps(config).encode()}
    parts["manifest.json"] = json.dumps([{"Config": "c.json", "RepoTags": None, "Layers": ["x/layer.tar"]}]).encode()
    with tarfile.open(path, "w") as archive:
        for name, text in parts.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return path


def settled(path: Path, epoch: int = 1000) -> tuple[str, bytes]:
    out = io.BytesIO()
    with path.open("rb") as file:
        return write(file, out, "unjar:latest", epoch), out.getvalue()


def test_order_times_owners_and_a_builders_own_notes_do_not_matter(tmp_path: Path) -> None:
    one = saved(tmp_path / "one", layer(list(FILES), 5, "root"), Hostname="abc", Image="sha256:parent")
    two = saved(tmp_path / "two", layer(sorted(FILES), 99, "builder"), Hostname="def")
    assert settled(one) == settled(two)


@pytest.mark.parametrize("change", [{"User": "0:0"}, {"Env": []}, {"Entrypoint": ["sh"]}])
def test_whatever_changes_what_runs_changes_the_identity(tmp_path: Path, change: dict[str, Any]) -> None:
    one = saved(tmp_path / "one", layer(list(FILES), 5, "root"))
    assert settled(one)[0] != settled(saved(tmp_path / "two", layer(list(FILES), 5, "root"), **change))[0]
    assert settled(one)[0] != settled(saved(tmp_path / "three", layer(list(FILES)[:2], 5, "root")))[0]
    assert settled(one)[0] != settled(one, 2000)[0]


def test_the_identity_is_the_digest_of_the_configuration_and_its_layers_are_there(tmp_path: Path) -> None:
    identity, content = settled(saved(tmp_path / "one", layer(list(FILES), 5, "root")))
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        read = {member.name: archive.extractfile(member).read() for member in archive.getmembers()}  # type: ignore[union-attr]
    (said,) = json.loads(read["manifest.json"])
    config = read[said["Config"]]
    assert identity == "sha256:" + hashlib.sha256(config).hexdigest() == "sha256:" + said["Config"].removesuffix(".json")
    layers = ["sha256:" + hashlib.sha256(read[name]).hexdigest() for name in said["Layers"]]
    assert json.loads(config)["rootfs"]["diff_ids"] == layers
    assert json.loads(config)["created"] == "1970-01-01T00:16:40Z"
    assert {key: json.loads(config)["config"].get(key) for key in CONFIG} == CONFIG
