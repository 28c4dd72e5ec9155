"""How does an operator give a running server another release, from beside it?

`python -m serving.control load NUMBER [--parameter NAME=VALUE ...]` asks the server in this container, tells each step, and
ends when the release answers or was refused. Exits 0 it answers, 1 it was refused or rolled back, 2 nobody can be asked.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from serving.errors import CannotStart, ModelRefused
from serving.health import context, own_url
from serving.release import RELEASE, Release
from serving.settings import Settings

TIMEOUT_S = 120
LOOK_S = 0.2


class Server:
    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        self.headers = {} if token is None else {"authorization": f"Bearer {token}"}
        # A proxy from the environment would be asked for the container's own 127.0.0.1.
        https = urllib.request.HTTPSHandler(context=context())
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), https)

    def post(self, path: str, said: Any) -> tuple[int, Any]:
        """Status and JSON. Raises OSError."""
        request = urllib.request.Request(self.url + path, json.dumps(said).encode(), self.headers)
        try:
            with self.opener.open(request, timeout=TIMEOUT_S) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, json.load(refusal)

    def steps(self, number: int) -> Iterator[tuple[str, str]]:
        """State and reason, whenever they change, until nothing more will."""
        last = ("", "")
        while last[0] not in ("READY", "UNAVAILABLE"):
            _, index = self.post("/v2/repository/index", {})
            (found,) = [(one["state"], one["reason"]) for one in index if one["version"] == str(number)]
            if found != last:
                yield found
            last = found
            time.sleep(LOOK_S)


def load(server: Server, name: str, number: int, parameters: dict[str, Any]) -> int:
    status, said = server.post(f"/v2/repository/models/{name}/load", {"parameters": parameters | {"release": number}})
    if status != 200:
        sys.stderr.write(f"control: {said.get('error', said)}\n")
        return 1
    state = ""
    for state, reason in server.steps(number):
        sys.stdout.write(f"control: release {number}: {'answers' if state == 'READY' else reason}\n")
        sys.stdout.flush()
    return 0 if state == "READY" else 1


def _parameter(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=NUMBER") from None


def _name(settings: Settings, number: int) -> str:
    """By which the server is asked; the release's own, unless it was given another."""
    if settings.name or settings.repository is None:
        return settings.name
    page = settings.repository / str(number) / RELEASE
    try:
        return Release.from_json(page.read_bytes(), str(page)).name
    except OSError as error:
        raise ModelRefused(f"{page}: cannot be read: {error.strerror}") from None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m serving.control", description="Exits 0 when the release answers.")
    parser.add_argument("load", choices=["load"])
    parser.add_argument("number", type=int)
    parser.add_argument("--parameter", type=_parameter, action="append", default=[], metavar="NAME=VALUE", help="docs/api.md")
    parser.add_argument("--url", default=own_url(), help="default: %(default)s")
    parser.add_argument("--token-file", type=Path)
    given = parser.parse_args()
    try:
        token = given.token_file.read_text().strip() if given.token_file is not None else None
        name = _name(Settings.read(os.environ, {}), given.number)
        return load(Server(given.url, token), name, given.number, dict(given.parameter))
    except (OSError, ValueError, CannotStart, ModelRefused) as problem:
        sys.stderr.write(f"control: the server cannot be asked: {problem}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
