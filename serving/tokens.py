"""Who may ask: does the bearer token belong to somebody, and is it enough for this address?

The file holds hashes, so that whoever reads it can ask nothing. `python -m serving.tokens new NAME` makes a token.
"""

import argparse
import hashlib
import hmac
import os
import re
import secrets
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

from serving.errors import CannotStart, Forbidden, Unauthorized

SCOPES = ("infer", "admin")
BEARER = re.compile(rb"(?i:bearer) +([A-Za-z0-9._~+/=-]{1,512})")
LINE = re.compile(r"([A-Za-z0-9._-]{1,64})\s+(infer|admin)\s+([0-9a-f]{64})")
REMEDY = "`python -m serving.tokens new NAME` makes a line for it"
CHALLENGE = {"www-authenticate": "Bearer"}


@dataclass(frozen=True)
class Token:
    name: str
    scope: str
    sha256: bytes


class Tokens:
    """The tokens of one file, read again when it changes."""

    def __init__(self, path: Path) -> None:
        """Raises CannotStart: which line, what was found, what was expected."""
        self.path = path
        self._seen = self._stamp()
        self._tokens = _read(path)

    def allow(self, authorization: bytes | None, scope: str) -> str:
        """The name of the token's holder. Raises Unauthorized or Forbidden."""
        match = BEARER.fullmatch(authorization or b"")
        if match is None:
            raise Unauthorized("this server asks for a token: send it as 'authorization: Bearer ...'", CHALLENGE)
        given = hashlib.sha256(match[1]).digest()
        # Every one is compared, in a time that says nothing of where they differ.
        found = [token for token in self._tokens if hmac.compare_digest(token.sha256, given)]
        if not found:
            raise Unauthorized("the token is not one this server knows", CHALLENGE)
        if scope == "admin" and found[0].scope != "admin":
            raise Forbidden("the token is for questions to the model; this address wants one with the scope 'admin'")
        return found[0].name

    def read_again(self) -> bool:
        """True when the file has changed and holds since. Raises CannotStart when it cannot be used; the old ones hold."""
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._seen = stamp
        self._tokens = _read(self.path)
        return True

    def _stamp(self) -> tuple[int, int, int] | None:
        try:
            about = self.path.stat()
        except OSError:
            return None
        return about.st_ino, about.st_mtime_ns, about.st_size


def _read(path: Path) -> tuple[Token, ...]:
    try:
        with path.open() as file:
            mode = os.fstat(file.fileno()).st_mode
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise CannotStart(
            f"{path}: cannot be read: {reason}; `python -m serving.tokens new NAME` makes a line for it"
        ) from None
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CannotStart(f"{path}: others than its owner may write it; chmod go-w {path}")
    tokens: dict[str, Token] = {}
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        match = LINE.fullmatch(text)
        if match is None:
            raise CannotStart(f"{path}:{number}: expected a name, infer or admin, and the token's SHA-256 in hex digits")
        if match[1] in tokens:
            raise CannotStart(f"{path}:{number}: {match[1]!r} is there twice")
        tokens[match[1]] = Token(match[1], match[2], bytes.fromhex(match[3]))
    if not tokens:
        raise CannotStart(f"{path}: holds no token; {REMEDY}")
    return tuple(tokens.values())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m serving.tokens", description="Makes a token for the file UNJAR_TOKENS.")
    parser.add_argument("new", choices=["new"])
    parser.add_argument("name", help="whose it is")
    parser.add_argument("--scope", choices=SCOPES, default="infer", help="admin sees figures too; default: %(default)s")
    given = parser.parse_args()
    token = "unjar_" + secrets.token_urlsafe(32)
    line = f"{given.name} {given.scope} {hashlib.sha256(token.encode()).hexdigest()}"
    if not LINE.fullmatch(line):
        sys.stderr.write(f"{given.name!r}: expected 1 to 64 letters, digits, '.', '_' or '-'\n")
        return 2
    sys.stdout.write(f"{line}\n")
    sys.stderr.write(f"The line above is for the file. The token itself, shown only now: {token}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
