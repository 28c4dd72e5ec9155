"""What does a bundle hold? Everything that a site without internet needs, in one folder, signed and packed as one archive."""

import gzip
import json
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from bundle import parity_page, provenance, release, sbom
from bundle.release import Faulty
from serving.model import Model
from serving.release import MODEL

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ("deploy.sh", "bundle/verify.sh")
LOCKS = (Path("requirements/serving.txt"), Path("requirements.txt"))
MANIFEST, SBOM, PROVENANCE, PARITY, INSTALL = "bundle.json", "sbom.cdx.json", "provenance.json", "parity.html", "INSTALL.txt"


@dataclass(frozen=True)
class Image:
    """An image as `docker save` writes it."""

    archive: Path
    identity: str
    architecture: str
    components: str

    @classmethod
    def read(cls, archive: Path) -> "Image":
        """Raises Faulty."""
        with tarfile.open(archive) as saved:
            (said,) = json.load(_file(saved, "manifest.json"))
            architecture = str(json.load(_file(saved, said["Config"]))["architecture"])
            for name in reversed(said["Layers"]):
                with tarfile.open(fileobj=_file(saved, name)) as layer:
                    if "components.txt" in layer.getnames():
                        text = _file(layer, "components.txt").read().decode()
                        return cls(archive, "sha256:" + said["Config"].removesuffix(".json"), architecture, text)
        raise Faulty(f"{archive}: holds no components.txt; ./build.sh makes an image that does")


def _file(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    if file is None:
        raise Faulty(f"{name}: is no file of the archive")
    return file


def fill(folder: Path, image: Image, name: str, number: int, created: datetime, wheels: Path, commit: str) -> None:
    """All but the release, which is there and signed. Raises Faulty or serving's ModelRefused."""
    model = Model.load(folder / "model" / MODEL)
    (folder / PARITY).write_text(parity_page.render(model, model.verify(), name, number))
    when = release.stamp(created)
    bill = sbom.document(image.components, wheels, model, name, number, when, image.identity)
    _write(folder / SBOM, bill)
    locks = [lock for lock in LOCKS if (ROOT / lock).exists()]
    _write(folder / PROVENANCE, provenance.statement(model, image.identity, commit, locks, folder / PARITY, when, number))
    # No time and no name inside, or the same image would be another archive each time.
    with (
        image.archive.open("rb") as source,
        (folder / "image.tar.gz").open("wb") as target,
        gzip.GzipFile("", "wb", 6, target, mtime=0) as packed,
    ):
        shutil.copyfileobj(source, packed, 1 << 20)
    for script in SCRIPTS:
        shutil.copy(ROOT / script, folder)
    manifest = {
        "name": name,
        "number": number,
        "created": when,
        "image": image.identity,
        "architecture": image.architecture,
        "model": model.digest,
    }
    _write(folder / MANIFEST, manifest)
    text = (Path(__file__).with_name("install.txt")).read_text()
    (folder / INSTALL).write_text(text.replace("NAME-NUMBER", f"{name}-{number}"))


def _write(path: Path, document: Any) -> None:
    # One member on each line, so that sed reads it.
    path.write_text(json.dumps(document, indent=1) + "\n")


def archive(folder: Path, target: Path, epoch: int) -> None:
    """The folder as one tar, each file under one owner and one time. Replaced only when it is whole."""
    partial = target.with_suffix(".part")
    with tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as out:
        for path in _below(folder):
            member = out.gettarinfo(path, str(path.relative_to(folder.parent)))
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = epoch
            member.mode = 0o755 if path.is_dir() or path.suffix == ".sh" else 0o644
            if path.is_dir():
                out.addfile(member)
            else:
                with path.open("rb") as content:
                    out.addfile(member, content)
    partial.replace(target)


def _below(folder: Path) -> Iterator[Path]:
    yield folder
    yield from sorted(folder.rglob("*"))


def moment(epoch: int) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)
