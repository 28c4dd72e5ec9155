"""Where do files come from and go to, and when does anybody else see them?

On a disk: written under a hidden name that is locked as long as its writer lives, fsync, rename. In an object store: written
here, then sent in one upload, which nobody sees until it is closed. So a name that is there is a whole file.
"""

import contextlib
import fcntl
import hashlib
import io
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from pyarrow import fs

from batch.errors import Retryable, sorted_out

CHUNK = 1 << 20


@dataclass(frozen=True)
class Place:
    """A folder, on a disk or in a store that pyarrow.fs knows."""

    store: Any
    root: str
    local: bool

    @classmethod
    def of(cls, text: str) -> "Place":
        """Raises Retryable when there is no such store."""
        if "://" not in text:
            return cls(fs.LocalFileSystem(), str(Path(text).resolve()), True)
        try:
            store, root = fs.FileSystem.from_uri(text)
        except (OSError, ValueError) as error:
            raise Retryable(f"{text}: {str(error).splitlines()[0]}") from None
        return cls(store, root.rstrip("/"), isinstance(store, fs.LocalFileSystem))

    def holds(self, other: "Place") -> bool:
        return self.store == other.store and f"{other.root}/".startswith(f"{self.root}/")

    def path(self, name: str) -> str:
        return f"{self.root}/{name}" if name else self.root

    def inputs(self) -> tuple["Place", list[str]]:
        """The folder and the names of the files in it, when this is a file or a folder. Raises Retryable."""
        with self.asked(""):
            kind = self.store.get_file_info(self.root).type
        if kind == fs.FileType.NotFound:
            raise Retryable(f"{self.root}: is not there")
        if kind == fs.FileType.File:
            folder, _, name = self.root.rpartition("/")
            return Place(self.store, folder or "/", self.local), [name]
        return self, [name for name in self.names() if not any(part[0] in "._" for part in name.split("/"))]

    def names(self) -> list[str]:
        """Of all files below, in order."""
        with self.asked(""):
            found = self.store.get_file_info(fs.FileSelector(self.root, allow_not_found=True, recursive=True))
        return sorted(info.path[len(self.root) :].lstrip("/") for info in found if info.type == fs.FileType.File)

    def state(self, name: str) -> tuple[int, int] | None:
        """Bytes, and when it was last written, in ns; None when it is not there."""
        with self.asked(name):
            info = self.store.get_file_info(self.path(name))
        return (info.size, info.mtime_ns or 0) if info.type == fs.FileType.File else None

    def open(self, name: str) -> Any:
        return self.store.open_input_file(self.path(name))

    def read(self, name: str) -> bytes | None:
        with self.asked(name):
            if self.state(name) is None:
                return None
            with self.open(name) as file:
                content: bytes = file.read()
                return content

    def digest(self, name: str) -> str:
        found = hashlib.sha256()
        with self.asked(name), self.open(name) as file:
            while part := file.read(CHUNK):
                found.update(part)
        return found.hexdigest()

    def write(self, name: str, content: bytes) -> None:
        draft = Draft(self, name)
        try:
            draft.write(content)
            draft.publish()
        finally:
            draft.discard()

    def sweep(self) -> list[str]:
        """Removes hidden files whose writer is gone; returns their names."""
        return [name for name in self.names() if is_temporary(name) and self.local and _removed(self.path(name))]

    @contextlib.contextmanager
    def asked(self, name: str) -> Iterator[None]:
        """Raises Hopeless or Retryable for what goes wrong inside."""
        try:
            yield
        except (OSError, ValueError) as error:
            raise sorted_out(error, self.path(name), self.local) from None


def is_temporary(name: str) -> bool:
    base = name.rpartition("/")[2]
    return base.startswith(".") and base.endswith(".tmp")


def _removed(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
    except OSError:
        return False
    return True


class Draft(io.RawIOBase):
    """A file that nobody sees before `publish`; after `discard` it has never been."""

    def __init__(self, place: Place, name: str) -> None:
        super().__init__()
        self._place, self._path = place, place.path(name)
        self._hash = hashlib.sha256()
        self._temporary = ""
        self._given_up = False
        self._at = 0
        with place.asked(name):
            self._file = self._hidden() if place.local else tempfile.TemporaryFile(buffering=0)  # noqa: SIM115

    def _hidden(self) -> IO[bytes]:
        folder, _, base = self._path.rpartition("/")
        os.makedirs(folder, exist_ok=True)
        while True:
            self._temporary = f"{folder}/.{base}.{os.urandom(6).hex()}.tmp"
            file = open(self._temporary, "xb", buffering=0)  # noqa: SIM115
            # Who sweeps sees by this that the writer lives; one who came before it has removed the file.
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:
                return file
            file.close()

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, content: Any) -> int:
        left = memoryview(content).cast("B")
        size = len(left)
        if not self._given_up:
            self._hash.update(left)
            while left:
                left = left[self._file.write(left) :]
        self._at += size
        return size

    def publish(self) -> str:
        """Returns the SHA-256 of what others see from now on."""
        if self._place.local:
            os.fsync(self._file.fileno())
            os.replace(self._temporary, self._path)
            self._temporary = ""
            _sync(self._path.rpartition("/")[0])
        else:
            self._file.seek(0)
            with self._place.store.open_output_stream(self._path) as upload:
                while part := self._file.read(CHUNK):
                    upload.write(part)
        return self._hash.hexdigest()

    def discard(self) -> None:
        """What is still written to it goes nowhere, as Arrow writes a footer whatever has happened."""
        self._given_up = True
        self._file.close()
        if self._temporary:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)
            self._temporary = ""


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
