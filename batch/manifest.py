"""Which rows are to be answered by which model, and in which file does each part end?

Written before anything else and never changed. It holds nothing of when or where it was made, so that two who plan the same
work write the same bytes.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from batch.errors import Hopeless

if TYPE_CHECKING:
    # Who only reads what a manifest says does without Arrow.
    from batch.places import Place, State

NAME = "manifest.json"
VERSION = 1


@dataclass(frozen=True)
class File:
    """`changed_ns`: when it was last written, on a disk; `etag`: the store's own mark, in a store.

    `names`: where it stands for several, an outline in each; then `etag` is made of all their states.
    """

    path: str
    bytes: int
    changed_ns: int
    etag: str
    rows: int
    names: tuple[str, ...] = ()

    @classmethod
    def of_many(cls, names: Sequence[str], states: "Mapping[str, State]", where: str) -> "File":
        """Raises Hopeless when one of them has no state."""
        for name in names:
            if name not in states:
                raise Hopeless(f"{where}/{name}: went away while it was looked at")
        said = [states[name] for name in names]
        mark = hashlib.sha256(json.dumps(said).encode()).hexdigest()
        path = f"{names[0]} to {names[-1]}" if len(names) > 1 else names[0]
        return cls(path, sum(one[0] for one in said), max(one[1] for one in said), mark, len(names), tuple(names))

    def in_states(self, states: "Mapping[str, State]") -> bool:
        """Is it in these states as it was?"""
        return self == File.of_many(self.names, states, "") if self.names else states.get(self.path) == self.state

    @property
    def state(self) -> "State":
        return self.bytes, self.changed_ns, self.etag


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
            files = tuple(File(**one | {"names": tuple(one["names"])}) for one in said.pop("files"))
            units = tuple(Unit(**one | {"groups": one["groups"] and tuple(one["groups"])}) for one in said.pop("units"))
            columns = {name: tuple(chosen) for name, chosen in said.pop("columns").items()}
            return cls(**said, columns=columns, files=files, units=units)
        except (KeyError, TypeError, ValueError) as error:
            raise Hopeless(f"{where}: is no manifest of a batch: {error!r}") from None


def settle(manifest: Manifest, out: "Place") -> None:
    """The manifest stands in OUT afterwards. Raises Hopeless where OUT was begun with another, and says what differs.

    In a store its second upload has to be refused.
    """
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
            out.write(NAME, manifest.content, {})
            # Nothing is worse than a store that takes a condition and does not look at it.
            if not out.local and out.write(NAME, manifest.content, {}):
                raise Hopeless(f"{out.root}: this store overwrites what it was told to keep; give a folder in another")
        content = out.read(NAME) or b""
    if content != manifest.content:
        begun = Manifest.from_bytes(content, out.path(NAME))
        raise Hopeless(f"{out.root}: was begun {_difference(begun, manifest)}; give another folder")


def settled(out: "Place") -> Manifest:
    content = out.read(NAME)
    if content is None:
        raise Hopeless(f"{out.root}: has no {NAME}; python -m batch encode writes it")
    return Manifest.from_bytes(content, out.path(NAME))


def _difference(begun: Manifest, now: Manifest) -> str:
    if begun.model != now.model:
        return f"with model {begun.model[:12]}, this is {now.model[:12]}"
    before, after = ({name: file for file in one.files for name in file.names or (file.path,)} for one in (begun, now))
    # What came or went first: outlines behind it have moved to another part.
    for path in sorted(before.keys() | after.keys(), key=lambda path: (path in before and path in after, path)):
        was, is_now = before.get(path), after.get(path)
        if was is None or is_now is None or (was != is_now and was.names == is_now.names):
            word = "without" if path not in before else "with" if path not in after else "with another state of"
            found = "is there now" if path in after else "is gone"
            if path in before and path in after:
                found = f"had {before[path].bytes} bytes, has {after[path].bytes}, or was written again"
            return f"{word} input {path!r}, which {found}"
    for name in ("kind", "id", "columns"):
        if getattr(begun, name) != getattr(now, name):
            return f"with {name} {getattr(begun, name)!r}, this is {getattr(now, name)!r}"
    return f"with {len(begun.units)} shards, this has {len(now.units)}"
