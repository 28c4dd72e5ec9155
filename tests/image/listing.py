"""Which files does an exported container hold?"""

import io
import re
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.image.engine import docker


class Listing:
    """The members of an export, by their absolute names."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self.members = {"/" + member.name.removeprefix("./").rstrip("/"): member for member in archive.getmembers()}

    def files(self) -> dict[str, tarfile.TarInfo]:
        return {name: member for name, member in self.members.items() if member.isreg()}

    def read(self, name: str) -> bytes:
        file = self._archive.extractfile(self.members[name])
        assert file is not None, f"{name} is no file"
        return file.read()

    def modules(self) -> dict[str, bytes]:
        """What is in the archive of the standard library, by the names it would have without."""
        (name,) = [name for name in self.files() if re.fullmatch(r"/usr/local/lib/python3\d+\.zip", name)]
        with zipfile.ZipFile(io.BytesIO(self.read(name))) as archive:
            return {f"{name}/{member}": archive.read(member) for member in archive.namelist()}

    def within(self, folder: str) -> Iterator[str]:
        """What lies directly in a folder."""
        prefix = folder.rstrip("/") + "/"
        for name in self.members:
            rest = name.removeprefix(prefix)
            if rest != name and "/" not in rest:
                yield rest


@contextmanager
def listed(image: str, path: Path) -> Iterator[Listing]:
    """Every file of an image, as `docker export` gives them into an archive at `path`."""
    container = docker("create", image)
    try:
        docker("export", "--output", str(path), container)
    finally:
        docker("rm", container)
    with tarfile.open(path) as archive:
        yield Listing(archive)
    path.unlink()
