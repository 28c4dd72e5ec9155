"""Does the running server answer the rows that travel with its model as scikit-learn did, through its own front door?

`python -m serving.check [--url URL] [--token-file FILE]` runs beside the server, in its container, and needs nothing else.
It opens the model as the server's settings say, and takes no answer of another model. Exits 0 PASS, 1 FAIL, 2 it cannot ask.
"""

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serving import tensors
from serving.errors import CannotStart, ModelRefused
from serving.health import context, own_url
from serving.model import Model
from serving.protocol import HEADER
from serving.repository import open_first
from serving.settings import Settings
from serving.signature import Array

TIMEOUT_S = 60


class Unlike(Exception):
    """The server answered, and not as it should."""


class Door:
    """The server, asked with raw bytes, so that NaN, -0.0 and the last bit count."""

    def __init__(self, url: str, name: str, model: Model, token: str | None) -> None:
        self.address = f"{url.rstrip('/')}/v2/models/{name}/infer"
        self.model = model
        self.headers = {} if token is None else {"authorization": f"Bearer {token}"}
        # A proxy from the environment would be asked for the container's own 127.0.0.1.
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context())
        )

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Raises Unlike or OSError."""
        parts = [bytes(tensors.to_bytes(array)) for array in feeds.values()]
        inputs = [
            {
                "name": tensor.name, "datatype": tensor.datatype, "shape": list(feeds[tensor.name].shape),
                "parameters": {"binary_data_size": len(part)},
            }
            for tensor, part in zip(self.model.signature.inputs, parts, strict=True)
        ]  # fmt: skip
        text = json.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}}).encode()
        request = urllib.request.Request(self.address, b"".join([text, *parts]), self.headers | {HEADER: str(len(text))})
        try:
            with self.opener.open(request, timeout=TIMEOUT_S) as answer:
                return self._read(answer.headers, answer.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                raise Unlike(f"it answered {refusal.code}: {refusal.read(500).decode(errors='replace')}") from None

    def _read(self, headers: Any, body: bytes) -> dict[str, Array]:
        digest = headers.get("x-model-digest")
        if digest != self.model.digest:
            raise Unlike(f"model {digest} answered, expected {self.model.digest}")
        size = int(headers[HEADER])
        answers, start = {}, size
        for entry in json.loads(body[:size])["outputs"]:
            end = start + entry["parameters"]["binary_data_size"]
            raw = memoryview(body)[start:end]
            answers[entry["name"]] = tensors.from_bytes(entry["name"], entry["datatype"], entry["shape"], raw)
            start = end
        return answers


def check(url: str, name: str, model: Model, token: str | None) -> tuple[bool, list[str]]:
    """Whether every output of every row is within its tolerance, and a line for each. Raises OSError: nobody answers."""
    try:
        gaps = model.verification.replay(Door(url, name, model, token).run)
    except (Unlike, KeyError, ValueError, TypeError) as problem:
        return False, [f"answer  {problem}"]
    lines = [
        f"output  {output}: at most {gap.max_abs:.1e} from scikit-learn in {gap.rows} rows, {gap.wrong} wrong"
        for output, gap in gaps.items()
    ]
    return all(gap.passed for gap in gaps.values()), lines


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m serving.check", description="Exits 0 when the server answers as it should."
    )
    parser.add_argument("--url", default=own_url(), help="default: %(default)s")
    parser.add_argument("--release", type=int, default=0, help="of the repository; default: the one that it starts with")
    parser.add_argument("--token-file", type=Path, help="a file with the token to ask with")
    given = parser.parse_args()
    try:
        settings = Settings.read(os.environ, {})
        _, opened = open_first(settings, given.release)
        model = Model.from_bytes(opened.content, opened.origin)
        name = settings.name or opened.name or settings.model.stem
        token = given.token_file.read_text().strip() if given.token_file is not None else None
        passed, lines = check(given.url, name, model, token)
    except (CannotStart, ModelRefused, OSError) as problem:
        sys.stderr.write(f"check: cannot ask: {problem}\n")
        return 2
    said = [f"model   {model.digest}", *lines, "PASS" if passed else "FAIL"]
    sys.stdout.write("".join(f"{line}\n" for line in said))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
