"""What did the child leave in its folder, and can it be read without harm?

Whoever got hold of the child could leave a link to a file of the user's, a pipe that nobody writes to, or a text that steers
the terminal; so only regular files are read, up to a size, and what is said is made printable.
"""

import json
import os
import stat
from pathlib import Path
from typing import Any

from conversion.errors import Refused, Unreadable

MOST_REPORT_BYTES = 64 << 20
MOST_SAID = 4000


def content(path: Path, most: int) -> bytes:
    """Raises Refused when this is no regular file of at most `most` bytes."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(f"the conversion's child process left no {path.name} that can be read: {error.strerror}") from None
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise Refused(f"the conversion's child process left a {path.name} that is no regular file")
        if found.st_size > most:
            raise Refused(f"the conversion's child process left a {path.name} of more than {most:,} bytes")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(handle)


def document(path: Path) -> dict[str, Any]:
    """Raises Refused when there is no JSON object in the file."""
    try:
        read = json.loads(content(path, MOST_REPORT_BYTES))
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise Refused(f"the conversion's child process left a {path.name} that is no JSON object")
    return read


def refusal(path: Path) -> Refused | Unreadable:
    """What the child said when it refused."""
    said = document(path)
    kind = Unreadable if said.get("kind") == Unreadable.__name__ else Refused
    return kind(printable(str(said.get("message", "")))[:MOST_SAID])


def printable(said: str) -> str:
    """Lines stay lines; nothing else reaches the terminal that is not a letter, a sign or a space."""
    return "".join(sign if sign.isprintable() or sign == "\n" else ascii(sign)[1:-1] for sign in said)
