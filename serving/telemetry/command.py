"""How does one of the operator's commands end? 0 done, 1 not done and why, 2 could not look."""

import os
import sqlite3
import sys
from collections.abc import Callable

from serving.errors import CannotStart
from serving.settings import Settings


class Refused(Exception):
    """The text says what stands against it, and what to do."""


def ended(name: str, work: Callable[[Settings], None], *refusals: type[Exception]) -> int:
    """The exit code, once `work` was done with the server's own settings. refusals: that mean 1, beside Refused."""
    known: tuple[type[Exception], ...] = (Refused, *refusals)
    try:
        work(Settings.read(os.environ, {}))
        return 0
    except known as problem:
        sys.stderr.write(f"{name}: {problem}\n")
        return 1
    except (CannotStart, OSError, ValueError, sqlite3.Error) as problem:
        sys.stderr.write(f"{name}: {problem}\n")
        return 2
