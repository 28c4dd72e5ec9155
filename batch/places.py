"""Where do files come from and go to, and when does anybody else see them?

On a disk: written under a hidden name that is locked as long as its writer lives, fsync, rename. In an object store: written
here, then sent in one upload that the store takes whole, and only if nobody was there first. So a name that is there is a whole
file.
"""

import contextlib
import fcntl
import hashlib
import io
import mmap
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from pyarrow import fs

from batch.errors import Retryable, sorted_out

if TYPE_CHECKING:
    from batch.buckets import Bucket

CHUNK = 1 << 20
# A listing shows all that lies beside them too.
FEW = 8
# Bytes; when it was last written, in ns; the store's own mark of its content. A disk has the first two, a store its mark.
State = tuple[int, int, str]
# What tells one state of a name in a store from any other, as the store has it; nothing when nothing is there, and on a disk.
Seen = dict[str, str]


@dataclass(frozen=True)
class Place:
    """A folder, on a disk or in a store: `bucket` is the same store for what pyarrow.fs cannot do."""

    store: Any
    root: str
    bucket: "Bucket | None" = None

    @property
    def local(self) -> bool:
        return self.bucket is None

    @classmethod
    def of(cls, text: str) -> "Place":
        """Raises Retryable when there is no such store, Hopeless when it is one that cannot tell who was first."""
        if "://" not in text:
            return cls(fs.LocalFileSystem(), str(Path(text).resolve()))
        try:
            store, root = fs.FileSystem.from_uri(text)
        except (OSError, ValueError) as error:
            raise Retryable(f"{text}: {str(error).splitlines()[0]}") from None
        root = root.rstrip("/")
        if isinstance(store, fs.LocalFileSystem):
            return cls(store, root)
        try:
            from batch.buckets import Bucket
        except ModuleNotFoundError as error:
            raise Retryable(f"{root}: in a store needs {error.name}, which requirements/batch.txt has") from None
        return cls(store, root, Bucket.of(text, root.partition("/")[0], getattr(store, "region", "")))

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
            return Place(self.store, folder or "/", self.bucket), [name]
        return self, [name for name in self.names() if not any(part[0] in "._" for part in name.split("/"))]

    def names(self) -> list[str]:
        """Of all files below, in order."""
        return sorted(self._listed())

    def _listed(self) -> dict[str, Any]:
        with self.asked(""):
            found = self.store.get_file_info(fs.FileSelector(self.root, allow_not_found=True, recursive=True))
        return {info.path[len(self.root) :].lstrip("/"): info for info in found if info.type == fs.FileType.File}

    def states(self, names: Sequence[str]) -> dict[str, State]:
        """Of those that are there; asked of each when they are few, else all at once."""
        if len(names) <= FEW:
            each = {name: self.state(name) for name in names}
            return {name: state for name, state in each.items() if state is not None}
        if self.bucket is not None:
            with self.asked(""):
                return self.bucket.states(self.root)
        return {name: (info.size, info.mtime_ns or 0, "") for name, info in self._listed().items()}

    def state(self, name: str) -> State | None:
        """None when it is not there."""
        with self.asked(name):
            if self.bucket is not None:
                return self.bucket.state(self.path(name))
            info = self.store.get_file_info(self.path(name))
        return (info.size, info.mtime_ns or 0, "") if info.type == fs.FileType.File else None

    def seen(self, name: str) -> Seen:
        with self.asked(name):
            return {} if self.bucket is None else self.bucket.seen(self.path(name))

    def open(self, name: str) -> Any:
        return self.store.open_input_file(self.path(name))

    def fetch(self, name: str, most: int) -> tuple[bytes, State]:
        """Its first `most` + 1 bytes, and the state they were read in."""
        with self.asked(name):
            if self.bucket is not None:
                return self.bucket.fetch(self.path(name), most)
            with self.open(name) as file:
                content = file.read(most + 1)
            state = self.state(name)
            if state is None:
                raise Retryable(f"{self.path(name)}: went away while it was read")
            return content, state

    def read(self, name: str) -> bytes | None:
        with self.asked(name):
            if self.state(name) is None:
                return None
            with self.open(name) as file:
                content: bytes = file.read()
                return content

    def remove(self, name: str) -> None:
        with self.asked(name):
            self.store.delete_file(self.path(name))

    def digest(self, name: str) -> str:
        found = hashlib.sha256()
        with self.asked(name), self.open(name) as file:
            while part := file.read(CHUNK):
                found.update(part)
        return found.hexdigest()

    def write(self, name: str, content: bytes, seen: Seen) -> str:
        """As `Draft.publish`."""
        draft = Draft(self, name)
        try:
            draft.write(content)
            return draft.publish(seen)
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

    def publish(self, seen: Seen) -> str:
        """seen: what it takes the place of, in a store; if there is something else by now, that stays, and nothing is returned.

        Else the SHA-256 of what others see from now on.
        """
        if self._place.bucket is None:
            os.fsync(self._file.fileno())
            os.replace(self._temporary, self._path)
            self._temporary = ""
            _sync(self._path.rpartition("/")[0])
        else:
            # A map: what is sent lies in no memory that the system cannot take back.
            with mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if not self._place.bucket.put(self._path, content, seen):
                    return ""
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
