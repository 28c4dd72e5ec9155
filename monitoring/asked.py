"""What does this model answer, here, to the very bytes that a site received? `python -m monitoring.asked CASE MODEL.onnx`.

Through the server's own door, in this process: what reads, checks, runs and writes is what does so at the site. As a command it
prints the answer as JSON, so that another interpreter, with the site's own onnxruntime, can be asked.
"""

import asyncio
import base64
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.errors import ModelRefused
from serving.exchange import Desk
from serving.front import Front
from serving.inference import Inference
from serving.metrics import Metrics
from serving.release import Opened
from serving.settings import Settings
from serving.telemetry.case import NotACase, content_of

NAME = "model"


@dataclass(frozen=True)
class Answer:
    """As HTTP had it; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask(case: dict[str, Any], content: bytes) -> Answer:
    """content: of the model's file. Raises ModelRefused, NotACase."""
    limits = Settings(**{name: case["settings"][name] for name in ("max_rows", "max_body_bytes") if name in case["settings"]})
    inference = Inference(NAME, Metrics(), limits.max_rows, limits.max_queue)
    model = inference.load(Opened(content, "the case's model"))
    try:
        front = Front(Desk(inference, limits.max_body_bytes, limits.max_held_bytes), _nobody)
        path = str(case["request"]["route"]).replace("{name}", NAME).replace("{version}", model.version)
        return asyncio.run(_asked(front, path, case["request"]["headers"], content_of(case["request"])))
    finally:
        inference.worker.shutdown()


async def _asked(front: Front, path: str, headers: dict[str, str], body: bytes) -> Answer:
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    scope: Any = {"type": "http", "method": "POST", "path": path, "headers": pairs, "client": ("127.0.0.1", 0)}
    sent: list[Any] = []
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Any:
        for message in messages:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message)

    await front(scope, receive, send)
    found = {name.decode().lower(): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], found, b"".join(message.get("body", b"") for message in sent[1:]))


def _nobody() -> Any:
    raise NotACase("is of an address that is not the model's")


def ask_elsewhere(python: str, case: Path, model: Path) -> Answer:
    """The same by another interpreter. Raises OSError or ValueError."""
    done = subprocess.run([python, "-m", "monitoring.asked", str(case), str(model)], capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"{python}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'failed'}")
    said = json.loads(done.stdout)
    return Answer(said["status"], said["headers"], base64.b64decode(said["body"]))


def main() -> int:
    case, model = sys.argv[1:]
    try:
        answer = ask(json.loads(Path(case).read_bytes()), Path(model).read_bytes())
    except (OSError, ValueError, KeyError, ModelRefused) as problem:
        sys.stderr.write(f"asked: {problem}\n")
        return 2
    body = base64.b64encode(answer.body).decode()
    sys.stdout.write(json.dumps({"status": answer.status, "headers": answer.headers, "body": body}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
