"""How do the tests meet the server: as a process of its own on a free port, or as an ASGI application in this one?"""

import asyncio
import json
import os
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from serving.app import create_app
from serving.exchange import Desk
from serving.front import Front
from serving.inference import Inference
from serving.metrics import Metrics
from serving.release import Opened
from serving.settings import Settings

ROOT = Path(__file__).parents[2]
START_S = 30


@dataclass
class Running:
    """A server process that said it listens."""

    process: subprocess.Popen[bytes]
    log: Path
    url: str = ""

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def wait_for(self, name: str) -> dict[str, Any]:
        limit = time.monotonic() + START_S
        while time.monotonic() < limit:
            for event in self.events():
                if event["event"] == name:
                    return event
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"no event {name!r}; the log: {self.log.read_text()}")

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(20)


def environment(home: Path) -> dict[str, str]:
    # onnxruntime keeps its telemetry to itself where CI is set, so a check that inherits that variable could not fail.
    kept = {key: value for key, value in os.environ.items() if not key.startswith("UNJAR_") and key != "CI"}
    return kept | {"HOME": str(home), "PYTHONPATH": str(ROOT)}


Start = Callable[..., Running]
Ask = Callable[..., httpx.Response]


def asker(content: bytes, *, name: str = "test", max_body_bytes: int = 1 << 20, max_rows: int = 100) -> Ask:
    """ask(method, path, ...) of an application in this process; `ask.inference` is behind it."""
    inference = Inference(name, Metrics(), max_rows, max_waiting=100)
    inference.load(Opened(content, "test.onnx"))
    return over(front(inference, max_body_bytes), inference)


def front(inference: Inference, max_body_bytes: int, app: FastAPI | None = None) -> Front:
    desk = Desk(inference, max_body_bytes, max_held_bytes=64 << 20)
    return Front(desk, lambda: app or create_app(inference, Settings(max_body_bytes=max_body_bytes)))


def over(app: Front, inference: Inference) -> Ask:
    def ask(method: str, path: str, **options: Any) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, **options)

        return asyncio.run(once())

    ask.inference = inference  # type: ignore[attr-defined]
    ask.front = app  # type: ignore[attr-defined]
    return ask


def question(data: Any, shape: Any = None, datatype: str = "FP32", **more: Any) -> dict[str, Any]:
    return {"inputs": [{"name": "X", "datatype": datatype, "shape": shape or [1, 3], "data": data}]} | more
