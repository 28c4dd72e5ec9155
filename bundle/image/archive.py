"""docker save IMAGE | python -m bundle.image.archive --tag NAME:latest --epoch SECONDS > NAME.tar: a reproducible image.

Builders write the time of day, the names of machines and of images in between into what they make, so that two builds of
one commit have two IDs. Here the layers are put in order under one time, and the configuration is written anew with what
matters alone. An image's ID is the SHA-256 of its configuration, so it follows from the files.
"""

import argparse
import hashlib
import io
import json
import sys
import tarfile
import tempfile
from datetime import UTC, datetime
from typing import IO, Any

# The user that the image runs as.
SERVER = 65532
KEPT = ("Entrypoint", "Env", "ExposedPorts", "Healthcheck", "Labels", "StopSignal", "User", "WorkingDir")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tag", required=True)
    parser.add_argument("--epoch", required=True, type=int)
    given = parser.parse_args()
    with tempfile.TemporaryFile() as saved:
        for part in iter(lambda: sys.stdin.buffer.read(1 << 20), b""):
            saved.write(part)
        saved.seek(0)
        sys.stderr.write(write(saved, sys.stdout.buffer, given.tag, given.epoch) + "\n")
    return 0


def write(saved: IO[bytes], target: IO[bytes], tag: str, epoch: int) -> str:
    """The image of an archive of `docker save`, as another such archive. Returns its ID, "sha256:..."."""
    with tarfile.open(fileobj=saved) as archive, tarfile.open(fileobj=target, mode="w|", format=tarfile.USTAR_FORMAT) as out:
        (said,) = json.loads(_file(archive, "manifest.json").read())
        old = json.loads(_file(archive, said["Config"]).read())
        layers = []
        for name in said["Layers"]:
            with tempfile.TemporaryFile() as layer:
                digest = settled(_file(archive, name), layer, epoch)
                path = f"{digest}/layer.tar"
                layers.append((digest, path))
                _add(out, path, layer, epoch)
        config = _configuration(old, [digest for digest, _ in layers], epoch)
        identity = hashlib.sha256(config).hexdigest()
        _add(out, f"{identity}.json", io.BytesIO(config), epoch)
        manifest = [{"Config": f"{identity}.json", "RepoTags": [tag], "Layers": [path for _, path in layers]}]
        _add(out, "manifest.json", io.BytesIO(json.dumps(manifest).encode()), epoch)
    return f"sha256:{identity}"


def settled(layer: IO[bytes], target: IO[bytes], epoch: int) -> str:
    """The layer in order, root's but for what is the server's, under one time. Returns the SHA-256 of what was written."""
    with tarfile.open(fileobj=layer) as archive, tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as out:
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            member.uid = member.gid = SERVER if member.uid == SERVER else 0
            member.uname = member.gname = ""
            member.mtime, member.pax_headers = epoch, {}
            out.addfile(member, archive.extractfile(member) if member.isreg() else None)
    target.seek(0)
    digest = hashlib.sha256()
    while part := target.read(1 << 20):
        digest.update(part)
    return digest.hexdigest()


def _configuration(old: dict[str, Any], digests: list[str], epoch: int) -> bytes:
    when = f"{datetime.fromtimestamp(epoch, UTC):%Y-%m-%dT%H:%M:%SZ}"
    kept = {key: old["config"][key] for key in KEPT if old["config"].get(key)}
    new = {
        "architecture": old["architecture"], "os": old["os"], "created": when, "config": kept,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": [{"created": when, "created_by": "build.sh"} for _ in digests],
    }  # fmt: skip
    return json.dumps(new, sort_keys=True, separators=(",", ":")).encode()


def _file(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    if file is None:
        raise ValueError(f"{name}: is no file of the archive")
    return file


def _add(out: tarfile.TarFile, name: str, content: IO[bytes], epoch: int) -> None:
    member = tarfile.TarInfo(name)
    member.size = content.seek(0, io.SEEK_END)
    member.mtime, member.mode = epoch, 0o644
    content.seek(0)
    out.addfile(member, content)


if __name__ == "__main__":
    sys.exit(main())
