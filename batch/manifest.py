"""Which rows are to be answered by which model, and in which file does each part end?

Written before anything else and never changed. It holds nothing of when or where it was made, so that two who plan the same
work write the same bytes.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

from batch.errors import Hopeless
from batch.places import Place

NAME = "manifest.json"
VERSION = 1


@dataclass(frozen=True)
class File:
    """`changed_ns`: when it was last written, as its store says."""

    path: str
    bytes: int
    changed_ns: int
    rows: int


@dataclass(frozen=True)
class Unit:
    """`rows` rows of the file number `file`, from its row `start` on; `first`: the number of the first among all rows of IN.

    `groups`: Parquet's row groups from, and up to.
    """

    index: int
    file: int
    start: int
    first: int
    rows: int
    groups: tuple[int, int] | None = None


@dataclass(frozen=True)
class Manifest:
    """`columns`: for each input of the model the columns that it is made of. `every`: one row in so many is counted in bins."""

    model: str
    kind: str
    id: str | None
    columns: Mapping[str, tuple[str, ...]]
    every: int
    files: tuple[File, ...]
    units: tuple[Unit, ...]

    @cached_property
    def content(self) -> bytes:
        return (json.dumps({"version": VERSION, **asdict(self)}, indent=1) + "\n").encode()

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    def unit_digest(self, unit: Unit) -> str:
        """Of all that decides what this part's file holds."""
        said = [VERSION, self.model, self.kind, self.id, self.columns, self.every, asdict(self.files[unit.file]), asdict(unit)]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    def name(self, unit: Unit) -> str:
        return f"part-{unit.index:06d}-{self.unit_digest(unit)[:12]}-{self.model[:12]}.parquet"

    def quarantine(self, unit: Unit) -> str:
        return f"quarantine/{self.name(unit)}"

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> "Manifest":
        """Raises Hopeless when it is not one that `content` wrote."""
        try:
            said = json.loads(content)
            if said.pop("version") != VERSION:
                raise ValueError("of another version")
            files = tuple(File(**one) for one in said.pop("files"))
            units = tuple(Unit(**one | {"groups": one["groups"] and tuple(one["groups"])}) for one in said.pop("units"))
            columns = {name: tuple(chosen) for name, chosen in said.pop("columns").items()}
            return cls(**said, columns=columns, files=files, units=units)
        except (KeyError, TypeError, ValueError) as error:
            raise Hopeless(f"{where}: is no manifest of a batch: {error!r}") from None


def settle(manifest: Manifest, out: Place) -> None:
    """The manifest stands in OUT afterwards. Raises Hopeless where OUT was begun with another, and says what differs."""
    if out.local:
        # Arrow fails to list a folder that another makes at this moment.
        with out.asked(""):
            os.makedirs(out.root, exist_ok=True)
    # In this order: what another driver puts there meanwhile has a manifest.
    foreign = [name for name in out.names() if not name.startswith(".")]
    content = out.read(NAME)
    if content is None:
        if foreign:
            raise Hopeless(f"{out.root}: holds {foreign[0]!r} and no {NAME}; give an empty folder, or a new one")
        with out.asked(NAME):
            out.write(NAME, manifest.content)
        content = out.read(NAME) or b""
    if content != manifest.content:
        begun = Manifest.from_bytes(content, out.path(NAME))
        raise Hopeless(f"{out.root}: was begun {_difference(begun, manifest)}; give another folder")


def settled(out: Place) -> Manifest:
    content = out.read(NAME)
    if content is None:
        raise Hopeless(f"{out.root}: has no {NAME}; python -m batch encode writes it")
    return Manifest.from_bytes(content, out.path(NAME))


def _difference(begun: Manifest, now: Manifest) -> str:
    if begun.model != now.model:
        return f"with model {begun.model[:12]}, this is {now.model[:12]}"
    before, after = ({file.path: file for file in one.files} for one in (begun, now))
    for path in sorted(before.keys() | after.keys()):
        if before.get(path) != after.get(path):
            word = "without" if path not in before else "with" if path not in after else "with another state of"
            found = "is there now" if path in after else "is gone"
            if path in before and path in after:
                found = f"had {before[path].bytes} bytes, has {after[path].bytes}, or was written again"
            return f"{word} input {path!r}, which {found}"
    for name in ("kind", "id", "columns"):
        if getattr(begun, name) != getattr(now, name):
            return f"with {name} {getattr(begun, name)!r}, this is {getattr(now, name)!r}"
    return f"with {len(begun.units)} shards, this has {len(now.units)}"
