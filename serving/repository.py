"""Which releases are here, and which of them should answer? A folder of releases, each named by its number, that is only read.

A file called `active` beside them holds the number to start with; without it the highest starts.
"""

from dataclasses import dataclass
from pathlib import Path

from serving.errors import CannotStart, ModelRefused
from serving.release import Opened, open_model
from serving.settings import Settings

ACTIVE = "active"
DIGITS = 9


@dataclass(frozen=True)
class Repository:
    folder: Path
    trusted_keys: Path | None = None
    require_keys: bool = False

    def numbers(self) -> list[int]:
        """Of the releases, lowest first. Raises CannotStart."""
        try:
            names = [path.name for path in self.folder.iterdir() if path.is_dir()]
        except OSError as error:
            raise CannotStart(
                f"{self.folder}: cannot be read: {error.strerror}; it should hold a folder for each release"
            ) from None
        return sorted(number for name in names if (number := _number(name)) is not None)

    def first(self) -> int:
        """With which to start. Raises CannotStart."""
        place = self.folder / ACTIVE
        numbers = self.numbers()
        if not numbers:
            raise CannotStart(f"{self.folder}: holds no release; each is a folder named by its number")
        if not place.exists():
            return numbers[-1]
        said = place.read_text().strip()
        number = _number(said)
        if number not in numbers or number is None:
            raise CannotStart(f"{place}: says {said[:20]!r}, the releases here are {', '.join(map(str, numbers))}")
        return number

    def open(self, number: int) -> Opened:
        """Raises CannotStart or ModelRefused."""
        folder = self.folder / str(number)
        if not folder.is_dir():
            raise ModelRefused(f"{folder}: there is no such release")
        opened = open_model(folder, self.trusted_keys, self.require_keys)
        if opened.release is None or opened.release.number != number:
            said = "none" if opened.release is None else opened.release.number
            raise ModelRefused(f"{folder}: its release.json says number {said}")
        return opened


def open_first(settings: Settings, active: int) -> tuple[Repository | None, Opened]:
    """What this server starts with; `active`: the number that other processes answer with already, or 0.

    Raises CannotStart or ModelRefused.
    """
    required = settings.require_keys == "on"
    if settings.repository is None:
        return None, open_model(settings.model, settings.trusted_keys, required)
    repository = Repository(settings.repository, settings.trusted_keys, required)
    return repository, repository.open(active or repository.first())


def _number(name: str) -> int | None:
    return int(name) if name.isascii() and name.isdigit() and len(name) <= DIGITS and not name.startswith("0") else None
