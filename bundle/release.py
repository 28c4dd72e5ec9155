"""What is in a release of the model: the model itself, an example of its answers, and a page that numbers both."""

import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from serving.model import Model
from serving.release import MODEL, MOST_RELEASES, RELEASE
from serving.settings import NAME


class Faulty(Exception):
    """What was ordered cannot be made: what was found, what was expected."""


def write(folder: Path, model: Path, example: Path, name: str, number: int, created: datetime, expires: str | None) -> Model:
    """The folder of a release, still to be signed. Raises Faulty or serving's ModelRefused."""
    if not 1 <= number <= MOST_RELEASES:
        raise Faulty(f"--number {number}: expected a whole number from 1; it grows with every release")
    if not NAME.fullmatch(name):
        raise Faulty(f"--name {name!r}: expected letters, digits, '.', '_' or '-'")
    loaded = Model.load(model)
    loaded.verify()
    said = json.loads(example.read_text())
    if said["model"]["digest"] != loaded.digest:
        raise Faulty(
            f"{example}: is of model {said['model']['digest'][:12]}, {model} is {loaded.digest[:12]}; convert.py writes both"
        )
    page: dict[str, Any] = {"name": name, "number": number, "created": stamp(created), "model": loaded.digest}
    if expires is not None:
        page["expires"] = stamp(_day(expires))
    folder.mkdir(parents=True)
    (folder / MODEL).write_bytes(model.read_bytes())
    (folder / "example.json").write_bytes(example.read_bytes())
    (folder / RELEASE).write_text(json.dumps(page, indent=1) + "\n")
    return loaded


def stamp(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _day(text: str) -> datetime:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        raise Faulty(f"--expires {text!r}: expected a day such as 2027-12-31")
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise Faulty(f"--expires {text!r}: {error}") from None


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
